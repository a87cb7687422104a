"""What breaks caches and records in practice: edits, races, failures after success, damage in place."""

from __future__ import annotations

import errno
import json
import os
import shutil

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.execute import execute
from specrun.engine.history import read_history
from specrun.engine.locks import hold
from specrun.engine.workspace import Workspace
from specrun.errors import DataError, LockedError, SpecrunError, StoreError
from specrun.records.changes import change_tags
from specrun.records.journal_reader import journal_files, read_journal
from specrun.records.queries import open_records
from specrun.runtime.signals import StopNow
from tests.engine.test_apply import actions, planned, ran


@pytest.fixture
def on_text(spec_file, tmp_path):
    """The tiny experiment on a text file of its own."""
    text = tmp_path / "corpus.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 120)
    spec_file.write_text(
        spec_file.read_text().replace(
            "{kind: synthetic, characters: 6000, document_characters: 200, states: 8}", "{kind: text, path: corpus.txt}"
        )
    )
    return spec_file, text


def test_a_file_that_is_edited_while_it_is_read_makes_no_result(on_text, tmp_path, monkeypatch):
    from specrun.steps.data import run as data

    spec, text = on_text
    real = data.run

    def edited_meanwhile(context, spec, inputs):
        output = real(context, spec, inputs)
        text.write_text("zzz " * 2000)
        return output

    with monkeypatch.context() as patched:
        patched.setattr(data, "run", edited_meanwhile)
        assert apply(spec, store=tmp_path / "store").runs[0].error.code == "data-changed-while-read"
    assert list((tmp_path / "store" / "steps").iterdir()) == []
    assert planned(spec, store=tmp_path / "store")["data"] == "run"


def test_a_file_that_is_edited_after_it_was_read_changes_nothing_of_the_run_and_all_of_the_next(on_text, tmp_path, monkeypatch):
    from specrun.steps.tokenizer import run as tokenizer

    spec, text = on_text
    real = tokenizer.run

    def edited_meanwhile(context, spec, inputs):
        text.write_text("zzz yyy xxx " * 700)
        return real(context, spec, inputs)

    before = compile_plan(spec, store=tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setattr(tokenizer, "run", edited_meanwhile)
        outcome = execute(before, show=lambda event: None)
    assert outcome.exit_code == 0
    assert ran(planned(spec, store=tmp_path / "store")) == ["data", "tokenizer", "tokens", "train", "evaluate", "report"]
    for step in before.graph.steps:
        assert Workspace(tmp_path / "store").result(step.kind, step.key) is not None


def test_a_run_is_locked_while_only_its_report_is_written(spec_file, store):
    prepared = compile_plan(spec_file, store=store)
    with hold(Workspace(store).lock_file(prepared.graph.step("train")), what="another apply"), pytest.raises(LockedError):
        apply(spec_file, store=store, sets=["report.title=Another"])


def test_what_another_apply_finished_between_plan_and_lock_is_not_run_again(spec_file, store):
    sets = ["report.title=Another"]
    late = compile_plan(spec_file, store=store, sets=sets)
    apply(spec_file, store=store, sets=sets)
    assert set(actions(execute(late, show=lambda event: None)).values()) == {"cached"}


@pytest.mark.slow
@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_judging_a_finished_run_again_in_vain_keeps_its_outcome(spec_file, store, monkeypatch, status):
    from specrun.steps.evaluate import run as evaluate

    def failing(context, spec, inputs):
        raise StopNow(15) if status == "interrupted" else SpecrunError("out of luck", code="bad-luck")

    with open_records(store) as records:
        (before,) = records.runs()
    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "run", failing)
        failed = apply(spec_file, store=store, sets=["task.sample_tokens=9"])
        assert failed.exit_code == {"failed": 1, "interrupted": 143}[status]
        assert failed.runs[0].status == status
    with open_records(store) as records:
        (after,) = records.runs()
        assert (after.status, after.metrics) == ("completed", before.metrics)
        assert "test/loss" in after.metrics
    recorded = [r for file in journal_files(store / "runs" / before.run_id) if file.attempt == 2 for r in read_journal(file.path)]
    assert [r.data["status"] for r in recorded if r.kind == "status"] == ["running", status]
    assert set(actions(apply(spec_file, store=store)).values()) == {"cached"}
    assert ran(actions(apply(spec_file, store=store, sets=["task.sample_tokens=9"]))) == ["evaluate", "report"]


