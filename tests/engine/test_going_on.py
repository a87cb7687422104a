"""What a run that is named to go on from decides: the key, the rate that was found for it, and the words where it cannot go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from specrun.engine import plan as engine_plan
from specrun.engine.api import apply, compile_plan
from specrun.engine.continuing import as_found_then
from specrun.engine.otherwise import otherwise
from specrun.errors import UsageError
from specrun.plan.start import start_of
from specrun.records.queries import open_records
from specrun.records.run_files import read_run
from specrun.runtime.hardware import ResolvedHardware
from specrun.steps import registry
from specrun.steps.find_learning_rate import run as range_test_step
from specrun.steps.find_learning_rate.step import STEP as FIND_LEARNING_RATE
from specrun.steps.train.step import STEP as TRAIN

EXACT = ["schedule.learning_rate={kind: constant, warmup: 2 steps}"]
AUTO = [*EXACT, "schedule.optimizer={kind: adamw, learning_rate: auto}"]
LONGER, LONGEST = "schedule.duration=20 steps", "schedule.duration=28 steps"


def actions(plan) -> dict[str, str]:
    return {decision.step.id: decision.action for decision in plan.decisions}


def keys(plan) -> dict[str, str]:
    return {step.id: step.key for step in plan.graph.steps}


def losses(store: Path, run_id: str) -> dict[int, float]:
    with open_records(store) as records:
        return {point.step: point.value for point in records.series(run_id)["train/loss"]}


def with_kind(monkeypatch: pytest.MonkeyPatch, kind) -> None:
    """Have another kind of step in the place of its namesake."""
    kinds = tuple(kind if one.kind == kind.kind else one for one in registry.step_kinds())
    for module in (registry, engine_plan):
        monkeypatch.setattr(module, "step_kinds", lambda: kinds)


@pytest.mark.slow
def test_a_run_that_went_on_by_itself_is_gone_on_from_by_its_name(spec_file, tmp_path):
    store = tmp_path / "store"
    (first,) = apply(spec_file, store=store, sets=EXACT).runs
    (longer,) = apply(spec_file, store=store, sets=[*EXACT, LONGER]).runs
    assert read_run(longer.folder)["start"]["exact"]
    same = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER], resume=longer.run_id)
    assert (set(actions(same).values()), same.goes_on.changes) == ({"cached"}, ())
    longest = compile_plan(spec_file, store=store, sets=[*EXACT, LONGEST], resume=longer.run_id)
    assert longest.decision("train").action == "resume"
    assert longest.goes_on.changes == ("extend: schedule.duration 20 steps -> 28 steps",)
    assert first.run_id != longer.run_id


@pytest.mark.slow
def test_an_unfinished_run_that_went_on_by_itself_begins_where_it_did_when_it_is_named(spec_file, tmp_path):
    store = tmp_path / "store"
    (first,) = apply(spec_file, store=store, sets=EXACT).runs
    (longer,) = apply(spec_file, store=store, sets=[*EXACT, LONGER]).runs
    for path in [*(store / "results").glob("*.json"), *(longer.folder / "checkpoints").glob("*/manifest.json")]:
        if path.parent.name != "results" or json.loads(path.read_bytes())["result"]["run_id"] == longer.run_id:
            path.unlink()
    plain = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER])
    named = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER], resume=longer.run_id)
    assert start_of(named.graph.step("train").label) == start_of(plain.graph.step("train").label)
    assert start_of(named.graph.step("train").label).run_id == first.run_id


@pytest.mark.slow
def test_a_named_run_that_goes_on_as_by_itself_is_the_same_training(spec_file, tmp_path):
    store = tmp_path / "store"
    (first,) = apply(spec_file, store=store, sets=EXACT).runs
    plain = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER])
    named = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER], resume=first.run_id)
    assert keys(named) == keys(plain)
    assert (named.decision("train").reason, named.first_keys) == (plain.decision("train").reason, plain.first_keys)
    (longer,) = apply(named).runs
    assert min(losses(store, longer.run_id)) == 2, "its record is that of training from the start"
    again = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER], resume=first.run_id)
    assert set(actions(again).values()) == {"cached"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [["schedule.learning_rate={kind: warmup_cosine}"], ["schedule.evaluate.every=5 steps"]])
def test_a_named_run_that_goes_on_otherwise_is_another_training(spec_file, tmp_path, more):
    (first,) = apply(spec_file, store=tmp_path / "store", sets=[*EXACT, *more]).runs
    plain = compile_plan(spec_file, store=tmp_path / "store", sets=[*EXACT, *more, LONGER])
    named = compile_plan(spec_file, store=tmp_path / "store", sets=[*EXACT, *more, LONGER], resume=first.run_id)
    assert keys(named)["train"] != keys(plain)["train"]
    assert "from the start give" in named.decision("train").reason


def test_what_goes_on_from_a_fork_is_not_the_training_from_the_start(spec_file, store):
    (parent,) = (store / "runs").iterdir()
    (child,) = apply(spec_file, store=store, sets=EXACT, resume=parent.name, fork=True).runs
    plain = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER])
    named = compile_plan(spec_file, store=store, sets=[*EXACT, LONGER], resume=child.run_id)
    assert keys(named)["train"] != keys(plain)["train"]
    assert named.decision("train").action == "resume"


@pytest.mark.slow
def test_what_goes_on_keeps_the_rate_that_was_found_for_it_and_searches_no_other(spec_file, tmp_path, monkeypatch):
    store = tmp_path / "store"
    (first,) = apply(spec_file, store=store, sets=AUTO).runs
    found = read_run(first.folder)["spec"]["schedule"]["optimizer"]["learning_rate"]
    with_kind(monkeypatch, replace(FIND_LEARNING_RATE, version=FIND_LEARNING_RATE.version + 1))
    monkeypatch.setattr(range_test_step, "range_test", None)
    same = compile_plan(spec_file, store=store, sets=AUTO, resume=first.run_id)
    assert (set(actions(same).values()), same.goes_on.changes) == ({"cached"}, ())
    plan = compile_plan(spec_file, store=store, sets=[*AUTO, LONGER], resume=first.run_id)
    assert (actions(plan)["train"], plan.goes_on.changes) == ("resume", ("extend: schedule.duration 12 steps -> 20 steps",))
    assert "find_learning_rate" not in actions(plan)
    (longer,) = apply(plan).runs
    assert longer.error is None
    assert read_run(longer.folder)["spec"]["schedule"]["optimizer"]["learning_rate"] == found
    origin = read_run(longer.folder)["provenance"]["schedule.optimizer.learning_rate"]
    assert origin == f"found by find_learning_rate for {first.run_id}"
    last = compile_plan(spec_file, store=store, sets=[*AUTO, LONGEST], resume=longer.run_id)
    assert last.loaded.provenance.describe("schedule.optimizer.learning_rate") == f"found by find_learning_rate for {longer.run_id}"


@pytest.mark.parametrize(
    ("sets", "kept"),
    [
        (["model.dropout=0.1"], 2),  # whose masks are drawn a micro-batch at a time
        ([], "auto"),  # nothing depends on it: what fits the machine by now is found
        (["model.dropout=0.1", "schedule.batch_size=3"], "auto"),  # of which it is no part
    ],
)
def test_what_goes_on_keeps_a_micro_batch_that_was_found_where_its_weights_depend_on_it(spec_file, store, sets, kept):
    (folder,) = (store / "runs").iterdir()
    document = read_run(folder)
    document["spec"]["schedule"]["micro_batch_size"] = 2
    document["provenance"]["schedule.micro_batch_size"] = "found by find_micro_batch"
    (folder / "run.json").write_text(json.dumps(document))
    plan = compile_plan(spec_file, store=store, sets=["schedule.micro_batch_size=auto", *sets])
    found = as_found_then(plan.loaded, plan.workspace, run=folder.name, found=["schedule.micro_batch_size"])
    assert found.spec.schedule.micro_batch_size == kept


@pytest.mark.slow
@pytest.mark.parametrize("lora", [[], ["schedule.parameters.lora={rank: 2, targets: ['*attention*']}"]])
def test_a_fork_finds_the_rate_of_the_weights_that_it_begins_with(spec_file, store, monkeypatch, lora):
    (parent,) = (store / "runs").iterdir()
    sets = ["schedule.optimizer={kind: adamw, learning_rate: auto}", "schedule.batch_size=64", *lora]  # of less noise
    plan = compile_plan(spec_file, store=store, sets=sets, resume=parent.name, fork=True)
    drawn = compile_plan(spec_file, store=store, sets=sets)
    assert keys(plan)["find_learning_rate"] != keys(drawn)["find_learning_rate"]
    assert plan.decision("find_learning_rate").reason == f"begins with the weights of {parent.name} at its step 12"
    began: dict[str, torch.Tensor] = {}
    usual = range_test_step.range_test

    def watched(state, span, **options):
        began.update({name: tensor.clone() for name, tensor in state.model.state_dict().items()})
        began.update({f"{number}/step": it["step"].clone() for number, it in enumerate(state.optimizer.state.values())})
        return usual(state, span, **options)

    monkeypatch.setattr(range_test_step, "range_test", watched)
    outcome = apply(plan)
    trained = load_file(parent / "checkpoints" / "step-00000012" / "model.safetensors")
    assert all(torch.equal(began[name], tensor) for name, tensor in trained.items())
    assert {float(it) for name, it in began.items() if name.endswith("/step")} == (set() if lora else {12.0}), "as its training begins"
    if not lora:  # a few adapters on weights of twelve steps better nothing that shows
        assert outcome.runs[0].error is None
        again = compile_plan(spec_file, store=store, sets=sets, resume=parent.name, fork=True)
        assert set(actions(again).values()) == {"cached"}


def refusal(*args, **options) -> str:
    with pytest.raises(UsageError, match="resume-changes-weights") as refused:
        compile_plan(*args, **options)
    return refused.value.message


def test_another_version_of_a_step_is_named_where_a_run_cannot_go_on(spec_file, store, monkeypatch):
    (run,) = (folder.name for folder in (store / "runs").iterdir())
    with_kind(monkeypatch, replace(TRAIN, version=TRAIN.version + 1))
    told = refusal(spec_file, store=store, resume=run)
    assert told == (
        f"{run} cannot go on under this spec: train: this specrun's train step is version {TRAIN.version + 1}, "
        f"the earlier result's {TRAIN.version}"
    )
    for result in (store / "results").glob("train-*"):
        result.unlink()
    assert "its train step is another: of a file that it reads, or of this specrun" in refusal(spec_file, store=store, resume=run)


def test_another_device_is_named_where_a_run_cannot_go_on(spec_file, store, monkeypatch):
    (run,) = (folder.name for folder in (store / "runs").iterdir())
    for result in (store / "results").glob("train-*"):
        result.unlink()
    monkeypatch.setattr(ResolvedHardware, "identity", property(lambda _: {"kind": "cpu", "precision": "bfloat16"}))
    assert "under this spec: train: device.precision float32 -> bfloat16" in refusal(spec_file, store=store, resume=run)


def test_an_edited_file_is_named_where_a_run_cannot_go_on(spec_file, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {number} of the text\n" for number in range(300)))
    sets = [f"data.source={{kind: text, path: {text}}}"]
    (run,) = apply(spec_file, store=tmp_path / "store", sets=sets).runs
    assert run.error is None, run.error
    text.write_text(text.read_text() + "one line more\n")
    told = refusal(spec_file, store=tmp_path / "store", sets=sets, resume=run.run_id)
    assert "data: contents of text.txt changed" in told


def test_a_fork_whose_weights_no_rate_betters_is_told_of_its_parent_s(spec_file, store):
    (parent,) = (store / "runs").iterdir()
    sets = ["schedule.optimizer={kind: adamw, learning_rate: auto}", "model.dropout=0.5"]
    (run,) = apply(spec_file, store=store, sets=sets, resume=parent.name, fork=True).runs
    assert run.error.code == "no-learning-rate-found"
    assert run.error.hint == f"give schedule.optimizer.learning_rate a number, such as a tenth of what {parent.name} has"


def test_other_data_of_the_same_step_is_named_where_a_run_cannot_go_on(spec_file, store):
    (folder,) = (store / "runs").iterdir()
    plan = compile_plan(spec_file, store=store)
    document = read_run(folder)
    assert otherwise(plan.graph, document, plan.workspace) == "its training is another than then"
    document["data"]["variant"] = "fallback 3fa2"
    document["plan"] = [{**step, "key": step["key"] if step["kind"] == "data" else "0" * 64} for step in document["plan"]]
    assert otherwise(plan.graph, document, plan.workspace) == "its data was fallback 3fa2 and is of its first source now"
