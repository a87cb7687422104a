"""Mean and deviation over the seeds of an experiment."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.records.cautions import cautions
from specrun.records.queries import open_records
from specrun.records.rows import Spread
from specrun.records.seeds import metric_spreads, one_a_seed, spread

FIGURES = st.floats(-1e6, 1e6)


@given(FIGURES)
def test_one_seed_has_a_mean_and_no_deviation(value: float) -> None:
    assert spread([value]) == Spread(value, None, 1)


@given(st.lists(FIGURES, min_size=2, max_size=20), st.randoms())
def test_a_spread_is_of_the_sample_and_the_order_does_not_matter(values: list[float], random: Any) -> None:
    found = spread(values)
    shuffled = [*values]
    random.shuffle(shuffled)
    assert found.n == len(values)
    assert found.mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    assert found.standard_deviation == pytest.approx(statistics.stdev(values), abs=1e-6)
    assert spread(shuffled) == found


def test_what_is_not_finite_is_not_left_out() -> None:
    assert math.isnan(spread([1.0, math.nan]).mean)
    assert spread([1.0, math.inf]) == Spread(math.inf, None, 2)


def test_the_newest_whole_run_of_each_seed_counts(store: Path, new_run: Callable[..., Any]) -> None:
    for run_id, day, seed, status in (
        ("a", 1, 7, "completed"),
        ("b", 2, 7, "stopped_early"),
        ("c", 3, 7, "failed"),
        ("d", 4, 3, "completed"),
    ):
        new_run(run_id, seed=seed, started_at=f"2026-01-0{day}T00:00:00Z", experiment="e").end(
            status, {"test/loss": float(day), run_id: 1.0}
        )
    new_run("other", seed=5, experiment="f").end(metrics={"test/loss": 0.0})
    with open_records(store) as records:
        runs = records.experiment(records.run("a"))
        assert [run.run_id for run in runs] == ["d", "b"]
        assert metric_spreads(runs) == {"test/loss": Spread(3.0, pytest.approx(math.sqrt(2)), 2)}
        assert records.over_seeds("test/loss", "minimize", ["e", "f"]) == {
            "e": Spread(3.0, pytest.approx(math.sqrt(2)), 2), "f": Spread(0.0, None, 1),
        }  # fmt: skip
    assert one_a_seed([]) == []
    assert metric_spreads([]) == {}


def test_runs_recorded_before_there_were_experiments_go_by_their_spec(store: Path, new_run: Callable[..., Any]) -> None:
    new_run("a", seed=1, spec_digest="s").end()
    new_run("b", seed=2, spec_digest="s").end()
    with open_records(store) as records:
        assert [run.run_id for run in records.experiment(records.run("a"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("metric", "codes"),
    [
        ("validation/perplexity", ["different-tasks", "different-data", "different-tokenizers"]),
        ("test/bits_per_byte", ["different-tasks", "different-data"]),
        ("validation/word_perplexity", ["different-tasks", "different-data"]),
        ("throughput/tokens_per_second", []),
    ],
)
def test_what_counts_by_token_is_not_compared_across_tokenizers(metric: str, codes: list[str]) -> None:
    one = [("a", "task", "causal_lm"), ("a", "data", "d1"), ("a", "tokenizer", "t1")]
    other = [("b", "task", "forecasting"), ("b", "data", "d2"), ("b", "tokenizer", "t2")]
    assert [caution.code for caution in cautions(metric, [*one, *other])] == codes
    assert cautions(metric, one) == []
    assert cautions(metric, [*one, *(("b", kind, value) for _, kind, value in one)]) == []
