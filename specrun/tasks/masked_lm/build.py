"""Masked language modelling: the loss over hidden tokens, evaluation with fixed masks, texts that the model fills in.

Which tokens are hidden is the business of `training.masking`, which windows there are that of `training.masked_windows`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.plan.cost import EVALUATION_TOKENS
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.interfaces import Encoder
from specrun.runtime.products import multiplication
from specrun.runtime.protocols import nothing
from specrun.runtime.seeds import derive
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.masked_lm.options import Options
from specrun.tasks.unigram import count_tokens, unigram_of
from specrun.tokenizers.contract import load_tokenizer, special_id
from specrun.training.cross_entropy import linear_cross_entropy_sum, linear_scores
from specrun.training.evaluating import evaluating, perplexity, with_pauses
from specrun.training.masked_windows import MaskedBatch, MaskedWindows
from specrun.training.masking import Masked, Masking
from specrun.training.token_file import open_tokens

_EXAMPLE_TOKENS = 48


class MaskedLM:
    """The task on token files. Implements `runtime.protocols.Task` and `Compared`."""

    sample_tokens: float | None = None

    def __init__(self, options: Options, opening: Opening) -> None:
        self._folder, self._device, self._length = opening.folders["tokens"], opening.device, opening.spec.data.sequence_length
        self._samples = MaskedWindows(
            self._folder, predicted=options.predicted, sequence_length=self._length, seed=derive(opening.seed, "order"), device=self._device
        )
        self.samples_per_epoch = self._samples.samples_per_epoch
        self._tokenizer = load_tokenizer(opening.folders["tokenizer"])
        info, mask_id = open_tokens(self._folder, "train").info, special_id(self._tokenizer, "mask")
        self._masking, self._fixed = (
            Masking(mask_id, info.end_of_text_id, info.vocab_size, *shares)
            for shares in ((options.mask_share, options.random_share), (1.0, 0.0))
        )
        self._multiply = multiplication(self._device, few_shapes=True)

    def train_batch(self, first: int, *, count: int) -> MaskedBatch:
        """Samples first .. first + count - 1 in the order of the seed."""
        return self._samples.train_batch(first, count=count)

    def loss_sum(self, model: nn.Module, batch: MaskedBatch) -> Tensor:
        """Negative log-likelihood of the tokens that were chosen, summed over the batch. Returns: scalar, float32, nats."""
        network, masked = cast("Encoder", model), batch.hidden_by(self._masking)
        hidden_NC, labels_N = masked.predictions(network.hidden(masked.inputs))
        return linear_cross_entropy_sum(hidden_NC, network.head_VC, labels_N, multiply=self._multiply)

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
        """Sums over a split, cut into sequences: the same tokens of each are predicted every time, and [MASK] stands for all of them.

        Returns: nll in nats, tokens (predicted), correct. Arguments: see `runtime.protocols.Task`.
        """
        network = cast("Encoder", model)
        at_once = EVALUATION_TOKENS[self._device.kind] // divided
        totals: list[Tensor] = []
        with evaluating(model, self._device):
            for batch, counts in with_pauses(
                self._samples.evaluation_batches(split, workers, max_samples=max_samples, at_once=at_once), between
            ):
                masked = batch.hidden_by(self._fixed)
                hidden_NC, labels_N = masked.predictions(network.hidden(masked.inputs))
                nll, correct = linear_scores(hidden_NC, network.head_VC, labels_N, multiply=self._multiply)
                if counts:
                    totals = [nll, correct] if not totals else [totals[0] + nll, totals[1] + correct]
        nll_sum, correct_sum = workers.total(self._device.read(totals) or (0.0, 0.0))
        return {"nll": nll_sum, "tokens": self._samples.predicted(split, max_samples=max_samples), "correct": correct_sum}

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Pseudo-perplexity (Salazar et al. 2020) with a share of the tokens hidden at a time, not one; beyond 1e301 it is infinite."""
        tokens = sums["tokens"]
        if not tokens:
            return {}
        loss = sums["nll"] / tokens
        return {"loss": loss, "accuracy": sums["correct"] / tokens, "pseudo_perplexity": perplexity(loss)}

    def baselines(self, split: str) -> list[Baseline]:
        """The unigram model's figures on the very tokens that are predicted."""
        rows = self._masking.vocab_size
        train = count_tokens(self._folder, "train", rows)
        if self._masking.avoided_id is not None:
            train[self._masking.avoided_id] = 0
        predicted = np.zeros(rows, dtype=np.int64)
        for labels in self._samples.labels(split, self._fixed):
            predicted += np.bincount(labels, minlength=rows)
        found, total = unigram_of(train, predicted), int(predicted.sum())
        if found is None:
            return []
        sums = {"nll": found.entropy * total, "tokens": total, "correct": found.accuracy * total}
        return [Baseline("unigram", "unigram baseline", self.metrics(sums))]

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Beginnings of sequences of the validation split, each {"input", "predicted", "expected"}: the text with words hidden, what the
        model takes them for, and what they are."""
        network, training = cast("Encoder", model), model.training
        found = []
        model.eval()
        try:
            for batch in self._samples.some("validation", count=count, length=min(self._length, _EXAMPLE_TOKENS)):
                between()
                with torch.no_grad(), self._device.autocast():
                    masked = batch.hidden_by(self._fixed)
                    hidden_NC, _ = masked.predictions(network.hidden(masked.inputs))
                    said = F.linear(hidden_NC, network.head_VC)[:, : self._masking.vocab_size].argmax(-1)
                found.append(self._shown(masked, said))
        finally:
            model.train(training)
        return found

    def _shown(self, masked: Masked, said: Tensor) -> dict[str, Any]:
        """An example as text. said: (K,), as `masked.places` has them."""
        both = self._device.to_host(torch.cat((masked.inputs.flatten(), masked.places, masked.labels, said))).view(np.int64)
        length, predicted = masked.inputs.numel(), len(said)
        inputs, places, labels, words = np.split(both, [length, length + predicted, length + 2 * predicted])
        order = np.argsort(places)
        text = [int(id) for id in inputs if id != self._masking.avoided_id]

        def listed(ids: np.ndarray[Any, Any]) -> str:
            return " · ".join(self._tokenizer.decode([int(id)]).strip() for id in ids[order])

        return {"input": self._tokenizer.decode(text, skip_special_tokens=False), "predicted": listed(words), "expected": listed(labels)}


def build(options: Options, opening: Opening) -> MaskedLM:
    """The task on the folders of the `tokens` and `tokenizer` steps. Raises: DataError for a corpus too short."""
    return MaskedLM(options, opening)
