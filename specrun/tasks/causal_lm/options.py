"""Options of the `causal_lm` task: predict the next token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.spec.section import option
from specrun.spec.task_options import Goal, Need, TaskOptions

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(TaskOptions):
    """Next-token prediction. The loss is the mean negative log-likelihood over the tokens of the optimizer step, in nats."""

    factory: ClassVar[str] = "specrun.tasks.causal_lm.build:build"
    ready: ClassVar[str | None] = "specrun.tasks.causal_lm.prompt:check"
    interface: ClassVar[str] = "language_model"
    prepared_by: ClassVar[tuple[str, ...]] = ("tokenizer", "tokens")
    data_form: ClassVar[Literal["documents", "table"]] = "documents"
    roles: ClassVar[Mapping[str, Need]] = {"text": "required"}
    text_roles: ClassVar[tuple[str, ...]] = ("text",)
    data_settings: ClassVar[frozenset[str]] = frozenset({"tokenizer", "sequence_length", "packing", "group_by_length"})
    counts: ClassVar[str] = "tokens"
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": "minimize", "perplexity": "minimize", "word_perplexity": "minimize", "bits_per_byte": "minimize", "accuracy": "maximize",
    }  # fmt: skip
    metric_labels: ClassVar[Mapping[str, str]] = {
        "loss": "loss, nats per token", "perplexity": "perplexity, per token", "word_perplexity": "word perplexity, per word",
        "bits_per_byte": "bits per byte, whatever the tokenizer", "accuracy": "accuracy, of tokens predicted right",
    }  # fmt: skip
    metric_shares: ClassVar[frozenset[str]] = frozenset({"accuracy"})

    kind: Literal["causal_lm"] = option(impact="weights", description="Next-token prediction.")
    prompt: str | None = option(
        None,
        impact="eval",
        description="Start of the texts generated at evaluations; absent takes the first words of the validation split.",
    )
    label_smoothing: float = option(
        0.0,
        impact="weights",
        description="Share of each target that is spread over the whole vocabulary; in training (and train/loss) only, not in evaluations.",
        ge=0,
        lt=1,
    )
    sample_tokens: int = option(96, impact="eval", description="Tokens generated for each text at an evaluation.", ge=1, le=4096)

    def sizes(self, spec: Spec, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"vocab_size": int(facts["vocab_size"]), "sequence_length": spec.data.sequence_length}

    def sample_length(self, spec: Spec) -> int:
        return spec.data.sequence_length

    def few_shapes(self, spec: Spec) -> bool:
        return spec.data.packing == "stream"
