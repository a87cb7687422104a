"""The first lines of a report tell the truth about how a run ended and what it is worth."""

from __future__ import annotations

import math
from typing import Any

import pytest

from specrun.records.rows import AlertRow, AttemptRow
from specrun.report import verdict
from specrun.report.facts import Facts, read
from tests.report.report_fakes import RUN_ID, FakeRecords, ended

Good = tuple[FakeRecords, dict[str, dict[str, Any]]]


def facts_of(good: Good) -> Facts:
    return read(good[0], RUN_ID, results=good[1])


def test_the_headline_names_ending_figure_worth_and_gates(good: Good) -> None:
    assert verdict.headline(facts_of(good)) == (
        "completed in 10m52s",
        "validation loss 4.038 (best at step 900)",
        "test loss 2.52 nats per token below the unigram baseline",
        "every gate holds",
    )


def test_a_model_worse_than_the_baseline_is_said_to_be_above_it(good: Good) -> None:
    records, results = good
    results["evaluate"]["baselines"]["test"][0]["metrics"]["loss"] = 3.0
    assert "test loss 1.01 nats per token above the unigram baseline" in verdict.headline(facts_of((records, results)))


def test_a_failed_gate_turns_a_completed_run_bad(good: Good) -> None:
    records, results = good
    gates = [
        {"expression": "test/perplexity < 20", "passed": False, "value": 55.1},
        {"expression": "test/loss < 5", "passed": True, "value": 4.0},
    ]
    facts = facts_of((ended(records, gates=gates), results))
    assert verdict.status(facts) == ("1 gate failed", "bad")
    assert verdict.headline(facts)[-1] == "1 gate of 2 failed"
    assert [(gate.passed, gate.value) for gate in verdict.gates(facts)] == [(False, "55.10"), (True, "4.000")]


def test_a_gate_on_a_metric_that_was_not_recorded_says_so(good: Good) -> None:
    records, results = good
    facts = facts_of((ended(records, gates=[{"expression": "x < 1", "passed": False, "value": None}]), results))
    assert verdict.gates(facts)[0].value == "not recorded"


@pytest.mark.parametrize(
    ("status", "words", "tone"),
    [
        ("completed", "completed", "good"),
        ("stopped_early", "stopped early", "good"),
        ("interrupted", "interrupted", "warning"),
        ("failed", "failed", "bad"),
        ("crashed", "crashed", "bad"),
        ("running", "running", "neutral"),
        ("new_word", "new word", "neutral"),
    ],
)
def test_every_status_has_words_and_a_tone(good: Good, status: str, words: str, tone: str) -> None:
    records, results = good
    assert verdict.status(facts_of((ended(records, status=status, gates=[]), results))) == (words, tone)


def test_a_failed_run_says_why_before_anything_else(good: Good) -> None:
    records, results = good
    records.notes = [AlertRow("", "warning", "slow", "The disk is slow.", 10)]
    facts = facts_of((ended(records, status="failed", reason="non-finite-loss: the loss became NaN at step 40"), results))
    first, second = verdict.notices(facts)
    assert (first.level, first.code, first.message) == ("error", "run-failed", "non-finite-loss: the loss became NaN at step 40")
    assert (second.code, second.where) == ("slow", "step 10")


@pytest.mark.parametrize("status", ["stopped_early", "completed"])
def test_a_run_that_ended_before_its_last_step_says_why(good: Good, status: str) -> None:
    records, results = good
    assert not verdict.notices(facts_of(good))
    (notice,) = verdict.notices(facts_of((ended(records, status=status, reason="time limit of 9h reached after step 40"), results)))
    assert (notice.level, notice.code) == ("info", f"run-{status.replace('_', '-')}")
    assert notice.message == "time limit of 9h reached after step 40"


def test_attempts_that_did_not_reach_the_end_are_told_before_the_figures(good: Good) -> None:
    records, results = good
    statuses = ("crashed", "interrupted", "crashed", "completed")
    records.tries = [AttemptRow(number, status, "", "2026-11-20T10:08:52Z", 1.0, None) for number, status in enumerate(statuses, 1)]
    (notice,) = verdict.notices(facts_of((records, results)))
    assert (notice.level, notice.code) == ("info", "earlier-attempts")
    assert notice.message == "Of 4 attempts: 2 crashed, 1 interrupted. What ran tells of each."
    records.tries = records.tries[-1:] * 2
    assert not verdict.notices(facts_of((records, results)))


def test_a_failed_run_tells_the_remedy_that_the_command_told(good: Good) -> None:
    records, results = good
    failed = ended(records, status="failed", reason="out-of-memory: the memory did not suffice", hint="lower schedule.micro_batch_size")
    first = verdict.notices(facts_of((failed, results)))[0]
    assert first.message == "out-of-memory: the memory did not suffice; lower schedule.micro_batch_size"


def test_a_crashed_run_without_an_ending_still_has_a_report(good: Good) -> None:
    records, _ = good
    crashed = ended(records, status="crashed")
    crashed.ending = None
    facts = read(crashed, RUN_ID)
    assert verdict.status(facts) == ("crashed", "bad")
    assert verdict.headline(facts)[0] == "crashed after 10m52s"
    assert verdict.notices(facts)[0].code == "run-crashed"


def test_a_fallback_source_makes_the_run_not_comparable_in_plain_words(good: Good) -> None:
    records, results = good
    records.run_document["data"]["fallback_used"] = True
    (notice,) = verdict.notices(facts_of((records, results)))
    assert notice.code == "not-comparable"
    assert "fallback source" in notice.message


def test_a_smoke_run_says_that_its_figures_mean_nothing(good: Good) -> None:
    records, results = good
    records.run_document["smoke"] = True
    assert verdict.notices(facts_of((records, results)))[0].code == "smoke-run"


def test_the_same_warning_is_shown_once(good: Good) -> None:
    records, results = good
    records.notes = [AlertRow(time, "warning", "duplicate-across-splits", "12 documents", None) for time in ("a", "b")]
    assert len(verdict.notices(facts_of((records, results)))) == 1


def test_a_figure_that_does_not_follow_from_its_sums_is_a_warning(good: Good) -> None:
    records, results = good
    results["evaluate"]["metrics"]["test/perplexity"] = 12.0
    (notice,) = verdict.notices(facts_of((records, results)))
    assert notice.code == "figures-disagree"
    assert notice.message == "test/perplexity is recorded as 12.00, but its sums give 55.06"


def test_a_figure_that_was_not_recorded_has_no_tile(good: Good) -> None:
    records, results = good
    labels = [tile.label for tile in verdict.tiles(facts_of((records, results)))]
    assert len(labels) == 10
    assert "peak memory" in labels
    del results["train"]["peak_memory_bytes"]
    assert "peak memory" not in [tile.label for tile in verdict.tiles(facts_of((records, results)))]


def test_the_memory_of_several_processes_is_told_as_that_of_all(good: Good) -> None:
    records, results = good

    def told() -> str:
        return {tile.label: tile.note for tile in verdict.tiles(facts_of((records, results)))}["peak memory"]

    assert told() == "of the training process"
    results["train"]["peak_memory_processes"] = 2
    assert told() == "of 2 training processes together"


def test_a_loss_that_is_not_finite_is_named_and_not_compared(good: Good) -> None:
    records, results = good
    for metrics in (results["evaluate"]["metrics"], records.ending["metrics"] if records.ending else {}):
        metrics["validation/loss"] = metrics["test/loss"] = math.nan
    parts = verdict.headline(facts_of((records, results)))
    assert parts[1] == "validation loss not a number (best at step 900)"
    assert not any("baseline" in part for part in parts)
