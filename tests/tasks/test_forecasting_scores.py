"""Metrics of forecasts against closed forms and scikit-learn; baselines against their definitions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from sklearn.linear_model import Ridge

from specrun.tasks.forecasting import scores
from specrun.tasks.forecasting.baselines import error_quantiles, forecasts, repeat_last, seasonal_naive
from specrun.tasks.forecasting.ridge import PENALTY, fit

from .forecasting_data import Linear, table, task

QUANTILES = (0.1, 0.5, 0.9)
SHAPE = (40, 6, 2)  # windows, steps, targets


def judged(predicted: Any, actual: Any, *, centre: float = 0.0, scale: float = 1.0, naive: float = 1.0) -> dict[str, Any]:
    """Sums of forecasts (B, H, Y, Q) of scaled values, all series of one scale."""
    whole = np.full((len(actual), actual.shape[2]), 1.0)
    scales = scores.Scales(*(torch.from_numpy(of * whole) for of in (centre, scale, naive)))
    arrays = [torch.from_numpy(np.asarray(of, dtype=np.float32)) for of in (predicted, actual)]
    found = scores.measured(*arrays, scales, quantiles_Q=torch.tensor(QUANTILES), median=1)
    shapes = scores.layout(horizon=actual.shape[1], targets=actual.shape[2], quantiles=len(QUANTILES))
    return {"windows": len(actual), **scores.unpacked(torch.cat([of.flatten() for of in found]).tolist(), shapes)}


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Forecasts and what came."""
    random = np.random.default_rng(0)
    return np.sort(random.normal(size=(*SHAPE, 3)), axis=-1), random.normal(size=SHAPE)