def test_a_training_that_is_made_again_in_vain_does_not_count_as_ended(spec_file, store, monkeypatch):
    from specrun.steps.train import run as train

    def failing(context, spec, inputs):
        raise SpecrunError("out of luck", code="bad-luck")

    (run,) = (store / "runs").iterdir()
    shutil.rmtree(run / "checkpoints")
    monkeypatch.setattr(train, "run", failing)
    assert apply(spec_file, store=store).runs[0].status == "failed"
    with open_records(store) as records:
        assert [run.status for run in records.runs()] == ["failed"]


@pytest.mark.slow
def test_an_unexpected_error_of_one_seed_is_recorded_and_the_others_go_on(spec_file, store, monkeypatch):
    from specrun.steps.train import run as train

    real = train.run

    def failing(context, spec, inputs):
        if context.seed == 1:
            raise RuntimeError("boom")
        return real(context, spec, inputs)

    monkeypatch.setattr(train, "run", failing)
    outcome = apply(spec_file, store=store, sets=["seeds=[0, 1, 2]"])
    assert [run.status for run in outcome.runs] == ["completed", "failed", "completed"]
    assert outcome.runs[1].error.code == "internal-error"
    assert outcome.exit_code == 1


@pytest.mark.slow
def test_a_smoke_run_has_a_store_of_its_own_and_removes_what_an_ended_one_left(spec_file, store):
    first = compile_plan(spec_file, store=store, smoke=True)
    second = compile_plan(spec_file, store=store, smoke=True)
    assert first.workspace.store != second.workspace.store
    assert execute(first, show=lambda event: None).exit_code == 0
    assert execute(second, show=lambda event: None).exit_code == 0
    assert [path.name for path in (store / "smoke").iterdir() if path.is_dir()] == [second.workspace.store.name]


def test_source_and_fallback_that_change_places_are_another_experiment(on_text, tmp_path):
    spec, _ = on_text
    (tmp_path / "other.txt").write_text("abc " * 2000)

    def key(source, fallback):
        sets = [f"data.source.path={source}", f"data.fallback={{kind: text, path: {fallback}}}"]
        return compile_plan(spec, store=tmp_path / "store", sets=sets).graph.step("data").key

    corpus, other = str(tmp_path / "corpus.txt"), str(tmp_path / "other.txt")
    assert key(corpus, other) != key(other, corpus)


@pytest.mark.slow
def test_history_of_a_run_that_stopped_early_counts_the_work_it_did(spec_file, tmp_path):
    sets = [
        "schedule.early_stopping={patience: 1 evaluations, min_delta: 10.0}",
        "schedule.evaluate.every=2 steps",
        "schedule.duration=400 steps",
    ]
    store = tmp_path / "store"
    outcome = apply(spec_file, store=store, sets=sets)
    assert outcome.runs[0].status == "stopped_early"
    (past,) = [past for past in read_history(store / "history.jsonl") if past.kind == "train"]
    forecast = compile_plan(spec_file, store=store, sets=sets).forecast
    assert past.work < 0.05 * forecast.flops


