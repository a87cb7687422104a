"""Options of the `seq2seq` task: write a target for each source, such as its translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Problem, apart, option
from specrun.spec.shape import read
from specrun.spec.task_options import Goal, Need, TaskOptions

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(TaskOptions):
    """An encoder-decoder is taught each token of a target by those before it. The loss is the mean negative log-likelihood over the target
    tokens of the optimizer step, ends counted, in nats. Source and target have one tokenizer."""

    factory: ClassVar[str] = "specrun.tasks.seq2seq.build:build"
    interface: ClassVar[str] = "seq2seq"
    prepared_by: ClassVar[tuple[str, ...]] = ("tokenizer", "examples")
    prepare: ClassVar[str | None] = "specrun.tasks.seq2seq.prepare:prepare"
    prepare_fields: ClassVar[frozenset[str] | None] = frozenset()
    roles: ClassVar[Mapping[str, Need]] = {"source": "required", "target": "required"}
    text_roles: ClassVar[tuple[str, ...]] = ("source", "target")
    special_tokens: ClassVar[tuple[str, ...]] = ("end",)
    data_settings: ClassVar[frozenset[str]] = frozenset({"tokenizer", "sequence_length", "group_by_length"})
    counts: ClassVar[str] = "tokens"
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": "minimize", "perplexity": "minimize", "accuracy": "maximize", "bleu": "maximize", "chrf": "maximize",
    }  # fmt: skip
    metric_labels: ClassVar[Mapping[str, str]] = {
        "loss": "loss, nats per target token", "perplexity": "perplexity, per target token", "accuracy": "accuracy, of target tokens",
        "bleu": "BLEU", "chrf": "chrF",
    }  # fmt: skip
    metric_shares: ClassVar[frozenset[str]] = frozenset({"accuracy"})

    kind: Literal["seq2seq"] = option(impact="weights", description="Write a target for each source, such as its translation.")
    label_smoothing: float = option(
        0.1,
        impact="weights",
        description="Share of each target token that is spread over the whole vocabulary; in training (and train/loss) only.",
        ge=0,
        lt=1,
    )
    beam_size: int = option(
        4,
        impact="eval",
        description="Beams of the search for targets, at the end; 1 is greedy, as evaluations during training always are.",
        ge=1,
        le=64,
    )
    length_penalty: float = option(
        1.0,
        impact="eval",
        description="Power of its length by which a target's log-probability is divided; more prefers longer ones.",
        ge=0,
        le=10,
    )
    translated_samples: int = option(
        200,
        impact="weights",
        description="Sources of the validation split, the first ones, that evaluations during training write a target for; at the end all.",
        ge=1,
        le=10**9,
    )
    bleu_tokenizer: Literal["13a", "intl", "zh", "char", "none"] = option(
        "13a",
        impact="eval",
        description="How sacrebleu cuts texts into words for BLEU: zh for Chinese, char for Japanese, none for cut ones.",
    )

    def sample_length(self, spec: Spec) -> int:
        return spec.data.sequence_length

    def sample_positions(self, spec: Spec) -> int:
        return 2 * spec.data.sequence_length

    def few_shapes(self, spec: Spec) -> bool:
        return False

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._end_of_text(spec), self._lowercase(spec), self._penalty(path))

    def _end_of_text(self, spec: Spec) -> Iterator[Problem]:
        tokenizer = spec.data.tokenizer
        if read(tokenizer, "end_of_text") is not None and "end_of_text" in tokenizer.model_fields_set:
            yield Problem(("data", "tokenizer", "end_of_text"), "option-without-effect",
                          "data.tokenizer.end_of_text has no effect: each source and each target has an end in any case",
                          "remove end_of_text", severity="warning")  # fmt: skip

    def _lowercase(self, spec: Spec) -> Iterator[Problem]:
        if read(spec.data.tokenizer, "lowercase"):
            yield Problem(("data", "tokenizer", "lowercase"), "tokenizer-lowers-targets",
                          "the tokenizer makes letters small, so that the model writes no capitals; BLEU and chrF compare with targets "
                          "that have them",
                          "set data.tokenizer.lowercase: false", severity="warning")  # fmt: skip

    def _penalty(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.beam_size == 1 and "length_penalty" in self.model_fields_set:
            yield Problem((*path, "length_penalty"), "option-without-effect",
                          "task.length_penalty has no effect: with beam_size 1 there is one target to choose from",
                          "remove length_penalty, or use beam_size: 4", severity="warning")  # fmt: skip
