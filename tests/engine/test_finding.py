"""Values that planned steps find: found once, part of the spec from then on, and of the training's key by what they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.plan import Request
from specrun.engine.prepare import fitting, plan_on, prepare, without_retries
from specrun.engine.rate_search import plan_search, search
from specrun.engine.workspace import Workspace
from specrun.errors import SpecError, SpecrunError
from specrun.events import Message, Progress
from specrun.runtime.hardware import Choice, probe, resolve
from specrun.spec.assembly import load_spec
from specrun.spec.explain import explain_key

from .conftest import TINY

RATE = "schedule.optimizer.learning_rate"
AUTO = f"{RATE}=auto"
FINDER = "find_learning_rate"
NOT_FOUND = "schedule.optimizer.learning_rate 0.01 -> auto (--set)"


def actions(plan) -> dict[str, str]:
    return {decision.step.id: decision.action for decision in plan.decisions}


def ran(outcome) -> list[str]:
    return [step.id for step in outcome.steps if step.action == "run"]


def searched(store, path, *, sets=(), show=lambda event: None, **settings):
    """The range test of a spec in a store, run where it is not there yet, and the plan that it was part of."""
    loaded = load_spec(path, sets=list(sets))
    plan = plan_search(loaded, Request(loaded, store), settings=settings)
    return search(plan, show=show), plan


@pytest.fixture(scope="module")
def found_store(applied_store, tmp_path_factory):
    """A store in which the tiny experiment's learning rate has been found. To be copied, not changed."""
    folder = tmp_path_factory.mktemp("found")
    (folder / "tiny.yaml").write_text(TINY)
    shutil.copytree(applied_store, folder / "store")
    searched(folder / "store", folder / "tiny.yaml")
    return folder / "store"


@pytest.fixture
def store(found_store, tmp_path):
    copy = tmp_path / "store"
    shutil.copytree(found_store, copy)
    return copy


def test_a_plan_says_that_a_rate_will_be_found_and_what_that_costs(spec_file, applied_store):
    plan = compile_plan(spec_file, store=applied_store, sets=[AUTO])
    assert actions(plan)[FINDER] == "run"
    assert plan.decision(FINDER).predicted.seconds > 0
    assert plan.decision("train").reason == NOT_FOUND
    assert plan.as_document()["found"] == {}


def test_a_reason_reads_the_same_when_it_is_told_again_after_the_source_was_tried(spec_file, store):
    request = Request(str(spec_file), store, (AUTO,))
    prepared = prepare(request)
    half = replace(prepared.hardware, precision=Choice("bfloat16", "a test"))
    planned = plan_on(request, prepared.asked, half, prepared.workspace)
    assert planned.decision(FINDER).reason == "device.precision float32 -> bfloat16"
    assert without_retries(planned).decisions == planned.decisions


def test_a_found_rate_stands_in_the_spec_with_the_step_that_found_it(spec_file, store):
    plan = compile_plan(spec_file, store=store, sets=[AUTO])
    assert actions(plan)[FINDER] == "cached"
    found = plan.as_document()["found"][RATE]
    assert 1e-7 < found < 10
    assert plan.loaded.spec.schedule.optimizer.learning_rate == found
    assert plan.asked.spec.schedule.optimizer.learning_rate == "auto"
    assert plan.loaded.provenance.describe(RATE) == f"found by {FINDER}"
    assert plan.decision("train").reason.endswith(f"(found by {FINDER})")
    assert f"{RATE} {found:.6g}" in str(plan)
    told = explain_key(plan.loaded, RATE)
    assert f"from       found by {FINDER}" in told
    assert "overrides  default" not in told, "it lies over what was asked for"
    assert "--set" in told


def test_explain_says_of_a_value_that_is_still_to_be_found_which_step_will_find_it(spec_file):
    assert f"comes to   what {FINDER} finds before training" in explain_key(load_spec(spec_file, sets=[AUTO]), RATE)
    assert "comes to   the whole batch" in explain_key(load_spec(spec_file), "schedule.micro_batch_size")


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ("schedule.duration=500 steps", "cached"),
        ("schedule.evaluate.every=1 steps", "cached"),
        ("seeds=[3, 4]", "cached"),
        ("name=another", "cached"),
        ("hardware.compile=off", "cached"),
        ("model.width=32", "run"),
        ("schedule.batch_size=2", "run"),
        ("schedule.optimizer.weight_decay=0.2", "run"),
    ],
)
def test_a_rate_is_found_again_where_what_an_optimizer_step_is_made_of_changes(spec_file, store, change, action):
    assert actions(compile_plan(spec_file, store=store, sets=[AUTO, change]))[FINDER] == action


