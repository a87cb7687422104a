"""A spec of every fold is one of each fold, planned together and applied one after the other."""

from __future__ import annotations

import json
import os
import signal
import statistics
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.experiment import experiment_digest
from specrun.engine.plan import Request
from specrun.engine.planfile import prepare_plan, write_plan
from specrun.engine.prepare import prepare_one
from specrun.errors import StalePlanError, UsageError
from specrun.events import StepRecord
from specrun.records.queries import open_records
from specrun.spec.assembly import load_spec

SPEC = """\
version: 1
name: folds
task: {kind: tabular, objective: classification}
data:
  source: {kind: csv, path: rows.csv}
  columns: {target: kind}
  split: {kind: kfold, folds: 3, stratify: true}
model: {kind: mlp, width: 8, num_layers: 1}
hardware: {threads: 1, profile: cpu}
schedule:
  duration: 6 steps
  batch_size: 8
  evaluate: {every: 2 steps}
  checkpoint: {every: 2 steps}
report: {formats: [md]}
"""
ROWS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("folds")
    rows = "".join(f"{n % 7},{(n * n) % 11},{'xyz'[n % 3]}\n" for n in range(ROWS))
    (found / "rows.csv").write_text(f"a,b,kind\n{rows}")
    (found / "folds.yaml").write_text(SPEC)
    return found


@pytest.fixture
def spec(folder: Path) -> Path:
    return folder / "folds.yaml"


def test_the_plan_of_all_folds_is_that_of_each(spec: Path, tmp_path: Path) -> None:
    whole = compile_plan(spec, store=tmp_path)
    each = [compile_plan(spec, store=tmp_path, sets=[f"data.split.fold={n}"]) for n in (1, 2, 3)]
    assert [d.step.key for d in whole.decisions] == [d.step.key for part in each for d in part.decisions]
    assert len({d.step.key for d in whole.decisions}) == len(whole.decisions), "no step is of two folds"
    assert [d.step.id for d in whole.decisions][:3] == ["data[fold=1]", "examples[fold=1]", "train[fold=1]"]
    assert [part.loaded.digest for part in whole.parts] == [part.loaded.digest for part in each]


def test_another_number_of_folds_runs_all_of_them_anew(spec: Path, tmp_path: Path) -> None:
    three, four = (compile_plan(spec, store=tmp_path, sets=[f"data.split.folds={folds}"]) for folds in (3, 4))
    assert not {d.step.key for d in three.decisions} & {d.step.key for d in four.decisions}


def test_the_document_of_a_plan_has_each_fold_and_ids_that_are_one_step(spec: Path, tmp_path: Path) -> None:
    plan = compile_plan(spec, store=tmp_path, sets=["seeds=[0, 1]"])
    document = plan.as_document()
    ids = [step["id"] for step in document["steps"]]
    assert len(set(ids)) == len(ids)
    assert {need for step in document["steps"] for need in step["needs"]} <= set(ids)
    assert "train[seed=1,fold=3]" in ids
    assert [each["fold"] for each in document["folds"]] == [1, 2, 3]
    assert str(plan).count("folds, 3 folds, on cpu") == 1
    assert str(plan).endswith("the training's time is not known yet. Nothing was run.")
    json.dumps(document)


def test_a_saved_plan_of_all_folds_holds_until_their_number_changes(spec: Path, tmp_path: Path) -> None:
    own = tmp_path / "folds.yaml"
    own.write_text(SPEC.replace("rows.csv", str(spec.parent / "rows.csv")))
    write_plan(compile_plan(own, store=tmp_path / "s"), tmp_path / "plan")
    assert [part.fold for part in prepare_plan(tmp_path / "plan", store=tmp_path / "s").parts] == [(1, 3), (2, 3), (3, 3)]
    own.write_text(own.read_text().replace("folds: 3", "folds: 4"))
    with pytest.raises(StalePlanError, match=r"data\[fold=1\] has changed: data.split.folds 3 -> 4"):
        prepare_plan(tmp_path / "plan", store=tmp_path / "s")


def test_a_smoke_run_and_a_look_at_the_data_are_of_the_first_fold(spec: Path, tmp_path: Path) -> None:
    assert compile_plan(spec, store=tmp_path, smoke=True).fold == (1, 3)
    assert prepare_one(Request(str(spec), tmp_path)).fold == (1, 3)
    assert prepare_one(Request(str(spec), tmp_path, ("data.split.fold=2",))).fold == (2, 3)


