"""A run that ended before its key could be known goes on, whatever the data step finds out; none is left failed for ever."""

from __future__ import annotations

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.locks import hold
from specrun.engine.workspace import Workspace
from specrun.errors import DataError, LockedError, UsageError
from specrun.plan.step import Step
from specrun.records.queries import open_records
from specrun.records.run_files import read_run
from specrun.steps.data import run as data_step
from specrun.steps.tokenizer import run as tokenizer_step


@pytest.fixture
def turn(monkeypatch):
    """Make the steps from now on end in an error, or the data step find a variant that its key could not foresee."""
    real, real_tokenizer = data_step.run, tokenizer_step.run

    def to(variant: str | None, *, fails: str = "") -> None:
        def data(context, spec, inputs):
            if fails == "data":
                raise DataError("no", code="no")
            output = real(context, spec, inputs)
            values = dict(output.values) if variant is None else {**output.values, "variant": variant}
            return type(output)(values, output.artifacts, output.warnings, output.status)

        def train(context, spec, inputs):
            raise DataError("trained", code="trained")  # that it was begun is all that is asked here

        def tokenizer(context, spec, inputs):
            if fails == "tokenizer":
                raise DataError("no", code="no")
            return real_tokenizer(context, spec, inputs)

        monkeypatch.setattr("specrun.steps.data.run.run", data)
        monkeypatch.setattr("specrun.steps.train.run.run", train)
        monkeypatch.setattr("specrun.steps.tokenizer.run.run", tokenizer)

    return to


def listed(store) -> dict[str, tuple[str, int]]:
    """By run, why it ended and in how many attempts."""
    with open_records(store) as records:
        return {run.run_id: (str(run.reason), run.attempts) for run in records.runs()}


@pytest.mark.parametrize("variant", [None, "revision 1"])
def test_a_run_whose_data_failed_goes_on_whatever_the_data_turns_out_to_be(spec_file, tmp_path, turn, variant):
    store = tmp_path / "store"
    turn(None, fails="data")
    (first,) = apply(spec_file, store=store).runs
    turn(variant)
    (second,) = apply(spec_file, store=store).runs
    assert second.error.code == "trained"
    assert listed(store) == {first.run_id: ("trained: trained", 2)}


def test_a_run_whose_data_failed_goes_on_where_another_experiment_has_read_the_data_since(spec_file, tmp_path, turn):
    store = tmp_path / "store"
    turn(None, fails="data")
    (first,) = apply(spec_file, store=store).runs
    turn("revision 1")
    (other,) = apply(spec_file, store=store, sets=["schedule.optimizer.learning_rate=2e-2"]).runs
    (second,) = apply(spec_file, store=store).runs
    assert (second.run_id, other.run_id != first.run_id) == (first.run_id, True)
    assert listed(store)[first.run_id] == ("trained: trained", 2)


def test_a_failure_after_the_variant_was_found_belongs_to_the_run_that_another_variant_begins(spec_file, tmp_path, turn):
    store = tmp_path / "store"
    turn("revision 1", fails="tokenizer")
    (first,) = apply(spec_file, store=store).runs
    next((store / "results").glob("data-*")).unlink()
    turn("revision 2")
    (second,) = apply(spec_file, store=store).runs
    assert second.run_id == first.run_id


def test_a_run_that_has_begun_is_kept_apart_from_one_of_another_variant(spec_file, tmp_path, turn):
    store = tmp_path / "store"
    turn("revision 1")
    (first,) = apply(spec_file, store=store).runs
    next((store / "results").glob("data-*")).unlink()
    turn(None, fails="data")
    (failed,) = apply(spec_file, store=store).runs
    turn("revision 2")
    (second,) = apply(spec_file, store=store).runs
    assert first.run_id != failed.run_id == second.run_id
    assert listed(store) == {first.run_id: ("trained: trained", 1), second.run_id: ("trained: trained", 2)}


def test_a_run_that_began_under_its_first_key_is_not_taken_for_one_that_waits(spec_file, tmp_path, turn):
    store = tmp_path / "store"
    turn(None)
    (plain,) = apply(spec_file, store=store).runs
    next((store / "results").glob("data-*")).unlink()
    turn("revision 1", fails="tokenizer")
    (failed,) = apply(spec_file, store=store).runs
    assert failed.run_id != plain.run_id
    assert listed(store)[plain.run_id] == ("trained: trained", 1)
    turn("revision 1")
    (second,) = apply(spec_file, store=store).runs
    assert second.run_id == failed.run_id


def test_an_apply_that_knows_no_variant_yet_and_one_that_does_never_work_at_once(spec_file, tmp_path, turn):
    store = tmp_path / "store"
    turn("revision 1")
    apply(spec_file, store=store)
    prepared = compile_plan(spec_file, store=store)
    step: Step = prepared.decision("train").step
    first = prepared.first_keys["train"]
    assert first != step.key
    lock = Workspace(store).store / "locks" / f"train-{first[:20]}.lock"
    with hold(lock, what="an apply without the variant"), pytest.raises(LockedError):
        apply(spec_file, store=store)


@pytest.mark.slow
def test_a_run_is_gone_on_from_though_its_data_has_to_be_found_again(spec_file, tmp_path, monkeypatch):
    store, real = tmp_path / "store", data_step.run

    def data(context, spec, inputs):
        output = real(context, spec, inputs)
        return type(output)({**output.values, "variant": variant}, output.artifacts, output.warnings, output.status)

    monkeypatch.setattr("specrun.steps.data.run.run", data)
    variant = "revision 1"
    (run,) = apply(spec_file, store=store).runs
    for result in (store / "results").glob("data-*"):
        result.unlink()
    longer = ["schedule.duration=16 steps"]
    plan = compile_plan(spec_file, store=store, sets=longer, resume=run.run_id)
    assert plan.decision("data").action == "run"
    (child,) = apply(plan).runs
    assert (child.error, read_run(child.folder)["start"]["step"]) == (None, 12)
    variant = "revision 2"
    for result in (store / "results").glob("data-*"):
        result.unlink()
    with pytest.raises(UsageError, match="resume-changes-weights"):
        apply(spec_file, store=store, sets=longer, resume=run.run_id)
