"""Options of the `image_classification` task: the class of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Problem, Section, option
from specrun.spec.task_options import Goal, Need, TaskOptions
from specrun.tasks.classification_metrics import METRIC_LABELS, METRICS, SHARES

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Side = Annotated[int, Field(ge=1, le=4096)]
LARGEST_SIDE = 4096
"""Of an image, in pixels."""


class Augmentation(Section):
    """How images of the train split are changed, anew each time they are seen; absent means they are not. Evaluations see them as they
    are. What is drawn depends on the seed and the number of the sample alone."""

    flip: float | None = option(
        None, impact="weights", description="Probability that an image is mirrored, left and right exchanged.", gt=0, le=1
    )
    crop: int | None = option(
        None,
        impact="weights",
        description="Pixels of black that are put around an image, of which a stretch of its own size is then cut out at random.",
        ge=1,
        le=1024,
    )
    cutout: int | None = option(
        None,
        impact="weights",
        description="Side in pixels of a square around a random place in the image that is set to the mean.",
        ge=1,
        le=2048,
    )
    mixup: float | None = option(
        None,
        impact="weights",
        description="Each image, and its class in the loss, is mixed with another of the train split, by a share of a beta distribution "
        "with both parameters so large.",
        gt=0,
        le=100,
    )

    def excess(self, height: int, width: int) -> tuple[str, str, int] | None:
        """What is too large for images of that size: the field, why, and what fits. None where nothing is."""
        side = min(height, width)
        if self.crop is not None and self.crop >= side:
            return "crop", "a stretch could miss the image", max(1, side // 8)
        if self.cutout is not None and self.cutout >= side:
            return "cutout", "a square could cover the image", max(1, side // 2)
        return None


class Options(TaskOptions):
    """Classification of images, which all have one size. They are decoded once, kept as bytes, and normalised a batch at a time."""

    factory: ClassVar[str] = "specrun.tasks.image_classification.build:build"
    prepare: ClassVar[str | None] = "specrun.tasks.image_classification.prepare:prepare"
    prepare_fields: ClassVar[frozenset[str] | None] = frozenset({"size", "color"})
    interface: ClassVar[str] = "image_classifier"
    roles: ClassVar[Mapping[str, Need]] = {"image": "required", "label": "required"}
    counts: ClassVar[str] = "images"
    metrics: ClassVar[Mapping[str, Goal]] = METRICS
    metric_labels: ClassVar[Mapping[str, str]] = METRIC_LABELS
    metric_shares: ClassVar[frozenset[str]] = SHARES

    kind: Literal["image_classification"] = option(impact="weights", description="The class of an image.")
    size: Side | tuple[Side, Side] | None = option(
        None,
        impact="weights",
        description="Height and width in pixels, or one number for both: images are scaled to cover it and cut to it in the middle. "
        "Absent means that all have one size already.",
        examples=[32, [48, 64]],
    )
    color: Literal["auto", "rgb", "grey"] = option(
        "auto", impact="weights", description="What images are turned into. auto: all are grey already, or all in colour; transparency is "
        "refused."
    )  # fmt: skip
    normalization: Literal["dataset", "imagenet", "none"] = option(
        "dataset",
        impact="weights",
        description="Which mean is taken off each channel, and by which deviation it is divided. dataset: those of the train split; "
        "imagenet: those of ImageNet; none: values go from 0 to 1.",
    )
    augmentation: Augmentation = option(Augmentation(), impact="weights", description="How images of the train split are changed.")
    label_smoothing: float = option(
        0.0,
        impact="weights",
        description="Share of each class that is spread over all of them; in training (and train/loss) only, not in evaluations.",
        ge=0,
        lt=1,
    )

    @property
    def extent(self) -> tuple[int, int] | None:
        """Height and width that images are brought to, where that is said."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.normalization == "imagenet" and self.color == "grey":
            yield Problem((*path, "normalization"), "imagenet-is-in-color",
                          "ImageNet's mean and deviation are of three channels, and color grey leaves one",
                          "use normalization: dataset, or color: rgb")  # fmt: skip
        if self.extent is not None and (found := self.augmentation.excess(*self.extent)) is not None:
            name, why, fits = found
            height, width = self.extent
            yield Problem((*path, "augmentation", name), "augmentation-exceeds-image",
                          f"{name} {getattr(self.augmentation, name)} of images of {height} x {width} pixels: {why}",
                          f"use {name}: {fits}")  # fmt: skip