def test_folds_of_one_spec_and_source_are_one_experiment(spec: Path) -> None:
    def digest(fold: int, train: str, *, folds: int = 3, file: str = "f", variant: str | None = None) -> str:
        loaded = load_spec(spec, sets=[f"data.split.fold={fold}", f"data.split.folds={folds}"]).spec
        data = {"splits": {"train": {"sha256": train}}, "variant": variant}
        return experiment_digest(loaded, data, device={}, inputs={"data.source": {"rows.csv": file}})

    assert digest(1, "a") == digest(2, "b")
    others = {digest(1, "a", folds=4), digest(1, "a", file="g"), digest(1, "a", variant="v")}
    assert len(others | {digest(1, "a")}) == 4


@pytest.mark.slow
def test_an_apply_goes_on_with_the_fold_it_was_at_and_takes_those_that_are_finished(spec: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    alone = apply(spec, store=store, sets=["data.split.fold=3"]).runs[0]

    def stop_in_second(event: object) -> None:
        if isinstance(event, StepRecord) and event.id == "train[fold=2]":
            os.kill(os.getpid(), signal.SIGINT)

    broken = apply(spec, store=store, show=stop_in_second)
    assert [(run.fold, run.status) for run in broken.runs] == [((1, 3), "completed"), ((2, 3), "interrupted")]
    assert broken.exit_code == 130
    with pytest.raises(UsageError, match="is of fold 2, the spec is of all") as refused:
        compile_plan(spec, store=store, resume=broken.runs[1].run_id)
    assert refused.value.hint == "add --set data.split.fold=2"

    plan = compile_plan(spec, store=store)
    outcome = apply(plan)
    assert [run.cached for run in outcome.runs] == [True, False, True]
    assert [run.run_id for run in outcome.runs] == [*(run.run_id for run in broken.runs), alone.run_id]
    done = {step.id: step.action for step in outcome.steps}
    assert [done[f"data[fold={n}]"] for n in (1, 2, 3)] == ["cached"] * 3
    assert done["train[fold=2]"] in ("run", "resume")

    _check_rows(plan, store)
    _check_records(outcome, store)
    assert not compile_plan(spec, store=store).changes_anything


def _check_rows(plan, store: Path) -> None:
    """Every row is validated once, by a fold that was not trained on it."""
    validated: list[int] = []
    for part in plan.parts:
        data = part.workspace.result("data", part.decision("data").step.key)
        rows = {
            name: parquet.read_table(store / data.folder / f"{name}.parquet")["__row__"].to_pylist() for name in ("train", "validation")
        }
        assert sorted([*rows["train"], *rows["validation"]]) == list(range(1, ROWS + 1))
        validated += rows["validation"]
    assert sorted(validated) == list(range(1, ROWS + 1))


def _check_records(outcome, store: Path) -> None:
    """The mean that is told is that of the runs' figures, wherever it is told."""
    figures = [run.metrics["validation/loss"] for run in outcome.runs]
    said = f"validation/loss {statistics.mean(figures):.3f} ± {statistics.stdev(figures):#.2g}"
    assert str(outcome).splitlines()[-1].startswith(f"3 folds, mean ± standard deviation: {said}")
    with open_records(store) as records:
        runs = records.experiment(records.run(outcome.runs[0].run_id))
        assert [(run.run_id, run.fold, run.folds) for run in runs] == [(run.run_id, *run.fold) for run in outcome.runs]
        spread = records.over_seeds("validation/loss", "minimize", [runs[0].experiment])[runs[0].experiment]
        assert (spread.mean, spread.n, spread.folds) == (pytest.approx(statistics.mean(figures)), 3, 3)
        assert spread.standard_deviation == pytest.approx(statistics.stdev(figures))
        assert [c.code for c in records.cautions("validation/loss", [run.run_id for run in runs])] == ["different-folds"]
    report = (store / "runs" / outcome.runs[1].run_id / "report" / "report.md").read_text()
    assert "fold 2 of 3" in report
    assert f"3 folds, mean ± standard deviation: {said}" in report
