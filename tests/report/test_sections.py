"""The lower sections show what was recorded, and cope with records that lack something."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.records.rows import ArtifactRow, AttemptRow, ExampleRow, StepRow
from specrun.report import sections
from specrun.report.facts import Facts, read, when
from specrun.report.run_view import run_view
from tests.report.report_fakes import RUN_ID, FakeRecords, a_run

Good = tuple[FakeRecords, dict[str, dict[str, Any]]]


def facts_of(good: Good) -> Facts:
    return read(good[0], RUN_ID, results=good[1])


def test_what_ran_fits_in_a_line_each(good: Good) -> None:
    found = {fact.label: fact.value for fact in sections.what_ran(facts_of(good))}
    assert found["model"] == "gpt, gpt2 · 8 layers · width 256 · 8 heads"
    assert found["data"] == "huggingface · Salesforce/wikitext · wikitext-2-raw-v1"
    assert found["tokenizer"] == "bpe · 8,192 tokens"
    assert found["training"] == "1200 steps · batches of 64 · adamw at 0.001 · warmup_cosine"
    assert sections.attempts_table(facts_of(good)) is None


def test_every_attempt_says_what_it_went_on_from_and_how_it_ended(good: Good) -> None:
    records, results = good
    records.tries = [
        AttemptRow(1, "crashed", "its process ended without saying so", "2026-11-20T10:08:52Z", 300.0, None),
        AttemptRow(2, "stopped_early", "no improvement", "2026-11-20T11:00:00Z", 352.4, 1200),
    ]
    table = sections.attempts_table(facts_of((records, results)))
    assert table is not None
    assert [row.cells for row in table.rows] == [
        ("1", "20 Nov 2026, 10:08 UTC", "the start", "5m00s", "crashed: its process ended without saying so"),
        ("2", "20 Nov 2026, 11:00 UTC", "step 1,200", "5m52s", "stopped early: no improvement"),
    ]


def test_one_layer_is_no_layers(good: Good) -> None:
    records, results = good
    model = {**records.run_document["spec"]["model"], "num_layers": 1, "num_heads": 1}
    records.run_document["spec"] = {**records.run_document["spec"], "model": model}
    found = {fact.label: fact.value for fact in sections.what_ran(facts_of((records, results)))}
    assert found["model"] == "gpt, gpt2 · 1 layer · width 256 · 1 head"


def test_the_splits_carry_documents_words_bytes_and_tokens(good: Good) -> None:
    table = sections.splits_table(facts_of(good))
    assert table is not None
    assert table.rows[0].cells == ("train", "1", "2,051,904", "10.4 MiB", "2,713,000", "4.02")
    assert [row.cells[0] for row in table.rows] == ["train", "validation", "test"]


def test_duplicates_across_splits_are_named(good: Good) -> None:
    records, results = good
    records.run_document["data"]["leakage"] = {"train/validation": 3, "train/test": 0}
    found = {fact.label: fact.value for fact in sections.data_facts(facts_of((records, results)))}
    assert found["exact duplicates across splits"] == "3 in train and validation"


def test_what_a_source_says_is_told_in_words_and_nothing_of_what_is_empty(good: Good) -> None:
    records, results = good
    source = {"rows": {"train": 3760, "test": 2199}, "commits": [], "files": ["a.txt", "b.txt"], "config": None, "joined": True}
    source |= {"parts": {"whole": ["a.txt", "b.txt"], "none": [], "of": {"by": "name"}}}
    records.run_document["data"]["source"] = source
    facts = facts_of((records, {name: result for name, result in results.items() if name != "data"}))
    found = [(fact.label, fact.value) for fact in sections.data_facts(facts)][:4]
    assert found == [
        ("rows", "train 3,760, test 2,199"),
        ("files", "a.txt, b.txt"),
        ("joined", "yes"),
        ("parts", "whole a.txt, b.txt, of by name"),
    ]


def test_few_of_many_samples_are_shown_and_the_rest_is_counted(good: Good) -> None:
    records, results = good
    records.texts = [ExampleRow(step, "sample", {"prompt": "A", "text": f"A text {step}"}) for step in range(1, 41)]
    shown, note = sections.samples(facts_of((records, results)))
    assert len(shown) == sections.SHOWN_SAMPLES
    assert (shown[0].step, shown[-1].step) == ("step 1", "step 40")
    assert note == "8 of 40 samples through training, evenly chosen."


def finals(*texts: str, step: int = 900) -> list[ExampleRow]:
    return [ExampleRow(step, "final" if i == 0 else f"final-{i + 1}", {"prompt": "A", "text": f"A {t}"}) for i, t in enumerate(texts)]


def best_of(good: Good, *, step: int = 900, count: int = 2) -> Good:
    """The run with another best step and another number of samples asked for."""
    records, results = good
    results["train"]["best_step"] = records.ending["best_step"] = step
    records.run_document["spec"] = {**records.run_document["spec"], "schedule": {"evaluate": {"samples": count}}}
    return records, results


def test_the_samples_of_the_best_checkpoint_come_first(good: Good) -> None:
    records, results = best_of(good)
    records.texts = [ExampleRow(100, "sample", {"prompt": "A", "text": "A early"}), *finals("best", "second")]
    records.texts.append(ExampleRow(1000, "sample", {"prompt": "A", "text": "A late"}))
    shown, note = sections.samples(facts_of((records, results)))
    assert [(sample.step, sample.text) for sample in shown] == [
        ("best checkpoint, step 900", " best"),
        ("best checkpoint, step 900", " second"),
        ("step 100", " early"),
        ("step 1,000", " late"),
    ]
    assert shown[0].figure.startswith("validation loss ")
    assert note == ""


def test_only_the_newest_samples_of_the_best_checkpoint_are_shown(good: Good) -> None:
    records, results = best_of(good)
    records.texts = [*finals("old", "old 2"), *finals("new", "new 2"), *finals("of another checkpoint", step=1200)]
    assert [sample.text for sample in sections.samples(facts_of((records, results)))[0]] == [" new", " new 2"]


@pytest.mark.parametrize(("count", "texts"), [(0, []), (1, [" new"])])
def test_samples_that_are_no_longer_asked_for_are_not_shown(good: Good, count: int, texts: list[str]) -> None:
    records, results = best_of(good, count=count)
    records.texts = finals("new", "old 2")
    assert [sample.text for sample in sections.samples(facts_of((records, results)))[0]] == texts


def test_a_sample_that_training_wrote_too_is_shown_once(good: Good) -> None:
    records, results = best_of(good)
    records.texts = [ExampleRow(900, "sample", {"prompt": "A", "text": "A best"}), *finals("best")]
    assert [sample.step for sample in sections.samples(facts_of((records, results)))[0]] == ["best checkpoint, step 900"]


def test_samples_of_the_best_checkpoint_take_no_place_from_those_of_training(good: Good) -> None:
    records, results = best_of(good)
    records.texts = [*(ExampleRow(step, "sample", {"prompt": "", "text": f"{step}"}) for step in range(1, 41)), *finals("a", "b")]
    shown, note = sections.samples(facts_of((records, results)))
    assert len(shown) == sections.SHOWN_SAMPLES + 2
    assert note == "8 of 40 samples through training, evenly chosen."


def test_the_best_checkpoints_sample_has_the_loss_of_the_whole_split(good: Good) -> None:
    records, results = best_of(good)
    records.texts = [ExampleRow(900, "sample", {"prompt": "A", "text": "A then"}), *finals("best")]
    results["evaluate"]["metrics"]["validation/loss"] = 3.9
    shown = sections.samples(facts_of((records, results)))[0]
    assert [sample.figure for sample in shown] == ["validation loss 3.900", "validation loss 4.038"]


def test_a_prompt_is_told_from_what_the_model_wrote(good: Good) -> None:
    records, results = good
    records.texts = [ExampleRow(1, "sample", {"prompt": "The city", "text": text}) for text in ("The city was", " was")]
    first, second = sections.samples(facts_of((records, results)))[0]
    assert (first.prompt, first.text) == (second.prompt, second.text) == ("The city", " was")


def test_a_long_sample_is_cut_and_says_by_how_much(good: Good) -> None:
    records, results = good
    records.texts = [ExampleRow(1, "sample", {"prompt": "", "text": "x" * 1300}), ExampleRow(1, "table", {"text": "not a sample"})]
    ((sample,), note) = sections.samples(facts_of((records, results)))
    assert len(sample.text) == 1200
    assert sample.cut == "100 more characters"
    assert note == ""


def test_a_plan_row_compares_prediction_and_outcome(good: Good) -> None:
    rows, note = sections.plan_rows(facts_of(good))
    train = next(row for row in rows if row.id == "train")
    assert (train.predicted_time, train.actual_time, train.ratio) == ("11m00s", "10m28s", "0.95×")
    assert (train.predicted_bar, train.actual_bar) == ("100.00", "95.15")
    assert note == "Steps with a prediction took 10m46s; 11m16s were predicted (0.96×)."


def test_a_step_that_was_not_run_took_nothing(good: Good) -> None:
    records, results = good
    records.plan = [StepRow("data", "data", "a", "cached", "", {"seconds": 0.0}, {"seconds": 99.0})]
    rows, note = sections.plan_rows(facts_of((records, results)))
    assert (rows[0].predicted_time, rows[0].actual_time, rows[0].actual_bar, note) == ("–", "–", "", "")


def test_the_report_tells_neither_its_own_time_nor_its_own_digest(good: Good) -> None:
    records, results = good
    before = run_view(records, RUN_ID, results=results)
    records.plan[-1] = StepRow("report", "report", "5dd0ce1230", "run", "its input changes", {"seconds": 3.0}, {"seconds": 2.2})
    records.files.append(ArtifactRow("report-html", "runs/x/report/report.html", "0" * 64, 100, "report"))
    assert run_view(records, RUN_ID, results=results) == before


def test_the_machine_is_shown_with_its_reasons(good: Good) -> None:
    found, reasons = sections.hardware_facts(facts_of(good))
    assert {fact.label: fact.value for fact in found}["device"] == "cpu"
    assert reasons[1] == "float32: no bf16 instructions here"


def test_every_value_of_the_spec_says_where_it_came_from(good: Good) -> None:
    rows = {row.path: row for row in sections.spec_rows(facts_of(good))}
    assert rows["schedule.evaluate.every"].origin == "preset balanced"
    assert rows["data.source.path"].origin == "specs/gpt_wikitext.yaml:10"
    assert rows["schedule.gradient_clip"].is_default
    assert rows["schedule.gradient_clip"].origin == "default"
    assert rows["schedule.early_stopping"].value == "absent"
    assert rows["schedule.optimizer.betas"].value == "[0.9, 0.999]"


def test_uncommitted_changes_are_said_beside_the_commit(good: Good) -> None:
    found, command, packages = sections.environment(facts_of(good))
    commit = next(fact for fact in found if fact.label == "git commit")
    assert (commit.value, commit.note) == ("3f2a9c41d0be", "with uncommitted changes")
    assert command.startswith("specrun apply specs/gpt_wikitext.yaml")
    assert packages is not None
    assert [row.cells[0] for row in packages.rows] == ["datasets", "duckdb", "tokenizers", "torch"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-20T10:08:52Z", "20 Nov 2026, 10:08 UTC"),
        ("2026-11-20T12:08:52+02:00", "20 Nov 2026, 10:08 UTC"),
        (None, ""),
        ("soon", "soon"),
        ("2026-11-20T10:08:52", "20 Nov 2026, 10:08 UTC"),
    ],
)
def test_times_are_shown_in_utc(text: str | None, shown: str) -> None:
    assert when(text) == shown


SECTIONS = ("spec", "provenance", "data", "hardware", "git", "packages", "command", "python", "spec_digest", "task", "name")
anything = st.none() | st.text(max_size=5) | st.integers() | st.lists(st.integers(), max_size=2) | st.just({}) | st.booleans()


@given(st.dictionaries(st.sampled_from(SECTIONS), anything, max_size=11))
def test_a_run_document_that_lacks_or_garbles_sections_still_gives_a_view(garbled: dict[str, Any]) -> None:
    records, results = a_run()
    records.run_document = garbled
    view = run_view(records, RUN_ID, results=results)
    assert view.run_id == RUN_ID
    assert len(view.panels) == 6


def test_an_empty_record_gives_a_view() -> None:
    records, _ = a_run()
    records.run_document, records.ending, records.curves = {}, None, {}
    records.plan, records.notes, records.texts, records.files = [], [], [], []
    view = run_view(records, RUN_ID)
    assert view.title == "gpt-wikitext"
    assert all(panel.empty for panel in view.panels)
