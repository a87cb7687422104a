"""A training that begins with another run's state: that is its start, to which it goes back and from which it goes on after a kill."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Listener, context, parents, q, spec

from specrun.errors import StoreError
from specrun.events import Alert, Status
from specrun.plan.start import LABEL, Start
from specrun.spec.sections.parameters import Average, Parameters
from specrun.steps.train.run import run
from specrun.tasks.causal_lm.build import CausalLM
from specrun.training import checkpoint_files, recovery
from specrun.training.optimizers.muon.options import Options as Muon
from specrun.training.optimizers.sgd.options import Options as Sgd
from specrun.training.starting import adopt

LAST, BATCH, SKIPPED = 8, 4, 3
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "average": {"parameters": Parameters(average=Average(decay=0.8))},
    "muon": {"optimizer": Muon(kind="muon")},
    "sgd": {"optimizer": Sgd(kind="sgd")},
    "no momentum": {"optimizer": Sgd(kind="sgd", momentum=0.0)},
}


class Kill(BaseException):
    """Ends a process without a word, as far as one that goes on can."""


def tensors(folder: Path, step: int) -> dict[str, torch.Tensor]:
    files = sorted((folder / "checkpoints" / f"step-{step:08d}").glob("*.safetensors"))
    return {f"{file.stem} {name}": tensor for file in files for name, tensor in load_file(file).items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Forks:
    """Trains forks of one run of AdamW, or of the optimizer that they have themselves."""

    def __init__(self, store: Path, *, base: str, fork: str) -> None:
        self.store, self.data, self.options = store, parents(store), SETTINGS[fork]
        self.base = store / "runs" / "base"
        run(context(self.base, Listener()), spec(duration=q(f"{LAST} steps"), **SETTINGS[base]), self.data)
        manifest = self.base / "checkpoints" / f"step-{LAST:08d}" / "manifest.json"
        self.start = Start("fork", "base", LAST, hashlib.sha256(manifest.read_bytes()).hexdigest(),
                           optimizer=getattr(SETTINGS[base].get("optimizer"), "kind", "adamw"))  # fmt: skip

    def train(self, name: str, listener: Listener, stop: Callable[[], int | None] = lambda: None) -> Path:
        plain = context(folder := self.store / "runs" / name, listener, key="forked", stop=stop)
        step = replace(plain.step, label={LABEL: self.start.to_json()})
        settings = spec(model={"dropout": 0.1}, duration=q(f"{LAST} steps"), log_every=q("2 steps"), **self.options)
        run(replace(plain, step=step, store=self.store), settings, self.data)
        return folder


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Undone by the test itself, between two trainings."""
    yield monkeypatch
    monkeypatch.undo()


def poison(patch: pytest.MonkeyPatch) -> None:
    """The loss of the first batches is not a number: one more than may be left out before training goes back to its start."""
    real = recovery.accumulate
    patch.setattr(recovery, "accumulate", lambda state, batch: real(state, batch) * (math.nan if state.position < SKIPPED else 1.0))


@pytest.mark.parametrize(("base", "fork"), [("adamw", "adamw"), ("adamw", "average"), ("muon", "muon"), ("sgd", "adamw")])
def test_a_fork_that_goes_back_to_its_start_is_one_that_never_saw_the_bad_data(
    tmp_path: Path, patch: pytest.MonkeyPatch, base: str, fork: str
) -> None:
    """Its optimizer too is as it began: with the other run's moments, or without any where that run had another one."""
    listener, forks = Listener(), Forks(tmp_path, base=base, fork=fork)
    poison(patch)
    gone_back = forks.train("poisoned", listener)
    assert [status.resumed_from for status in listener.of(Status)] == [None, 0]
    assert [alert.code for alert in listener.of(Alert)].count("optimizer-begins-anew") == (base == "sgd")
    patch.undo()
    real = CausalLM.train_batch
    patch.setattr(CausalLM, "train_batch", lambda self, at, *, count: real(self, at + SKIPPED * BATCH, count=count))
    assert same(tensors(gone_back, LAST), tensors(forks.train("around", Listener()), LAST))


def test_a_fork_that_is_killed_after_it_went_back_to_its_start_goes_on_from_what_it_saved_there(
    tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    first, second, forks = Listener(), Listener(), Forks(tmp_path, base="adamw", fork="adamw")
    poison(patch)
    straight = forks.train("straight", Listener())

    def kill() -> int | None:
        if (tmp_path / "runs" / "killed" / "checkpoints" / "step-00000000").is_dir():
            raise Kill
        return None

    with pytest.raises(Kill):
        forks.train("killed", first, kill)
    kept, began = tensors(tmp_path / "runs" / "killed", 0), tensors(forks.base, LAST)
    assert same(kept, began)
    assert any(name.startswith("optimizer ") for name in kept)
    folder = forks.train("killed", second)
    assert [status.reason for status in second.of(Status)] == ["resumed"]
    assert same(tensors(folder, LAST), tensors(straight, LAST))


@pytest.mark.parametrize(
    ("base", "fork", "why"),
    [("no momentum", "sgd", "it kept no moments"), ("sgd", "adamw", "that was sgd, this is adamw"), ("sgd", "sgd", None)],
)
def test_an_optimizer_that_begins_anew_says_what_it_could_not_go_on_with(tmp_path: Path, base: str, fork: str, why: str | None) -> None:
    listener = Listener()
    Forks(tmp_path, base=base, fork=fork).train("fork", listener)
    told = [alert.message.rpartition(": ")[2] for alert in listener.of(Alert) if alert.code == "optimizer-begins-anew"]
    assert told == ([] if why is None else [why])


def test_another_runs_file_that_cannot_be_read_is_no_fault_of_the_disk_that_is_written_to(tmp_path: Path) -> None:
    forks = Forks(tmp_path, base="adamw", fork="adamw")
    weights = forks.base / "checkpoints" / f"step-{LAST:08d}" / "model.safetensors"

    def lose(_: object) -> None:
        weights.unlink()
        weights.mkdir()  # as any other error of reading

    with pytest.raises(StoreError) as caught:
        adopt(replace(forks.start, how="extend"), forks.base / "checkpoints", tmp_path / "new", key="new", unusable=lose)
    assert caught.value.code == "unreadable-weights"
    assert caught.value.message.startswith(f"{weights} cannot be read: ")
    assert not checkpoint_files.checkpoints(tmp_path / "new")
