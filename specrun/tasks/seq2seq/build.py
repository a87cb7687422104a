"""Sequence to sequence: teacher forcing, evaluation by teacher forcing and by what the model writes, translations to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from specrun.plan.cost import EVALUATION_TOKENS
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.interfaces import EncoderDecoder
from specrun.runtime.products import multiplication
from specrun.runtime.protocols import nothing
from specrun.runtime.seeds import derive
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.seq2seq.options import Options
from specrun.tasks.seq2seq.prepare import read_texts
from specrun.tasks.seq2seq.scores import METRICS, scores, signatures, text_sums
from specrun.tokenizers.contract import load_tokenizer
from specrun.training.cross_entropy import linear_cross_entropy_sum, linear_scores
from specrun.training.decoding import Search, search
from specrun.training.documents import Reading
from specrun.training.evaluating import perplexity, with_pauses
from specrun.training.pairs import PairBatch, Pairs


class Seq2Seq:
    """The task on prepared pairs. Implements `runtime.protocols.Task`, `Compared` and `Illustrated`."""

    def __init__(self, options: Options, opening: Opening) -> None:
        spec, facts = opening.spec, opening.facts["examples"]
        self._options, self._folder, self._device = options, opening.folders["examples"], opening.device
        self._length, self._final = spec.data.sequence_length, opening.final
        self._how = Search(options.beam_size, options.length_penalty) if opening.final else Search(beams=1)
        self._vocab_size, self._end_id = int(facts["sizes"]["vocab_size"]), int(facts["end_id"])
        reading = Reading(spec.schedule.batch_size, group_by_length=spec.data.group_by_length, pad_to_few_shapes=opening.pad_to_few_shapes)
        self._samples = Pairs(
            self._folder, sequence_length=self._length, seed=derive(opening.seed, "order"), device=self._device, reading=reading
        )
        self.samples_per_epoch, self.sample_tokens = self._samples.samples_per_epoch, self._samples.sample_tokens
        self._multiply = multiplication(self._device, few_shapes=False)
        self._tokenizer = load_tokenizer(opening.folders["tokenizer"])
        self._texts = cache(lambda split: read_texts(self._folder, split))

    def train_batch(self, first: int, *, count: int) -> PairBatch:
        """Samples first .. first + count - 1 in the order of the seed."""
        return self._samples.train_batch(first, count=count)

    def loss_sum(self, model: nn.Module, batch: PairBatch) -> Tensor:
        """Negative log-likelihood of the target tokens, smoothed ones where asked, summed over the batch. Returns: float32 scalar."""
        network = cast("EncoderDecoder", model)
        hidden_NC, labels_N = self._predicted(network, batch)
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
    ) -> dict[str, Any]:
        """Sums over a split. Returns: nll in nats, tokens, correct, each token of the targets predicted after those before it; translated,
        and the counts of n-grams of what is written for so many sources: in training greedily for some, so that weights
        do not depend on the search, at the end with beams for all.
        """
        training = model.training
        at_once = EVALUATION_TOKENS[self._device.kind] // divided
        model.eval()
        try:
            sums = self._judge(model, split, max_samples=max_samples, workers=workers, at_once=at_once, between=between)
            written = max_samples if self._final else min(self._options.translated_samples, max_samples or self._options.translated_samples)
            sums |= self._write(model, split, max_samples=written, workers=workers, at_once=at_once, between=between)
        finally:
            model.train(training)
        return sums

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Of one set of sums; a perplexity beyond 1e301 is infinite. BLEU and chrF: 0 to 100."""
        tokens, found = sums["tokens"], {}
        if tokens:
            loss = sums["nll"] / tokens
            found = {"loss": loss, "perplexity": perplexity(loss), "accuracy": sums["correct"] / tokens}
        if sums["translated"]:
            found |= scores(sums, tokenizer=self._options.bleu_tokenizer)
        return found

    def baselines(self, split: str) -> list[Baseline]:
        """What a source is worth as its own target."""
        sources, targets = self._texts(split)
        sums = text_sums(sources, targets, tokenizer=self._options.bleu_tokenizer)
        return [Baseline("copy", "source copied", scores(sums, tokenizer=self._options.bleu_tokenizer))]

    def signatures(self) -> dict[str, str]:
        """How BLEU and chrF are computed, as sacrebleu asks to be told beside them."""
        return signatures(tokenizer=self._options.bleu_tokenizer)

    def figures(
        self, model: nn.Module, split: str, sums: Mapping[str, Any], *, between: Callable[[], None] = nothing
    ) -> list[dict[str, Any]]:
        """How BLEU and chrF of that split were computed."""
        rows = [[{"bleu": "BLEU", "chrf": "chrF"}[name], self.metrics(sums)[name], told] for name, told in self.signatures().items()]
        columns = [
            {"name": "score", "format": "text"},
            {"name": split, "format": "number"},
            {"name": "sacrebleu signature", "format": "text"},
        ]
        caption = f"Of {sums['translated']:,} texts, {self._search_in_words()}."
        return [
            {
                "id": "signatures",
                "kind": "table",
                "title": "Scores of what is written",
                "caption": caption,
                "columns": columns,
                "rows": rows,
            }
        ]

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Of sources of the validation split, each {"source", "translation", "reference"}. between: called before each token."""
        sources, targets = self._texts("validation")
        chosen = sorted({number * len(sources) // count for number in range(min(count, len(sources)))}) if count else []
        training, found = model.training, []
        model.eval()
        try:
            for number in chosen:
                batch = self._samples.chosen("validation", [number])
                written = self._search(cast("EncoderDecoder", model), batch, between=between)[0]
                found.append({"source": sources[number], "translation": written, "reference": targets[number]})
        finally:
            model.train(training)
        return found

    def _predicted(self, network: EncoderDecoder, batch: PairBatch) -> tuple[Tensor, Tensor]:
        memory_BSC = network.encode(batch.source_ids, batch.source_lengths)
        return batch.predictions(network.decode(batch.inputs, memory_BSC, batch.source_lengths))

    def _judge(
        self, model: nn.Module, split: str, *, max_samples: int | None, workers: Workers, at_once: int, between: Callable[[], None]
    ) -> dict[str, Any]:
        """The targets as they are, each token predicted after those before it."""
        network, totals = cast("EncoderDecoder", model), list[Tensor]()
        batches = self._samples.evaluation_batches(split, workers, max_samples=max_samples, at_once=at_once)
        with torch.no_grad(), self._device.autocast():
            for batch, _, counts in with_pauses(batches, between):
                hidden_NC, labels_N = self._predicted(network, batch)
                nll, correct = linear_scores(hidden_NC, network.head_VC, labels_N, multiply=self._multiply)
                if counts:
                    totals = [nll, correct] if not totals else [totals[0] + nll, totals[1] + correct]
        nll_sum, correct_sum = workers.total(self._device.read(totals) or (0.0, 0.0))
        return {"nll": nll_sum, "tokens": self._samples.predicted(split, max_samples=max_samples), "correct": correct_sum}

    def _write(
        self, model: nn.Module, split: str, *, max_samples: int | None, workers: Workers, at_once: int, between: Callable[[], None]
    ) -> dict[str, Any]:
        """What the model writes by itself, counted against the targets."""
        network, (_, targets) = cast("EncoderDecoder", model), self._texts(split)
        written, references = list[str](), list[str]()
        # Each beam has a row of its own.
        batches = self._samples.evaluation_batches(split, workers, max_samples=max_samples, at_once=at_once // self._how.beams)
        for batch, numbers, counts in batches:
            texts = self._search(network, batch, between=between)
            if counts:
                written += texts
                references += [targets[number] for number in numbers]
        sums = text_sums(written, references, tokenizer=self._options.bleu_tokenizer)
        total = iter(workers.total([float(len(written)), *(float(number) for name in METRICS for number in sums[name])]))
        return {"translated": int(next(total)), **{name: [int(next(total)) for _ in sums[name]] for name in METRICS}}

    def _search(self, network: EncoderDecoder, batch: PairBatch, *, between: Callable[[], None]) -> list[str]:
        """The text found for each source of a batch."""
        limits = self._samples.limits(batch.lengths[:, 0])
        ids = search(
            network, batch.source_ids, batch.source_lengths, self._device.transfer(limits), how=self._how, longest=int(limits.max()),
            start_id=self._end_id, end_id=self._end_id, vocab_size=self._vocab_size, device=self._device, between=between,
        )  # fmt: skip
        return self._decoded(ids)

    def _decoded(self, ids: Sequence[Sequence[int]]) -> list[str]:
        texts: list[str] = self._tokenizer.decode_batch([list(row) for row in ids], skip_special_tokens=True)
        return texts

    def _search_in_words(self) -> str:
        how = self._how
        return "each token the likeliest" if how.beams == 1 else f"{how.beams} beams, length penalty {how.length_penalty:g}"


def build(options: Options, opening: Opening) -> Seq2Seq:
    """The task on the folders of the `examples` and `tokenizer` steps."""
    return Seq2Seq(options, opening)