def test_every_metric_is_that_of_its_definition(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, actual = drawn
    centre, scale, naive = 3.0, 7.0, 1.7
    found = scores.metrics(judged(predicted, actual, centre=centre, scale=scale, naive=naive), loss="pinball")
    median = predicted[..., 1]
    y, forecast = actual * scale + centre, predicted * scale + centre
    flat = [of.reshape(-1, SHAPE[2]) for of in (actual, median)]
    pinball = np.mean([reference.mean_pinball_loss(flat[0], predicted[..., q].reshape(-1, 2), alpha=a) for q, a in enumerate(QUANTILES)])
    risk = [2 * reference.mean_pinball_loss(y[..., t].ravel(), forecast[..., t, q].ravel(), alpha=a) / np.abs(y[..., t]).mean()
            for t in range(2) for q, a in enumerate(QUANTILES)]  # fmt: skip
    wanted = {
        "loss": pinball,
        "pinball": pinball,
        "mse": reference.mean_squared_error(*flat),
        "mae": reference.mean_absolute_error(*flat),
        "q_risk": np.mean(risk),
        "mase": reference.mean_absolute_error(*flat) * scale / naive,
        "smape": 200 * np.mean(np.abs(y - forecast[..., 1]) / (np.abs(y) + np.abs(forecast[..., 1]))),
        "mae_in_units": reference.mean_absolute_error(*flat) * scale,
        "rmse_in_units": np.mean([reference.root_mean_squared_error(y[..., t].ravel(), forecast[..., t, 1].ravel()) for t in range(2)]),
        "coverage": np.mean((predicted[..., 0] <= actual) & (actual <= predicted[..., 2])),
        "width": np.mean(predicted[..., 2] - predicted[..., 0]),
    }
    assert list(found) == list(wanted)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_q_risk_of_a_perfect_forecast_is_0_and_of_an_all_zero_median_exactly_1(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    _, actual = drawn
    perfect = judged(np.repeat(actual[..., None], 3, axis=-1), actual)
    assert scores.metrics(perfect, loss="pinball")["q_risk"] == 0
    zero = judged(np.zeros((*SHAPE, 3)), actual)
    assert (2 * np.array(zero["pinball_in_units"])[:, 1] / np.array(zero["absolute"])).tolist() == [1.0, 1.0]


def test_sums_of_parts_add_up_to_those_of_the_whole(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, actual = drawn
    whole, parts = judged(predicted, actual), [judged(predicted[part], actual[part]) for part in (slice(13), slice(13, None))]
    for name, value in whole.items():
        np.testing.assert_allclose(np.add(parts[0][name], parts[1][name]), value, rtol=1e-6)


def test_a_metric_without_a_meaning_is_left_out_and_one_that_is_not_finite_stays(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, actual = drawn
    assert "mase" not in scores.metrics(judged(predicted, actual, naive=0.0), loss="pinball")
    assert "q_risk" not in scores.metrics(judged(predicted, np.zeros(SHAPE)), loss="pinball")
    assert scores.metrics(judged(np.zeros((*SHAPE, 3)), np.zeros(SHAPE)), loss="pinball")["smape"] == 0
    predicted[0, 0, 0, 1] = np.nan
    assert math.isnan(scores.metrics(judged(predicted, actual), loss="pinball")["mse"])
    assert scores.metrics({**judged(predicted, actual), "windows": 0}, loss="pinball") == {}


def test_mase_of_the_seasonal_naive_forecast_on_train_is_1(tmp_path: Path) -> None:
    """By its definition, where the horizon is a season and each row of train but the first season is forecast once."""
    noise = np.random.default_rng(0).normal(size=96)
    it = task(tmp_path, table(96, y=noise), borders=(48, 72), context=4, horizon=4, season=4, stride=4)
    ((_, _, sums),) = [judged for judged in it.judged_baselines("train") if judged[0].name == "seasonal_naive"]
    assert it.metrics(sums)["mase"] == pytest.approx(1, rel=1e-6)


def test_naive_forecasts_are_what_their_names_say() -> None:
    context = np.arange(10.0)[None, :, None]
    assert repeat_last(context, horizon=3)[0, :, 0].tolist() == [9, 9, 9]
    assert seasonal_naive(context, horizon=7, season=4)[0, :, 0].tolist() == [6, 7, 8, 9, 6, 7, 8]


def test_the_ridge_is_sklearns_on_all_windows_of_all_stretches_and_targets() -> None:
    random = np.random.default_rng(0)
    values, runs = random.normal(size=(200, 3)).cumsum(axis=0) * [1, 10, 100], np.array([[0, 90], [95, 100], [100, 180]])
    found = fit(values, runs, context=12, horizon=5)
    assert found
    inside = np.concatenate([values[first:end] for first, end in runs if end - first >= 17])
    standard = (values - inside.mean(axis=0)) / inside.std(axis=0)
    windows = np.concatenate([np.lib.stride_tricks.sliding_window_view(standard[first:end, y], 17)
                              for first, end in runs if end - first >= 17 for y in range(3)])  # fmt: skip
    lags, following = windows[:, :12], windows[:, 12:]
    model = Ridge(alpha=PENALTY * (lags**2).sum() / 12, solver="cholesky")
    # sklearn takes the means away before it penalises, which is the same as a bias without a penalty.
    model.fit(lags, following)
    np.testing.assert_allclose(found.weights, model.coef_.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.bias, model.intercept_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found(values[None, :12])[0, :, 1] - inside.mean(axis=0)[1],
                               model.predict(standard[None, :12, 1])[0] * inside.std(axis=0)[1], rtol=1e-6)  # fmt: skip


def test_the_ridge_does_not_depend_on_the_unit_of_a_target() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2)).cumsum(axis=0)
    metres, runs = values * [1, 1000] + [0, 5], np.array([[0, 100]])
    ours, theirs = fit(values, runs, context=8, horizon=4), fit(metres, runs, context=8, horizon=4)
    assert ours
    assert theirs
    np.testing.assert_allclose(theirs(metres[None, :8]), ours(values[None, :8]) * [1, 1000] + [0, 5], rtol=1e-7)


def test_the_ridge_of_constant_values_is_that_value_and_there_is_none_without_windows() -> None:
    it = fit(np.full((50, 1), 3.0), np.array([[0, 50]]), context=4, horizon=2)
    assert it
    assert it(np.full((1, 4, 1), 3.0)).tolist() == [[[3.0], [3.0]]]
    assert fit(np.ones((50, 1)), np.array([[0, 5]]), context=4, horizon=2) is None


def test_quantiles_of_a_baseline_are_those_of_its_errors_in_train_around_itself(tmp_path: Path) -> None:
    it = task(tmp_path, table(400, y=np.random.default_rng(0).normal(size=400)), borders=(300, 350), season=3)
    given = {"context": 6, "horizon": 3, "targets": 1}
    named = {made.name: made for made in forecasts(it.arrays, season=3, **given)}
    assert list(named) == ["repeat_last", "seasonal_naive", "ridge"]
    errors = error_quantiles(named["repeat_last"], it.arrays, quantiles=QUANTILES, **given)
    assert errors.shape == (3, 1, 3)
    assert (errors[..., 1] == 0).all()
    assert (np.diff(errors, axis=-1) > 0).all()
    assert it.metrics(it.judged_baselines("train")[0][2])["coverage"] == pytest.approx(0.8, abs=0.03)


def test_baselines_are_judged_on_the_windows_of_the_model_by_its_metrics(tmp_path: Path) -> None:
    it = task(tmp_path, table(), season=3)
    found = it.baselines("test")
    assert [baseline.name for baseline in found] == ["repeat_last", "seasonal_naive", "ridge"]
    for baseline in found:
        assert baseline.metrics.keys() == it.metrics(it.evaluate(Linear(it), "test")).keys()
    actual = it.batch(it.arrays.starts["test"])
    last = actual.inputs.past[:, -1:, :1].expand_as(actual.targets)
    assert found[0].metrics["mse"] == pytest.approx(float((last - actual.targets).square().mean()), rel=1e-6)


def test_seasonal_naive_is_left_out_where_the_context_holds_no_season(tmp_path: Path) -> None:
    assert [baseline.name for baseline in task(tmp_path, table()).baselines("test")] == ["repeat_last", "ridge"]
