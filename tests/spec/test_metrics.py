"""Which way a metric is better: one answer for the choice of a checkpoint, a ranking and a report."""

from __future__ import annotations

from typing import get_args

import pytest

from specrun.spec.metrics import EVERY_TASK, OF_TOKENS, Goal, final_metrics, goal_of
from specrun.spec.parts import kinds, options_class
from tests.spec.specs import load


def test_more_is_better_of_accuracy_and_throughput_alone() -> None:
    names = final_metrics(load().spec)
    higher = {name for name in names if goal_of(name, "causal_lm") == "maximize"}
    assert higher == {"validation/accuracy", "throughput/tokens_per_second", "throughput/samples_per_second"}
    assert goal_of("test/accuracy", "causal_lm") == "maximize"
    assert goal_of("test/word_perplexity", "causal_lm") == "minimize"


@pytest.mark.parametrize("kind", kinds("task"))
def test_every_task_declares_which_way_its_metrics_are_better(kind: str) -> None:
    declared = options_class("task", kind).metrics  # type: ignore[attr-defined]
    assert declared["loss"] == "minimize"
    assert set(declared.values()) <= {*get_args(Goal), None}


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        ("validation/f1", "causal_lm"),
        ("validation/loss", "no_such_task"),
        ("loss", "causal_lm"),
        ("system/memory_bytes", "causal_lm"),
        ("train/learning_rate", "causal_lm"),
    ],
)
def test_no_way_is_made_up_for_a_metric_that_nothing_declares(metric: str, task: str) -> None:
    assert goal_of(metric, task) is None


def test_what_every_task_records_is_better_the_same_way_in_each() -> None:
    for metric, goal in {**EVERY_TASK, **OF_TOKENS}.items():
        assert goal_of(metric, "causal_lm") == goal_of(metric, "no_such_task") == goal
