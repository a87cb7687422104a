"""The forecasting task: which rows a window holds, what a forecast may know, the loss and the sums of an evaluation."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from specrun.runtime.distributed import Workers
from specrun.runtime.interfaces import ForecastInputs
from specrun.tasks.forecasting.build import ForecastBatch, Forecasting, Windows
from specrun.tasks.forecasting.window_scaling import scale_windows

from .forecasting_data import DEVICE, Linear, hours, opened, prepared, table, task

COLUMNS = {"target": ("y", "z"), "group": "shop", "known": ("price", "promo"), "observed": ("visits",), "static": ("size", "town")}
ROLES = {"columns": COLUMNS, "calendar": ("hour", "weekday"), "borders": (72, 96)}


def shops(count: int = 60) -> dict[str, Any]:
    """Two shops, a row of each in turn."""
    random = np.random.default_rng(0)
    return {
        "time": [moment for moment in hours(count) for _ in range(2)],
        "shop": ["north", "south"] * count,
        "y": random.normal(5, 2, 2 * count),
        "z": random.normal(100, 30, 2 * count),
        "price": random.normal(9, 1, 2 * count),
        "promo": random.choice(["yes", "no"], 2 * count),
        "visits": random.integers(0, 50, 2 * count),
        "size": [10.0, 40.0] * count,
        "town": ["Ulm", "Bonn"] * count,
    }


def inputs_of(batch: ForecastBatch) -> list[torch.Tensor]:
    return [getattr(batch.inputs, field.name) for field in fields(ForecastInputs)]


def same(left: ForecastBatch, right: ForecastBatch) -> bool:
    pairs = zip([*inputs_of(left), left.targets, left.series], [*inputs_of(right), right.targets, right.series], strict=True)
    return all(torch.equal(one, other) and one.dtype == other.dtype for one, other in pairs)


def naive_window(it: Forecasting, start: int) -> ForecastBatch:
    """One window read row by row from the files."""
    arrays, sizes = it.arrays, it.facts["sizes"]
    context, horizon, targets = sizes["context"], sizes["horizon"], sizes["targets"]
    rows = range(start, start + context + horizon)
    series = next(n for n in range(len(arrays.names)) if arrays.series[n] <= start < arrays.series[n + 1])

    def stack(of: np.ndarray, chosen: Any = rows, kind: Any = None) -> torch.Tensor:
        return torch.stack([torch.tensor(of[row].tolist(), dtype=kind or torch.float32) for row in chosen])[None]

    inputs = ForecastInputs(
        past=stack(arrays.values, rows[:context]),
        known=stack(arrays.known),
        known_categories=stack(arrays.categories, kind=torch.int64),
        static=stack(arrays.static, [series])[0],
        static_categories=stack(arrays.static_categories, [series], torch.int64)[0],
    )
    return ForecastBatch(inputs, stack(arrays.values[:, :targets], rows[context:]), torch.tensor([series]))


def joined(batches: list[ForecastBatch]) -> ForecastBatch:
    inputs = ForecastInputs(*(torch.cat(parts) for parts in zip(*(inputs_of(batch) for batch in batches), strict=True)))
    return ForecastBatch(inputs, torch.cat([b.targets for b in batches]), torch.cat([b.series for b in batches]))


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Forecasting:
    return task(tmp_path_factory.mktemp("shops"), shops(), **ROLES)


def test_the_resident_loader_equals_a_naive_one_over_an_epoch(it: Forecasting) -> None:
    epoch = it.train_batch(0, count=it.samples_per_epoch)
    starts = it.arrays.starts["train"][it._order.chosen(0, count=it.samples_per_epoch)]
    assert same(epoch, joined([naive_window(it, int(start)) for start in starts]))
    assert sorted(starts) == it.arrays.starts["train"].tolist(), "each window once an epoch"


def test_rows_that_stay_on_the_disk_give_the_same_bits(it: Forecasting) -> None:
    mapped = Windows(it.arrays, context=6, horizon=3, targets=2, device=DEVICE, resident_bytes=0)
    starts = it.arrays.starts["test"]
    assert same(mapped.batch(starts), it.batch(starts))


def test_the_same_seed_gives_the_same_batches_wherever_a_training_goes_on(it: Forecasting, tmp_path: Path) -> None:
    made, spec = prepared(tmp_path, shops(), **ROLES)
    again, other = opened(tmp_path, made, spec), opened(tmp_path, made, spec, seed=1)
    whole = it.train_batch(0, count=90)
    assert same(joined([again.train_batch(50, count=40)]), whole._part(slice(50, 90)))
    assert same(joined([again.train_batch(first, count=10) for first in range(0, 90, 10)]), whole)
    assert not same(other.train_batch(0, count=90), whole)


def test_parts_of_a_batch_are_the_batch(it: Forecasting) -> None:
    batch = it.train_batch(0, count=12)
    assert (batch.weight, batch.positions) == (12 * 3 * 2, 12 * 9)
    for size in (1, 5, 12, 50):
        assert same(joined(list(batch.split(size))), batch)
    assert same(joined([batch.share(rank, size=3) for rank in range(3)]), batch)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_forecast_knows_nothing_of_what_it_may_not(tmp_path: Path, split: str) -> None:
    """Known numbers and categories after the horizon, and observed and target values from its first step on, in the files themselves."""
    rows = shops()
    before, changed = task(tmp_path / "before", rows, **ROLES, scaling="none"), {**rows}
    start = int(before.arrays.starts[split][3])
    first, end = start + 6, start + 9  # of the first shop, whose rows are every other one of the table
    at, after = 2 * first, 2 * end
    for name, begin in {"y": at, "z": at, "visits": at, "price": after}.items():
        changed[name] = np.concatenate([rows[name][:begin], rows[name][begin:] + 1000])
    changed["promo"] = np.concatenate([rows["promo"][:after], np.where(rows["promo"][after:] == "yes", "no", "yes")])
    now = task(tmp_path / "now", changed, **ROLES, scaling="none")
    network, starts = Linear(before), np.array([start])
    assert np.array_equal(before.predict(network, starts), now.predict(network, starts))
    assert not np.array_equal(before.predict(network, starts + 1), now.predict(network, starts + 1)), "which the next window may know"
    assert torch.equal(before.batch(starts).inputs.past, now.batch(starts).inputs.past)
    assert not torch.equal(before.batch(starts).targets, now.batch(starts).targets)


def test_a_known_value_within_the_horizon_is_known(it: Forecasting, tmp_path: Path) -> None:
    batch, network = it.batch(it.arrays.starts["test"][:1]), Linear(it)
    known = batch.inputs.known.clone()
    known[:, -1] += 1
    assert not torch.equal(network(replace(batch.inputs, known=known)), network(batch.inputs))


def test_the_loss_is_the_mean_pinball_of_quantiles_summed_over_values(it: Forecasting) -> None:
    batch, network = it.train_batch(0, count=4), Linear(it)
    predicted = it._forecast(network, batch)
    wanted = 0.0
    for place, quantile in enumerate((0.1, 0.5, 0.9)):
        error = batch.targets - predicted[..., place]
        wanted += torch.where(error > 0, quantile * error, (quantile - 1) * error).sum().item() / 3
    assert it.loss_sum(network, batch).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("scaling", "factor"), [("standard", 3.0), ("mean", 1.0)])
def test_a_window_that_is_shifted_or_stretched_is_forecast_so_too(tmp_path: Path, scaling: str, factor: float) -> None:
    rows = {"y": np.random.default_rng(0).normal(size=60) * 100}
    plain = task(tmp_path / "plain", table(**rows), scaling="none", window_scaling=scaling)
    moved = task(tmp_path / "moved", table(y=rows["y"] * factor + 500), scaling="none", window_scaling=scaling)
    network, starts = Linear(plain), plain.arrays.starts["test"]
    np.testing.assert_allclose(moved.predict(network, starts), plain.predict(network, starts) * factor + 500, rtol=1e-4)


def test_windows_are_scaled_by_their_context_alone_and_not_at_all_where_asked(it: Forecasting) -> None:
    inputs = it.batch(it.arrays.starts["test"]).inputs
    scaled, scale = scale_windows(inputs, scaling="standard")
    assert scale
    np.testing.assert_allclose(scaled.past.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.past.std(1, correction=0), 1, rtol=1e-3)
    forecast = scaled.past[:, :3, :2, None].expand(-1, -1, -1, 3)
    np.testing.assert_allclose(scale.undone(forecast)[..., 0], inputs.past[:, :3, :2], atol=1e-6)
    assert scale_windows(inputs, scaling="none") == (inputs, None)
    constant, _ = scale_windows(replace(inputs, past=torch.ones_like(inputs.past)), scaling="standard")
    assert (constant.past == 0).all()


def test_squared_error_is_that_of_one_forecast(tmp_path: Path) -> None:
    it = task(tmp_path, table(), quantiles=(0.5,), loss="squared_error")
    batch, network = it.train_batch(0, count=4), Linear(it)
    wanted = ((it._forecast(network, batch)[..., 0] - batch.targets) ** 2).sum()
    assert it.loss_sum(network, batch).item() == pytest.approx(wanted.item(), rel=1e-6)
    found = it.metrics(it.evaluate(network, "test"))
    assert found["loss"] == found["mse"]
    assert not {"coverage", "width"} & found.keys()


def test_the_metrics_are_those_that_the_options_declare(it: Forecasting) -> None:
    found = it.metrics(it.evaluate(Linear(it), "validation"))
    assert list(found) == [name for name in type(it.options).metrics if name in found]
    assert found.keys() == type(it.options).metrics.keys()


def test_an_evaluation_is_the_same_however_it_is_divided(it: Forecasting) -> None:
    network = Linear(it).train()
    whole = it.evaluate(network, "test")
    assert network.training
    parts = it.evaluate(network, "test", divided=100_000)
    assert whole["windows"] == len(it.arrays.starts["test"]) == parts["windows"]
    for name, value in whole.items():
        np.testing.assert_allclose(value, parts[name], rtol=1e-6)


def test_an_evaluation_of_some_windows_takes_them_from_all_of_the_split(it: Forecasting) -> None:
    network, seen = Linear(it), []
    network.register_forward_hook(lambda _, given, __: seen.append(given[0].past))
    assert it.evaluate(network, "test", max_samples=4)["windows"] == 4
    starts = it.arrays.starts["test"]
    chosen = it.batch(starts[np.arange(4) * len(starts) // 4]).inputs
    assert torch.equal(torch.cat(seen), scale_windows(chosen, scaling="standard")[0].past)


def test_an_evaluation_waits_for_the_device_once_and_comes_back_after_an_error(it: Forecasting) -> None:
    network, before = Linear(it).train(), DEVICE.syncs
    it.evaluate(network, "test")
    assert DEVICE.syncs == before + 1
    with pytest.raises(KeyError):
        it.evaluate(network, "test", divided=100_000, between=lambda: {}["stop"])
    assert network.training


def test_workers_share_the_windows_and_count_none_twice(it: Forecasting, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Linear(it)
    told: list[list[float]] = []
    monkeypatch.setattr(Workers, "total", lambda self, numbers: told.append(list(numbers)) or list(numbers))
    for rank in range(2):
        it.evaluate(network, "test", workers=Workers(rank, 2), divided=100_000)
    it.evaluate(network, "test", divided=100_000)
    np.testing.assert_allclose(np.add(told[0], told[1]), told[2], rtol=1e-9)


def test_examples_are_forecasts_in_units_the_same_each_time(it: Forecasting) -> None:
    network = Linear(it)
    found = it.examples(network, count=3)
    assert found == it.examples(network, count=3)
    assert [set(example) for example in found] == [{"input", "predicted", "expected"}] * 3
    assert found[0]["input"].startswith("y (north), 3 steps after 2024-01-0")
    assert it.examples(network, count=0) == []
