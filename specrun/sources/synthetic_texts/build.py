"""Builds the `synthetic_texts` source: sentences of words that mean nothing, and what is to be made of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from specrun.sources.contract import WHOLE, LoadedTable, SourceRequest
from specrun.sources.drawn_rows import BLOCK_ROWS, drawn_table, generator
from specrun.sources.synthetic_texts.options import Options

KEYWORDS = 3
"""Of each label."""
_SYLLABLES = [first + second for first, second in itertools.product("bdfgklmnprstvz", "aeiou")]


def build(options: Options, request: SourceRequest) -> LoadedTable:  # noqa: ARG001 - the contract of a source
    """facts: optimum. A copy or a reversal can be exact: loss 0, BLEU and chrF 100. Labels by their keyword are right but for the wrong
    ones."""
    import pyarrow as pa

    names, optimum = ("source", "target"), {"loss": 0.0, "bleu": 100.0, "chrf": 100.0}
    if options.content == "keyword":
        names, optimum = ("text", "label"), {"accuracy": 1 - options.wrong_labels}
    schema = pa.schema([(name, pa.string()) for name in names])
    lexicon = words(options.words + (KEYWORDS * options.classes if options.content == "keyword" else 0), seed=options.seed)
    table = drawn_table(schema, options.rows, lambda number: _columns(options, lexicon, number))
    return LoadedTable({WHOLE: table}, {"optimum": optimum})


def words(count: int, *, seed: int) -> list[str]:
    """So many different words of two syllables, or of three where those are too few."""
    syllables = 2 if count <= len(_SYLLABLES) ** 2 else 3
    random, found = generator(seed, 0), dict[str, None]()
    while len(found) < count:
        found["".join(_SYLLABLES[place] for place in random.integers(len(_SYLLABLES), size=syllables))] = None
    return list(found)


def _columns(options: Options, lexicon: list[str], number: int) -> Mapping[str, Any]:
    random = generator(options.seed, number + 1)
    lengths = random.integers(options.shortest, options.longest + 1, size=BLOCK_ROWS)
    sentences = [[lexicon[word] for word in random.integers(options.words, size=length)] for length in lengths]
    if options.content != "keyword":
        step = -1 if options.content == "reverse" else 1
        return {"source": list(map(" ".join, sentences)), "target": [" ".join(sentence[::step]) for sentence in sentences]}
    labels, keywords = random.integers(options.classes, size=BLOCK_ROWS), random.integers(KEYWORDS, size=BLOCK_ROWS)
    places = random.integers(lengths)
    for sentence, place, label, keyword in zip(sentences, places, labels, keywords, strict=True):
        sentence[place] = lexicon[options.words + label * KEYWORDS + keyword]
    wrong = random.random(BLOCK_ROWS) < options.wrong_labels
    told = np.where(wrong, (labels + random.integers(1, options.classes, size=BLOCK_ROWS)) % options.classes, labels)
    return {"text": list(map(" ".join, sentences)), "label": [f"topic {label + 1}" for label in told]}