def test_every_flipped_bit_of_a_result_is_noticed(store):
    path = next(store.glob("results/evaluate-*.json"))
    workspace = Workspace(store)
    whole = path.read_bytes()
    key = json.loads(whole)["result"]["key"]
    assert workspace.result("evaluate", key) is not None
    kept = []
    for position in range(0, len(whole) * 8, max(1, len(whole) * 8 // 1000)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(bytes(damaged))
        result = workspace.result("evaluate", key)
        # White space may change without changing what is said.
        if result is not None and json.loads(bytes(damaged)) != json.loads(whole):
            kept.append(position)
    assert kept == []


def test_a_report_that_was_changed_at_equal_size_is_written_again(spec_file, store):
    report = next(store.glob("runs/*/report/report.md"))
    text = report.read_text()
    report.write_text(text.replace("tiny", "ytin"))
    assert ran(planned(spec_file, store=store)) == ["report"]


def test_a_failed_step_leaves_no_working_folder_behind(spec_file, tmp_path, monkeypatch):
    from specrun.steps.tokens import run as tokens

    def failing(context, spec, inputs):
        (context.folder / "half").write_text("")
        raise DataError("no", code="no")

    monkeypatch.setattr(tokens, "run", failing)
    assert apply(spec_file, store=tmp_path / "store").exit_code == 1
    assert [path.name for path in (tmp_path / "store" / "steps").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_a_rename_counts_also_when_something_is_run(spec_file, store):
    apply(spec_file, store=store, sets=["name=renamed", "report.title=Z"])
    with open_records(store) as records:
        assert [run.name for run in records.runs()] == ["renamed"]


def test_modules_in_the_current_folder_are_not_imported(spec_file, store, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "random.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path / "folder")
    assert apply(spec_file, store=store, sets=["report.title=Z"]).exit_code == 0


@pytest.mark.slow
def test_a_gate_may_name_a_training_metric(spec_file, tmp_path):
    outcome = apply(spec_file, store=tmp_path / "store", sets=["expect=['train/loss < 100', 'throughput/tokens_per_second > 0']"])
    assert outcome.exit_code == 0
    assert outcome.runs[0].metrics["train/loss"] > 0


def test_tags_added_to_a_finished_experiment_are_added_to_its_run(spec_file, store):
    apply(spec_file, store=store, sets=["tags=[baseline]"])
    outcome = apply(spec_file, store=store, sets=["tags=[baseline, second]"])
    assert set(actions(outcome).values()) == {"cached"}
    with open_records(store) as records:
        assert [run.tags for run in records.runs()] == [("baseline", "second")]


def test_a_tag_that_was_taken_away_stays_away(spec_file, store):
    for tags in ("tags=[late]", "tags=[late, early]"):  # one that a label gave, too
        run = apply(spec_file, store=store, sets=[tags]).runs[0]
    change_tags(store, run.run_id, remove=["late"])
    apply(spec_file, store=store, sets=["tags=[late, early]"])
    with open_records(store) as records:
        assert [run.tags for run in records.runs()] == [("early",)]
    change_tags(store, run.run_id, add=["late"])
    with open_records(store) as records:
        assert [run.tags for run in records.runs()] == [("early", "late")]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [[], ["task.sample_tokens=9"]], ids=["cached", "judged again"])
def test_a_damaged_run_is_its_own_error_and_the_other_seeds_go_on(spec_file, store, changed):
    (document,) = store.glob("runs/*/run.json")
    document.write_bytes(document.read_bytes().replace(b'"seed": 0', b'"seed": 7', 1))
    damaged, whole = (outcome := apply(spec_file, store=store, sets=["seeds=[0, 1]", *changed])).runs
    assert outcome.exit_code == 1
    assert (damaged.seed, damaged.error.code, damaged.cached) == (0, "damaged-record", not changed)
    assert f"runs remove {document.parent.name}" in damaged.error.hint
    assert (whole.seed, whole.status, whole.error) == (1, "completed", None)
    assert "its report" not in str(outcome)


def test_an_embedding_smaller_than_the_vocabulary_is_one_clear_error(spec_file, tmp_path):
    outcome = apply(spec_file, store=tmp_path / "store", sets=["model.vocab_size=3"])
    assert outcome.runs[0].error.code == "vocabulary-exceeds-model"


def test_memory_that_does_not_suffice_is_said_so(tmp_path):
    from specrun.engine.ending import as_error

    said = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."
    assert as_error(RuntimeError(said), tmp_path).code == "out-of-memory"
    assert as_error(Exception("No space left on device (os error 28)"), tmp_path).code == "disk-full"
    assert as_error(MemoryError(), tmp_path).code == "out-of-memory"
    assert as_error(RuntimeError("boom"), tmp_path).code == "internal-error"


def test_only_what_a_file_system_refused_in_the_store_is_a_failure_of_it(tmp_path):
    from specrun.engine.ending import as_error

    (tmp_path / "store.json").touch()
    run = tmp_path / "runs" / "r"
    for number, path, code in (
        (errno.EIO, None, "store-failed"),
        (errno.ENOSPC, None, "disk-full"),
        (errno.ENOENT, tmp_path / "steps" / "a.bin", "store-failed"),
        (errno.EACCES, run / "final.json", "store-not-writable"),
        (errno.ENOSPC, "/cache/a", "disk-full"),
        (errno.EACCES, "/data/corpus.txt", "system-error"),
        (errno.ENETUNREACH, None, "system-error"),
        (errno.ENOMEM, None, "out-of-memory"),
    ):
        error = as_error(OSError(number, os.strerror(number), *([] if path is None else [str(path)])), run)
        assert error.code == code, (number, path)
        assert isinstance(error, StoreError) == (code in ("store-failed", "disk-full", "store-not-writable"))
    assert as_error(ConnectionError("the other end has gone"), run).message.endswith(": the other end has gone")


def test_a_new_seed_is_compared_with_no_other_seed(spec_file, store):
    reasons = {d.step.id: d.reason for d in compile_plan(spec_file, store=store, sets=["seeds=[0, 1]"]).decisions}
    assert reasons["train[seed=1]"] == "no earlier result"