@pytest.mark.slow
def test_an_apply_trains_with_what_was_found_records_it_and_then_has_nothing_to_do(spec_file, store):
    sets = [AUTO, "seeds=[0, 1]", "report.formats=[md]"]
    outcome = apply(spec_file, store=store, sets=sets)
    assert outcome.exit_code == 0, outcome
    assert FINDER not in ran(outcome)
    found = compile_plan(spec_file, store=store, sets=sets).as_document()["found"][RATE]
    for run in outcome.runs:
        document = json.loads((run.folder / "run.json").read_bytes())
        assert document["spec"]["schedule"]["optimizer"]["learning_rate"] == found
        assert document["provenance"][RATE] == f"found by {FINDER}"
        assert document["shared"][FINDER].startswith(f"steps/{FINDER}-")
        assert any(step["id"] == FINDER for step in document["plan"])
    again = apply(spec_file, store=store, sets=sets)
    assert ran(again) == []
    written = compile_plan(spec_file, store=store, sets=[f"{RATE}={found}", *sets[1:]])
    assert set(actions(written).values()) == {"cached"}, "the same rate, written, is the same training"


def test_a_first_apply_finds_and_trains_in_one_go(spec_file, applied_store, tmp_path):
    shutil.copytree(applied_store, tmp_path / "copy")
    outcome = apply(spec_file, store=tmp_path / "copy", sets=[AUTO])
    assert ran(outcome) == [FINDER, "train", "evaluate", "report"]
    assert actions(compile_plan(spec_file, store=tmp_path / "copy", sets=[AUTO]))["train"] == "cached"


def test_a_lost_result_is_found_again_and_the_training_is_still_known_by_it(spec_file, store):
    for path in (store / "results").glob(f"{FINDER}-*.json"):
        path.unlink()
    plan = compile_plan(spec_file, store=store, sets=[AUTO])
    assert actions(plan)[FINDER] == "run"
    searched(store, spec_file)
    assert compile_plan(spec_file, store=store, sets=[AUTO]).as_document()["found"]


def test_a_search_runs_what_it_needs_and_no_training_and_tells_its_progress(spec_file, tmp_path):
    events = []
    result, _ = searched(tmp_path / "fresh", spec_file, show=events.append, steps=40)
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "fresh" / "steps").iterdir()) == sorted(
        ["data", "tokenizer", "tokens", FINDER]
    )
    assert not list((tmp_path / "fresh" / "runs").iterdir())
    done = [event.done for event in events if isinstance(event, Progress) and event.producer == FINDER]
    assert done == list(range(1, result.values["steps"] + 1))
    assert any(isinstance(event, Message) and "falls steepest" in event.text for event in events)


def test_a_search_is_done_once_whatever_rate_the_spec_names_and_its_settings_make_another(spec_file, store):
    first, _ = searched(store, spec_file)
    same, _ = searched(store, spec_file, sets=[f"{RATE}=0.5"])
    assert same == first
    _, other = searched(store, spec_file, low=1e-5)
    assert other.decision(FINDER).step.key != first.key
    assert other.kinds[FINDER].settings == other.decision(FINDER).step.options["settings"]


def test_a_range_without_a_fall_ends_with_what_to_do(spec_file, store):
    with pytest.raises(SpecrunError) as raised:
        searched(store, spec_file, low=1e-12, high=1e-11, steps=12)
    assert raised.value.code == "no-learning-rate-found"
    assert raised.value.hint == "give schedule.optimizer.learning_rate a number, such as 3e-4"


def test_a_smoke_run_runs_the_range_test_too(spec_file, tmp_path):
    outcome = apply(spec_file, store=tmp_path / "store", sets=[AUTO, "report.formats=[md]"], smoke=True)
    assert outcome.exit_code == 0, outcome
    assert FINDER in ran(outcome)


def planned_with(memory, spec_file, store, *sets):
    """The plan on a machine of so much memory."""
    loaded = load_spec(spec_file, sets=list(sets))
    hardware = replace(resolve(loaded.spec.hardware, probe()), memory_bytes=memory)
    return plan_on(Request(loaded, store), loaded, hardware, Workspace(store))


