"""Options of the `masked_lm` task: say what stands where tokens are hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.spec.section import Problem, option
from specrun.spec.task_options import Goal, Need, TaskOptions

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(TaskOptions):
    """Masked language modelling (Devlin et al. 2018). The loss is the mean negative log-likelihood over the chosen tokens, in nats."""

    factory: ClassVar[str] = "specrun.tasks.masked_lm.build:build"
    interface: ClassVar[str] = "masked_language_model"
    prepared_by: ClassVar[tuple[str, ...]] = ("tokenizer", "tokens")
    data_form: ClassVar[Literal["documents", "table"]] = "documents"
    roles: ClassVar[Mapping[str, Need]] = {"text": "required"}
    text_roles: ClassVar[tuple[str, ...]] = ("text",)
    special_tokens: ClassVar[tuple[str, ...]] = ("mask",)
    data_settings: ClassVar[frozenset[str]] = frozenset({"tokenizer", "sequence_length"})
    counts: ClassVar[str] = "tokens"
    metrics: ClassVar[Mapping[str, Goal]] = {"loss": "minimize", "accuracy": "maximize", "pseudo_perplexity": "minimize"}
    metric_labels: ClassVar[Mapping[str, str]] = {
        "loss": "loss, nats per masked token", "accuracy": "accuracy, of masked tokens",
        "pseudo_perplexity": "pseudo-perplexity, per masked token",
    }  # fmt: skip
    metric_shares: ClassVar[frozenset[str]] = frozenset({"accuracy"})

    kind: Literal["masked_lm"] = option(impact="weights", description="Say what stands where tokens are hidden.")
    mask_fraction: float = option(
        0.15,
        impact="weights",
        description="Share of the tokens of each sequence that are predicted, at least one; in training others each time, in evaluations "
        "always the same.",
        gt=0,
        le=0.9,
    )
    mask_share: float = option(
        0.8, impact="weights", ge=0, le=1,
        description="Share of the predicted tokens that [MASK] stands for in training; in evaluations it does for all.",
    )  # fmt: skip
    random_share: float = option(
        0.1, impact="weights", description="Share of the predicted tokens that a random token stands for in training; the rest are left.",
        ge=0, le=1,
    )  # fmt: skip

    def predicted(self, length: int) -> int:
        """Tokens of a sequence of that length that are predicted."""
        return min(length, max(1, round(self.mask_fraction * length)))

    def sizes(self, spec: Spec, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"vocab_size": int(facts["vocab_size"]), "sequence_length": spec.data.sequence_length}

    def sample_length(self, spec: Spec) -> int:
        return self.predicted(spec.data.sequence_length)

    def sample_positions(self, spec: Spec) -> int:
        return spec.data.sequence_length

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares that are more than the whole."""
        if self.mask_share + self.random_share > 1 + 1e-9:
            most = round(1 - self.mask_share, 6)
            yield Problem((*path, "random_share"), "shares-exceed-one",
                          f"mask_share {self.mask_share:g} and random_share {self.random_share:g} are more than 1 together",
                          f"use random_share: {most:g} or less")  # fmt: skip
