"""The same from Python: what `import specrun` gives goes together, and shows itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import specrun
from specrun.engine.summary import summary_lines
from specrun.engine.workspace import Workspace
from specrun.errors import UsageError
from specrun.records.changes import remove_run
from specrun.records.place import DEFAULT_STORE
from tests.conftest import ROOT


def keys(plan) -> list[str]:
    return [decision.step.key for decision in plan.decisions]


def test_every_public_name_is_there_and_listed():
    assert all(getattr(specrun, name) is not None for name in specrun.__all__)
    assert dir(specrun) == sorted(specrun.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = specrun.nothing


def test_a_path_a_loaded_spec_and_its_values_alone_are_one_plan(spec_file, store):
    loaded = specrun.load_spec(spec_file)
    plans = [specrun.compile_plan(source, store=store) for source in (spec_file, str(spec_file), loaded, loaded.spec)]
    assert all(isinstance(plan, specrun.Plan) for plan in plans)
    assert {tuple(keys(plan)) for plan in plans} == {tuple(keys(plans[0]))}
    assert not any(plan.changes_anything for plan in plans)


def test_what_a_spec_was_loaded_with_is_in_its_plan(spec_file, store):
    loaded = specrun.load_spec(spec_file, sets=["schedule.batch_size=2"])
    assert keys(specrun.compile_plan(loaded, store=store)) == keys(
        specrun.compile_plan(spec_file, store=store, sets=["schedule.batch_size=2"])
    )


@pytest.mark.parametrize("of", [lambda loaded: loaded, lambda loaded: loaded.spec], ids=["loaded", "values"])
def test_a_loaded_spec_is_shrunk_for_a_smoke_run_as_its_file_is(spec_file, store, of):
    loaded = of(specrun.load_spec(spec_file))
    assert keys(specrun.compile_plan(loaded, store=store, smoke=True)) == keys(specrun.compile_plan(spec_file, store=store, smoke=True))


def test_apply_takes_a_spec_or_a_plan(spec_file, store):
    loaded = specrun.load_spec(spec_file)
    for source in (loaded, specrun.compile_plan(loaded, store=store)):
        outcome = specrun.apply(source, **({} if isinstance(source, specrun.Plan) else {"store": store}))
        assert isinstance(outcome.runs[0], specrun.Run)
        assert outcome.runs[0].cached


def test_a_plan_that_was_made_before_its_run_was_removed_trains_it_again(spec_file, store):
    plan = specrun.compile_plan(spec_file, store=store)
    assert not plan.changes_anything
    (run,) = (store / "runs").iterdir()
    remove_run(store, run.name)
    Workspace(store).forget_run(run.name)
    (again,) = specrun.apply(plan).runs
    assert (again.status, again.cached) == ("completed", False)


def test_options_that_come_too_late_are_refused(spec_file, store):
    loaded = specrun.load_spec(spec_file)
    with pytest.raises(UsageError, match="options-with-loaded-spec"):
        specrun.compile_plan(loaded, store=store, sets=["name=x"])
    plan = specrun.compile_plan(loaded, store=store)
    for late in (
        {"smoke": True},
        {"sets": ["name=x"]},
        {"preset": "fast"},
        {"data_root": store},
        {"store": store},
        {"store": DEFAULT_STORE},
    ):
        with pytest.raises(UsageError, match="options-with-plan"):
            specrun.apply(plan, **late)


def test_an_invalid_spec_raises_with_every_error_and_its_place(spec_file):
    with pytest.raises(specrun.SpecError) as caught:
        specrun.load_spec(spec_file, sets=["model.width=3", "nmae=x"])
    said = str(caught.value).splitlines()
    assert said[0].startswith("invalid-spec: 2 errors, the first: ")
    assert [line.split(":")[:2] for line in said[1:]] == [["  --set", "1"], ["  --set", "1"]]
    assert any("did you mean" in line for line in said)


def test_what_is_no_spec_is_named_by_its_type_and_not_by_its_contents():
    with pytest.raises(UsageError) as caught:
        specrun.compile_plan({"secret": "x" * 10_000})  # type: ignore[arg-type]
    assert str(caught.value) == "not-a-spec: a dict is no spec\n  give the path of a spec, or what load_spec returns"


def test_a_spec_a_plan_and_an_outcome_show_themselves_in_a_line_and_in_full(spec_file, store):
    loaded = specrun.load_spec(spec_file)
    plan = specrun.compile_plan(loaded, store=store)
    outcome = specrun.apply(plan)
    assert repr(loaded) == f"<LoadedSpec tiny from {spec_file}>"
    assert repr(plan) == "<Plan tiny: Nothing to do: every step is finished. Nothing was run.>"
    assert str(plan).startswith("tiny on cpu (")
    assert str(plan).endswith("Nothing was run.")
    assert re.fullmatch(r"<Outcome tiny-\w+ completed>", repr(outcome))
    assert str(outcome) == "\n".join(summary_lines(outcome))
    for shown in (plan, outcome):
        assert shown._repr_html_().startswith("<pre>tiny")


def test_the_readme_s_python_runs(tmp_path: Path, monkeypatch, store, tiny_text, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "quickstart.yaml").write_text(tiny_text)
    shutil.copytree(store, tmp_path / ".specrun")
    exec(compile(block, "README.md", "exec"), {})
    loss, *runs = capsys.readouterr().out.splitlines()
    assert float(loss) > 0
    assert len(runs) == 2
