"""Options of the `causal_lm` task: predict the next token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from specrun.spec.metrics import Goal
from specrun.spec.section import Part, option


class Options(Part):
    """Next-token prediction. The loss is the mean negative log-likelihood over the tokens of the optimizer step, in nats."""

    factory: ClassVar[str] = "specrun.tasks.causal_lm.build:build"
    ready: ClassVar[str] = "specrun.tasks.causal_lm.prompt:check"
    """Asked once the tokenizer is there, before a run begins."""
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": "minimize", "perplexity": "minimize", "word_perplexity": "minimize", "bits_per_byte": "minimize", "accuracy": "maximize",
    }  # fmt: skip
    """Names after `validation/` and `test/`, and which way each is better; `train/loss` and `throughput/...` exist for every task."""

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
