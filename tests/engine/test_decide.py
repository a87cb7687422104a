"""What counts as finished: a step stands only on what it was made from, and a run's record only on its end."""

from __future__ import annotations

import re
import shutil

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.workspace import Workspace
from specrun.records.changes import remove_run
from specrun.records.run_files import read_final, write_final
from specrun.training.checkpoint_files import read_manifest, save


def remove(store, run_id: str) -> None:
    remove_run(store, run_id)
    Workspace(store).forget_run(run_id)


def planned(spec_file, store, *sets: str) -> dict[str, str]:
    return {d.step.id: d.action for d in compile_plan(spec_file, store=store, sets=list(sets)).decisions}


def actions(outcome) -> dict[str, str]:
    return {step.id: step.action for step in outcome.steps}


def test_what_reads_a_training_is_made_again_with_it(spec_file, store):
    (run,) = (store / "runs").iterdir()
    shutil.rmtree(run / "checkpoints")
    found = planned(spec_file, store)
    assert {found[kind] for kind in ("train", "evaluate", "report")} == {"run"}
    assert {found[kind] for kind in ("data", "tokenizer", "tokens")} == {"cached"}
    assert actions(apply(spec_file, store=store)) == found
    assert set(planned(spec_file, store).values()) == {"cached"}


@pytest.mark.parametrize(
    ("left", "best_step", "goes_on"), [((8, 12), 12, "from step 12 of 12"), ((8, 12), 10, "from step 8 of 12"), ((12,), 10, None)]
)
def test_a_plan_says_that_best_weights_are_gone_and_where_training_goes_back_to(spec_file, store, left, best_step, goes_on):
    (folder,) = (store / "runs").glob("*/checkpoints")
    for path in folder.glob("best-*"):
        shutil.rmtree(path)
    for path in folder.glob("step-*"):
        if int(path.name[-8:]) not in left:
            shutil.rmtree(path)
    newest = read_manifest(folder / "step-00000012")
    files = {path.name: [path.read_bytes()] for path in newest.path.iterdir() if path.name != "manifest.json"}
    save(folder, step=12, key=newest.key, files=files, best_step=best_step)
    train = compile_plan(spec_file, store=store).decision("train")
    assert train.action == ("resume" if goes_on else "run")
    assert train.reason.endswith(f"the best weights, those of step {best_step}, are gone")
    assert goes_on is None or goes_on in train.reason


def test_a_removed_run_leaves_nothing_that_stands_for_it(spec_file, store):
    (run,) = (store / "runs").iterdir()
    remove(store, run.name)
    assert not list((store / "run-keys").iterdir())
    assert sorted(path.name.partition("-")[0] for path in (store / "results").iterdir()) == ["data", "tokenizer", "tokens"]
    reasons = {d.step.kind: d.reason for d in compile_plan(spec_file, store=store).decisions}
    assert reasons["train"] == "no earlier result"
    assert actions(apply(spec_file, store=store)) == {
        "data": "cached", "tokenizer": "cached", "tokens": "cached", "train": "run", "evaluate": "run", "report": "run"
    }  # fmt: skip


def test_removing_a_run_keeps_what_belongs_to_others(spec_file, store):
    apply(spec_file, store=store, sets=["seeds=[0, 1]"])
    first = compile_plan(spec_file, store=store).workspace
    key = compile_plan(spec_file, store=store).graph.step("train").key
    remove(store, first.run_of_key(key))
    found = planned(spec_file, store, "seeds=[0, 1]")
    assert [found[f"train[seed={seed}]"] for seed in (0, 1)] == ["run", "cached"]


@pytest.mark.slow
@pytest.mark.parametrize("gone", [["data"], ["data", "tokenizer", "tokens"]])
@pytest.mark.parametrize("how", ["missing", "failed", "damaged"])
def test_a_run_without_its_end_is_described_again_from_whatever_that_needs(spec_file, store, gone, how):
    (run,) = (store / "runs").iterdir()
    for kind in gone:
        for folder in (store / "steps").glob(f"{kind}-*"):
            shutil.rmtree(folder)
    final = read_final(run)
    (run / "final.json").unlink()
    if how == "failed":
        write_final(run, {**final, "status": "failed"})
    elif how == "damaged":
        (run / "final.json").write_text("{")
    outcome = apply(spec_file, store=store)
    assert outcome.exit_code == 0, outcome
    done = actions(outcome)
    assert (done["train"], done["evaluate"], done["report"]) == ("cached", "cached", "run")
    assert done["data"] == "run"
    assert read_final(run)["status"] == "completed"
    assert set(planned(spec_file, store).values()) <= {"cached", "skip"}


@pytest.mark.slow
def test_weights_that_were_damaged_at_equal_size_are_not_judged_and_made_again(spec_file, tmp_path):
    """Over 4 MiB, where a plan looks at sizes alone."""
    store = tmp_path / "store"
    sets = ["model.vocab_size=70000", "schedule.duration=6 steps", "schedule.evaluate={every: 2 steps, max_batches: 1}"]
    first = apply(spec_file, store=store, sets=sets)
    (run,) = (store / "runs").iterdir()
    best = max(run.glob("checkpoints/best-*/model.safetensors"))
    whole = best.read_bytes()
    assert len(whole) > 4 * 2**20
    best.write_bytes(whole[:-1000] + bytes(1000))
    judged_anew = [*sets, "task.sample_tokens=9"]
    failed = apply(spec_file, store=store, sets=judged_anew)
    assert failed.exit_code == 1
    assert failed.runs[0].error.code == "damaged-checkpoint"
    assert "apply again" in failed.runs[0].error.hint
    mended = apply(spec_file, store=store, sets=judged_anew)
    assert mended.exit_code == 0, mended
    assert actions(mended)["train"] in ("run", "resume")
    assert best.read_bytes() == whole
    assert {name: value for name, value in mended.runs[0].metrics.items() if "loss" in name} == {
        name: value for name, value in first.runs[0].metrics.items() if "loss" in name
    }


def test_a_new_experiment_is_compared_with_none_that_its_data_or_training_is_unlike(spec_file, store):
    text = spec_file.read_text()
    assert "name: " in text
    other = spec_file.with_name("other.yaml")
    other.write_text(re.sub(r"name: \S+", "name: other", text, count=1))
    far = ["data.sequence_length=12", "schedule.batch_size=3", "schedule.gradient_clip=2.0", "model.width=24"]
    plan = compile_plan(other, store=store, sets=far)
    assert {d.step.kind: d.reason for d in plan.decisions if d.action == "run"} == dict.fromkeys(
        ("train", "evaluate", "report"), "no earlier result of other"
    )
    near = compile_plan(other, store=store, sets=["model.width=24"]).decision("train")
    (run,) = (store / "runs").iterdir()
    assert near.reason.startswith(f"compared with {run.name}: model.width ")
