"""Each attempt at a run tells how it went, a crash among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from specrun.events import Alert, Example, Status
from specrun.records.queries import open_records
from specrun.records.rows import ExampleRow
from specrun.records.store import merge, rebuild

NewRun = Callable[..., Any]
CRASHED = ("crashed", "its process ended without saying so")


def told(store: Path, run_id: str = "r") -> list[tuple[int, str, str, int | None]]:
    with open_records(store) as records:
        return [(row.attempt, row.status, row.reason, row.resumed_from) for row in records.attempts(run_id)]


def test_an_attempt_that_was_killed_crashed_and_the_next_says_what_it_went_on_from(store: Path, new_run: NewRun) -> None:
    run = new_run("r").log(1, train_loss=3.0).log(2, train_loss=2.0)
    run.attempt(resumed_from=2).log(3, train_loss=1.0).end()
    assert told(store) == [(1, *CRASHED, None), (2, "completed", "done", 2)]


def test_the_newest_attempt_runs_while_its_process_lives_and_has_crashed_when_it_does_not(store: Path, new_run: NewRun) -> None:
    run = new_run("r").emit(Status("interrupted", "signal 15"))
    run.attempt(resumed_from=4)
    assert told(store) == [(1, "interrupted", "signal 15", None), (2, "running", "", 4)]
    run.stop()
    (store / "active" / "r").unlink()
    assert told(store)[1] == (2, *CRASHED, 4)


def test_going_back_within_an_attempt_is_no_other_beginning_of_it(store: Path, new_run: NewRun) -> None:
    run = new_run("r").emit(Status("running", "rolled back", resumed_from=3)).emit(Status("failed", "full"))
    run.attempt().emit(Status("running", "rolled back", resumed_from=5)).end()
    assert told(store) == [(1, "failed", "full", None), (2, "completed", "done", None)]


def test_the_times_of_attempts_are_what_they_took_up_to_their_outcome(store: Path, new_run: NewRun) -> None:
    new_run("r").log(1, train_loss=3.0).attempt().end()
    with open_records(store) as records:
        first, second = records.attempts("r")
        assert records.run("r").started_at <= first.started_at <= second.started_at
        assert 0 <= first.seconds < 60
        assert 0 <= second.seconds < 60


def test_the_attempts_of_a_run_are_its_own(store: Path, new_run: NewRun) -> None:
    new_run("q").attempt().end()
    new_run("r").end()
    assert len(told(store, "r")) == 1


def test_what_attempts_tell_alike_is_there_once_examples_as_told_last_and_alerts_as_told_first(store: Path, new_run: NewRun) -> None:
    skipped, of_spec = Alert("warning", "step-skipped", "loss was NaN", 5), Alert("warning", "option-without-effect", "seed")
    run = new_run("r").emit(of_spec, Example(4, "sample", {"text": "a"}), Example(4, "sample-2", {"text": "b"}), skipped, skipped)
    merge(store)
    with open_records(store) as records:
        first = records.alerts("r")
    assert [(row.code, row.step) for row in first] == [("option-without-effect", None), ("step-skipped", 5)]
    again = Alert("warning", "step-skipped", "loss was NaN", 6)
    run.attempt().emit(of_spec, Example(4, "sample", {"text": "c"}), Example(4, "sample-2", {"text": "b"}), skipped)
    run.attempt(resumed_from=4).emit(of_spec, skipped, again).end()
    for bring_up_to_date in (lambda _: None, merge, rebuild):
        bring_up_to_date(store)
        with open_records(store) as records:
            assert records.examples("r") == [ExampleRow(4, "sample", {"text": "c"}), ExampleRow(4, "sample-2", {"text": "b"})]
            alerts = records.alerts("r")
        assert alerts[:2] == first
        assert [(row.code, row.step) for row in alerts[2:]] == [("step-skipped", 6)]
