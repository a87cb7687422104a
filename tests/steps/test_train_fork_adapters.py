"""A fork of a training with adapters computes at its start what that one computed, whatever adapters it has itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Listener, context, parents, q, spec

from specrun.events import Alert
from specrun.plan.start import LABEL, Start
from specrun.spec.dump import dump
from specrun.spec.sections.parameters import Lora, Parameters
from specrun.steps.contract import StepOutput
from specrun.steps.train.run import run
from specrun.training.optimizers.adamw.options import Options as AdamW

LAST = 8
PARENTS: dict[str, Any] = {"rank": 4, "alpha": 16.0, "targets": ("*attention*", "blocks.1.mlp.*")}
OTHERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "rank": PARENTS | {"rank": 8, "alpha": 32.0},
    "alpha": PARENTS | {"alpha": 64.0},
    "targets": PARENTS | {"targets": ("*",)},
}


class Adapted:
    """Trains forks of one run with adapters."""

    def __init__(self, store: Path) -> None:
        self.store, self.data, self.listener = store, parents(store), Listener()
        settings = spec(duration=q(f"{LAST} steps"), parameters=Parameters(lora=Lora(**PARENTS)))
        self.metrics = run(context(store / "runs" / "base", Listener()), settings, self.data).values["metrics"]
        self.checkpoint = store / "runs" / "base" / "checkpoints" / f"step-{LAST:08d}"
        digest = hashlib.sha256((self.checkpoint / "manifest.json").read_bytes()).hexdigest()
        start = Start("fork", "base", LAST, digest, dump(settings)["schedule"]["parameters"]["lora"], "adamw")
        self.label = {LABEL: json.loads(json.dumps(start.to_json()))}  # as a run's description keeps it

    def fork(self, lora: dict[str, Any] | None, *, learning_rate: float) -> StepOutput:
        plain = context(self.store / "runs" / "fork", self.listener, key="forked")
        settings = spec(duration=q(f"{LAST} steps"), optimizer=AdamW(kind="adamw", learning_rate=learning_rate, weight_decay=0.0),
                        parameters=Parameters(lora=None if lora is None else Lora(**lora)))  # fmt: skip
        return run(replace(plain, step=replace(plain.step, label=self.label), store=self.store), settings, self.data)

    @property
    def told(self) -> list[str]:
        return [alert.message for alert in self.listener.of(Alert) if alert.code == "optimizer-begins-anew"]

    def saved(self, file: str) -> dict[str, torch.Tensor]:
        return load_file(self.store / "runs" / "fork" / "checkpoints" / f"step-{LAST:08d}" / f"{file}.safetensors")


@pytest.mark.parametrize("lora", [PARENTS, *OTHERS.values()], ids=["same", *OTHERS])
def test_a_fork_begins_with_what_its_parent_computes(tmp_path: Path, lora: dict[str, Any] | None) -> None:
    adapted = Adapted(tmp_path)
    found = adapted.fork(lora, learning_rate=1e-30).values["metrics"]
    assert found["validation/loss"] == pytest.approx(adapted.metrics["validation/loss"], rel=1e-6)


@pytest.mark.parametrize("lora", OTHERS.values(), ids=OTHERS)
def test_adapters_that_were_merged_leave_no_moments_to_the_next(tmp_path: Path, lora: dict[str, Any] | None) -> None:
    adapted = Adapted(tmp_path)
    adapted.fork(lora, learning_rate=1e-2)
    assert adapted.told == ["the optimizer keeps nothing of base: its adapters were merged into the weights that they belong to"]
    assert {int(tensor) for name, tensor in adapted.saved("optimizer").items() if name.endswith("/step")} == {LAST}


def test_the_same_adapters_go_on_with_their_weights_and_moments(tmp_path: Path) -> None:
    adapted = Adapted(tmp_path)
    adapted.fork(PARENTS, learning_rate=1e-30)
    before = load_file(adapted.checkpoint / "model.safetensors")
    assert all(torch.equal(tensor, before[name]) for name, tensor in adapted.saved("model").items())
    assert not adapted.told
    assert {int(tensor) for name, tensor in adapted.saved("optimizer").items() if name.endswith("/step")} == {2 * LAST}
