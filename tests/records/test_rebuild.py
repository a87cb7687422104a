"""The laws of the snapshot, over random lives of runs: kills, resumes, roll-backs, torn tails, removals, merges at any moment."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.events import Alert, Event, Example, Label, Metrics, Span, Status, StepRecord
from specrun.records.changes import remove_run
from specrun.records.queries import open_records
from specrun.records.run_files import mark_pending, unmark_active
from specrun.records.store import merge, rebuild

from .conftest import RunWriter
from .dumps import snapshot_dump, view_dump

STEPS = st.integers(0, 6)
VALUES = st.sampled_from([0.5, 1.5, -2.0, float("nan"), float("inf")])
ACTIONS = st.one_of(
    st.tuples(st.just("log"), STEPS, st.sampled_from(["train/loss", "validation/loss"]), VALUES),
    st.tuples(st.just("resume"), STEPS | st.none()),
    st.tuples(st.just("roll_back"), STEPS),
    st.tuples(st.just("example"), STEPS),
    st.tuples(st.just("alert"), STEPS | st.none()),
    st.tuples(st.just("span"), STEPS | st.none()),
    st.tuples(st.just("step"), st.sampled_from(["data", "train", "evaluate"])),
    st.tuples(st.just("tags"), st.sampled_from(["a", "b", "first"]), st.integers(1, 3)),
    st.tuples(st.just("torn")),
    st.tuples(st.just("end")),
    st.tuples(st.just("remove")),
    st.tuples(st.just("merge")),
)
EVENTS: dict[str, Callable[[Any], Event]] = {
    "example": lambda step: Example(step, "sample", {"text": "x"}),
    "alert": lambda step: Alert("warning", "step-skipped", "loss was NaN", step),
    "span": lambda step: Span("evaluation", "train", 0.5, step),
    "step": lambda name: StepRecord(name, name, "k", "run", "new"),
}
LIVES = st.lists(st.tuples(st.integers(0, 1), ACTIONS), max_size=25)


def live(store: Path, life: list[tuple[int, tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Perform a life; returns what each run logged and resumed, in order, for the oracle."""
    writers = [RunWriter(store, f"run-{number}").begin() for number in range(2)]
    told: dict[str, list[tuple[Any, ...]]] = {writer.run_id: [] for writer in writers}
    for number, (action, *details) in life:
        act(store, writers[number], told[writers[number].run_id], action, details)
    for writer in writers:
        writer.stop()
    return told


def act(store: Path, writer: RunWriter, told: list[tuple[Any, ...]], action: str, details: list[Any]) -> None:
    if action == "merge":
        assert merge(store)
        return
    if action == "remove":
        writer.stop()
        unmark_active(store, writer.run_id)
        remove_run(store, writer.run_id)
        told.clear()
        writer.begin()
        return
    if action == "resume" or writer.journal is None:
        step = details[0] if action == "resume" else None
        writer.attempt(step)
        told.append(("resume", step))
    if action == "log":
        step, metric, value = details
        writer.emit(Metrics(step, {metric: value}))
        told.append(("log", step, metric, value))
    elif action == "roll_back":
        writer.emit(Status("running", "rolled back", resumed_from=details[0]))
        told.append(("resume", details[0]))
    elif action in EVENTS:
        writer.emit(EVENTS[action](details[0]))
    elif action == "tags":
        writer.emit(Label(added=(details[0],), removed=("first",), number=details[1]))
        mark_pending(store, writer.run_id)
    elif action == "torn":
        assert writer.journal is not None
        path = writer.journal.path
        writer.stop()
        with open(path, "ab") as file:
            file.write(b'{"n":99,"time":1,"ki')
    elif action == "end":
        writer.end(metrics={"test/loss": 1.25})


def counted(told: list[tuple[Any, ...]]) -> dict[tuple[str, int], float]:
    """What must count: each (metric, step) once, the last one told, and nothing beyond a step resumed from later."""
    metrics: dict[tuple[str, int], float] = {}
    for kind, step, *rest in told:
        if kind == "log":
            metrics[rest[0], step] = rest[1]
        elif step is not None:
            metrics = {key: value for key, value in metrics.items() if key[1] <= step}
    return metrics


@settings(max_examples=8)
@given(LIVES)
def test_merges_at_any_moment_come_to_what_a_rebuild_comes_to_and_to_what_was_told(life: list[tuple[int, tuple[Any, ...]]]) -> None:
    assert laws_hold(life)


@pytest.mark.slow
@settings(max_examples=150)
@given(LIVES)
def test_the_same_over_many_more_lives(life: list[tuple[int, tuple[Any, ...]]]) -> None:
    assert laws_hold(life)


def laws_hold(life: list[tuple[int, tuple[Any, ...]]]) -> bool:
    """Overlay == merge == rebuild, and each of them is what was told."""
    store = Path(tempfile.mkdtemp())
    try:
        told = live(store, life)
        overlaid = view_dump(store)
        merge(store)
        merged = snapshot_dump(store)
        assert view_dump(store) == overlaid
        rebuild(store)
        assert snapshot_dump(store) == merged
        with open_records(store) as records:
            for run_id, actions in told.items():
                found = {(name, point.step): point.value for name, points in records.series(run_id).items() for point in points}
                assert repr(sorted(found.items())) == repr(sorted(counted(actions).items()))
        return True
    finally:
        shutil.rmtree(store)
