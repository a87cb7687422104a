"""The whole train step waits for the device once a log interval; only evaluations and saves wait besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_train_documents import documents, on_documents
from tiny_run import SIZES, Beside, Listener, context, hardware, parents, q, spec

from specrun.events import Event, Metrics, System
from specrun.plan.resolve import resolve_schedule
from specrun.runtime.device import open_device
from specrun.runtime.monitor import Monitor, _readings
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.train import run as train
from specrun.steps.train.run import build_model, new_session, new_state
from specrun.tasks.opening import open_task
from specrun.training.loop import StepStats, train_step
from specrun.training.session import Session
from tests.waits import Waits


def session(root: Path, listener: Listener, **schedule: Any) -> Session:
    settings, device = spec(**schedule), open_device(hardware())
    folders = {kind: parent.folder for kind, parent in parents(root).items()}
    task = open_task(settings, folders=folders, facts={}, seed=0, device=device)
    resolved = resolve_schedule(settings.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=8)
    model = build_model(settings, sizes=SIZES, seed=0, device=device)
    state = new_state(settings, resolved, model, task, device, seed=0)
    return new_session(context(root / "run", listener), settings, resolved, state)


def advance(it: Session, steps: int) -> None:
    for _ in range(steps):
        it.after_step(train_step(it.state, it.state.task.train_batch(it.state.step * 4, count=4)))


def test_training_waits_once_a_log_interval(tmp_path: Path) -> None:
    rare = q("1000 steps")
    it = session(
        tmp_path, Listener(), duration=rare, log_every=q("6 steps"), evaluate=Evaluate(every=rare), checkpoint=Checkpoint(every=rare)
    )
    with Waits() as reads:
        advance(it, 30)
    assert it.state.device.syncs == 5
    assert reads.count == 0


@pytest.mark.parametrize("ahead", [False, True])
def test_neither_the_feed_nor_the_monitor_waits_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: bool) -> None:
    """The whole step, batches taken and machine read, up to its last interval, where it evaluates and saves."""
    device, rare, by_feed = open_device(hardware()), q("1000 steps"), Waits()
    found: dict[int, tuple[int, int]] = {}
    listener = Listener()

    def note(event: Event) -> None:
        listener.events.append(event)
        if isinstance(event, Metrics) and "train/loss" in event.values:
            found[event.step] = (device.syncs, reads.count + by_feed.count)

    class Counted(Beside):
        @contextmanager
        def copying(self, after: None) -> Iterator[list[None]]:
            with by_feed, super().copying(after) as ends:
                yield ends

    monkeypatch.setattr(train, "open_device", lambda *_, **__: device)
    monkeypatch.setattr(train, "copy_lane", lambda _: Counted() if ahead else None)
    monkeypatch.setattr(train, "watch", lambda emit, it: Monitor(emit, lambda: _readings(it), interval_seconds=0.001, first_seconds=0.0))
    settings = spec(duration=q("36 steps"), log_every=q("6 steps"), evaluate=Evaluate(every=rare), checkpoint=Checkpoint(every=rare))
    with Waits() as reads:
        train.run(replace(context(tmp_path / "run", listener), emit=note), settings, parents(tmp_path))
    assert {step: waits for step, waits in found.items() if step < 36} == {6 * n: (n, 0) for n in range(1, 6)}
    assert len(list(listener.of(System))) > 1


def test_training_on_documents_waits_no_more_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is padded is left out of the loss by a size that the host knows."""
    device, rare = open_device(hardware()), q("1000 steps")
    found: dict[int, tuple[int, int]] = {}
    listener = Listener()

    def note(event: Event) -> None:
        if isinstance(event, Metrics) and "train/loss" in event.values:
            found[event.step] = (device.syncs, waits.count)

    monkeypatch.setattr(train, "open_device", lambda *_, **__: device)
    settings = on_documents(
        duration=q("18 steps"), log_every=q("6 steps"), evaluate=Evaluate(every=rare), checkpoint=Checkpoint(every=rare)
    )
    with Waits() as waits:
        train.run(replace(context(tmp_path / "run", listener), emit=note), settings, documents(tmp_path))
    assert (found[6], found[12]) == ((1, 0), (2, 0))


def test_a_session_that_looks_at_each_loss_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = session(tmp_path, Listener())
    original = Session.after_step

    def looking(self: Session, stats: StepStats) -> None:
        assert stats.loss.item() > 0
        original(self, stats)

    monkeypatch.setattr(Session, "after_step", looking)
    with Waits() as reads:
        advance(it, 7)
    assert reads.count == 7


def test_checkpoints_may_come_by_the_clock(tmp_path: Path) -> None:
    it = session(tmp_path, Listener(), checkpoint=Checkpoint(every=q("10min")), evaluate=Evaluate(every=q("24 steps")))
    now = [0.0]
    it._clock = lambda: now[0]
    it._saved_at = 0.0
    saved = []
    for _ in range(9):
        advance(it, 1)
        it.settle()
        now[0] += 150.0
        saved.append(it.last.step if it.last else 0)
    assert saved == [0, 0, 0, 0, 5, 5, 5, 5, 9]
