"""Which way a metric is better: one answer for the choice of a checkpoint, a ranking and a report."""

from __future__ import annotations

import pytest

from specrun.spec.metrics import EVERY_TASK, final_metrics, lower_is_better
from tests.spec.specs import load


def test_less_is_better_of_all_but_what_is_named() -> None:
    names = {*final_metrics(load().spec), *EVERY_TASK}
    higher = {"validation/accuracy", "test/accuracy", "throughput/tokens_per_second", "throughput/samples_per_second"}
    assert {name for name in names if not lower_is_better(name)} == names & higher
    assert "validation/accuracy" in names


@pytest.mark.parametrize("metric", ["word_perplexity", "validation/word_perplexity", "validation/mse", "system/memory_bytes"])
def test_a_metric_that_no_list_names_is_better_lower(metric: str) -> None:
    assert lower_is_better(metric)
