"""What a report shows of a forecaster: plain JSON, small, and of the numbers that it says it is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from specrun.runtime.interfaces import ForecastInputs
from specrun.tasks.forecasting.backtest import origins
from specrun.tasks.forecasting.build import Forecasting
from specrun.tasks.forecasting.options import Backtest

from .forecasting_data import Linear, hours, table, task

MOST_BYTES = 20_000


class Telling(Linear):
    """A model that says what it looked at."""

    def interpret(self, inputs: ForecastInputs) -> Mapping[str, Tensor]:
        windows, length = inputs.known.shape[0], inputs.known.shape[1]
        attention = torch.zeros(3, length)
        attention[:, 0] = windows
        return {
            "attention": attention,
            "past_variables": windows * torch.tensor([0.2, 0.5, 0.3]),
            "future_variables": windows * torch.ones(1),
        }


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Forecasting:
    rows = table(z=np.arange(60.0), p=[1.0, 2.0] * 30)
    return task(tmp_path_factory.mktemp("it"), rows, columns={"target": ("y", "z"), "known": ("p",)}, season=3)


@pytest.fixture(scope="module")
def shown(it: Forecasting) -> dict[str, dict[str, Any]]:
    network = Telling(it)
    figures = it.figures(network, "test", it.evaluate(network, "test"))
    return {figure["id"]: figure for figure in json.loads(json.dumps(figures, allow_nan=False))}


def test_figures_are_small_plain_json_with_what_a_report_needs(shown: dict[str, dict[str, Any]]) -> None:
    assert list(shown) == ["forecast-1", "forecast-2", "by-target", "by-step", "backtest", "calibration", "attention", "past-variables",
                           "future-variables"]  # fmt: skip
    for figure in shown.values():
        assert {"id", "kind", "title", "caption"} <= figure.keys()
        assert len(json.dumps(figure)) < MOST_BYTES
        if figure["kind"] == "lines":
            curves = [series["values"] for series in figure["series"]] + [
                band[side] for band in figure["bands"] for side in ("lower", "upper")
            ]
            assert {len(curve) for curve in curves} == {len(figure["x"])}
        if figure["kind"] == "table":
            assert {len(row) for row in figure["rows"]} == {len(figure["columns"])}


def test_a_long_context_still_makes_small_figures(tmp_path: Path) -> None:
    it = task(tmp_path, table(2000, y=np.random.default_rng(0).normal(size=2000)), borders=(1200, 1600), context=500, horizon=250)
    network = Linear(it)
    figures = it.figures(network, "test", it.evaluate(network, "test", max_samples=5))
    assert max(len(json.dumps(figure)) for figure in figures) < MOST_BYTES


def test_a_forecast_is_drawn_beside_what_came_in_the_targets_units(it: Forecasting, shown: dict[str, dict[str, Any]]) -> None:
    figure = shown["forecast-2"]
    by_name = {series["name"]: series["values"] for series in figure["series"]}
    first = hours(60).index(next(moment for moment in hours(60) if moment.isoformat(timespec="minutes") == figure["x"][0]))
    assert by_name["actual"] == [float(value) for value in range(first, first + 9)], "z counts the hours"
    assert by_name["forecast"][:6] == [None] * 6
    assert by_name["a season before"][6:] == by_name["actual"][3:6]
    (band,) = figure["bands"]
    assert all(
        low <= middle <= high for low, middle, high in zip(band["lower"][6:], by_name["forecast"][6:], band["upper"][6:], strict=True)
    )


def test_the_table_of_targets_has_the_metrics_in_its_mean(it: Forecasting, shown: dict[str, dict[str, Any]]) -> None:
    metrics, table = it.metrics(it.evaluate(Telling(it), "test")), shown["by-target"]
    place = [column["name"] for column in table["columns"]].index("MSE, scaled")
    assert [row[0] for row in table["rows"]] == ["y", "z"]
    assert np.mean([row[place] for row in table["rows"]]) == pytest.approx(metrics["mse"], rel=1e-4)


def test_errors_by_step_have_the_metric_in_their_mean_and_the_baselines_beside(it: Forecasting, shown: dict[str, dict[str, Any]]) -> None:
    figure, baselines = shown["by-step"], it.baselines("test")
    wanted = [it.metrics(it.evaluate(Telling(it), "test"))["mae"], *(baseline.metrics["mae"] for baseline in baselines)]
    assert [series["name"] for series in figure["series"]] == ["the model", *(baseline.label for baseline in baselines)]
    np.testing.assert_allclose([np.mean(series["values"]) for series in figure["series"]], wanted, rtol=1e-4)


def test_a_backtest_of_every_origin_has_the_metric_in_its_mean(it: Forecasting, shown: dict[str, dict[str, Any]]) -> None:
    assert [row[0] for row in shown["backtest"]["rows"]] == ["2024-01-03T00:00", "2024-01-03T03:00", "2024-01-03T06:00",
                                                              "2024-01-03T09:00"]  # fmt: skip
    network = Telling(it)
    every = it.options.model_copy(update={"backtest": Backtest(origins=200, every=1)})
    it.options, before = every, it.options
    try:
        figures = {figure["id"]: figure for figure in it.figures(network, "test", it.evaluate(network, "test"))}
    finally:
        it.options = before
    rows = figures["backtest"]["rows"]
    assert len(rows) == 10
    assert np.mean([row[1] for row in rows]) == pytest.approx(it.metrics(it.evaluate(network, "test"))["mae"], rel=1e-4)


def test_origins_are_the_last_ones_counted_back() -> None:
    times = np.repeat(np.arange(10) * 7, 2)
    assert origins(times, every=3, count=10).tolist() == [0, 21, 42, 63]
    assert origins(times, every=4, count=2).tolist() == [35, 63]


def test_calibration_is_the_share_at_or_below_each_quantile(it: Forecasting, shown: dict[str, dict[str, Any]]) -> None:
    batch = it.batch(it.arrays.starts["test"])
    below = (batch.targets[..., None] <= it._forecast(Telling(it), batch)).double().mean(dim=(0, 1, 2))
    assert shown["calibration"]["series"][0]["values"] == pytest.approx(below.tolist(), rel=1e-4)


def test_what_a_model_looked_at_is_shown_by_the_names_of_columns(shown: dict[str, dict[str, Any]]) -> None:
    assert shown["past-variables"]["names"] == ["z", "p", "y"]
    assert shown["past-variables"]["values"] == pytest.approx([0.5, 0.3, 0.2])
    assert shown["attention"]["x"] == list(range(-6, 3))
    assert shown["attention"]["series"][0]["values"] == [1.0] + [0.0] * 8


def test_a_model_that_tells_nothing_has_no_figures_of_it_and_no_windows_none_at_all(it: Forecasting) -> None:
    network = Linear(it)
    sums = it.evaluate(network, "test")
    assert "attention" not in {figure["id"] for figure in it.figures(network, "test", sums)}
    assert it.figures(network, "test", {**sums, "windows": 0}) == []
