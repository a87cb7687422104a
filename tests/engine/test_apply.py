"""Applying: what the plan says is what happens; what is finished is kept; what failed or was stopped is said."""

from __future__ import annotations

import json

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.workspace import Workspace
from specrun.errors import LockedError, SpecError, StoreError, UsageError
from specrun.events import Metrics, Progress
from specrun.records.queries import open_records
from specrun.report.numbers import duration


def actions(outcome) -> dict[str, str]:
    return {step.id: step.action for step in outcome.steps}


def planned(*arguments, **options) -> dict[str, str]:
    return {d.step.id: d.action for d in compile_plan(*arguments, **options).decisions}


def ran(actions: dict[str, str]) -> list[str]:
    return [id for id, action in actions.items() if action == "run"]


def test_a_first_apply_runs_everything_and_leaves_a_report_and_records(applied_store):
    with open_records(applied_store) as records:
        (run,) = records.runs()
        assert (run.name, run.status, run.comparable) == ("tiny", "completed", True)
        assert {"validation/loss", "test/loss", "validation/perplexity"} <= run.metrics.keys()
        steps = {row.id: row for row in records.steps(run.run_id)}
        assert {"data", "tokenizer", "tokens", "train", "evaluate", "report"} <= steps.keys()
        assert steps["train"].predicted["seconds"] > 0
        assert steps["train"].actual["seconds"] > 0
        assert [point.step for point in records.series(run.run_id)["validation/loss"]] == [4, 8, 12]
    assert (applied_store / "runs" / run.run_id / "report" / "report.md").is_file()


def test_the_report_and_the_list_of_runs_tell_one_duration(applied_store):
    with open_records(applied_store) as records:
        (run,) = records.runs()
    assert f"completed in {duration(run.duration_s)} ·" in (applied_store / "runs" / run.run_id / "report" / "report.md").read_text()


def test_the_same_apply_again_runs_nothing(spec_file, store):
    before = sorted(path for path in store.rglob("*") if path.is_file())
    outcome = apply(spec_file, store=store)
    assert set(actions(outcome).values()) == {"cached"}
    assert outcome.exit_code == 0
    assert outcome.runs[0].cached
    assert outcome.runs[0].metrics["validation/loss"] > 0
    assert sorted(path for path in store.rglob("*") if path.is_file()) == before


def test_a_run_that_stopped_early_says_why_at_its_end_in_its_report_and_when_it_is_found_finished(spec_file, tmp_path):
    sets = ["schedule.early_stopping={patience: 1 evaluations, min_delta: 100}"]
    why = "validation/loss has not improved by more than 100 since step 4, for 1 evaluation; training stopped after step 8 of 12"
    first = apply(spec_file, store=tmp_path / "store", sets=sets)
    (run,) = first.runs
    assert (run.status, run.reason) == ("stopped_early", why)
    assert f"  {why}" in str(first).splitlines()
    assert f"`run-stopped-early`: {why}" in (run.folder / "report" / "report.md").read_text()
    again = apply(spec_file, store=tmp_path / "store", sets=sets).runs[0]
    assert (again.cached, again.reason) == (True, why)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("report.formats=[html]", ["report"]),
        ("report.title=Another", ["report"]),
        ("schedule.optimizer.learning_rate=2e-2", ["train", "evaluate", "report"]),
        ("schedule.duration=16 steps", ["train", "evaluate", "report"]),
        ("data.tokenizer.unknown=token", ["tokenizer", "tokens", "train", "evaluate", "report"]),
        ("data.source.seed=1", ["data", "tokenizer", "tokens", "train", "evaluate", "report"]),
        ("task.sample_tokens=9", ["evaluate", "report"]),
        ("name=another", []),
        ("schedule.log_every=3 steps", []),
        ("hardware.threads=2", []),
    ],
)
def test_a_change_runs_what_it_touches_and_nothing_else(spec_file, store, change, expected):
    assert ran(planned(spec_file, store=store, sets=[change])) == expected


def test_apply_does_what_plan_said(spec_file, store):
    sets = ["schedule.optimizer.learning_rate=2e-2"]
    said = planned(spec_file, store=store, sets=sets)
    outcome = apply(spec_file, store=store, sets=sets)
    assert actions(outcome) == said
    assert len(list((store / "runs").iterdir())) == 2


