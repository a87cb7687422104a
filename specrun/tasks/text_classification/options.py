"""Options of the `text_classification` task: the class of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import option
from specrun.spec.task_options import Goal, Need, TaskOptions
from specrun.tasks.classification_metrics import METRIC_LABELS, METRICS, SHARES

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(TaskOptions):
    """Classification of texts. Of a text longer than `data.sequence_length` the beginning is read."""

    factory: ClassVar[str] = "specrun.tasks.text_classification.build:build"
    prepare: ClassVar[str | None] = "specrun.tasks.text_classification.prepare:prepare"
    prepare_fields: ClassVar[frozenset[str] | None] = frozenset()
    interface: ClassVar[str] = "text_classifier"
    prepared_by: ClassVar[tuple[str, ...]] = ("tokenizer", "examples")
    roles: ClassVar[Mapping[str, Need]] = {"text": "required", "label": "required"}
    text_roles: ClassVar[tuple[str, ...]] = ("text",)
    data_settings: ClassVar[frozenset[str]] = frozenset({"tokenizer", "sequence_length", "group_by_length"})
    counts: ClassVar[str] = "texts"
    metrics: ClassVar[Mapping[str, Goal]] = METRICS
    metric_labels: ClassVar[Mapping[str, str]] = METRIC_LABELS
    metric_shares: ClassVar[frozenset[str]] = SHARES

    kind: Literal["text_classification"] = option(impact="weights", description="The class of a text.")
    class_weights: Literal["balanced"] | None = option(
        None,
        impact="weights",
        description="balanced: the loss of a text counts by the inverse of its class's share of the train split, 1 on average. Absent "
        "means all texts count alike.",
    )
    label_smoothing: float = option(
        0.0,
        impact="weights",
        description="Share of each class that is spread over all of them; in training (and train/loss) only, not in evaluations.",
        ge=0,
        lt=1,
    )

    def few_shapes(self, spec: Spec) -> bool:
        return False

    def sample_positions(self, spec: Spec) -> int:
        return spec.data.sequence_length
