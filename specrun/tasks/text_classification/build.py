"""The `text_classification` task on prepared texts: the loss, evaluations, baselines and figures.

Shapes: B texts, T tokens, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.plan.cost import EVALUATION_TOKENS
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.protocols import nothing
from specrun.runtime.seeds import derive
from specrun.tasks import classification_figures, classification_scores
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.text_classification.options import Options
from specrun.training.class_counts import ClassCounts
from specrun.training.documents import Reading
from specrun.training.evaluating import evaluating, with_pauses
from specrun.training.text_batches import TextBatch, TextSamples


class TextClassification:
    """Texts and their classes. Implements `runtime.protocols.Task`, Compared and Illustrated."""

    sample_tokens: float | None = None

    def __init__(self, options: Options, opening: Opening) -> None:
        data, device = opening.spec.data, opening.device
        self._options, self._device, self._folder = options, device, opening.folders["examples"]
        facts = opening.facts["examples"]
        self._classes: list[str] = facts["classes"]
        self._baselines: Mapping[str, list[dict[str, Any]]] = facts["baselines"]
        reading = Reading(
            opening.spec.schedule.batch_size, group_by_length=data.group_by_length, pad_to_few_shapes=opening.pad_to_few_shapes
        )
        self._samples = TextSamples(
            self._folder, sequence_length=data.sequence_length, seed=derive(opening.seed, "order"), device=device, reading=reading
        )
        self.samples_per_epoch = self._samples.samples_per_epoch
        self._weights_K = None
        if options.class_weights == "balanced":
            counts_K = np.bincount(self._samples.train_labels, minlength=len(self._classes)).astype(np.float32)
            self._weights_K = device.transfer(counts_K.sum() / (np.float32(np.count_nonzero(counts_K)) * np.maximum(counts_K, 1)))

    def train_batch(self, first: int, *, count: int) -> TextBatch:
        """Texts first .. first + count - 1 in the order of the seed."""
        return self._samples.train_batch(first, count=count)

    def loss_sum(self, model: nn.Module, batch: TextBatch) -> Tensor:
        """Negative log-likelihood of the labels, smoothed ones where asked, summed over the texts. Returns: scalar, float32, nats."""
        logits_BK = model(batch.ids, batch.lengths).float()
        return F.cross_entropy(
            logits_BK, batch.labels, weight=self._weights_K, label_smoothing=self._options.label_smoothing, reduction="sum"
        )

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
        """Sums over a split, or its first texts: those of `training.class_counts`."""
        counts = ClassCounts(len(self._classes), device=self._device)
        at_once = EVALUATION_TOKENS[self._device.kind] // divided
        batches = self._samples.evaluation_batches(split, max_samples=max_samples, workers=workers, at_once=at_once)
        with evaluating(model, self._device):
            for batch, counted in with_pauses(batches, between):
                logits_BK = model(batch.ids, batch.lengths)
                if counted:
                    counts.add(logits_BK, batch.labels)
        return counts.read(workers)

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Metrics of one set of sums."""
        return classification_scores.metrics(sums)

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Texts of the validation split, evenly spread, each {"row", "input", "predicted", "expected"}."""
        samples = json.loads((self._folder / "samples.json").read_text())
        shown = samples["texts"][:: max(1, len(samples["texts"]) // max(1, count))][:count]
        if not shown:
            return []
        between()
        batch, training = self._samples.chosen_batch(samples["split"], np.array([text["place"] for text in shown])), model.training
        model.eval()
        try:
            with torch.no_grad(), self._device.autocast():
                probabilities_BK = model(batch.ids, batch.lengths).double().softmax(dim=-1)
        finally:
            model.train(training)
        found = self._device.to_host(probabilities_BK).view(np.float64).reshape(len(shown), -1)
        return [
            {"row": text["row"], "input": text["input"], "predicted": self._said(of_text), "expected": text["expected"]}
            for text, of_text in zip(shown, found, strict=True)
        ]

    def _said(self, probabilities_K: Any) -> str:
        place = int(probabilities_K.argmax())
        return f"{self._classes[place]} ({probabilities_K[place]:.0%})"

    def figures(
        self, model: nn.Module, split: str, sums: Mapping[str, Any], *, between: Callable[[], None] = nothing
    ) -> list[dict[str, Any]]:
        """Those of a classifier."""
        return classification_figures.figures(sums, self._classes)

    def baselines(self, split: str) -> list[Baseline]:
        """The most frequent class and Naive Bayes, as they were judged when the texts were prepared."""
        return [Baseline(**baseline) for baseline in self._baselines.get(split, [])]


def build(options: Options, opening: Opening) -> TextClassification:
    """The task on the folder of the `examples` step."""
    return TextClassification(options, opening)
