"""What ends an apply before a run's first step is recorded as that run's, and is made good by the next apply."""

from __future__ import annotations

import json

import pytest

from specrun.engine.api import apply
from specrun.errors import DataError, SpecrunError, StorageFailure
from specrun.events import Alert
from specrun.records.queries import open_records
from specrun.records.run_files import read_final, read_run
from specrun.runtime.signals import StopNow

SHARED = ("data", "tokenizer", "tokens")


def failing(error):
    def run(context, spec, inputs):
        raise error

    return run


def listed(store):
    with open_records(store) as records:
        return records.runs()


@pytest.mark.parametrize("kind", SHARED)
def test_a_failure_of_a_shared_step_is_recorded_for_every_seed(kind, spec_file, tmp_path, monkeypatch):
    store = tmp_path / "store"
    monkeypatch.setattr(f"specrun.steps.{kind}.run.run", failing(DataError("no text", code="no-text", hint="give some")))
    outcome = apply(spec_file, store=store, sets=["seeds=[0, 1]"])
    assert outcome.exit_code == 1
    assert [(run.seed, run.status, run.error.code) for run in outcome.runs] == [(0, "failed", "no-text"), (1, "failed", "no-text")]
    assert {run.run_id: (run.status, run.reason) for run in listed(store)} == {
        run.run_id: ("failed", "no-text: no text") for run in outcome.runs
    }
    for run in outcome.runs:
        with open_records(store) as records:
            done = [step for step in records.steps(run.run_id) if step.actual]
        assert [(step.id, step.action) for step in done] == [(one, "run") for one in SHARED[: SHARED.index(kind)]]
        assert read_final(run.folder)["hint"] == "give some"
    document = outcome.as_document()
    assert [(run["error"]["code"], run["reason"]) for run in document["runs"]] == [("no-text", "no-text: no text")] * 2
    assert json.loads(json.dumps(document)) == document
    with open_records(store) as records:
        recorded = {step.id: step.actual for step in records.steps(outcome.runs[0].run_id)}
    assert all(recorded[done] for done in SHARED[: SHARED.index(kind)])
    assert not recorded[kind]


@pytest.mark.slow
def test_the_next_apply_goes_on_in_the_recorded_run_and_describes_it_whole(spec_file, tmp_path, applied_store, monkeypatch):
    store = tmp_path / "store"
    with monkeypatch.context() as patched:
        patched.setattr("specrun.steps.tokens.run.run", failing(DataError("no", code="no")))
        first = apply(spec_file, store=store).runs[0]
    second = apply(spec_file, store=store).runs[0]
    assert (second.run_id, second.status) == (first.run_id, "completed")
    (run,) = listed(store)
    assert (run.status, run.attempts) == ("completed", 2)
    (straight,) = listed(applied_store)
    assert run.experiment == straight.experiment
    document = read_run(second.folder)
    assert document["data_ready"]
    assert document["data"]["splits"] == read_run(applied_store / "runs" / straight.run_id)["data"]["splits"]
    with open_records(store) as records:
        assert all(step.actual for step in records.steps(run.run_id))


def test_an_interrupt_of_a_shared_step_is_recorded_and_has_its_exit_code(spec_file, tmp_path, monkeypatch):
    monkeypatch.setattr("specrun.steps.data.run.run", failing(StopNow(15)))
    outcome = apply(spec_file, store=tmp_path / "store")
    assert outcome.exit_code == 143
    assert [run.status for run in listed(tmp_path / "store")] == ["interrupted"]


@pytest.mark.parametrize(("failure", "raised", "code"), [
    (DataError("no", code="no"), DataError, "no"),
    (RuntimeError("of a library"), SpecrunError, "internal-error"),
    (OSError(28, "No space left on device"), StorageFailure, "disk-full"),
])  # fmt: skip
def test_a_failure_is_raised_in_our_words_where_no_run_would_be_trained(spec_file, store, monkeypatch, failure, raised, code):
    for result in (store / "results").glob("data-*"):
        result.unlink()
    for result in (store / "results").glob("tokens-*"):
        result.unlink()
    monkeypatch.setattr("specrun.steps.data.run.run", failing(failure))
    with pytest.raises(raised) as caught:
        apply(spec_file, store=store, sets=["task.sample_tokens=9"])
    assert caught.value.code == code
    assert [run.status for run in listed(store)] == ["completed"]


@pytest.mark.parametrize(("prompt", "code", "named"), [("a\u00e9", "unknown-character", "'\u00e9' (U+00E9)"), ("", "empty-prompt", "''")])
def test_a_prompt_that_cannot_be_encoded_fails_before_training_and_names_its_key(spec_file, tmp_path, prompt, code, named):
    sets = ["data.tokenizer.end_of_text=false", f"task.prompt={json.dumps(prompt)}"]
    (run,) = apply(spec_file, store=tmp_path / "store", sets=sets).runs
    assert (run.status, run.error.code) == ("failed", code)
    assert "task.prompt" in run.error.message
    assert named in run.error.message
    assert "task.prompt" in run.error.hint
    assert not (run.folder / "checkpoints").exists()


def test_a_bad_prompt_leaves_a_finished_run_as_it_is(spec_file, store):
    with pytest.raises(DataError, match=r"task\.prompt"):
        apply(spec_file, store=store, sets=["task.prompt=a\u00e9"])
    (run,) = listed(store)
    assert (run.status, run.attempts) == ("completed", 1)


def test_an_empty_prompt_begins_from_the_end_of_text_where_there_is_one(spec_file, store):
    assert apply(spec_file, store=store, sets=["task.prompt=''"]).exit_code == 0


@pytest.fixture
def sizes_unknown(monkeypatch):
    """A source that says nothing of itself before it is read: with epochs, nothing of the training is known then."""
    monkeypatch.delattr("specrun.sources.synthetic.options.Options.extents")


EPOCHS = ["schedule.duration=1 epochs", "schedule.learning_rate.warmup=1 steps", "schedule.evaluate.every=1 epochs"]


@pytest.mark.usefixtures("sizes_unknown")
def test_a_model_beyond_the_memory_is_refused_once_the_data_has_told_its_size_and_before_it_is_trained(spec_file, tmp_path):
    (run,) = apply(spec_file, store=tmp_path / "store", sets=[*EPOCHS, "hardware.memory=20 kB"]).runs
    assert (run.status, run.error.code) == ("failed", "model-exceeds-memory")
    assert run.error.hint.startswith("set hardware.memory: ")
    assert not (run.folder / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("sizes_unknown")
def test_a_training_that_may_not_fit_is_warned_of_once_the_data_has_told_its_size(spec_file, tmp_path):
    shown = []
    sets = [*EPOCHS, "hardware.memory=340300 kB", "schedule.micro_batch_size=4"]
    (run,) = apply(spec_file, store=tmp_path / "store", sets=sets, show=shown.append).runs
    assert run.status == "completed"
    (alert,) = [event for event in shown if isinstance(event, Alert) and event.code == "memory-exceeds-device"]
    assert alert.message.endswith("is Python and torch; set hardware.memory: 330 MiB")
    with open_records(tmp_path / "store") as records:
        assert [alert.code for alert in records.alerts(run.run_id)].count("memory-exceeds-device") == 1
