"""Whoever watches an apply cannot end it, and what began it is recorded as it was."""

from __future__ import annotations

import warnings

import pytest

from specrun.cli.main import run
from specrun.engine.api import apply
from specrun.engine.listener import Listener
from specrun.events import Message
from specrun.records.run_files import read_run


class Failing:
    """A show that takes a few events and then raises."""

    def __init__(self, *, after: int = 0, error: BaseException | None = None) -> None:
        self.calls = 0
        self._after = after
        self._error = error or ZeroDivisionError("a cell's mistake")

    def __call__(self, event) -> None:
        self.calls += 1
        if self.calls > self._after:
            raise self._error


def test_a_show_that_raises_is_told_so_once_and_the_run_ends_well(spec_file, store):
    show = Failing(after=1)
    with pytest.warns(RuntimeWarning, match=r"show raised ZeroDivisionError: a cell's mistake; the apply goes on") as caught:
        outcome = apply(spec_file, store=store, sets=["schedule.duration=13 steps"], show=show)
    assert (outcome.exit_code, outcome.runs[0].status) == (0, "completed")
    assert show.calls == 2
    assert len(caught) == 1


def test_where_warnings_are_errors_a_failing_show_still_ends_nothing():
    show = Failing()
    listener = Listener(show)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            listener.show(Message("x"))
    assert show.calls == 1


def test_what_is_to_stop_the_process_passes_through_the_listener():
    with pytest.raises(KeyboardInterrupt):
        Listener(Failing(error=KeyboardInterrupt())).show(Message("x"))


@pytest.fixture
def recorded(spec_file, tmp_path, monkeypatch):
    """run.json after an apply that ends at its first step, by a given way to begin it."""
    monkeypatch.setattr("specrun.steps.data.run.run", Failing())

    def of(begin) -> dict:
        begin(spec_file, tmp_path / "store")
        (folder,) = (tmp_path / "store" / "runs").iterdir()
        return read_run(folder)

    return of


def test_the_command_of_a_run_is_the_line_that_began_it(recorded):
    document = recorded(lambda spec, store: run(["apply", str(spec), "--store", f"{store}", "--set", "tags=[a b]"]))
    assert document["command"].startswith("specrun apply ")
    assert document["command"].endswith("--set 'tags=[a b]'")


def test_a_run_that_python_began_has_no_command(recorded):
    assert recorded(lambda spec, store: apply(spec, store=store))["command"] is None
