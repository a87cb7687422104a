"""The `image_classification` task: cross-entropy over classes, how a model of images is judged, what it has to beat.

Shapes: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import SpecrunError
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.protocols import nothing
from specrun.runtime.seeds import derive
from specrun.tasks.classification_figures import figures as classification_figures
from specrun.tasks.classification_scores import metrics as classification_metrics
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.image_classification.baselines import Baselines
from specrun.tasks.image_classification.options import Options
from specrun.training.augmentation import Changes, Transform
from specrun.training.class_counts import ClassCounts
from specrun.training.evaluating import evaluating, with_pauses
from specrun.training.image_batches import ImageBatch, Images

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's training images, as published models are trained with."""


class ImageClassification:
    """The task on prepared images. Implements `runtime.protocols.Task`, `Compared` and `Illustrated`."""

    sample_tokens: float | None = None

    def __init__(self, options: Options, opening: Opening) -> None:
        facts, device, seed = opening.facts["examples"], opening.device, opening.seed
        self._options, self._device, self._folder = options, device, opening.folders["examples"]
        self._classes: list[str] = facts["classes"]
        self._changes = changes(options, facts["sizes"])
        self._transform = Transform(*statistics(options, facts), place=device.place)
        self._images = Images(
            self._folder, seed=derive(seed, "order"), draw_seed=derive(seed, "augmentation"), device=device, changes=self._changes
        )
        self._baselines = Baselines(self._folder, num_classes=len(self._classes))
        self.samples_per_epoch = self._images.samples_per_epoch

    def train_batch(self, first: int, *, count: int) -> ImageBatch:
        """Samples first .. first + count - 1 in the order of the seed."""
        return self._images.train_batch(first, count=count)

    def inputs(self, batch: ImageBatch) -> Tensor:
        """What the model is given of a batch: float32 (B, C, H, W), normalised, and changed where that was drawn."""
        images_BCHW = (
            self._transform.normalized(batch.images)
            if batch.moves is None
            else self._transform.changed(batch.images, batch.moves, self._changes)
        )
        if batch.partner is None or batch.shares is None:
            return images_BCHW
        return torch.lerp(self.inputs(batch.partner), images_BCHW, batch.shares[:, None, None, None])

    def loss_sum(self, model: nn.Module, batch: ImageBatch) -> Tensor:
        """Cross-entropy of the classes, smoothed where asked, summed over the images; of mixed images that of both classes, by their shares
        (Zhang et al. 2018). Returns: scalar, float32, nats."""
        logits_BK = model(self.inputs(batch)).float()
        smoothing = self._options.label_smoothing
        if batch.partner is None or batch.shares is None:
            return F.cross_entropy(logits_BK, batch.labels, reduction="sum", label_smoothing=smoothing)
        own_B, other_B = (
            F.cross_entropy(logits_BK, labels, reduction="none", label_smoothing=smoothing)
            for labels in (batch.labels, batch.partner.labels)
        )
        return torch.lerp(other_B, own_B, batch.shares).sum()

    def evaluate(
        self, model: nn.Module, split: str, *, max_samples: int | None = None, workers: Workers = ALONE, divided: int = 1,
        between: Callable[[], None] = nothing,
    ) -> dict[str, Any]:  # fmt: skip
        """Sums over a split, or over its first images: see `class_counts.ClassCounts.read`. One transfer."""
        counts = ClassCounts(len(self._classes), device=self._device)
        with evaluating(model, self._device):
            for batch, counted in with_pauses(
                self._images.evaluation_batches(split, workers, max_samples=max_samples, divided=divided), between
            ):
                logits_BK = model(self.inputs(batch))
                if counted:
                    counts.add(logits_BK, batch.labels)
        return counts.read(workers)

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Metrics of one set of sums."""
        return classification_metrics(sums)

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Images of the validation split, evenly spaced over it: {"input": which, "expected", "predicted", "confidence"}."""
        split = "validation"
        labels = self._images.labels(split)
        chosen = np.unique(np.linspace(0, len(labels) - 1, min(count, len(labels))).astype(np.int64))
        if not len(chosen):
            return []
        between()
        training = model.training
        model.eval()
        try:
            with torch.no_grad(), self._device.autocast():
                likelihood_BK = model(self.inputs(self._images.some(split, chosen))).float().softmax(dim=-1)
        finally:
            model.train(training)
        confidence_B, predicted_B = likelihood_BK.max(dim=-1)
        found = self._device.to_host(torch.stack((confidence_B.double(), predicted_B.double()))).view(np.float64).reshape(2, -1)
        rows = np.load(self._folder / f"{split}.rows.npy")[chosen]
        return [
            {"input": f"image in row {row}", "expected": self._classes[label], "predicted": self._classes[int(predicted)],
             "confidence": float(confidence)}
            for row, label, confidence, predicted in zip(rows, labels[chosen], *found, strict=True)
        ]  # fmt: skip

    def baselines(self, split: str) -> list[Baseline]:
        """The most frequent class, and a linear model of pixels in closed form."""
        return self._baselines.on(split)

    def figures(
        self, model: nn.Module, split: str, sums: Mapping[str, Any], *, between: Callable[[], None] = nothing
    ) -> list[dict[str, Any]]:
        """Confusion, the pairs most confused, classes and reliability."""
        return classification_figures(sums, self._classes)


def changes(options: Options, sizes: Mapping[str, int]) -> Changes:
    """What is done to images of that size. Raises: SpecrunError for what is too large for them."""
    asked = options.augmentation
    if (found := asked.excess(sizes["height"], sizes["width"])) is not None:
        name, why, fits = found
        raise SpecrunError(
            f"task.augmentation.{name} {getattr(asked, name)} of images of {sizes['height']} x {sizes['width']} pixels: {why}",
            code="augmentation-exceeds-image", hint=f"use task.augmentation.{name}: {fits}",
        )  # fmt: skip
    return Changes(flip=asked.flip or 0.0, crop=asked.crop or 0, cutout=asked.cutout or 0, mixup=asked.mixup or 0.0)


def statistics(options: Options, facts: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel, on a scale from 0 to 1. Raises: SpecrunError for those of ImageNet where images are grey."""
    channels = facts["sizes"]["channels"]
    if options.normalization == "none":
        return [0.0] * channels, [1.0] * channels
    if options.normalization == "dataset":
        return facts["mean"], facts["std"]
    if channels != len(IMAGENET[0]):
        raise SpecrunError("task.normalization imagenet is of three channels, and these images are grey", code="imagenet-is-in-color",
                           hint="use task.normalization: dataset, or task.color: rgb")  # fmt: skip
    mean, std = IMAGENET
    return list(mean), list(std)


def build(options: Options, opening: Opening) -> ImageClassification:
    """The task on the folder of the `examples` step. Raises: SpecrunError for options that do not go with the images."""
    return ImageClassification(options, opening)
