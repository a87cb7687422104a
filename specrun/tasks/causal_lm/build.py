"""Next-token prediction: the loss over the tokens of a batch, evaluation over whole splits, texts to look at.

What a sample is, a window of the stream or a document, is the business of `training.windows` and `training.document_batches`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from torch import Tensor, nn

from specrun.plan.cost import EVALUATION_TOKENS
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.products import multiplication
from specrun.runtime.protocols import LanguageModel, nothing
from specrun.runtime.seeds import derive
from specrun.tasks.causal_lm.options import Options
from specrun.tasks.causal_lm.text import stream_text
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.unigram import unigram
from specrun.tokenizers.contract import encode_prompt, load_tokenizer
from specrun.training.cross_entropy import linear_cross_entropy_sum, linear_scores
from specrun.training.document_batches import DocumentBatch, Documents
from specrun.training.documents import Reading
from specrun.training.evaluating import LARGEST_EXPONENT, evaluating, perplexity, with_pauses
from specrun.training.generation import Sampling, generate
from specrun.training.token_file import open_tokens
from specrun.training.windows import Stretch, TokenBatch, Windows

_PROMPT_TOKENS = 32
_FIRST_WORDS = re.compile(r"\s*(?:\S+\s+){0,3}\S+")


class CausalLM:
    """The task on token files. Implements `runtime.protocols.Task`."""

    def __init__(self, options: Options, opening: Opening) -> None:
        data, folders, device, seed = opening.spec.data, opening.folders, opening.device, opening.seed
        tokens, order, sequence_length, reading = folders["tokens"], derive(seed, "order"), data.sequence_length, None
        if data.packing == "documents":
            reading = Reading(opening.spec.schedule.batch_size, group_by_length=data.group_by_length,
                              pad_to_few_shapes=opening.pad_to_few_shapes)  # fmt: skip
        self.vocab_size = open_tokens(tokens, "train").info.vocab_size
        self._options, self._device, self._seed, self._folders, self._packing = options, device, seed, folders, data.packing
        self._samples = (
            Windows(tokens, sequence_length=sequence_length, seed=order, device=device)
            if reading is None
            else Documents(tokens, sequence_length=sequence_length, seed=order, device=device, reading=reading)
        )
        self._multiply = multiplication(device, few_shapes=reading is None)
        self.samples_per_epoch, self.sample_tokens = self._samples.samples_per_epoch, self._samples.sample_tokens
        self._tokenizer = load_tokenizer(folders["tokenizer"])
        # Encoded now, so that a character without a token is an error before the first step.
        self._prompt = None if options.prompt is None else (options.prompt, encode_prompt(self._tokenizer, options.prompt))

    def train_batch(self, first: int, *, count: int) -> TokenBatch | DocumentBatch:
        """Samples first .. first + count - 1 in the order of the seed."""
        return self._samples.train_batch(first, count=count)

    def loss_sum(self, model: nn.Module, batch: TokenBatch | DocumentBatch) -> Tensor:
        """Negative log-likelihood of the targets, smoothed ones where asked, summed over the batch. Returns: scalar, float32, nats."""
        network = cast("LanguageModel", model)
        hidden_NC, labels_N = batch.predictions(network.hidden(batch.inputs))
        return linear_cross_entropy_sum(hidden_NC, network.head_VC, labels_N, label_smoothing=self._options.label_smoothing,
                                        multiply=self._multiply)  # fmt: skip

    def evaluate(
        self,
        model: nn.Module,
        split: str,
        *,
        max_samples: int | None = None,
        workers: Workers = ALONE,
        divided: int = 1,
        between: Callable[[], None] = nothing,
    ) -> dict[str, float]:
        """Sums over a split: each token but the first of the stream, or of its document, is predicted once.

        Returns: nll in nats, tokens, correct, bytes, words. max_samples: only the first samples; bytes and words are then the
        split's, scaled by the share of its tokens. divided: of so many as usual, that part of the tokens is computed at once.
        between: called between two batches.
        """
        network = cast("LanguageModel", model)
        predicted = self._samples.predicted(split, max_samples=max_samples)
        at_once = EVALUATION_TOKENS[self._device.kind] // divided
        totals: list[Tensor] = []
        found = self._samples.evaluation_batches(split, predicted.tokens, workers, at_once=at_once)
        batches = cast("Iterable[tuple[Stretch | DocumentBatch, bool]]", found)
        with evaluating(model, self._device):
            for batch, counts in with_pauses(batches, between):
                hidden_NC, labels_N = batch.predictions(network.hidden(batch.inputs))
                nll, correct = linear_scores(hidden_NC, network.head_VC, labels_N, multiply=self._multiply)
                if counts:
                    totals = [nll, correct] if not totals else [totals[0] + nll, totals[1] + correct]
        nll_sum, correct_sum = workers.total(self._device.read(totals) or (0.0, 0.0))
        text = {"bytes": predicted.bytes, "words": predicted.words}
        return {"nll": nll_sum, "tokens": predicted.tokens, "correct": correct_sum, **text}

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Metrics of one set of sums; a perplexity beyond 1e301 is infinite. One without a meaning is left out, whatever the loss: that of
        words where there are none, or so few, as in Chinese, that guessing among all tokens alike would have an infinite one."""
        nll, tokens = sums["nll"], sums["tokens"]
        found = {}
        if tokens:
            found = {"loss": nll / tokens, "accuracy": sums["correct"] / tokens}
        words = sums["words"] if tokens * math.log(self.vocab_size) < sums["words"] * LARGEST_EXPONENT else 0
        for name, count in (("perplexity", tokens), ("word_perplexity", words)):
            if count:
                found[name] = perplexity(nll / count)
        if sums["bytes"]:
            found["bits_per_byte"] = nll / (math.log(2) * sums["bytes"])
        return found

    def baselines(self, split: str) -> list[Baseline]:
        """The unigram model's figures on a whole split."""
        found = unigram(self._folders["tokens"], split, vocab_size=self.vocab_size, packing=self._packing)
        if found is None:
            return []
        text = self._samples.predicted(split, max_samples=None)
        sums = {"nll": found.entropy * text.tokens, "tokens": text.tokens, "correct": found.accuracy * text.tokens,
                "bytes": text.bytes, "words": text.words}  # fmt: skip
        return [Baseline("unigram", "unigram baseline", self.metrics(sums))]

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Texts that the model writes, each {"prompt", "text"}: the same for the same model. between: called before each token."""
        if count == 0:
            return []
        info = open_tokens(self._folders["tokens"], "train").info
        prompt, ids = self._prompt if self._prompt is not None else self._validation_prompt()
        if info.leading_end_of_text or not ids:
            ids = [info.end_of_text_id or 0, *ids]
        network, found = cast("LanguageModel", model), []
        for number in range(count):
            sampling = Sampling(seed=derive(self._seed, "sample", number) >> 1)
            written = generate(
                network, ids, tokens=self._options.sample_tokens, sampling=sampling, device=self._device,
                stop_id=info.end_of_text_id, vocab_size=self.vocab_size, between=between,
            )  # fmt: skip
            text = "".join(stream_text(self._tokenizer.decode, ids, written))
            found.append({"prompt": prompt, "text": text, "temperature": sampling.temperature, "top_k": sampling.top_k})
        return found

    def _validation_prompt(self) -> tuple[str, list[int]]:
        """The first words of the validation split, and their ids."""
        file = open_tokens(self._folders["tokens"], "validation")
        text: str = self._tokenizer.decode(file.ids[:_PROMPT_TOKENS].tolist(), skip_special_tokens=True)
        words = _FIRST_WORDS.match(text)
        prompt = words[0] if words else text
        return prompt, encode_prompt(self._tokenizer, prompt)


def build(options: Options, opening: Opening) -> CausalLM:
    """The task on the folders of the `tokens` and `tokenizer` steps. Raises: DataError for a corpus too short."""
    return CausalLM(options, opening)
