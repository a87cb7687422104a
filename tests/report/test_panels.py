"""The six panels say what was recorded, and why where there is nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from specrun.report.facts import read
from specrun.report.panels import panels
from specrun.report.views import Panel
from tests.report.report_fakes import RUN_ID, SPEC, FakeRecords, a_run, points

Good = tuple[FakeRecords, dict[str, dict[str, Any]]]


def panels_of(records: FakeRecords, results: dict[str, dict[str, Any]] | None = None) -> dict[str, Panel]:
    return {panel.id: panel for panel in panels(read(records, RUN_ID, results=results))}


def test_there_are_always_six_panels(good: Good) -> None:
    records, _ = good
    names = ["loss", "perplexity", "accuracy", "learning-rate", "gradient-norm", "time"]
    assert list(panels_of(records)) == names
    records.curves = {}
    assert list(panels_of(records)) == names


def test_a_panel_without_values_says_which_were_not_recorded(good: Good) -> None:
    records, _ = good
    del records.curves["validation/accuracy"]
    panel = panels_of(records)["accuracy"]
    assert panel.empty == "train/accuracy and validation/accuracy were not recorded in this run."
    assert panel.curves == ()
    assert panel.best is None


def test_an_accuracy_that_the_objective_has_not_gives_its_place_to_another_measure(good: Good) -> None:
    records, _ = good
    records.row, records.run_document = replace(records.row, task="tabular"), {**records.run_document, "task": "tabular"}
    regression = {"validation/loss": points({1: 1.0}), "validation/rmse": points({1: 3.0}), "validation/mae": points({1: 2.0})}
    records.curves = regression
    assert list(panels_of(records))[:3] == ["loss", "mae", "rmse"]
    records.curves = {"validation/loss": points({1: 1.0}), "validation/accuracy": points({1: 0.5})}
    assert "accuracy" in panels_of(records)


def test_a_panel_of_values_that_are_all_not_finite_says_so(good: Good) -> None:
    records, _ = good
    records.curves["train/gradient_norm"] = points({1: math.nan, 2: math.inf})
    panel = panels_of(records)["gradient-norm"]
    assert panel.empty == "All 2 recorded values are not finite (NaN or infinite)."


def test_a_gap_in_a_curve_is_said_with_its_step(good: Good) -> None:
    records, _ = good
    records.curves["train/gradient_norm"] = points({1: 1.0, 2: math.nan, 3: 1.0})
    assert (
        panels_of(records)["gradient-norm"].note == "gradient norm: 1 of 3 values not finite, the first at step 2; the line breaks there."
    )


def test_a_thinned_curve_says_how_much_of_it_is_drawn() -> None:
    records, _ = a_run(total=20_000, every=5, evaluate=1000)
    panel = panels_of(records)["loss"]
    assert "train: 400 of 4,000 values drawn, each stretch by its smallest and largest." in panel.note
    assert all(len(curve.samples) <= 600 for curve in panel.curves)


def test_the_best_step_is_marked_where_its_metric_was_evaluated(good: Good) -> None:
    records, _ = good
    found = panels_of(records)
    assert found["loss"].best is not None
    assert found["loss"].best.label == "best: 4.038 at step 900"
    assert [found[name].best is None for name in ("learning-rate", "gradient-norm", "time")] == [True] * 3


def test_a_best_value_of_a_part_of_the_split_says_so_beside_the_whole_splits(good: Good) -> None:
    records, results = good
    records.run_document["spec"] = {**SPEC, "schedule": {**SPEC["schedule"], "evaluate": {"max_batches": 20}}}
    panel = panels_of(records, results)["loss"]
    assert panel.best is not None
    assert panel.best.label == "best: 4.038 at step 900"
    results["evaluate"]["metrics"]["validation/loss"] = 3.9
    panel = panels_of(records, results)["loss"]
    assert panel.best is not None
    assert (panel.best.label, panel.best.value) == ("best on ≤20 batches: 4.038", pytest.approx(4.038, abs=1e-3))
    assert panel.note.endswith("each value is of at most 20 batches; on the whole split the best checkpoint has 3.900.")
    assert "best: 4.038 at step 900" in panel.summary


def test_the_loss_is_seen_against_the_unigram_baseline_and_the_gradient_against_its_clip(good: Good) -> None:
    found = panels_of(*good)
    levels = {name: panel.level.label for name, panel in found.items() if panel.level}
    assert levels == {
        "loss": "unigram baseline 6.550",
        "perplexity": "unigram baseline 699.2",
        "accuracy": "unigram baseline 5.00 %",
        "gradient-norm": "clipped to 1",
    }
    for name in levels:
        level = found[name].level
        assert level is not None
        assert all(axis.low < level.value < axis.high for axis in found[name].axes)


def test_training_perplexity_is_the_exponent_of_the_loss(good: Good) -> None:
    found = panels_of(good[0])
    loss, perplexity = found["loss"].curves[0], found["perplexity"].curves[0]
    assert [value for _, value in perplexity.finite] == pytest.approx([math.exp(value) for _, value in loss.finite])


def test_a_huge_loss_gives_no_perplexity_rather_than_an_error(good: Good) -> None:
    records, _ = good
    records.curves["train/loss"] = points({1: 1e4, 2: 2.0})
    assert panels_of(records)["perplexity"].curves[0].samples == ((1, None), (2, math.exp(2.0)))


def test_a_log_axis_is_offered_only_for_positive_values(good: Good) -> None:
    records, _ = good
    assert [axis.log for axis in panels_of(records)["loss"].axes] == [False, True]
    records.curves["train/loss"] = points({1: 0.0, 2: 2.0})
    assert [axis.log for axis in panels_of(records)["loss"].axes] == [False]


def test_step_seconds_stand_in_where_tokens_are_not_counted(good: Good) -> None:
    records, _ = good
    del records.curves["throughput/tokens_per_second"]
    records.curves["throughput/step_seconds"] = points({1: 0.5, 2: 0.25})
    panel = panels_of(records)["time"]
    assert (panel.unit, panel.axes[0].style) == ("seconds per optimizer step", "number")


def test_the_values_table_holds_the_ends_and_the_best_step() -> None:
    records, results = a_run(total=12_000, every=10, evaluate=100)
    panel = panels_of(records, results)["loss"]
    steps = [row.cells[0] for row in panel.values.rows]
    best = records.ending["best_step"] if records.ending else None
    assert steps[0] == "100"
    assert steps[-1] == "12,000"
    assert f"{best:,}" in steps
    assert len(steps) <= 21
    assert [column.label for column in panel.values.columns] == ["step", "train", "validation"]


def test_a_run_of_one_value_can_be_shown(good: Good) -> None:
    records, _ = good
    records.curves = {"train/loss": points({1: 3.0})}
    panel = panels_of(records)["loss"]
    assert panel.steps == (0, 1)
    assert panel.axes[0].low < 3.0 < panel.axes[0].high
    assert not panel.empty
