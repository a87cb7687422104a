"""Stores that cannot be written, disks that fill up, sources that cannot be reached: one clear error, nothing lost."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.errors import DataError, SpecrunError, StoreError

UNREACHABLE = "data.source={kind: huggingface, path: nobody/nothing, revision: abc}"
FALLBACK = "data.fallback={kind: synthetic, characters: 6000, document_characters: 200, states: 8}"


@pytest.fixture
def no_network(monkeypatch):
    """A machine without a name server."""

    def refuse(*args, **kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EACCES, "store-not-writable"), (errno.EROFS, "store-not-writable"), (errno.ENOSPC, "disk-full")]
)
@pytest.mark.parametrize("call", ["mkdir", "write_bytes"])
def test_a_store_that_cannot_be_written_is_refused_before_anything_runs_by_the_code_of_a_later_refusal(
    spec_file, tmp_path, monkeypatch, call, number, code
):
    def refuse(self, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(f"pathlib.Path.{call}", refuse)
    with pytest.raises(StoreError, match=code) as caught:
        apply(spec_file, store=tmp_path / "store")
    assert "--store" in caught.value.hint


def test_a_disk_that_fills_up_is_one_clear_error_and_finished_steps_are_kept(spec_file, tmp_path, monkeypatch):
    from specrun.steps.tokens import run as tokens

    def full(context, spec, inputs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(context.folder / "train.bin"))

    with monkeypatch.context() as patched:
        patched.setattr(tokens, "run", full)
        error = apply(spec_file, store=tmp_path / "store").runs[0].error
    assert isinstance(error, StoreError)
    assert error.code == "disk-full"
    assert "free some space" in error.hint
    actions = {d.step.id: d.action for d in compile_plan(spec_file, store=tmp_path / "store").decisions}
    assert (actions["data"], actions["tokenizer"], actions["tokens"]) == ("cached", "cached", "run")


@pytest.mark.parametrize(
    ("place", "number", "code", "seeds"),
    [
        ("specrun.training.session.Session.evaluate", errno.ENOSPC, "disk-full", [0]),
        ("specrun.training.session.Session.evaluate", errno.EROFS, "store-not-writable", [0]),
        ("specrun.training.checkpoint_files._write_file", errno.ENOSPC, "checkpoint-not-written", [0]),
        ("specrun.training.session.Session.evaluate", errno.EIO, "store-failed", [0, 1]),
    ],
)
def test_a_disk_that_takes_nothing_more_ends_every_seed_at_once(spec_file, tmp_path, monkeypatch, place, number, code, seeds):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(place, refuse)
    runs = apply(spec_file, store=tmp_path / "store", sets=["seeds=[0, 1]"]).runs
    assert [(run.seed, run.error.code) for run in runs] == [(seed, code) for seed in seeds]


@pytest.mark.usefixtures("no_network")
def test_an_unreachable_source_without_a_fallback_names_the_ways_out(spec_file, tmp_path):
    error = apply(spec_file, store=tmp_path / "store", sets=[UNREACHABLE, "data.split={kind: given}"]).runs[0].error
    assert isinstance(error, DataError)
    text = str(error)
    assert "--data-root" in text
    assert "fallback" in text


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_a_fallback_that_is_used_is_warned_of_recorded_and_makes_the_run_not_comparable(spec_file, tmp_path):
    from specrun.records.queries import open_records

    store = tmp_path / "store"
    outcome = apply(spec_file, store=store, sets=[UNREACHABLE, FALLBACK])
    assert outcome.exit_code == 0
    with open_records(store) as records:
        (run,) = records.runs()
        assert not run.comparable
        assert any("fallback" in alert.message for alert in records.alerts(run.run_id))
    assert "fallback" in (outcome.runs[0].folder / "report" / "report.md").read_text()
    again = {d.step.id: d for d in compile_plan(spec_file, store=store, sets=[UNREACHABLE, FALLBACK]).decisions}
    assert again["data"].action == "run"
    assert "tried again" in again["data"].reason


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_a_run_on_the_fallback_shares_no_key_with_a_run_on_the_first_source(spec_file, tmp_path):
    store = tmp_path / "store"
    sets = [UNREACHABLE, FALLBACK]
    before = {s.id: s.key for s in compile_plan(spec_file, store=store, sets=sets).graph.steps}
    apply(spec_file, store=store, sets=sets)
    after = {s.id: s.key for s in compile_plan(spec_file, store=store, sets=sets).graph.steps}
    assert before["data"] == after["data"]
    assert all(before[id] != after[id] for id in ("tokenizer", "tokens", "train", "evaluate"))


def test_a_report_that_crashes_leaves_the_trained_run_completed(spec_file, store, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    outcome = apply(spec_file, store=store, sets=["report.title=Another"])
    assert outcome.runs[0].status == "completed"
    assert isinstance(outcome.runs[0].error, SpecrunError)
    assert outcome.runs[0].error.code == "step-crashed"
    assert outcome.exit_code == 1


def test_an_interrupt_while_the_report_is_written_leaves_the_run_completed_and_the_next_apply_writes_it_alone(
    spec_file, tmp_path, monkeypatch
):
    from specrun.engine import run as engine
    from specrun.runtime.signals import StopNow

    real = engine.run_step

    def interrupted(kind, *arguments):
        if kind.kind == "report":
            raise StopNow(2)
        return real(kind, *arguments)

    sets = ["schedule.duration=1 epochs", "schedule.learning_rate.warmup=1 steps"]
    with monkeypatch.context() as patched:
        patched.setattr(engine, "run_step", interrupted)
        outcome = apply(spec_file, store=tmp_path / "store", sets=sets)
    assert outcome.exit_code == 130
    assert (outcome.runs[0].status, outcome.runs[0].error.code) == ("completed", "interrupted")
    again = apply(spec_file, store=tmp_path / "store", sets=sets)
    assert again.exit_code == 0
    assert [step.id for step in again.steps if step.action != "cached"] == ["report"]
    assert again.runs[0].run_id == outcome.runs[0].run_id
    assert again.runs[0].report


@pytest.mark.slow
def test_a_clock_that_is_set_back_makes_nothing_take_less_than_no_time(spec_file, tmp_path, monkeypatch):
    import time

    from specrun.records.queries import open_records

    real, calls = time.time, iter(range(10**9))
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: real() - 60 * next(calls))
        outcome = apply(spec_file, store=tmp_path / "store")
    assert outcome.exit_code == 0
    assert outcome.runs[0].seconds >= 0
    assert all(step.seconds >= 0 for step in outcome.steps)
    with open_records(tmp_path / "store") as records:
        (run,) = records.runs()
        assert (run.status, run.duration_s >= 0) == ("completed", True)
    plan = compile_plan(spec_file, store=tmp_path / "store", sets=["schedule.optimizer.learning_rate=2e-2"])
    assert all((d.predicted.seconds or 0) >= 0 for d in plan.decisions)


def test_a_store_that_is_removed_while_it_is_worked_in_is_named_as_such(spec_file, tmp_path, monkeypatch):
    import shutil

    from specrun.training.session import Session

    real = Session.evaluate

    def removed_meanwhile(self):
        shutil.rmtree(tmp_path / "store")
        real(self)

    monkeypatch.setattr(Session, "evaluate", removed_meanwhile)
    with pytest.raises(StoreError, match="store-removed") as caught:
        apply(spec_file, store=tmp_path / "store")
    assert str(tmp_path / "store") in caught.value.message
    assert not (tmp_path / "store").exists()