def test_another_report_belongs_to_the_same_run_and_keeps_its_outcome(spec_file, store):
    outcome = apply(spec_file, store=store, sets=["report.title=Another"])
    assert ran(actions(outcome)) == ["report"]
    (folder,) = (store / "runs").iterdir()
    assert "Another" in (folder / "report" / "report.md").read_text()
    with open_records(store) as records:
        (run,) = records.runs()
        assert run.status == "completed"
        assert [point.step for point in records.series(run.run_id)["validation/loss"]] == [4, 8, 12]


def test_a_reason_names_the_change_and_its_place(spec_file, store):
    spec_file.write_text(spec_file.read_text().replace("learning_rate: 1e-2", "learning_rate: 2e-2"))
    reasons = {d.step.id: d.reason for d in compile_plan(spec_file, store=store).decisions}
    assert reasons["train"] == f"schedule.optimizer.learning_rate 0.01 -> 0.02 ({spec_file}:14)"
    assert reasons["evaluate"] == "its input changes: train"


def test_a_lost_artifact_is_made_again_and_what_it_fed_is_kept(spec_file, store):
    (tokens,) = store.glob("steps/tokens-*")
    (tokens / "train.bin").unlink()
    assert ran(planned(spec_file, store=store)) == []
    assert planned(spec_file, store=store)["tokens"] == "skip"
    assert ran(planned(spec_file, store=store, sets=["schedule.optimizer.learning_rate=2e-2"])) == ["tokens", "train", "evaluate", "report"]


def test_a_failed_gate_exits_4_names_figure_and_bound_and_fails_again_when_cached(spec_file, store):
    sets = ["expect=['validation/loss < 0.001', 'validation/loss < 100']"]
    for expected in (["report"], []):
        outcome = apply(spec_file, store=store, sets=sets)
        assert ran(actions(outcome)) == expected
        assert outcome.exit_code == 4
        (gate,) = outcome.runs[0].failed_gates
        assert gate.sentence.startswith("validation/loss is ")
        assert gate.sentence.endswith("expected validation/loss < 0.001")


@pytest.mark.slow
def test_seeds_share_their_data_and_are_runs_of_their_own(spec_file, store):
    outcome = apply(spec_file, store=store, sets=["seeds=[0, 1]"])
    done = actions(outcome)
    assert ran(done) == ["train[seed=1]", "evaluate[seed=1]", "report[seed=1]"]
    assert len({run.run_id for run in outcome.runs}) == 2
    assert len({run.metrics["validation/loss"] for run in outcome.runs}) == 2
    assert [run.cached for run in outcome.runs] == [True, False]


def test_events_are_shown_as_they_happen(spec_file, tmp_path):
    seen = []
    apply(spec_file, store=tmp_path / "fresh", show=seen.append)
    progress = [event.done for event in seen if isinstance(event, Progress) and event.producer == "train"]
    assert progress == sorted(progress)
    assert progress[-1] == 12
    assert any(isinstance(event, Metrics) and "validation/loss" in event.values for event in seen)


@pytest.mark.slow
def test_a_smoke_run_runs_every_step_and_leaves_real_history_alone(spec_file, store):
    before = (store / "history.jsonl").read_bytes()
    for _ in range(2):
        outcome = apply(spec_file, store=store, smoke=True)
        assert outcome.exit_code == 0
        assert set(actions(outcome).values()) == {"run"}
    assert (store / "history.jsonl").read_bytes() == before
    with open_records(store) as records:
        assert len(records.runs()) == 1


def test_predictions_come_from_history_once_there_is_one(spec_file, store, tmp_path):
    ruled = {d.step.kind: d.predicted for d in compile_plan(spec_file, store=tmp_path / "none").decisions}
    learned = {d.step.kind: d.predicted for d in compile_plan(spec_file, store=store, sets=["schedule.duration=24 steps"]).decisions}
    assert ruled["train"].basis.startswith("by rule")
    assert learned["train"].basis == "from 1 earlier run"
    assert learned["train"].seconds > 0


