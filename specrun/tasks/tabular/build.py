"""The `tabular` task on prepared arrays: batches of rows, the loss, evaluations, baselines and figures.

Shapes: B rows, N numbers, G categories, O outputs, Y targets, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.plan.cost import EVALUATION_TOKENS
from specrun.plan.figures import number
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.protocols import nothing
from specrun.runtime.seeds import derive
from specrun.tasks import classification_figures, classification_scores
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.tabular import regression_scores
from specrun.tasks.tabular.arrays import SplitArrays
from specrun.tasks.tabular.baselines import fit, judged
from specrun.tasks.tabular.encoding import Encoding, read_encoding
from specrun.tasks.tabular.linear import Linear
from specrun.tasks.tabular.options import Options
from specrun.training.class_counts import ClassCounts
from specrun.training.evaluating import evaluating, with_pauses
from specrun.training.order import Order

_FIGURE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows on the device. numbers: (B, N); categories: int64 (B, G); targets: (B, Y), standardised, or int64 (B, 1). weight: rows."""

    numbers: Tensor
    categories: Tensor
    targets: Tensor

    @property
    def weight(self) -> int:
        return len(self.targets)

    @property
    def positions(self) -> int:
        return self.weight

    def share(self, rank: int, *, size: int) -> RowBatch:
        """What one of `size` workers has of the rows."""
        each = self.weight // size
        return self._part(rank * each, each)

    def split(self, size: int) -> Iterator[RowBatch]:
        """The same rows in parts of at most `size`, in order."""
        if size >= self.weight:
            yield self
        else:
            yield from (self._part(start, size) for start in range(0, self.weight, size))

    def _part(self, start: int, count: int) -> RowBatch:
        here = slice(start, start + count)
        return RowBatch(self.numbers[here], self.categories[here], self.targets[here])