LARGE = ("schedule.batch_size=4096", "model.width=64", "model.num_layers=4")


def test_a_micro_batch_is_looked_for_only_where_the_whole_batch_may_not_fit(spec_file, applied_store):
    assert "find_micro_batch" not in actions(planned_with(2**40, spec_file, applied_store, *LARGE))
    tight = planned_with(2**29, spec_file, applied_store, *LARGE)
    assert actions(tight)["find_micro_batch"] == "run"
    assert tight.forecast.schedule.micro_batch_size < 4096, "the forecast is for what is expected to fit"
    assert tight.decision("train").predicted.memory_bytes <= 2**29
    assert "find_micro_batch" not in actions(planned_with(2**29, spec_file, applied_store, *LARGE, "schedule.micro_batch_size=8"))


def test_what_was_found_for_one_process_is_not_taken_for_several(spec_file, applied_store):
    """With devices: auto it is for the machine to say how many share the batch."""
    loaded = load_spec(spec_file, sets=[*LARGE, "hardware.engine=torchrun", "hardware.devices=auto"])
    hardware = replace(resolve(loaded.spec.hardware, probe()), memory_bytes=2**30)
    found = [plan_on(Request(loaded, applied_store), loaded, replace(hardware, devices=devices), Workspace(applied_store))
             for devices in (1, 2)]  # fmt: skip
    assert found[0].graph.step("find_micro_batch").key != found[1].graph.step("find_micro_batch").key


SHARED = ("hardware.engine=torchrun", "hardware.devices=2", "hardware.strategy=fsdp")


def test_what_devices_hold_a_share_of_is_not_tried_whole_on_one(spec_file, applied_store):
    """Its micro-batch is the largest that is expected to fit."""
    sets = (*LARGE, *SHARED, "schedule.batch_size=8192")
    tight = planned_with(2**30, spec_file, applied_store, *sets)
    size = tight.loaded.spec.schedule.micro_batch_size
    assert "find_micro_batch" not in actions(tight)
    assert 1 <= size < 4096
    assert tight.forecast.schedule.micro_batch_size == size
    assert tight.decision("train").predicted.memory_bytes <= 2**30
    assert tight.loaded.provenance.describe("schedule.micro_batch_size").startswith("predicted")
    assert planned_with(2**40, spec_file, applied_store, *sets).loaded.spec.schedule.micro_batch_size == "auto"


def test_a_rate_of_a_model_that_one_device_cannot_hold_is_not_looked_for(spec_file, applied_store):
    plan = planned_with(2**40, spec_file, applied_store, AUTO, *SHARED)
    assert fitting(plan).loaded.warnings == plan.loaded.warnings
    with pytest.raises(SpecError) as caught:
        fitting(replace(plan, hardware=replace(plan.hardware, memory_bytes=10**8)))
    (found,) = [d for d in caught.value.diagnostics if d.code == "range-test-exceeds-device"]
    assert found.path == RATE
    assert "a number, such as 3e-4" in found.hint
    alone = planned_with(2**40, spec_file, applied_store, AUTO)
    warned = fitting(replace(alone, hardware=replace(alone.hardware, memory_bytes=alone.forecast.memory.certain))).loaded.warnings
    assert [warning.code for warning in warned] == ["memory-exceeds-device"], "the training itself may not fit then"


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_trained_in_parts_of_the_size_that_was_found(spec_file, tmp_path):
    sets = ["schedule.batch_size=4096", "model.width=32", "hardware.memory=480 MiB", "data.source.characters=60000", "report.formats=[md]",
            "schedule.duration=2 steps"]  # fmt: skip
    shown = []
    outcome = apply(spec_file, store=tmp_path / "store", sets=sets, show=shown.append)
    assert outcome.exit_code == 0, outcome
    assert "find_micro_batch" in ran(outcome)
    assert Progress("find_micro_batch", 1, None, "trying a micro-batch of") in shown, "a process of its own is heard as it goes"
    document = json.loads((outcome.runs[0].folder / "run.json").read_bytes())
    size = document["spec"]["schedule"]["micro_batch_size"]
    assert 1 <= size < 4096
    assert 4096 % size == 0
    assert document["provenance"]["schedule.micro_batch_size"] == "found by find_micro_batch"
    whole = compile_plan(spec_file, store=tmp_path / "store", sets=[*sets, "hardware.memory=200 GiB"])
    assert actions(whole)["train"] == "cached", "without dropout the size changes no result"
