"""The evaluated checkpoint beside the honest baselines, and, of texts, the sums that all its figures follow from.

Perplexity per token depends on the tokenizer; per word and bits per byte do not, so all three stand together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specrun.report.facts import Facts, mapping
from specrun.report.measures import SPLITS, Measure, baselines, gain, measures, recorded
from specrun.report.numbers import count, number, plural
from specrun.report.views import Column, Evaluation, Row, Table

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


def evaluation(facts: Facts) -> Evaluation | None:
    """The evaluation section; None where nothing was evaluated."""
    shown = {split: found for split in SPLITS if (found := recorded(facts, split))}
    if not shown:
        return None
    columns = [measure for measure in measures(facts) if any(measure in found for found in shown.values())]
    rows: list[Row] = []
    for split in shown:
        rows.append(_row(split, columns, {measure.name: facts.metrics.get(f"{split}/{measure.name}") for measure in columns}))
        rows += [_row(f"{split}, {label}", columns, values, quiet=True) for label, values in baselines(facts, split)]
    known = {split: sums for split in shown if (sums := sums_of(facts, split))}
    return Evaluation(
        sentence=_sentence(facts, list(shown)),
        metrics=Table(
            "Figures of the evaluated checkpoint and of the baselines",
            (Column("split"), *(Column(measure.heading, numeric=True) for measure in columns)),
            tuple(rows),
        ),
        sums=_sums_table(known) if known else None,
        formulas=tuple(_formulas(*next(iter(known.items())), recorded=facts.metrics)) if known else (),
    )


def disagreements(facts: Facts) -> tuple[str, ...]:
    """Recorded figures that do not follow from the recorded sums, in words; empty when all is well."""
    found = []
    for split in SPLITS:
        sums = sums_of(facts, split)
        for name, value in sums.figures().items() if sums else ():
            recorded = facts.metrics.get(f"{split}/{name}")
            if recorded is not None and not math.isclose(recorded, value, rel_tol=TOLERANCE):
                found.append(f"{split}/{name} is recorded as {number(recorded)}, but its sums give {number(value)}")
    return tuple(found)


def _row(name: str, columns: Sequence[Measure], figures: Mapping[str, float | None], *, quiet: bool = False) -> Row:
    return Row((name, *(measure.write(figures.get(measure.name)) for measure in columns)), quiet=quiet)


def _sentence(facts: Facts, splits: list[str]) -> str:
    step = facts.best_step
    if not facts.evaluated:
        at = f" at step {count(step)}, the best so far" if step is not None else ""
        part = f", on at most {plural(facts.most_batches, 'batch')}" if facts.most_batches else ""
        return f"The run did not come to its evaluation; the figures are those of training's own{at}{part}."
    where = f"The checkpoint of step {count(step)}" if step is not None else "The best checkpoint"
    parts = [f"{where}, chosen by {facts.best_metric}, on {' and '.join(f'the {split} split' for split in splits)}."]
    if (found := gain(facts, splits[-1])) is not None:
        parts.append(f"The {found.split} {found.measure.label} lies {found.text}.")
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
