"""BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacrebleu (Post 2018), from sums that can be added up.

sacrebleu counts matching n-grams of each text and computes the score of a corpus from the sums. It tells the sums of BLEU alone; those of
chrF are asked of what it calls internal. A test holds the scores of added sums against the scores it gives a whole corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

METRICS = ("bleu", "chrf")


@cache
def _metric(name: str, tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return BLEU(tokenize=tokenizer) if name == "bleu" else CHRF()


def text_sums(written: Sequence[str], references: Sequence[str], *, tokenizer: str) -> dict[str, list[int]]:
    """By metric, the counts of n-grams of all texts, added up."""
    if not written:
        return {name: [0] * _length(name) for name in METRICS}
    found = {}
    for name in METRICS:
        of_each = _metric(name, tokenizer)._extract_corpus_statistics(list(written), [list(references)])  # noqa: SLF001 - see above
        found[name] = [int(sum(column)) for column in zip(*of_each, strict=True)]
    return found


def _length(name: str) -> int:
    """BLEU: two lengths, and what matches and what there is of four orders. chrF: written, reference and both, of six orders."""
    return 10 if name == "bleu" else 18


def scores(sums: Mapping[str, Sequence[int]], *, tokenizer: str) -> dict[str, float]:
    """BLEU and chrF of a corpus, 0 to 100."""
    return {name: float(_metric(name, tokenizer)._compute_score_from_stats(list(sums[name])).score) for name in METRICS}  # noqa: SLF001


def signatures(*, tokenizer: str) -> dict[str, str]:
    """What sacrebleu asks to be told beside a score, by metric."""
    text_sums(["a"], ["a"], tokenizer=tokenizer)  # a signature tells how many references there were
    return {name: str(_metric(name, tokenizer).get_signature().format()) for name in METRICS}
