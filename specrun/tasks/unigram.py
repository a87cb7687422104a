"""The unigram baseline of tasks on a token stream: a model that knows only how often each token occurs in the train split."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from specrun.training.token_file import open_tokens

_COUNT_TOKENS = 2**20
"""Tokens counted at once, each as 8 bytes."""
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]


class Unigram(NamedTuple):
    """entropy: nats a predicted token, under the train split's frequencies, add-one smoothed; accuracy: of always saying its most
    frequent token."""

    entropy: float
    accuracy: float


def unigram(folder: Path, split: str, *, vocab_size: int, packing: str = "stream") -> Unigram | None:
    """packing: as in the spec: the tokens that are predicted, and no others, are what is judged. None for a split that predicts none."""
    predicted = count_tokens(folder, split, vocab_size) - _count_given(folder, split, vocab_size, packing)
    return unigram_of(count_tokens(folder, "train", vocab_size), predicted)


def unigram_of(train: Counts, predicted: Counts) -> Unigram | None:
    """How often each id occurs in the train split, and among what is predicted. None where nothing is."""
    counts = train + 1
    log_probabilities = np.log(counts) - math.log(counts.sum())
    total = predicted.sum()
    if not total:
        return None
    return Unigram(float(-(predicted * log_probabilities).sum() / total), float(predicted[counts.argmax()] / total))


def _count_given(folder: Path, split: str, vocab_size: int, packing: str) -> Counts:
    """How often each id stands where nothing predicts it: first in the stream, or in a document that no end-of-text is before."""
    file = open_tokens(folder, split)
    if packing == "stream" or file.info.leading_end_of_text:
        given = np.asarray(file.ids[:1])
    else:
        begins = np.asarray(file.offsets)
        given = np.asarray(file.ids[begins[:-1][np.diff(begins) > 0]])
    return np.bincount(given, minlength=vocab_size)


def count_tokens(folder: Path, split: str, vocab_size: int) -> Counts:
    """How often each id occurs. Shape: (vocab_size,)."""
    ids = np.asarray(open_tokens(folder, split).ids)
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(ids), _COUNT_TOKENS):
        counts += np.bincount(ids[start : start + _COUNT_TOKENS], minlength=vocab_size)
    return counts
