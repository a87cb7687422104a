"""A training that carries another one further: what that one came to is its start, below which it never goes back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Listener, context, parents, q, spec

from specrun.errors import SpecrunError, StoreError
from specrun.events import Alert, Status
from specrun.plan.start import LABEL, Start
from specrun.steps.train.run import run
from specrun.training import checkpoint_files, recovery
from specrun.training.loading import Loaded, Loader
from specrun.training.loop import TrainState

PARENT, LONGER = 12, 24


class Trainings:
    """Runs of one store, of which one begins with what another came to."""

    def __init__(self, store: Path) -> None:
        self.store, self.data = store, parents(store)

    def folder(self, name: str) -> Path:
        return self.store / "runs" / name / "checkpoints"

    def start(self, name: str, how: Any = "extend", *, exact: bool = False) -> Start:
        info = checkpoint_files.latest(self.folder(name), key=name)
        assert info is not None
        digest = hashlib.sha256((info.path / "manifest.json").read_bytes()).hexdigest()
        return Start(how, name, info.step, digest, optimizer="adamw", exact=exact)

    def train(self, name: str, steps: int, *, start: Start | None = None, listener: Listener | None = None) -> Listener:
        heard = listener or Listener()
        plain = context(self.store / "runs" / name, heard, key=name)
        step = plain.step if start is None else replace(plain.step, label={LABEL: start.to_json()})
        run(replace(plain, step=step, store=self.store), spec(duration=q(f"{steps} steps")), self.data)
        return heard

    def weights(self, name: str, step: int) -> dict[str, torch.Tensor]:
        return load_file(self.folder(name) / f"step-{step:08d}" / "model.safetensors")


def poison(patch: pytest.MonkeyPatch, bad: Collection[int], meanwhile: Callable[[TrainState], None] = lambda _: None) -> None:
    """The loss of some batches, by their number from 0, is not a number."""
    real = recovery.accumulate

    def accumulate(state: TrainState, batch: Any) -> torch.Tensor:
        meanwhile(state)
        return real(state, batch) * (math.nan if state.position in bad else 1.0)

    patch.setattr(recovery, "accumulate", accumulate)


def gone_back_to(listener: Listener) -> list[int | None]:
    return [status.resumed_from for status in listener.of(Status) if status.reason == "rolled back"]


def damage_before_going_back(patch: pytest.MonkeyPatch, *folders: Path) -> None:
    """All checkpoints that are there by then, those that were being written too."""
    real = Loader.newest_good

    def newest_good(loader: Loader, **steps: int) -> Loaded:
        for path in (path for folder in folders for path in folder.glob("step-*/model.safetensors")):
            path.write_bytes(bytes(path.stat().st_size))
        return real(loader, **steps)

    patch.setattr(Loader, "newest_good", newest_good)


@pytest.fixture
def trainings(tmp_path: Path) -> Trainings:
    return Trainings(tmp_path)


def test_an_extension_that_goes_back_again_and_again_keeps_what_its_parent_came_to(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings.train("parent", PARENT)
    poison(monkeypatch, range(12, 21))
    assert gone_back_to(trainings.train("longer", LONGER, start=trainings.start("parent"))) == [PARENT] * 3


def test_a_row_of_skips_that_began_in_the_parent_does_not_lead_behind_its_end(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(10, 13))
    trainings.train("parent", PARENT)
    assert gone_back_to(trainings.train("longer", LONGER, start=trainings.start("parent"))) == [PARENT]


@pytest.mark.parametrize("exact", [False, True])
def test_an_extension_whose_own_checkpoints_are_damaged_goes_back_to_its_parents(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    trainings.train("parent", PARENT)
    damage_before_going_back(monkeypatch, trainings.folder("longer"))
    poison(monkeypatch, range(18, 21))
    listener = trainings.train("longer", LONGER, start=trainings.start("parent", exact=exact))
    assert gone_back_to(listener) == [PARENT]
    assert "extension-not-possible" not in {alert.code for alert in listener.of(Alert)}
    message = next(alert.message for alert in listener.of(Alert) if alert.code == "rolled-back")
    assert message.endswith(f"training goes back to step {PARENT} and passes over batches 13 to 21")


@pytest.mark.parametrize("exact", [False, True])
def test_where_the_parent_is_lost_too_training_begins_anew_if_that_is_the_same_and_ends_otherwise(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    trainings.train("parent", PARENT)
    start, listener = trainings.start("parent", exact=exact), Listener()
    damage_before_going_back(monkeypatch, trainings.folder("longer"), trainings.folder("parent"))
    poison(monkeypatch, range(18, 21))
    if exact:
        trainings.train("longer", LONGER, start=start, listener=listener)
    else:
        with pytest.raises(StoreError, match=f"the checkpoint of step {PARENT} of parent is damaged"):
            trainings.train("longer", LONGER, start=start, listener=listener)
    assert gone_back_to(listener) == [0] * exact
    assert ("extension-not-possible" in {alert.code for alert in listener.of(Alert)}) == exact


def test_what_began_at_step_0_as_its_parent_was_damaged_goes_back_there_and_not_to_a_parent_that_has_been_mended(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings.train("parent", PARENT)
    start, weights = trainings.start("parent", exact=True), trainings.folder("parent") / f"step-{PARENT:08d}" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(bytes(len(content)))

    def mend(_: TrainState) -> None:
        weights.write_bytes(content)

    poison(monkeypatch, range(2, 5), mend)
    listener = trainings.train("longer", LONGER, start=start)
    assert gone_back_to(listener) == [0]
    assert [alert.code for alert in listener.of(Alert)].count("extension-not-possible") == 1


def test_an_extension_of_a_fork_goes_back_to_the_fork(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings.train("base", 24)
    trainings.train("fork", PARENT, start=trainings.start("base", "fork"))
    began: list[dict[str, torch.Tensor]] = []
    poison(monkeypatch, range(12, 18), lambda state: began.append({name: it.clone() for name, it in state.model.state_dict().items()}))
    assert gone_back_to(trainings.train("longer", LONGER, start=trainings.start("fork"))) == [PARENT, PARENT]
    forked = trainings.weights("fork", PARENT)
    assert all(torch.equal(began[number][name], tensor) for number in (0, 3, 6) for name, tensor in forked.items())


def test_what_is_not_finite_in_the_parent_is_not_gone_on_from_for_ever(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = recovery.update

    def broken(state: TrainState, loss: torch.Tensor) -> Any:
        stats = real(state, loss)
        if state.step == PARENT:
            state.model.get_parameter("final_norm.weight").data[0] = math.nan
        return stats

    monkeypatch.setattr(recovery, "update", broken)
    trainings.train("parent", PARENT)
    with pytest.raises(SpecrunError, match=f"the checkpoint of step {PARENT}, which this training goes on from, holds numbers") as caught:
        trainings.train("longer", LONGER, start=trainings.start("parent"))
    assert caught.value.code == "checkpoint-not-finite"
