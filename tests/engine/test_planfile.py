"""Saved plans hold as long as nothing they were made from has changed."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from specrun.engine.api import compile_plan
from specrun.engine.execute import execute
from specrun.engine.plan import Request
from specrun.engine.planfile import is_plan, prepare_plan, write_plan
from specrun.engine.rate_search import plan_search, search
from specrun.errors import StalePlanError, UsageError
from specrun.spec.assembly import load_spec


@pytest.fixture
def saved(spec_file, store, tmp_path):
    """A saved plan that changes the learning rate of an applied experiment."""
    spec_file.write_text(spec_file.read_text().replace("1e-2", "2e-2"))
    path = tmp_path / "plan.json"
    write_plan(compile_plan(spec_file, store=store), path)
    return path


def test_a_saved_plan_is_executed_as_it_was_made(saved, store):
    prepared = prepare_plan(saved, store=store)
    document = json.loads(saved.read_text())
    assert [(step["id"], step["key"]) for step in document["steps"]] == [(s.id, s.key) for s in prepared.graph.steps]
    assert execute(prepared, show=lambda event: None).exit_code == 0


def test_a_plan_of_an_edited_spec_is_refused_and_the_edit_named(saved, store, spec_file):
    spec_file.write_text(spec_file.read_text().replace("2e-2", "3e-2"))
    with pytest.raises(StalePlanError, match=r"learning_rate 0\.02 -> 0\.03") as caught:
        prepare_plan(saved, store=store)
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(("before", "after"), [("1e-2", "3e-2"), ("width: 16", "width: 17"), ("", "")])
def test_a_stale_plan_is_told_the_whole_command_that_makes_it_again(spec_file, store, tmp_path, before, after):
    path = tmp_path / "a plan.json"
    sets = ["schedule.batch_size=2", "expect=['validation/loss < 99']"]
    write_plan(compile_plan(spec_file, store=store, sets=sets, preset="fast", data_root=tmp_path), path)
    if before:
        spec_file.write_text(spec_file.read_text().replace(before, after))
    else:
        document = json.loads(path.read_text())
        document["steps"].append({"id": "export", "key": "0", "options": {}, "action": "run"})
        path.write_text(json.dumps(document))
    with pytest.raises(StalePlanError) as caught:
        prepare_plan(path, store=store)
    assert shlex.split(caught.value.hint.partition("plan again: ")[2]) == [
        "specrun", "plan", str(spec_file), "-o", str(path), "--set", sets[0], "--set", sets[1],
        "--preset", "fast", "--data-root", str(tmp_path), "--store", str(store),
    ]  # fmt: skip


def test_a_plan_of_a_spec_that_became_invalid_is_refused(saved, store, spec_file):
    spec_file.write_text(spec_file.read_text().replace("width: 16", "width: 17"))
    with pytest.raises(StalePlanError, match="not valid any more"):
        prepare_plan(saved, store=store)


def test_a_plan_whose_finished_steps_were_lost_is_refused(saved, store):
    next(store.glob("results/tokens-*")).unlink()
    with pytest.raises(StalePlanError, match="step tokens was cached and would now run"):
        prepare_plan(saved, store=store)


def test_a_plan_that_needs_less_by_now_still_holds(saved, store, spec_file):
    execute(compile_plan(spec_file, store=store), show=lambda event: None)
    assert not prepare_plan(saved, store=store).changes_anything


@pytest.fixture
def found(saved, store, spec_file):
    """A saved plan whose rate was to be found, and has been since."""
    path = saved.with_name("found.plan")
    write_plan(compile_plan(spec_file, store=store, sets=["schedule.optimizer.learning_rate=auto"]), path)
    search(plan_search(load_spec(spec_file), Request(str(spec_file), store), settings={}), show=lambda event: None)
    return path


def test_a_plan_whose_values_have_been_found_since_still_holds(found, store):
    prepared = prepare_plan(found, store=store)
    assert prepared.found
    assert prepared.graph.step("train").key not in found.read_text()
    assert prepared.decision("find_learning_rate").action == "cached"


def test_a_plan_of_a_spec_that_was_edited_once_its_values_were_found_is_refused(found, store, spec_file):
    spec_file.write_text(spec_file.read_text().replace("12 steps", "13 steps"))
    with pytest.raises(StalePlanError, match=r"step train has changed: schedule\.duration 12 steps -> 13 steps"):
        prepare_plan(found, store=store)


def test_a_renamed_experiment_keeps_its_plan(saved, store, spec_file):
    spec_file.write_text(spec_file.read_text().replace("name: tiny", "name: other"))
    assert prepare_plan(saved, store=store).changes_anything


def test_set_values_with_paths_are_bound_to_the_folder_they_were_given_in(spec_file, store, tmp_path, monkeypatch):
    path = tmp_path / "plan.json"
    write_plan(compile_plan(spec_file, store=store, sets=["schedule.batch_size=2"]), path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(StalePlanError, match="was made in"):
        prepare_plan(path, store=store)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "specrun-plan"}', "not json"])
def test_what_is_no_saved_plan_is_said_to_be_none(tmp_path, store, content):
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="not a saved plan"):
        prepare_plan(path, store=store)


def test_a_plan_of_a_newer_format_is_refused(saved, store):
    document = json.loads(saved.read_text())
    saved.write_text(json.dumps({**document, "format_version": 9}))
    with pytest.raises(StalePlanError, match="newer"):
        prepare_plan(saved, store=store)


def test_plans_and_specs_are_told_apart(saved, spec_file, tmp_path):
    assert is_plan(saved)
    assert not is_plan(spec_file)
    assert not is_plan(tmp_path / "nothing")


def test_a_pipe_is_left_whole_for_whoever_reads_the_spec():
    reading, writing = os.pipe()
    os.write(writing, b"version: 1\n")
    os.close(writing)
    try:
        assert not is_plan(Path(f"/dev/fd/{reading}"))
        assert os.read(reading, 64) == b"version: 1\n"
    finally:
        os.close(reading)
