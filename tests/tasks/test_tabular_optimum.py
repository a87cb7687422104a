"""Where the best prediction is known, a trained model comes near it, and the linear baseline stays away."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from specrun.models.mlp.build import build as build_mlp
from specrun.models.mlp.options import Options as Mlp
from specrun.sources.contract import WHOLE, SourceRequest, load_table
from specrun.sources.synthetic_table.options import Options as Rows
from specrun.tasks.tabular.build import Tabular
from tests.tasks.tables import opened, prepared, write_split

TRAINED, JUDGED = 9000, 3000


def drawn(folder: Path, **options: Any) -> dict[str, float]:
    """Write both splits of a drawn table. Returns: its optimum."""
    import pyarrow as pa

    loaded = load_table(Rows(kind="synthetic_table", rows=TRAINED + JUDGED, **options), SourceRequest(Path(), lambda _: None))
    whole = loaded.splits[WHOLE]
    table = pa.Table.from_batches(whole.read(whole.schema.names))
    for split, part in (("train", table.slice(0, TRAINED)), ("validation", table.slice(TRAINED))):
        write_split(folder / "data", split, {name: part.column(name).combine_chunks() for name in part.column_names})
    prepared(folder, target="y")
    optimum: dict[str, float] = loaded.facts["optimum"]
    return optimum


def trained(task: Tabular, *, steps: int = 400, batch: int = 128) -> dict[str, float]:
    torch.manual_seed(0)
    model = build_mlp(Mlp(kind="mlp", width=64, bins=64), **task._encoding.sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.1, betas=(0.9, 0.95))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 + math.cos(math.pi * step / steps))
        rows = task.train_batch(step * batch, count=batch)
        optimizer.zero_grad()
        (task.loss_sum(model, rows) / batch).backward()
        optimizer.step()
    return task.metrics(task.evaluate(model, "validation"))


@pytest.mark.slow
def test_a_trained_model_of_numbers_is_near_the_known_optimum(tmp_path: Path) -> None:
    optimum = drawn(tmp_path, noise=0.2)
    task = opened(tmp_path)
    found, (_, ridge) = trained(task), task.baselines("validation")
    assert optimum["rmse"] * 0.96 < found["rmse"] < optimum["rmse"] * 1.06
    assert found["mae"] == pytest.approx(optimum["mae"], rel=0.06)
    assert found["r2"] == pytest.approx(optimum["r2"], abs=0.03)
    assert ridge.metrics["rmse"] > optimum["rmse"] * 1.3


@pytest.mark.slow
def test_a_trained_classifier_is_near_the_known_optimum(tmp_path: Path) -> None:
    optimum = drawn(tmp_path, objective="classification", noise=0.2)
    task = opened(tmp_path, label_smoothing=0.0)
    found, (_, logistic) = trained(task, steps=250), task.baselines("validation")
    assert found["accuracy"] == pytest.approx(optimum["accuracy"], abs=0.04)
    assert optimum["loss"] * 0.95 < found["loss"] < optimum["loss"] * 1.15
    assert logistic.metrics["accuracy"] < optimum["accuracy"] - 0.06
