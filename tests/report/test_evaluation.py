"""Token perplexity, word perplexity and bits per byte stand together and follow from one another."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.report.evaluation import Sums, disagreements, evaluation, sums_of
from specrun.report.facts import Facts, read
from specrun.report.measures import gain, level
from tests.report.report_fakes import RUN_ID, FakeRecords

Good = tuple[FakeRecords, dict[str, dict[str, Any]]]


@given(
    st.floats(min_value=0.1, max_value=12), st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=10**9),
    st.integers(min_value=1, max_value=10**9),
)  # fmt: skip
def test_all_figures_tell_of_the_same_negative_log_likelihood(loss: float, tokens: int, text_bytes: int, words: int) -> None:
    sums = Sums(nll=loss * tokens, tokens=tokens, bytes=text_bytes, words=words)
    figures = sums.figures()
    assert math.log(figures["perplexity"]) * tokens == pytest.approx(sums.nll)
    assert figures["bits_per_byte"] * math.log(2) * text_bytes == pytest.approx(sums.nll)
    if math.isfinite(figures["word_perplexity"]):
        assert math.log(figures["word_perplexity"]) * words == pytest.approx(sums.nll)


def test_text_without_words_or_bytes_has_no_figure_for_them() -> None:
    assert set(Sums(nll=4.0, tokens=2, bytes=0, words=0).figures()) == {"loss", "perplexity"}


def test_each_split_stands_beside_its_baseline(good: Good) -> None:
    found = evaluation(read(good[0], RUN_ID, results=good[1]))
    assert found is not None
    names = [(row.cells[0], row.quiet) for row in found.metrics.rows]
    assert names == [("validation", False), ("validation, unigram baseline", True), ("test", False), ("test, unigram baseline", True)]
    assert found.metrics.rows[2].cells[1:] == ("4.008", "55.06", "222.6", "1.496", "34.2 %")
    assert found.metrics.rows[3].cells[1:] == ("6.530", "685.4", "6,674", "2.438", "5.00 %")


def test_the_formulas_use_the_sums_of_the_table(good: Good) -> None:
    found = evaluation(read(good[0], RUN_ID, results=good[1]))
    assert found is not None
    assert found.sums is not None
    assert found.sums.rows[0].cells == ("validation", "1,163,057", "288,000", "213,000", "1,120,000")
    assert found.formulas[0] == "validation: perplexity per token = exp(1,163,057 / 288,000 tokens) = 56.74"
    assert len(found.formulas) == 3


def test_where_the_task_gave_no_perplexity_a_word_baselines_and_formulas_have_none(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = read(good[0], RUN_ID, results=good[1])
    given = {name: value for name, value in facts.metrics.items() if not name.endswith("/word_perplexity")}
    for split in ("validation", "test"):
        del good[1]["evaluate"]["baselines"][split][0]["metrics"]["word_perplexity"]
    monkeypatch.setattr(Facts, "metrics", given)
    found = evaluation(facts)
    assert found is not None
    assert "word perplexity, per word" not in [column.label for column in found.metrics.columns]
    assert [formula.split(" =")[0] for formula in found.formulas] == ["validation: perplexity per token", "validation: bits per byte"]


def test_without_sums_there_are_figures_but_no_formulas(good: Good) -> None:
    records, results = good
    del results["evaluate"]["sums"]
    found = evaluation(read(records, RUN_ID, results=results))
    assert found is not None
    assert found.sums is None
    assert found.formulas == ()
    assert found.metrics.rows[1].cells[1:3] == ("6.550", "699.2")


def test_a_run_that_was_never_evaluated_has_no_such_section(good: Good) -> None:
    records, _ = good
    records.curves, records.ending = {}, None
    records.row.metrics.clear()  # type: ignore[attr-defined]
    assert evaluation(read(records, RUN_ID)) is None


def test_figures_of_a_run_that_was_cut_short_are_those_of_its_best_step(good: Good) -> None:
    records, _ = good
    records.ending = {"status": "interrupted"}
    facts = read(records, RUN_ID)
    last = records.curves["validation/loss"][-1].value
    assert facts.best_step == 900
    assert facts.metrics["validation/loss"] == min(point.value for point in records.curves["validation/loss"]) < last
    found = evaluation(facts)
    assert found is not None
    assert found.sentence == "The run did not come to its evaluation; the figures are those of training's own at step 900, the best so far."


def test_no_step_is_called_the_best_where_nothing_says_which_way_is_better(good: Good) -> None:
    records, _ = good
    records.ending = {"status": "interrupted"}
    records.row = replace(records.row, task="no_such_task")
    assert read(records, RUN_ID).best_step is None


def test_what_the_ending_keeps_of_an_evaluation_is_enough(good: Good) -> None:
    records, results = good
    kept = {name: results["evaluate"][name] for name in ("sums", "baselines")}
    assert records.ending is not None
    records.ending["evaluation"] = kept
    assert evaluation(read(records, RUN_ID)) == evaluation(read(records, RUN_ID, results={"evaluate": results["evaluate"]}))


def test_rounding_is_no_disagreement_but_another_figure_is(good: Good) -> None:
    records, results = good
    metrics = results["evaluate"]["metrics"]
    metrics["test/loss"] *= 1.0005
    assert disagreements(read(records, RUN_ID, results=results)) == ()
    metrics["test/loss"] *= 1.01
    assert len(disagreements(read(records, RUN_ID, results=results))) == 1


@pytest.mark.parametrize("broken", [None, "text", {}, {"nll": 1.0}, {"nll": 1.0, "tokens": 0, "bytes": 1, "words": 1}])
def test_damaged_sums_count_as_none(good: Good, broken: Any) -> None:
    records, results = good
    results["evaluate"]["sums"] = {"validation": broken}
    assert sums_of(read(records, RUN_ID, results=results), "validation") is None


def test_a_baseline_that_is_no_number_is_left_out(good: Good) -> None:
    records, results = good
    results["evaluate"]["baselines"]["validation"][0]["metrics"] = {"loss": math.nan}
    facts = read(records, RUN_ID, results=results)
    assert level(facts, "validation", "loss") is None
    assert gain(facts, "validation") is None


def test_the_best_baseline_is_the_one_to_beat(good: Good) -> None:
    records, results = good
    results["evaluate"]["baselines"]["test"].append({"name": "bigram", "label": "bigram", "metrics": {"loss": 5.0, "accuracy": 0.1}})
    facts = read(records, RUN_ID, results=results)
    assert level(facts, "test", "loss") == ("bigram baseline", 5.0)
    assert level(facts, "test", "accuracy") == ("bigram baseline", 0.1)
    found = gain(facts, "test")
    assert found is not None
    assert found.amount == pytest.approx(5.0 - facts.metrics["test/loss"])


def test_a_metric_that_is_to_be_large_lies_above_what_it_beats(good: Good) -> None:
    records, results = good
    results["evaluate"]["baselines"]["test"] = [{"name": "majority", "label": "majority class", "metrics": {"accuracy": 0.3}}]
    found = gain(read(records, RUN_ID, results=results), "test")
    assert found is not None
    assert found.text == "4.2 points above the majority class baseline"
