"""Forecasts: batches of windows gathered by index, the loss over all targets and quantiles, evaluation over every window of a split.

How a forecast is judged is the business of `scores`, what is shown of it that of `figures`.
Shapes: B windows, L steps of context, H of horizon, T = L + H, Y targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from specrun.runtime.device import Device
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.interfaces import Forecaster, ForecastInputs
from specrun.runtime.protocols import nothing
from specrun.runtime.seeds import derive
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.forecasting import scores
from specrun.tasks.forecasting.arrays import Array, Arrays, open_arrays
from specrun.tasks.forecasting.baselines import Forecast, error_quantiles, forecasts, read_windows, spread
from specrun.tasks.forecasting.columns import Floats, Integers
from specrun.tasks.forecasting.figures import Illustration
from specrun.tasks.forecasting.options import MEDIAN, Options
from specrun.tasks.forecasting.window_scaling import scale_windows
from specrun.training.order import Order

_RESIDENT_BYTES = 2**30
"""More than that stays on the disk and is gathered on the host."""
_POSITIONS_AT_ONCE = {"cpu": 2**15, "cuda": 2**18}
"""Steps computed at once in an evaluation."""


@dataclass(frozen=True, slots=True)
class ForecastBatch:
    """Windows on the device. targets: what is forecast, scaled, (B, H, Y); series: (B,). weight: values forecast."""

    inputs: ForecastInputs
    targets: Tensor
    series: Tensor

    @property
    def weight(self) -> int:
        return self.targets.numel()

    @property
    def positions(self) -> int:
        return self.inputs.known.shape[0] * self.inputs.known.shape[1]

    def share(self, rank: int, *, size: int) -> ForecastBatch:
        """What one of `size` workers has of the windows."""
        each = len(self.series) // size
        return self._part(slice(rank * each, (rank + 1) * each))

    def split(self, size: int) -> Iterator[ForecastBatch]:
        """The same windows in parts of at most `size`, in order."""
        if size >= len(self.series):
            yield self
        else:
            yield from (self._part(slice(start, start + size)) for start in range(0, len(self.series), size))

    def _part(self, part: slice) -> ForecastBatch:
        inputs = ForecastInputs(*(getattr(self.inputs, field.name)[part] for field in fields(ForecastInputs)))
        return ForecastBatch(inputs, self.targets[part], self.series[part])


class Windows:
    """Gathers windows by their first rows: on the device, where all rows fit there easily, else on the host; the same bits."""

    def __init__(
        self, arrays: Arrays, *, context: int, horizon: int, targets: int, device: Device, resident_bytes: int = _RESIDENT_BYTES
    ) -> None:
        self._arrays, self._device, self._context, self._targets = arrays, device, context, targets
        self._steps = np.arange(context + horizon)
        self._static = tuple(device.transfer(np.array(of)) for of in (arrays.static, arrays.static_categories.astype(np.int64)))
        resident = sum(of.nbytes for of in arrays.of_rows) <= resident_bytes
        self._resident = tuple(device.transfer(np.array(of)) for of in arrays.of_rows) if resident else None
        self._device_steps = device.transfer(self._steps)

    def batch(self, starts: Integers) -> ForecastBatch:
        """The windows that begin at these rows."""
        series_B = self._device.transfer(self._arrays.series_of(starts))
        if self._resident is None:
            rows_BT = starts[:, None] + self._steps
            values_BTX, known_BTN, categories_BTG = (self._device.transfer(of[rows_BT]) for of in self._arrays.of_rows)
        else:
            index_BT = self._device.transfer(np.array(starts))[:, None] + self._device_steps
            values_BTX, known_BTN, categories_BTG = (of[index_BT] for of in self._resident)
        static_BN, static_categories_BG = (of[series_B] for of in self._static)
        inputs = ForecastInputs(values_BTX[:, : self._context], known_BTN, categories_BTG.long(), static_BN, static_categories_BG)
        return ForecastBatch(inputs, values_BTX[:, self._context :, : self._targets], series_B)


class Forecasting:
    """The task on prepared arrays. Implements `runtime.protocols.Task`, `Compared` and `Illustrated`. sample_tokens: all alike."""

    sample_tokens: float | None = None

    def __init__(self, options: Options, *, arrays: Arrays, facts: Mapping[str, Any], seed: int, device: Device) -> None:
        self.options, self.arrays, self.facts, self._device = options, arrays, facts, device
        self.targets = int(facts["sizes"]["targets"])
        self._windows = Windows(arrays, context=options.context, horizon=options.horizon, targets=self.targets, device=device)
        self._order = Order(len(arrays.starts["train"]), seed=derive(seed, "order"))
        self._quantiles_Q = device.transfer(np.array(options.quantiles, dtype=np.float32))
        self.median = options.quantiles.index(MEDIAN)
        self._layout = scores.layout(horizon=options.horizon, targets=self.targets, quantiles=len(options.quantiles))
        self._scales = [device.transfer(np.array(of)) for of in arrays.scales]
        self._baselines: dict[str, list[tuple[Forecast, Floats, dict[str, Any]]]] = {}
        self.samples_per_epoch = self._order.samples

    def train_batch(self, first: int, *, count: int) -> ForecastBatch:
        """Windows first .. first + count - 1 in the order of the seed."""
        return self.batch(self.arrays.starts["train"][self._order.chosen(first, count=count)])

    def batch(self, starts: Integers) -> ForecastBatch:
        """The windows that begin at these rows."""
        return self._windows.batch(starts)

    def loss_sum(self, model: nn.Module, batch: ForecastBatch) -> Tensor:
        """Over every value: the mean pinball loss of its quantiles, or the squared error. Returns: scalar, float32, scaled values."""
        predicted_BHYQ = self._forecast(model, batch)
        if self.options.loss == "squared_error":
            return (predicted_BHYQ[..., 0] - batch.targets).square().sum()
        return scores.pinball(predicted_BHYQ, batch.targets, self._quantiles_Q).mean(-1).sum()

    def evaluate(
        self,
        model: nn.Module,
        split: str,
        *,
        max_samples: int | None = None,
        workers: Workers = ALONE,
        divided: int = 1,
        between: Callable[[], None] = nothing,
    ) -> dict[str, Any]:
        """Sums over every window of a split, by the names of `scores.layout`, and windows. max_samples: so many of them, evenly spread
        over its time."""
        starts = self.arrays.starts[split]
        starts = starts if max_samples is None else spread(starts, max_samples)
        total: Tensor | None = None
        parts = list(self._parts(starts, divided=divided))
        with judging(model), torch.no_grad(), self._device.autocast():
            for number, (part, counts) in enumerate(workers.share(parts)):
                if number:
                    between()
                batch = self.batch(part)
                found = self._measured(self._forecast(model, batch), batch)
                if counts:
                    total = found if total is None else total + found
        size = sum(int(np.prod(shape)) for shape in self._layout.values())
        own = np.zeros(size) if total is None else self._device.to_host(total).view(np.float64)
        return {"windows": len(starts), **scores.unpacked(workers.total(own.tolist()), self._layout)}

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Means over the values of all targets, see `scores`."""
        return scores.metrics(sums, loss=self.options.loss)

    def predict(self, model: nn.Module, starts: Integers, *, between: Callable[[], None] = nothing) -> Floats:
        """Forecasts (B, H, Y, Q) of windows, scaled, one transfer from the device for each of the parts."""
        found = []
        with judging(model), torch.no_grad(), self._device.autocast():
            for number, part in enumerate(self._parts(starts)):
                if number:
                    between()
                found.append(self._forecast(model, self.batch(part)).double())
        shape = (len(starts), self.options.horizon, self.targets, len(self.options.quantiles))
        return self._device.to_host(torch.cat(found)).view(np.float64).reshape(shape)

    def interpret(self, model: nn.Module, starts: Integers) -> dict[str, Array]:
        """What a model that can tell looked at, in the mean over windows; nothing of one that cannot."""
        tell = getattr(model, "interpret", None)
        if tell is None:
            return {}
        sums: dict[str, Tensor] = {}
        with judging(model), torch.no_grad(), self._device.autocast():
            for part in self._parts(starts):
                inputs, _ = scale_windows(self.batch(part).inputs, scaling=self.options.window_scaling)
                for name, of in tell(inputs).items():
                    sums[name] = sums[name] + of.double() if name in sums else of.double()
        return {name: self._device.to_host(of).view(np.float64).reshape(of.shape) / len(starts) for name, of in sums.items()}

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Forecasts of windows of the validation split, evenly spread: {"input", "predicted", "expected"}, values in units."""
        return Illustration(self, "validation").texts(model, count=count, between=between) if count else []

    def baselines(self, split: str) -> list[Baseline]:
        """Those of `baselines.forecasts`, on every window of a split."""
        return [Baseline(it.name, it.label, self.metrics(sums)) for it, _, sums in self.judged_baselines(split)]

    def judged_baselines(self, split: str) -> list[tuple[Forecast, Floats, dict[str, Any]]]:
        """Each, the quantiles of its errors (H, Y, Q), and its sums on a split."""
        if split not in self._baselines:
            options, given = self.options, {"context": self.options.context, "horizon": self.options.horizon, "targets": self.targets}
            season = int(self.facts["season"])
            self._baselines[split] = []
            for it in forecasts(self.arrays, season=season, **given):
                errors_HYQ = error_quantiles(it, self.arrays, quantiles=options.quantiles, **given)
                self._baselines[split].append((it, errors_HYQ, self._judged_baseline(it, errors_HYQ, split, **given)))
        return self._baselines[split]

    def figures(
        self, model: nn.Module, split: str, sums: Mapping[str, Any], *, between: Callable[[], None] = nothing
    ) -> list[dict[str, Any]]:
        """Forecasts, errors by target, by step and by origin, calibration, and what the model looked at."""
        return Illustration(self, split).figures(model, sums, between=between)

    def _forecast(self, model: nn.Module, batch: ForecastBatch) -> Tensor:
        """Scaled by train, whatever the model sees: (B, H, Y, Q), float32."""
        inputs, scale = scale_windows(batch.inputs, scaling=self.options.window_scaling)
        predicted_BHYQ = cast("Forecaster", model)(inputs).float()
        return predicted_BHYQ if scale is None else scale.undone(predicted_BHYQ)

    def _parts(self, starts: Integers, *, divided: int = 1) -> Iterator[Integers]:
        size = max(1, _POSITIONS_AT_ONCE[self._device.kind] // (self.options.context + self.options.horizon) // divided)
        return (starts[first : first + size] for first in range(0, len(starts), size))

    def _measured(self, predicted_BHYQ: Tensor, batch: ForecastBatch) -> Tensor:
        """Their sums, one after the other."""
        scales = scores.Scales(*(of_NY[batch.series] for of_NY in self._scales))
        found = scores.measured(predicted_BHYQ, batch.targets, scales, quantiles_Q=self._quantiles_Q, median=self.median)
        return torch.cat([of.flatten() for of in found])

    def _judged_baseline(self, it: Forecast, errors_HYQ: Floats, split: str, *, context: int, horizon: int, targets: int) -> dict[str, Any]:
        starts, total = self.arrays.starts[split], np.zeros(0)
        quantiles_Q = torch.tensor(self.options.quantiles)
        for part, given_BLY, actual_BHY in read_windows(self.arrays, starts, context=context, horizon=horizon, targets=targets):
            predicted_BHYQ = torch.from_numpy((it.forecast(given_BLY)[..., None] + errors_HYQ).astype(np.float32))
            of_NY = self.arrays.scales[:, self.arrays.series_of(starts[part])]
            scales = scores.Scales(*(torch.from_numpy(of) for of in of_NY))
            found = scores.measured(
                predicted_BHYQ, torch.from_numpy(actual_BHY.astype(np.float32)), scales, quantiles_Q=quantiles_Q, median=self.median
            )
            flat = torch.cat([of.flatten() for of in found]).numpy()
            total = total + flat if len(total) else flat
        return {"windows": len(starts), **scores.unpacked(total.tolist(), self._layout)}


@contextmanager
def judging(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and in its own again whatever happens."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def build(options: Options, opening: Opening) -> Forecasting:
    """The task on the folder of the `examples` step."""
    arrays = open_arrays(opening.folders["examples"])
    return Forecasting(options, arrays=arrays, facts=opening.facts["examples"], seed=opening.seed, device=opening.device)
