"""Going on from another run: what a changed spec allows, what it refuses, and what the run that comes of it holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from specrun.cli.main import run as specrun
from specrun.engine.api import apply, compile_plan
from specrun.engine.continuing import _resolved
from specrun.engine.planfile import prepare_plan, write_plan
from specrun.errors import LockedError, StoreError, UsageError
from specrun.plan.resolve import resolve_schedule
from specrun.records.labels import give
from specrun.records.queries import open_records
from specrun.records.run_files import mark_active, read_final, read_run, write_final
from specrun.spec.assembly import load_spec
from specrun.training import checkpoint_files

LONGER = "schedule.duration=20 steps"
EXACT = ["schedule.learning_rate={kind: constant, warmup: 2 steps}", "schedule.optimizer={kind: adamw, learning_rate: 1e-2}"]


def only_run(store: Path) -> str:
    (folder,) = (store / "runs").iterdir()
    return folder.name


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def state(folder: Path, step: int) -> dict[str, torch.Tensor]:
    saved = folder / "checkpoints" / f"step-{step:08d}"
    return load_file(saved / "model.safetensors") | load_file(saved / "optimizer.safetensors")


def curve(store: Path, run_id: str, metric: str = "train/loss") -> dict[int, float]:
    with open_records(store) as records:
        return {point.step: point.value for point in records.series(run_id)[metric]}


def course(store: Path, run_id: str) -> tuple[dict[str, dict[int, float]], list[tuple[int, str, str]]]:
    """All curves but those of speed, and all examples."""
    with open_records(store) as records:
        curves = {name: {point.step: point.value for point in points} for name, points in records.series(run_id).items()}
        examples = [(it.step, it.name, json.dumps(it.data)) for it in records.examples(run_id)]
    return {name: it for name, it in curves.items() if not name.startswith("throughput/")}, sorted(examples)


def shown(store: Path, run_id: str, capsys) -> str:
    assert specrun(["runs", "show", run_id, "--store", str(store)]) == 0
    return capsys.readouterr().out


def actions(outcome) -> dict[str, str]:
    return {step.id: step.action for step in outcome.steps}


@pytest.mark.slow
def test_a_longer_duration_goes_on_in_a_run_of_its_own_that_names_its_parent(spec_file, store):
    parent = only_run(store)
    before = files(store / "runs" / parent)
    outcome = apply(spec_file, store=store, sets=[LONGER], resume=parent)
    (child,) = outcome.runs
    assert (child.error, actions(outcome)["train"]) == (None, "resume")
    assert child.run_id != parent
    assert files(store / "runs" / parent) == before
    assert min(curve(store, child.run_id)) > 12
    assert max(curve(store, child.run_id)) == 20
    document = read_run(child.folder)
    assert document["parent"] == parent
    assert (document["start"]["step"], document["start"]["how"]) == (12, "extend")
    with open_records(store) as records:
        assert records.sql("SELECT run_id, source, relation FROM lineage")[1] == [(child.run_id, parent, "parent")]
    again = apply(spec_file, store=store, sets=[LONGER], resume=parent)
    assert set(actions(again).values()) == {"cached"}
    assert again.runs[0].run_id == child.run_id


@pytest.mark.slow
def test_an_extension_whose_own_checkpoints_are_all_damaged_goes_on_from_its_parent_again(spec_file, store):
    parent = only_run(store)
    (child,) = apply(spec_file, store=store, sets=[LONGER], resume=parent).runs
    before = {name: tensor.clone() for name, tensor in state(child.folder, 20).items()}  # the files are about to be written
    for saved in (child.folder / "checkpoints").glob("step-*/optimizer.safetensors"):
        saved.write_bytes(saved.read_bytes()[:-8] + bytes(8))
    for result in (store / "results").glob("train-*"):
        if json.loads(result.read_bytes())["result"]["run_id"] == child.run_id:
            result.unlink()
    (again,) = apply(spec_file, store=store, sets=[LONGER], resume=parent).runs
    assert (again.run_id, again.error) == (child.run_id, None)
    assert min(curve(store, child.run_id)) > 12
    after = state(child.folder, 20)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_plan_says_where_it_goes_on_and_that_the_outcome_is_not_that_of_the_start(spec_file, store):
    parent = only_run(store)
    plan = compile_plan(spec_file, store=store, sets=[LONGER], resume=parent)
    train = plan.decision("train")
    assert train.action == "resume"
    assert train.reason == (
        f"continues {parent} from step 12 of 20 (schedule.duration 12 steps -> 20 steps; "
        "not what 20 steps from the start give: the learning rate's course of the first 12 was another)"
    )
    assert "extend: schedule.duration 12 steps -> 20 steps" in plan.text()
    assert plan.as_document()["resumes"] == {
        "run_id": parent, "fork": False, "changes": ["extend: schedule.duration 12 steps -> 20 steps"]
    }  # fmt: skip
    plain = compile_plan(spec_file, store=store, sets=[LONGER]).decision("train")
    assert (plain.action, plain.step.key != train.step.key) == ("run", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "duration", "told"),
    [
        (["schedule.evaluate.every=50%"], "30 steps", "evaluations came every 6 steps and not every 15"),
        (["schedule.evaluate.every=5 steps"], "20 steps", "there was an evaluation at step 12, where there would be none"),
        (["schedule.evaluate.every=1h"], "20 steps", "evaluations come by the clock"),
        ([], "20 steps", None),
    ],
)
def test_an_extension_that_was_asked_for_says_all_that_is_not_as_from_the_start(spec_file, tmp_path, more, duration, told):
    (run,) = apply(spec_file, store=tmp_path / "store", sets=[*EXACT, *more]).runs
    plan = compile_plan(spec_file, store=tmp_path / "store", sets=[*EXACT, *more, f"schedule.duration={duration}"], resume=run.run_id)
    note = f"; not what {duration} from the start give: {told}" if told else ""
    assert plan.decision("train").reason.endswith(f"(schedule.duration 12 steps -> {duration}{note})")


@pytest.mark.parametrize(("duration", "told"), [("8 steps", "and 8 steps end before that"),
                                                ("32 samples", "and 32 samples, which are 8 steps, end before that")])  # fmt: skip
def test_a_duration_that_ends_before_the_run_is_told_by_both_steps(spec_file, store, duration, told):
    with pytest.raises(UsageError, match=rf"{only_run(store)} is at step 12, {told}"):
        compile_plan(spec_file, store=store, sets=[f"schedule.duration={duration}"], resume=only_run(store))


def test_what_changes_no_weights_is_shown_by_its_impact_and_the_run_itself_goes_on(spec_file, store):
    parent = only_run(store)
    sets = ["report.formats=[md, html]", "schedule.log_every=3 steps", "task.sample_tokens=9", "name=other"]
    plan = compile_plan(spec_file, store=store, sets=sets, resume=parent)
    assert plan.decision("train").action == "cached"
    impacts = [line.partition(":")[0] for line in plan.goes_on.changes]
    assert impacts == ["eval", "report", "runtime", "meta"]
    assert "nothing is changed since" in compile_plan(spec_file, store=store, resume=parent).text()


@pytest.mark.slow
def test_what_a_finder_found_is_no_change_even_where_it_has_to_be_found_again(spec_file, tmp_path):
    store, auto = tmp_path / "store", "schedule.optimizer={kind: adamw, learning_rate: auto}"
    (run,) = apply(spec_file, store=store, sets=[auto]).runs
    assert compile_plan(spec_file, store=store, sets=[auto], resume=run.run_id).goes_on.changes == ()
    for result in (store / "results").glob("find_learning_rate-*"):
        result.unlink()
    plan = compile_plan(spec_file, store=store, sets=[auto, LONGER], resume=run.run_id)
    assert plan.goes_on.changes == ("extend: schedule.duration 12 steps -> 20 steps",)
    outcome = apply(plan)
    assert outcome.exit_code == 0
    assert (actions(outcome)["train"], min(curve(store, outcome.runs[0].run_id))) == ("resume", 14)
    with pytest.raises(UsageError, match=r"learning_rate 0\.0\d+ -> 0\.5"):
        compile_plan(spec_file, store=store, sets=["schedule.optimizer={kind: adamw, learning_rate: 0.5}"], resume=run.run_id)


def test_a_change_of_weights_is_refused_with_what_differs_and_the_way_out(spec_file, store, capsys):
    parent = only_run(store)
    before = files(store)
    with pytest.raises(UsageError) as refused:
        compile_plan(spec_file, store=store, sets=["schedule.batch_size=8", "schedule.optimizer.learning_rate=2e-2"], resume=parent)
    assert refused.value.code == "resume-changes-weights"
    assert "schedule.batch_size 4 -> 8; schedule.optimizer.learning_rate 0.01 -> 0.02" in str(refused.value)
    assert "--fork" in refused.value.hint
    command = ["apply", str(spec_file), "--store", str(store), "--set", "schedule.batch_size=8", "--resume", parent]
    assert specrun(command) == 2
    assert "resume-changes-weights" in capsys.readouterr().err
    assert files(store) == before


def test_a_fork_is_offered_only_where_the_weights_fit(spec_file, store):
    run, hints = only_run(store), {}
    for change in ("model.width=32", "schedule.batch_size=8"):
        with pytest.raises(UsageError, match="resume-changes-weights") as refused:
            compile_plan(spec_file, store=store, sets=[change], resume=run)
        hints[change] = refused.value.hint
    assert hints == {
        "model.width=32": "undo this, or train anew without --resume: the weights do not fit this model",
        "schedule.batch_size=8": "undo this, or add --fork to begin a run of its own with those weights",
    }


def test_a_run_to_go_on_from_is_meant_by_a_name_that_it_alone_has(spec_file, store):
    run = only_run(store)
    give(store, run, name="renamed")
    assert compile_plan(spec_file, store=store, resume="renamed").goes_on.run_id == run
    assert compile_plan(spec_file, store=store, resume="tin").request.resume == run
    other = store / "runs" / "tiny-0000"
    shutil.copytree(store / "runs" / run, other)
    with pytest.raises(UsageError, match=rf"renamed: that is the name of 2 runs: tiny-0000, {run}"):
        compile_plan(spec_file, store=store, resume="renamed")
    with pytest.raises(UsageError, match="that is the beginning of 2 ids"):
        compile_plan(spec_file, store=store, resume="tiny-")
    assert compile_plan(spec_file, store=store, resume=run).goes_on.run_id == run


@pytest.mark.parametrize(
    ("sets", "more", "code"),
    [
        (["schedule.duration=12 steps", "seeds=[0, 1]"], {}, "resume-of-another-seed"),
        (["seeds=[1]"], {}, "resume-of-another-seed"),
        (["schedule.duration=8 steps"], {}, "nothing-left-to-train"),
        ([], {"resume": "nonsense"}, "unknown-run"),
        ([], {"smoke": True}, "resume-in-smoke"),
        ([], {"resume": None, "fork": True}, "fork-without-run"),
    ],
)
def test_what_cannot_go_on_is_refused(spec_file, store, sets, more, code):
    with pytest.raises(UsageError) as refused:
        compile_plan(spec_file, store=store, sets=sets, **({"resume": only_run(store)} | more))
    assert refused.value.code == code
    assert refused.value.exit_code == 2


def test_a_run_that_is_at_work_is_not_gone_on_from(spec_file, store):
    mark_active(store, only_run(store))
    with pytest.raises(LockedError, match="run-at-work"):
        compile_plan(spec_file, store=store, sets=[LONGER], resume=only_run(store))


def test_a_run_that_stopped_early_is_not_carried_further(spec_file, store):
    write_final(store / "runs" / only_run(store), {"status": "stopped_early", "reason": "", "metrics": {}})
    with pytest.raises(UsageError, match="resume-of-stopped-run"):
        compile_plan(spec_file, store=store, sets=[LONGER], resume=only_run(store))


def test_a_fork_begins_with_the_weights_and_trains_its_own_schedule(spec_file, store):
    parent = only_run(store)
    sets = ["schedule.duration=4 steps", "schedule.batch_size=8", "schedule.optimizer.learning_rate=1e-12", "seeds=[3]"]
    outcome = apply(spec_file, store=store, sets=sets, resume=parent, fork=True)
    (child,) = outcome.runs
    assert child.error is None
    assert actions(outcome)["train"] == "run"
    one, other = state(child.folder, 4), state(store / "runs" / parent, 12)
    assert all(torch.allclose(one[name], other[name], atol=1e-9) for name in one if "/" not in name)
    assert all(float(one[name]) == 16.0 for name in one if name.endswith("/step")), "the moments are kept too"
    assert (read_run(child.folder)["parent"], read_run(child.folder)["start"]["how"]) == (parent, "fork")
    assert max(curve(store, child.run_id)) == 4
    plain = compile_plan(spec_file, store=store, sets=sets)
    assert plain.decision("train").step.key not in {step.key for step in compile_plan(
        spec_file, store=store, sets=sets, resume=parent, fork=True).graph.steps}  # fmt: skip


def test_a_fork_of_another_parent_is_another_run(spec_file, store):
    first = only_run(store)
    (second,) = apply(spec_file, store=store, sets=["seeds=[5]"]).runs
    keys = {compile_plan(spec_file, store=store, resume=run, fork=True).decision("train").step.key for run in (first, second.run_id)}
    assert len(keys) == 2


@pytest.mark.slow
def test_a_fork_by_another_optimizer_begins_its_moments_anew_and_says_so(spec_file, store):
    sets = ["schedule.duration=4 steps", "schedule.optimizer={kind: sgd, learning_rate: 1e-3}"]
    outcome = apply(spec_file, store=store, sets=sets, resume=only_run(store), fork=True)
    with open_records(store) as records:
        alerts = {alert.code: alert.message for alert in records.alerts(outcome.runs[0].run_id)}
    assert "that was adamw, this is sgd" in alerts["optimizer-begins-anew"]


@pytest.mark.slow
def test_adapters_are_trained_on_the_weights_of_a_run(spec_file, store):
    parent = only_run(store)
    lora = "schedule.parameters.lora={rank: 2, targets: ['*attention*']}"
    (child,) = apply(spec_file, store=store, sets=["schedule.duration=4 steps", lora], resume=parent, fork=True).runs
    assert child.error is None, child.error
    one, other = state(child.folder, 4), state(store / "runs" / parent, 12)
    kept = [name for name in other if "/" not in name]
    assert kept
    assert all(torch.equal(one[name], other[name]) for name in kept)


@pytest.mark.slow
def test_a_parent_that_was_damaged_or_changed_is_an_error_and_not_another_training(spec_file, store):
    parent = only_run(store)
    plan = compile_plan(spec_file, store=store, sets=[LONGER], resume=parent)
    weights = store / "runs" / parent / "checkpoints" / "step-00000012" / "optimizer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + bytes(8))
    (child,) = apply(plan).runs
    assert isinstance(child.error, StoreError)
    assert child.error.code == "damaged-checkpoint"
    assert parent in child.error.message
    assert child.error.hint == f"specrun runs remove {parent}, then apply its spec, which trains it again, then this one"
    assert specrun(["runs", "remove", parent, "--yes", "--store", str(store)]) == 0
    assert apply(spec_file, store=store).runs[0].run_id == parent
    assert apply(spec_file, store=store, sets=[LONGER], resume=parent).exit_code == 0


@pytest.mark.slow
def test_a_parent_whose_facts_another_version_wrote_is_an_error_that_names_the_way_on(spec_file, store):
    parent = only_run(store)
    checkpoints = store / "runs" / parent / "checkpoints"
    (info,) = (it for it in checkpoint_files.checkpoints(checkpoints) if it.step == 12)
    files = {path.name: path.read_bytes() for path in info.path.iterdir() if path.name != "manifest.json"}
    files["state.json"] = json.dumps({name: it for name, it in json.loads(files["state.json"]).items() if name != "tokens"}).encode()
    checkpoint_files.save(checkpoints, step=12, key=info.key, files={name: [it] for name, it in files.items()}, best_step=info.best_step)
    (child,) = apply(spec_file, store=store, sets=[LONGER], resume=parent).runs
    assert isinstance(child.error, StoreError)
    assert (child.error.code, child.error.message) == (
        "outdated-checkpoint",
        f"the checkpoint of step 12 of {parent} cannot be gone on from: state.json has no tokens; another version of specrun wrote it",
    )
    assert child.error.hint == f"begin a run of its own with its weights: --resume {parent} --fork"
    (fork,) = apply(spec_file, store=store, sets=[LONGER], resume=parent, fork=True).runs
    assert fork.error is None


@pytest.mark.slow
def test_a_longer_duration_goes_on_by_itself_where_that_gives_the_same_bits(spec_file, tmp_path, capsys):
    gone_on, straight = tmp_path / "one", tmp_path / "other"
    (first,) = apply(spec_file, store=gone_on, sets=EXACT).runs
    plan = compile_plan(spec_file, store=gone_on, sets=[*EXACT, LONGER])
    assert plan.decision("train").reason == f"continues {first.run_id} from step 12 of 20 (schedule.duration 12 steps -> 20 steps)"
    (longer,) = apply(plan).runs
    (whole,) = apply(spec_file, store=straight, sets=[*EXACT, LONGER]).runs
    assert longer.run_id == whole.run_id, "the same key: either stands for the other"
    one, other = state(longer.folder, 20), state(whole.folder, 20)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert {name: value for name, value in longer.metrics.items() if "throughput" not in name} == {
        name: value for name, value in whole.metrics.items() if "throughput" not in name
    }
    assert course(gone_on, longer.run_id) == course(straight, whole.run_id), "the records are those of training from the start too"
    assert read_run(longer.folder)["parent"] == first.run_id
    assert f"parent      {first.run_id}, step 12: goes on with all of its state and its curves\n" in shown(gone_on, longer.run_id, capsys)
    assert set(actions(apply(spec_file, store=gone_on, sets=[*EXACT, LONGER])).values()) == {"cached"}


@pytest.mark.slow
def test_where_a_longer_duration_cannot_go_on_by_itself_it_is_trained_from_the_start(spec_file, tmp_path, capsys):
    damaged, straight = tmp_path / "one", tmp_path / "other"
    (first,) = apply(spec_file, store=damaged, sets=EXACT).runs
    moments = first.folder / "checkpoints" / "step-00000012" / "optimizer.safetensors"
    moments.write_bytes(moments.read_bytes()[:-1] + bytes([moments.read_bytes()[-1] ^ 1]))
    (longer,) = apply(spec_file, store=damaged, sets=[*EXACT, LONGER]).runs
    (whole,) = apply(spec_file, store=straight, sets=[*EXACT, LONGER]).runs
    assert longer.error is None
    assert course(damaged, longer.run_id) == course(straight, whole.run_id)
    one, other = state(longer.folder, 20), state(whole.folder, 20)
    assert all(torch.equal(one[name], other[name]) for name in one)
    with open_records(damaged) as records:
        alerts = {alert.code: alert.message for alert in records.alerts(longer.run_id)}
    assert alerts["extension-not-possible"] == (
        f"the checkpoint of step 12 of {first.run_id} is damaged: optimizer.safetensors has {moments.stat().st_size} bytes as written, "
        "but not the same ones; training begins at step 0 instead, which gives the same"
    )
    told = f"{first.run_id}, step 12: could not be gone on from; trained from the start, which is the same"
    assert told in shown(damaged, longer.run_id, capsys)
    assert "could not be gone on from" in (longer.folder / "report" / "report.md").read_text()
    assert set(actions(apply(spec_file, store=damaged, sets=[*EXACT, LONGER])).values()) == {"cached"}


def test_a_shorter_schedule_in_tokens_is_counted_by_the_documents_that_there_are(spec_file):
    sets = ["schedule.duration=4000 tokens", "schedule.learning_rate={kind: constant, warmup: 800 tokens}"]
    spec = load_spec(spec_file, sets=sets).spec
    schedule = resolve_schedule(spec.schedule, samples_per_epoch=50, sequence_length=16, sample_tokens=5.0)
    assert _resolved(spec, schedule) == schedule


@pytest.mark.slow
@pytest.mark.parametrize("more", [["schedule.learning_rate={kind: warmup_cosine}"], ["schedule.evaluate.every=5 steps"],
                                  ["schedule.evaluate.every=50%"], ["schedule.learning_rate={kind: constant, warmup: 25%}"],
                                  ["schedule.evaluate.every=1h"]])  # fmt: skip
def test_it_begins_anew_by_itself_where_anything_would_differ(spec_file, tmp_path, more):
    apply(spec_file, store=tmp_path / "store", sets=[*EXACT, *more])
    assert compile_plan(spec_file, store=tmp_path / "store", sets=[*EXACT, *more, LONGER]).decision("train").action == "run"


def test_a_saved_plan_keeps_the_run_that_it_goes_on_from(spec_file, store, tmp_path):
    parent = only_run(store)
    write_plan(compile_plan(spec_file, store=store, sets=[LONGER], resume=parent), tmp_path / "p.plan")
    assert json.loads((tmp_path / "p.plan").read_text())["request"]["resume"] == parent
    plan = prepare_plan(tmp_path / "p.plan", store=store)
    assert plan.decision("train").action == "resume"
    shutil.rmtree(store / "runs" / parent / "checkpoints")
    with pytest.raises(UsageError, match="nothing-to-resume"):
        prepare_plan(tmp_path / "p.plan", store=store)


@pytest.mark.slow
def test_a_time_limit_ends_with_0_says_so_and_a_longer_one_goes_on(spec_file, tmp_path):
    store = tmp_path / "store"
    sets = ["schedule.duration=1s", "schedule.evaluate={every: 50%, max_batches: 4}", "schedule.checkpoint.every=50%"]
    plan = compile_plan(spec_file, store=store, sets=sets)
    outcome = apply(plan)
    (first,) = outcome.runs
    assert (outcome.exit_code, first.status) == (0, "completed")
    reason = read_final(first.folder)["reason"]
    assert reason.startswith("time limit of 1s reached after step ")
    steps = int(reason.rpartition(" ")[2])
    assert set(actions(apply(spec_file, store=store, sets=sets)).values()) == {"cached"}
    longer = compile_plan(spec_file, store=store, sets=[*sets, "schedule.duration=2s"], resume=first.run_id)
    assert longer.decision("train").reason.startswith(f"continues {first.run_id} from step {steps:,} of about ")
    assert "about" in longer.text()
    (second,) = apply(longer).runs
    assert second.status == "completed"
    assert read_final(second.folder)["reason"].startswith("time limit of 2s reached after step ")
    assert min(curve(store, second.run_id)) > steps
    with pytest.raises(UsageError, match="nothing-left-to-train"):
        compile_plan(spec_file, store=store, sets=[*sets, "schedule.duration=0.5s"], resume=first.run_id)
    facts = first.folder / "checkpoints" / f"step-{steps:08d}" / "state.json"
    facts.write_bytes(b"x" * facts.stat().st_size)
    with pytest.raises(StoreError, match=r"damaged-checkpoint.*state.json does not say how long it trained"):
        compile_plan(spec_file, store=store, sets=[*sets, "schedule.duration=4s"], resume=first.run_id)
