"""Tables as the `data` step leaves them, prepared and opened as a forecasting task, with a linear map as its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.runtime.interfaces import ForecastInputs
from specrun.sources.synthetic.options import Options as Synthetic
from specrun.spec.document import Spec
from specrun.spec.section import Section
from specrun.spec.sections.data import Columns, Data
from specrun.spec.splits.ratio import Options as Ratio
from specrun.tasks.contract import Opening, Prepared, PrepareRequest
from specrun.tasks.forecasting.build import Forecasting, build
from specrun.tasks.forecasting.options import Options
from specrun.tasks.forecasting.prepare import prepare
from specrun.tokenizers.char.options import Options as Char

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
START = datetime(2024, 1, 1)
SOURCE = Synthetic(kind="synthetic")
SMALL = {"context": 6, "horizon": 3}


def hours(count: int, *, first: int = 0) -> list[datetime]:
    return [START + timedelta(hours=first + number) for number in range(count)]


def table(count: int = 60, **columns: Any) -> dict[str, Any]:
    """Hourly rows of a target `y` that repeats each day, and more columns."""
    number = np.arange(count)
    return {"time": hours(count), "y": 3 + np.sin(number * np.pi / 12) + 0.01 * (number % 7), **columns}


def write_splits(folder: Path, rows: Mapping[str, Any], *, borders: Sequence[int]) -> Path:
    """Rows cut at the borders into train, validation and test, numbered from 1 on as in one source."""
    data = pa.table({**rows, "__row__": np.arange(1, len(next(iter(rows.values()))) + 1)})
    folder.mkdir(parents=True, exist_ok=True)
    for name, first, end in zip(("train", "validation", "test"), (0, *borders), (*borders, len(data)), strict=False):
        pq.write_table(data.slice(first, end - first), folder / f"{name}.parquet")
    return folder


def spec_of(columns: Mapping[str, Any] | None = None, *, source: Section = SOURCE, **options: Any) -> Spec:
    """A spec of the task with some model. columns: roles, beside time and y."""
    roles = {"time": "time", "target": ("y",), **(columns or {})}
    data = Data(source=source, columns=Columns(**roles), split=Ratio(kind="ratio", validation=0.2, test=0.2),
                tokenizer=Char(kind="char"))  # fmt: skip
    task = Options(kind="forecasting", **{**SMALL, **options})
    return Spec(version=1, name="forecast", task=task, data=data, model=Gpt(kind="gpt"))


def prepared(
    root: Path, rows: Mapping[str, Any], *, borders: Sequence[int] = (36, 48), columns: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Prepared, Spec]:
    """The folder `root/examples`, from the splits in `root/data`."""
    spec = spec_of(columns, **options)
    data, examples = write_splits(root / "data", rows, borders=borders), root / "examples"
    examples.mkdir(exist_ok=True)
    request = PrepareRequest(spec=spec, folders={"data": data}, facts={"data": {}}, folder=examples, emit=lambda _: None)
    assert isinstance(spec.task, Options)
    return prepare(spec.task, request), spec


def task(root: Path, rows: Mapping[str, Any], *, seed: int = 0, **how: Any) -> Forecasting:
    """The task on rows that are prepared on the way."""
    made, spec = prepared(root, rows, **how)
    return opened(root, made, spec, seed=seed)


def opened(root: Path, made: Prepared, spec: Spec, *, seed: int = 0) -> Forecasting:
    facts = {"examples": json.loads(json.dumps(made.values))}
    assert isinstance(spec.task, Options)
    return build(spec.task, Opening(spec=spec, folders={"examples": root / "examples"}, facts=facts, seed=seed, device=DEVICE))


class Linear(nn.Module):
    """A forecaster: one linear map of all it is given, quantiles ascending."""

    def __init__(self, it: Forecasting, *, seed: int = 0) -> None:
        super().__init__()
        sizes = it.facts["sizes"]
        length = sizes["context"] + sizes["horizon"]
        past = sizes["targets"] + sizes["observed"]
        known = sizes["known"] + len(sizes["known_categories"])
        static = sizes["static"] + len(sizes["static_categories"])
        self._shape = (sizes["horizon"], sizes["targets"], sizes["quantiles"])
        torch.manual_seed(seed)
        self.map = nn.Linear(past * sizes["context"] + known * length + static, int(np.prod(self._shape)))

    def forward(self, inputs: ForecastInputs) -> Tensor:
        parts = [inputs.past, inputs.known, inputs.known_categories.float(), inputs.static, inputs.static_categories.float()]
        flat = self.map(torch.cat([part.flatten(1) for part in parts], dim=1))
        return flat.unflatten(1, self._shape).sort(dim=-1).values
