"""The evaluated checkpoint beside the honest baseline, and the sums that all its figures follow from.

Perplexity per token depends on the tokenizer; per word and bits per byte do not, so all three stand together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specrun.report.facts import Facts, mapping
from specrun.report.numbers import count, number, percent, plural
from specrun.report.views import Column, Evaluation, Row, Table

_COLUMNS = (("loss", "loss, nats per token"), ("perplexity", "perplexity per token"), ("word_perplexity", "perplexity per word"),
            ("bits_per_byte", "bits per byte"), ("accuracy", "accuracy"))  # fmt: skip
_SPLITS = ("validation", "test")
TOLERANCE = 1e-3
"""Relative difference up to which a recorded figure and the one from its sums count as the same: both are rounded."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What an evaluation added up over a split. nll: negative log-likelihood in nats."""

    nll: float
    tokens: float
    bytes: float
    words: float

    def figures(self, loss: float | None = None) -> dict[str, float]:
        """All figures of a loss per token (the split's own, unless another is given) on the same text."""
        loss = self.nll / self.tokens if loss is None else loss
        total = loss * self.tokens
        found = {"loss": loss, "perplexity": _exp(loss)}
        if self.words:
            found["word_perplexity"] = _exp(total / self.words)
        if self.bytes:
            found["bits_per_byte"] = total / (math.log(2) * self.bytes)
        return found


def sums_of(facts: Facts, split: str) -> Sums | None:
    """The sums of a split; None where they were not recorded."""
    recorded = mapping(mapping(facts.result("evaluate").get("sums")).get(split))
    values = [recorded.get(name) for name in ("nll", "tokens", "bytes", "words")]
    if not all(isinstance(value, int | float) for value in values) or not recorded["tokens"]:
        return None
    return Sums(*(float(recorded[name]) for name in ("nll", "tokens", "bytes", "words")))


def baseline(facts: Facts, split: str) -> float | None:
    """Nats per token of a model that knows only how often each token occurs in the train split."""
    value = mapping(facts.result("evaluate").get("unigram_entropy")).get(split)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def gain(facts: Facts, split: str) -> float | None:
    """How far the loss of a split lies below the baseline, in nats per token; negative where it lies above."""
    loss, entropy = facts.metrics.get(f"{split}/loss"), baseline(facts, split)
    return None if loss is None or entropy is None or not math.isfinite(loss) else entropy - loss


def evaluation(facts: Facts) -> Evaluation | None:
    """The evaluation section; None where nothing was evaluated."""
    splits = [split for split in _SPLITS if f"{split}/loss" in facts.metrics]
    if not splits:
        return None
    rows: list[Row] = []
    for split in splits:
        figures = {name: facts.metrics.get(f"{split}/{name}") for name, _ in _COLUMNS}
        rows.append(_row(split, figures))
        entropy = baseline(facts, split)
        if entropy is not None:
            sums = sums_of(facts, split)
            beside = sums.figures(entropy) if sums else {"loss": entropy, "perplexity": _exp(entropy)}
            if figures["word_perplexity"] is None:
                beside.pop("word_perplexity", None)
            rows.append(_row(f"{split}, unigram baseline", beside, quiet=True))
    columns = (Column("split"), *(Column(label, numeric=True) for _, label in _COLUMNS))
    known = {split: sums for split in splits if (sums := sums_of(facts, split))}
    return Evaluation(
        sentence=_sentence(facts, splits),
        metrics=Table("Figures of the evaluated checkpoint and of the unigram baseline", columns, tuple(rows)),
        sums=_sums_table(known) if known else None,
        formulas=tuple(_formulas(*next(iter(known.items())), recorded=facts.metrics)) if known else (),
    )


def disagreements(facts: Facts) -> tuple[str, ...]:
    """Recorded figures that do not follow from the recorded sums, in words; empty when all is well."""
    found = []
    for split in _SPLITS:
        sums = sums_of(facts, split)
        for name, value in sums.figures().items() if sums else ():
            recorded = facts.metrics.get(f"{split}/{name}")
            if recorded is not None and not math.isclose(recorded, value, rel_tol=TOLERANCE):
                found.append(f"{split}/{name} is recorded as {number(recorded)}, but its sums give {number(value)}")
    return tuple(found)


def _row(name: str, figures: Mapping[str, float | None], *, quiet: bool = False) -> Row:
    return Row((name, *(percent(figures.get(key)) if key == "accuracy" else number(figures.get(key)) for key, _ in _COLUMNS)), quiet=quiet)


def _sentence(facts: Facts, splits: list[str]) -> str:
    step = facts.best_step
    if not facts.evaluated:
        at = f" at step {count(step)}, the best so far" if step is not None else ""
        part = f", on at most {plural(facts.most_batches, 'batch')}" if facts.most_batches else ""
        return f"The run did not come to its evaluation; the figures are those of training's own{at}{part}."
    where = f"The checkpoint of step {count(step)}" if step is not None else "The best checkpoint"
    parts = [f"{where}, chosen by {facts.best_metric}, on {' and '.join(f'the {split} split' for split in splits)}."]
    below = gain(facts, splits[-1])
    if below is not None:
        place = "below" if below >= 0 else "above"
        parts.append(
            f"The {splits[-1]} loss lies {number(abs(below), digits=3)} nats per token {place} the unigram baseline: the loss of a model "
            "that knows only how often each token occurs."
        )
    return " ".join(parts)


def _sums_table(known: Mapping[str, Sums]) -> Table:
    columns = (
        Column("split"),
        Column("negative log-likelihood, nats", numeric=True),
        Column("tokens", numeric=True),
        Column("words", numeric=True),
        Column("bytes", numeric=True),
    )
    rows = tuple(Row((split, number(s.nll, digits=7), count(s.tokens), count(s.words), count(s.bytes))) for split, s in known.items())
    return Table("Sums over the predicted text of each split", columns, rows)


def _formulas(split: str, sums: Sums, *, recorded: Mapping[str, float]) -> list[str]:
    nll, figures = number(sums.nll, digits=7), sums.figures()
    lines = [f"perplexity per token = exp({nll} / {count(sums.tokens)} tokens) = {number(figures['perplexity'])}"]
    if f"{split}/word_perplexity" in recorded:  # not of a text that is almost without words
        lines.append(f"perplexity per word = exp({nll} / {count(sums.words)} words) = {number(figures['word_perplexity'])}")
    if "bits_per_byte" in figures:
        lines.append(f"bits per byte = {nll} / (ln 2 × {count(sums.bytes)} bytes) = {number(figures['bits_per_byte'])}")
    return [f"{split}: {line}" for line in lines]


def _exp(value: Any) -> float:
    return math.exp(value) if value < 700 else math.inf