def test_two_applies_of_one_spec_end_with_exit_5_for_the_second(spec_file, store):
    from specrun.engine.locks import hold

    sets = ["schedule.optimizer.learning_rate=3e-2"]
    prepared = compile_plan(spec_file, store=store, sets=sets)
    workspace = Workspace(store)
    with hold(workspace.lock_file(prepared.graph.step("train")), what="the first"), pytest.raises(LockedError) as caught:
        apply(spec_file, store=store, sets=sets)
    assert caught.value.exit_code == 5
    assert caught.value.hint.endswith(f"specrun runs list --store {store}")
    assert apply(spec_file, store=store).exit_code == 0


def test_a_store_of_a_newer_format_is_refused(spec_file, store):
    (store / "store.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(StoreError, match="newer-store"):
        compile_plan(spec_file, store=store)


def test_a_store_that_is_a_file_is_refused(spec_file, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        apply(spec_file, store=tmp_path / "file")
    assert caught.value.hint


def test_a_missing_file_is_said_before_anything_runs(spec_file, tmp_path):
    sets = ["data.source={kind: text, path: nothing.txt}", "data.split={kind: ratio}"]
    with pytest.raises(SpecError) as caught:
        apply(spec_file, store=tmp_path / "fresh", sets=sets)
    assert [d.code for d in caught.value.diagnostics if d.severity == "error"] == ["missing-file"]
    assert not (tmp_path / "fresh").exists()


def test_a_training_that_fails_is_recorded_as_failed_and_apply_goes_on_with_the_next_seed(spec_file, store, monkeypatch):
    from specrun.errors import SpecrunError
    from specrun.steps.train import run as train

    real = train.run

    def failing(context, spec, inputs):
        if context.seed == 1:
            raise SpecrunError("loss is nan at step 3", code="non-finite-loss", hint="lower the learning rate")
        return real(context, spec, inputs)

    monkeypatch.setattr(train, "run", failing)
    outcome = apply(spec_file, store=store, sets=["seeds=[1, 2]"])
    assert [run.status for run in outcome.runs] == ["failed", "completed"]
    assert outcome.exit_code == 1
    with open_records(store) as records:
        assert {run.seed: run.status for run in records.runs()} == {0: "completed", 1: "failed", 2: "completed"}
        failed = next(run for run in records.runs() if run.seed == 1)
        assert failed.reason == "non-finite-loss: loss is nan at step 3"
    assert [run["reason"] for run in outcome.as_document()["runs"]] == [failed.reason, ""]


def test_the_outcome_is_a_document_with_the_promised_keys(spec_file, store):
    document = apply(spec_file, store=store).as_document()
    assert {"format_version", "runs", "steps", "report", "exit_code"} <= document.keys()
    assert {"run_id", "name", "seed", "status", "folder", "metrics", "artifacts"} <= document["runs"][0].keys()
    assert {"id", "action", "seconds"} <= document["steps"][0].keys()
    json.dumps(document, allow_nan=False)


def test_a_report_made_again_shows_what_was_asked_now_and_what_the_training_took_then(spec_file, store):
    outcome = apply(spec_file, store=store, sets=["expect=['validation/loss < 99']"])
    assert ran(actions(outcome)) == ["report"]
    text = (outcome.runs[0].folder / "report" / "report.md").read_text()
    assert "validation/loss < 99" in text
    assert "validation/loss < 100" not in text
    with open_records(store) as records:
        steps = {row.id: row for row in records.steps(outcome.runs[0].run_id)}
    assert steps["train"].action == "run"
    assert steps["train"].actual["seconds"] > 0
    assert steps["data"].action == "run"
    assert steps["data"].actual["seconds"] > 0


def test_a_renamed_experiment_runs_nothing_and_is_listed_under_its_new_name(spec_file, store):
    (run,) = (store / "runs").iterdir()
    assert compile_plan(spec_file, store=store).remarks == ()
    for name in ("other", "third", "tiny"):
        plan = compile_plan(spec_file, store=store, sets=[f"name={name}"])
        said = f"The finished run {run.name} will go by the name {name}."
        assert plan.text().splitlines()[-1] == said
        assert plan.as_document()["remarks"] == [said]
        outcome = apply(spec_file, store=store, sets=[f"name={name}"])
        assert set(actions(outcome).values()) == {"cached"}
        with open_records(store) as records:
            assert [run.name for run in records.runs()] == [name]