class Tabular:
    """Rows of a table. Implements `runtime.protocols.Task`, Compared and Illustrated."""

    sample_tokens: float | None = None

    def __init__(self, options: Options, opening: Opening) -> None:
        self._options, self._device, self._folder = options, opening.device, opening.folders["examples"]
        self._encoding: Encoding = read_encoding(json.loads((self._folder / "encoding.json").read_text()))
        self._train = SplitArrays(self._folder, "train")
        self._order = Order(len(self._train), seed=derive(opening.seed, "order"))
        self.samples_per_epoch = len(self._train)
        self._weights_K = None
        if self._encoding.classes and options.class_weights == "balanced":
            counts_K = np.asarray(self._encoding.targets[0].counts, dtype=np.float32)
            # A class without rows has no weight, and the others are 1 on average.
            weights_K = np.divide(counts_K.sum() / (counts_K > 0).sum(), counts_K, out=np.zeros_like(counts_K), where=counts_K > 0)
            self._weights_K = self._device.transfer(weights_K)

    def train_batch(self, first: int, *, count: int) -> RowBatch:
        """Rows first .. first + count - 1 in the order of the seed."""
        return self._batch(self._train, self._order.chosen(first, count=count))

    def _batch(self, arrays: SplitArrays, index: Any) -> RowBatch:
        return RowBatch(*map(self._device.transfer, arrays.gather(index)))

    def loss_sum(self, model: nn.Module, batch: RowBatch) -> Tensor:
        """Cross-entropy in nats, or the error of standardised targets, their mean where there are several, summed over the rows."""
        outputs_BO = model(batch.numbers, batch.categories).float()
        if self._encoding.classes:
            return F.cross_entropy(
                outputs_BO, batch.targets[:, 0], weight=self._weights_K, label_smoothing=self._options.label_smoothing, reduction="sum"
            )
        return self.errors(outputs_BO, batch.targets).mean(dim=1).sum()

    def errors(self, outputs_BY: Tensor, targets_BY: Tensor) -> Tensor:
        """The loss of each standardised value, (B, Y): what a task with another loss replaces."""
        match self._options.regression_loss:
            case "squared":
                return (outputs_BY - targets_BY).square()
            case "absolute":
                return (outputs_BY - targets_BY).abs()
            case "huber":
                return F.huber_loss(outputs_BY, targets_BY, reduction="none")

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
        """Sums over a split, or its first rows: those of `training.class_counts`, or of `regression_scores`."""
        arrays = SplitArrays(self._folder, split)
        rows = len(arrays) if max_samples is None else min(max_samples, len(arrays))
        targets = self._encoding.targets
        counts = ClassCounts(len(self._encoding.classes), device=self._device) if self._encoding.classes else None
        sums = torch.zeros((len(regression_scores.SUMS), len(targets)), dtype=torch.float64, device=self._device.place)
        for batch, outputs_BO, counted in self._outputs(model, arrays, np.arange(rows), workers, divided=divided, between=between):
            if counted and counts is not None:
                counts.add(outputs_BO, batch.targets[:, 0])
            elif counted:
                outputs_BY, targets_BY = outputs_BO.double(), batch.targets.double()
                error_BY, loss_BY = outputs_BY - targets_BY, self.errors(outputs_BY, targets_BY)
                sums += torch.stack([of.sum(dim=0) for of in (loss_BY, error_BY.abs(), error_BY**2, targets_BY, targets_BY**2)])
        if counts is not None:
            return counts.read(workers)
        totals = workers.total(self._device.to_host(sums).view(np.float64).tolist())
        return regression_scores.sums_of(totals, rows, targets)

    def _outputs(
        self, model: nn.Module, arrays: SplitArrays, index: Any, workers: Workers = ALONE, *, divided: int = 1,
        between: Callable[[], None] = nothing,
    ) -> Iterator[tuple[RowBatch, Tensor, bool]]:  # fmt: skip
        """A worker's share of the rows in parts, what the model makes of them, float32, and whether it counts. The model is in the mode
        it was in once this is closed."""
        at_once = max(1, EVALUATION_TOKENS[self._device.kind] // divided)
        with evaluating(model, self._device):
            for part, counted in with_pauses(
                workers.share([index[start : start + at_once] for start in range(0, len(index), at_once)]), between
            ):
                batch = self._batch(arrays, part)
                yield batch, model(batch.numbers, batch.categories).float(), counted

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Metrics of one set of sums."""
        return classification_scores.metrics(sums) if self._encoding.classes else regression_scores.metrics(sums)

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Rows of the validation split, each {"row", "input", "predicted", "expected"}."""
        samples = json.loads((self._folder / "samples.json").read_text())
        shown = samples["rows"][:: max(1, len(samples["rows"]) // max(1, count))][:count]
        if not shown:
            return []
        arrays, index = SplitArrays(self._folder, samples["split"]), np.asarray([sample["place"] for sample in shown])
        outputs = self._on_host(model, arrays, index, between=between)
        return [{"row": sample["row"], "input": sample["input"], "predicted": self._said(outputs_O), "expected": sample["expected"]}
                for sample, outputs_O in zip(shown, outputs, strict=True)]  # fmt: skip

    def _on_host(self, model: nn.Module, arrays: SplitArrays, index: Any, *, between: Callable[[], None]) -> Any:
        """Outputs of some rows, float64 (B, O): probabilities, or values on the targets' own scale."""
        parts = [outputs_BO for _, outputs_BO, _ in self._outputs(model, arrays, index, between=between)]
        outputs_BO = torch.cat(parts).double()
        if self._encoding.classes:
            outputs_BO = outputs_BO.softmax(dim=-1)
        found = self._device.to_host(outputs_BO).view(np.float64).reshape(outputs_BO.shape)
        return found if self._encoding.classes else self._own_scale(found)

    def _own_scale(self, values_BY: Any) -> Any:
        targets = self._encoding.targets
        return values_BY * np.asarray([t.std for t in targets]) + np.asarray([t.mean for t in targets])

    def _said(self, outputs_O: Any) -> str:
        """A prediction in words."""
        if self._encoding.classes:
            place = int(outputs_O.argmax())
            return f"{self._encoding.classes[place]} ({outputs_O[place]:.0%})"
        values = [number(float(value)) for value in outputs_O]
        return values[0] if len(values) == 1 else ", ".join(f"{t.name} {v}" for t, v in zip(self._encoding.targets, values, strict=True))

    def figures(
        self, model: nn.Module, split: str, sums: Mapping[str, Any], *, between: Callable[[], None] = nothing
    ) -> list[dict[str, Any]]:
        """Those of a classifier; or predicted against actual values, on evenly spread rows of a large split."""
        if self._encoding.classes:
            return classification_figures.figures(sums, self._encoding.classes)
        arrays = SplitArrays(self._folder, split)
        index = np.linspace(0, len(arrays) - 1, min(_FIGURE_ROWS, len(arrays))).astype(np.int64)
        predicted = self._on_host(model, arrays, index, between=between)
        actual = self._own_scale(arrays.targets[index].astype(np.float64))
        return regression_scores.figures(sums, self._encoding.targets, predicted=predicted, actual=actual, rows=arrays.rows[index].tolist())

    def baselines(self, split: str) -> list[Baseline]:
        """The mean or the most frequent class, and the best linear model; the loss of a baseline of numbers is the squared one's alone."""
        found = judged(self._linear, self._train, SplitArrays(self._folder, split), self._encoding, device=self._device)
        if self._encoding.classes or self._options.regression_loss == "squared":
            return found
        return [replace(one, metrics={name: value for name, value in one.metrics.items() if name != "loss"}) for one in found]

    @cached_property
    def _linear(self) -> Linear:
        return fit(self._train, self._encoding)


def build(options: Options, opening: Opening) -> Tabular:
    """The task on the folder of the `examples` step."""
    return Tabular(options, opening)
