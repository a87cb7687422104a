"""What a model of texts has to beat: the most frequent class, and Naive Bayes on the words of a text.

Multinomial, on whether a word is there and not how often, each count one more (Wang & Manning 2012): a closed form, without any setting.
Shapes: N texts, W words, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specrun.tasks.classification_scores import from_predictions
from specrun.tasks.contract import Baseline
from specrun.tasks.text_classification.texts import TextTable

FITTED_TEXTS = 100_000
"""Most texts that Naive Bayes counts, evenly spread."""
_MOST_NUMBERS = 1 << 25

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NaiveBayes:
    """place: of each word in the table. log_likelihood: (W, K) of a word in a text of a class; log_share: (K,) of the classes."""

    place: Mapping[str, int]
    log_likelihood: Floats
    log_share: Floats

    def log_probabilities(self, text: str) -> Floats:
        """Of the classes, (K,). Words that were not seen tell nothing."""
        known = [self.place[word] for word in words(text) if word in self.place]
        scores_K = self.log_share + self.log_likelihood[known].sum(axis=0)
        found: Floats = scores_K - np.logaddexp.reduce(scores_K)
        return found


def words(text: str) -> list[str]:
    """The different words of a text, in their order: what white space divides, in small letters."""
    return list(dict.fromkeys(text.lower().split()))


def fit(texts: Iterable[tuple[str, int]], *, classes: int) -> NaiveBayes:
    """Count the words of texts and their classes. Of very many different words, those that come first are kept."""
    place: dict[str, int] = {}
    most_words = max(1, _MOST_NUMBERS // classes)
    counts_WK = np.ones((1024, classes))
    share_K = np.zeros(classes)
    for text, code in texts:
        share_K[code] += 1
        for word in words(text):
            if word not in place:
                if len(place) >= most_words:
                    continue
                place[word] = len(place)
                if len(place) > len(counts_WK):
                    counts_WK = np.concatenate((counts_WK, np.ones_like(counts_WK)))
            counts_WK[place[word], code] += 1
    counts_WK = counts_WK[: len(place)]
    log_share_K = np.log(np.maximum(share_K, 1e-9) / share_K.sum())
    return NaiveBayes(place, np.log(counts_WK) - np.log(counts_WK.sum(axis=0)), log_share_K)


def judged(tables: Mapping[str, TextTable], codes: Mapping[str, Codes], *, classes: int) -> dict[str, list[Baseline]]:
    """Both on every split but the train split, from which they are made."""
    fitted = np.zeros(tables["train"].rows, dtype=bool)
    fitted[np.linspace(0, len(fitted) - 1, min(len(fitted), FITTED_TEXTS)).astype(np.int64)] = True
    bayes = fit(((text, code) for kept, text, code in zip(fitted, _texts(tables["train"]), codes["train"], strict=True) if kept),
                classes=classes)  # fmt: skip
    # A class that only other splits have would be impossible, and the loss infinite.
    counts_K = np.bincount(codes["train"], minlength=classes) + 1
    log_share_K = np.log(counts_K / counts_K.sum())
    more = "" if fitted.all() else f" of {FITTED_TEXTS:,} texts"
    found = {}
    for split, table in tables.items():
        if split != "train":
            by_words_NK = np.stack([bayes.log_probabilities(text) for text in _texts(table)])
            found[split] = [
                _baseline("majority", "most frequent class", np.tile(log_share_K, (table.rows, 1)), codes[split]),
                _baseline("naive_bayes", f"Naive Bayes on words{more}", by_words_NK, codes[split]),
            ]
    return found


def _baseline(name: str, label: str, log_probabilities_NK: Floats, codes_N: Codes) -> Baseline:
    scores = from_predictions(codes_N, log_probabilities_NK.argmax(axis=1), num_classes=log_probabilities_NK.shape[1])
    loss = -log_probabilities_NK[np.arange(len(codes_N)), codes_N].mean()
    return Baseline(name, label, {"loss": float(loss), **scores})


def _texts(table: TextTable) -> Iterator[str]:
    return (text for batch in table.batches() for text in batch.texts)
