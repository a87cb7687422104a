"""Next-token prediction: batches of windows, the loss over their tokens, evaluation over whole splits, texts to look at.

Shapes: B sequences, T tokens each, N tokens, C width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from specrun.plan.cost import EVALUATION_TOKENS
from specrun.runtime.device import Device
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.protocols import LanguageModel, nothing
from specrun.runtime.seeds import derive
from specrun.tasks.causal_lm.options import Options
from specrun.tasks.causal_lm.text import stream_text
from specrun.tokenizers.contract import encode_prompt, load_tokenizer
from specrun.training.cross_entropy import linear_cross_entropy_sum, linear_scores
from specrun.training.generation import Sampling, generate
from specrun.training.sampler import WindowSampler
from specrun.training.token_file import TokenFile, open_tokens

_PROMPT_TOKENS = 32
_FIRST_WORDS = re.compile(r"\s*(?:\S+\s+){0,3}\S+")
_LARGEST_EXPONENT = math.log(2.0**1000)


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Windows of T + 1 ids each, (B, T + 1), on the device. weight: predicted tokens, B x T."""

    ids: Tensor

    @property
    def weight(self) -> int:
        return self.ids.shape[0] * (self.ids.shape[1] - 1)

    def split(self, size: int) -> Iterator[TokenBatch]:
        """The same windows in parts of at most `size`, in order."""
        if size >= len(self.ids):
            yield self
        else:
            yield from (TokenBatch(self.ids[start : start + size]) for start in range(0, len(self.ids), size))


class CausalLM:
    """The task on token files. Implements `runtime.protocols.Task`."""

    def __init__(self, options: Options, *, folders: Mapping[str, Path], sequence_length: int, seed: int, device: Device) -> None:
        self.vocab_size = open_tokens(folders["tokens"], "train").info.vocab_size
        self._options, self._device, self._length, self._seed = options, device, sequence_length, seed
        self._folders = folders
        train = open_tokens(folders["tokens"], "train")
        # A plain array over the map: numpy's memmap class costs microseconds in each operation.
        self._ids = np.asarray(train.ids)
        self._sampler = WindowSampler(train.info.count, sequence_length=sequence_length, seed=derive(seed, "order"))
        self.samples_per_epoch = self._sampler.samples_per_epoch
        self._window = np.arange(sequence_length + 1)
        self._tokenizer = load_tokenizer(folders["tokenizer"])
        # Encoded now, so that a character without a token is an error before the first step.
        self._prompt = None if options.prompt is None else (options.prompt, encode_prompt(self._tokenizer, options.prompt))

    def train_batch(self, first: int, *, count: int) -> TokenBatch:
        """Windows first .. first + count - 1 in the order of the seed."""
        index = self._sampler.starts(first, count=count)[:, None] + self._window
        return TokenBatch(self._device.transfer(self._ids[index].astype(np.int64)))

    def loss_sum(self, model: nn.Module, batch: TokenBatch) -> Tensor:
        """Negative log-likelihood of the targets, smoothed ones where asked, summed over the batch. Returns: scalar, float32, nats."""
        network = cast("LanguageModel", model)
        hidden_NC = network.hidden(batch.ids[:, :-1]).flatten(0, 1)
        smoothing = self._options.label_smoothing
        return linear_cross_entropy_sum(hidden_NC, network.head_VC, batch.ids[:, 1:].flatten(), label_smoothing=smoothing)

    def evaluate(
        self, model: nn.Module, split: str, *, max_samples: int | None = None, workers: Workers = ALONE, divided: int = 1,
        between: Callable[[], None] = nothing,
    ) -> dict[str, float]:
        """Sums over a split, in windows that do not overlap, the last one shorter: each token but the first is predicted once.

        Returns: nll in nats, tokens, correct, bytes, words. max_samples: only the first windows; bytes and words are then the
        split's, scaled by the share of its tokens. divided: of so many as usual, that part of the tokens is computed at once.
        between: called between two batches.
        """
        file = open_tokens(self._folders["tokens"], split)
        network, training = cast("LanguageModel", model), model.training
        predicted = max(0, file.info.count - 1)
        tokens = predicted if max_samples is None else min(predicted, max_samples * self._length)
        totals: list[Tensor] = []
        model.eval()
        try:
            with torch.no_grad(), self._device.autocast():
                for inputs, labels, counts in self._evaluation_batches(file, tokens, workers, at_once=EVALUATION_TOKENS[self._device.kind] // divided):
                    if totals:
                        between()
                    hidden_BTC = network.hidden(self._device.transfer(inputs))
                    nll, correct = linear_scores(hidden_BTC.flatten(0, 1), network.head_VC, self._device.transfer(labels).flatten())
                    if counts:
                        totals = [nll, correct] if not totals else [totals[0] + nll, totals[1] + correct]
        finally:
            model.train(training)
        nll_sum, correct_sum = workers.total(self._device.read(totals) or (0.0, 0.0))
        share = tokens / predicted if predicted else 0.0
        return {
            "nll": nll_sum, "tokens": tokens, "correct": correct_sum,
            "bytes": file.info.predicted_bytes * share, "words": file.info.predicted_words * share,
        }  # fmt: skip

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Metrics of one set of sums. One that has no meaning (no words, or a perplexity beyond 1e301) is left out."""
        nll, tokens = sums["nll"], sums["tokens"]
        found = {}
        if tokens:
            found = {"loss": nll / tokens, "accuracy": sums["correct"] / tokens}
        for name, count in (("perplexity", tokens), ("word_perplexity", sums["words"])):
            if count and nll / count < _LARGEST_EXPONENT:
                found[name] = math.exp(nll / count)
        if sums["bytes"]:
            found["bits_per_byte"] = nll / (math.log(2) * sums["bytes"])
        return found

    def examples(self, model: nn.Module, *, count: int) -> list[dict[str, Any]]:
        """Texts that the model writes, each {"prompt", "text"}: the same for the same model."""
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
                stop_id=info.end_of_text_id, vocab_size=self.vocab_size,
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

    def _evaluation_batches(
        self, file: TokenFile, tokens: int, workers: Workers, *, at_once: int
    ) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], bool]]:
        """(inputs, labels), each (B, T), and whether they count: whole windows many at a time, then the one shorter window that is left;
        of these, a worker's share. at_once: tokens."""
        ids, length = np.asarray(file.ids), self._length
        step = max(1, at_once // length) * length
        whole = tokens // length * length
        stretches = [(s, min(s + step, whole), length) for s in range(0, whole, step)]
        if tokens > whole:
            stretches.append((whole, tokens, tokens - whole))
        for (start, end, width), counts in workers.share(stretches):
            stretch = ids[start : end + 1].astype(np.int64)
            yield stretch[:-1].reshape(-1, width), stretch[1:].reshape(-1, width), counts


def build(options: Options, *, folders: Mapping[str, Path], sequence_length: int, seed: int, device: Device) -> CausalLM:
    """The task on the folders of the `tokens` and `tokenizer` steps. Raises: DataError for a corpus too short."""
    return CausalLM(options, folders=folders, sequence_length=sequence_length, seed=seed, device=device)
