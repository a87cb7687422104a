"""Tells train, validation and test documents apart. Each function routes every document, or a part of it, to a split.

    given(options, loaded, full) -> Iterator[(split, document)]

full says whether a split wants no more documents. Documents come in the source's order, and memory does not grow with their text.
"""

from __future__ import annotations

import hashlib
import importlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar, cast

import numpy as np

from specrun.errors import DataError
from specrun.sources.assignment import RowKeys
from specrun.sources.assignment import kfold as assign_folds
from specrun.sources.contract import WHOLE, LoadedText
from specrun.spec.nearest import listed, nearest
from specrun.spec.section import Part
from specrun.spec.split_options import ORDER
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.kfold import Options as KFold
from specrun.spec.splits.ratio import Options as Ratio

Routed = Iterator[tuple[str, str]]
Full = Callable[[str], bool]
Stretch = TypeVar("Stretch")
"""Documents, or rows."""

FEW_DOCUMENTS = 100
"""Below this many, shares of the number of documents would be too coarse, and the text itself is cut at a character."""


def _never(split: str) -> bool:  # noqa: ARG001 - the form of `Full`
    return False


def split_documents(options: Part, loaded: LoadedText, full: Full = _never) -> Routed:
    """Route every document by the split's options. Raises DataError where they do not go with the source."""
    module, name = options.factory.split(":")
    return cast("Routed", getattr(importlib.import_module(module), name)(options, loaded, full))


def given(options: Given, loaded: LoadedText, full: Full = _never) -> Routed:
    """The source's own splits under specrun's names: all of train, then of validation, then of test."""
    check_given(options.sources, loaded.splits)
    for role, name in options.sources.items():
        if role == "train" and isinstance(options.validation, float):
            held_out = Ratio(kind="ratio", validation=options.validation, shuffle=True, seed=options.seed)
            yield from ratio(held_out, LoadedText({WHOLE: loaded.splits[name]}), full)
            continue
        for document in loaded.splits[name]:
            if full(role):
                break
            yield role, document


def ratio(options: Ratio, loaded: LoadedText, full: Full = _never) -> Routed:
    """Consecutive shares, by documents where there are at least FEW_DOCUMENTS, by characters where there are fewer.

    The borders lie at int((1 - validation - test) * n) and int((1 - test) * n), n the documents or the characters. A document on
    a border of characters is cut in two. Shuffling decides by the hash of a document's place which documents come
    first; inside a split they keep the source's order. Raises DataError where the documents change while they are read.
    """
    documents = only_stretch("ratio", loaded.splits)
    sizes = array("q", map(len, documents))  # of numbers, not of objects: there may be many millions
    by_characters = len(sizes) < FEW_DOCUMENTS
    weights = sizes if by_characters else array("q", [1]) * len(sizes)
    order = _shuffled(len(sizes), options.seed) if options.shuffle else range(len(sizes))
    starts = array("q", [0]) * len(sizes)
    for place, start in zip(order, accumulate((weights[place] for place in order), initial=0), strict=False):
        starts[place] = start
    borders = _borders(sum(weights), options.validation, options.test)
    for document, start, weight in zip(_again(documents, sizes), starts, weights, strict=True):
        for split, (first, last) in borders.items():
            low, high = max(first, start), min(last, start + weight)
            if low < high and not full(split):
                yield split, document[low - start : high - start] if by_characters else document


def _again(documents: Iterable[str], sizes: Sequence[int]) -> Iterator[str]:
    """The documents of a second reading, as long as each was in the first. Raises DataError where one is not."""
    count = 0
    for document in documents:
        if count == len(sizes) or len(document) != sizes[count]:
            raise _changed()
        count += 1
        yield document
    if count < len(sizes):
        raise _changed()


def _changed() -> DataError:
    return DataError("the source was changed while its documents were read to be split", code="data-changed-while-read",
                     hint="apply again once the files are at rest")  # fmt: skip


def by_hash(options: Hash, loaded: LoadedText, full: Full = _never) -> Routed:
    """Each document by the hash of its text and the seed: equal ones together, and none moves when others come or go."""
    for document in only_stretch("hash", loaded.splits):
        place = _fraction(document.encode(), options.seed)
        held_out = "validation" if place < options.test + options.validation else "train"
        split = "test" if place < options.test else held_out
        if not full(split):
            yield split, document


def kfold(options: KFold, loaded: LoadedText, full: Full = _never) -> Routed:
    """The documents of one fold validate, the others train. Raises DataError where there are fewer documents than folds."""
    documents = only_stretch("kfold", loaded.splits)
    sizes = [len(document) for document in documents]
    if len(sizes) < options.folds:
        there = "1 document" if len(sizes) == 1 else f"{len(sizes):,} documents"
        hint = "use split: {kind: ratio, validation: 0.1}, which cuts a long text; or make documents of its lines"
        raise DataError(f"the source has {there}, too few for {options.folds} folds", code="too-few-documents", hint=hint)
    codes = assign_folds(options, RowKeys(len(sizes)))
    for document, code in zip(_again(documents, sizes), codes.tolist(), strict=True):
        if not full(ORDER[code]):
            yield ORDER[code], document


def _borders(total: int, validation: float, test: float) -> dict[str, tuple[int, int]]:
    # Rounded, because 1 - 0.2 - 0.1 is a hair below 0.7 and the border would move by one.
    first, second = int(round(1 - validation - test, 12) * total), int(round(1 - test, 12) * total)
    return {"train": (0, first), "validation": (first, second), "test": (second, total)}


def _fraction(data: bytes, seed: int) -> float:
    """A hash as a number in [0, 1). Uniform by BLAKE2b."""
    digest = hashlib.blake2b(data, digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / 2**64


def _shuffled(count: int, seed: int) -> array[int]:
    keys = np.fromiter((_fraction(place.to_bytes(8, "little"), seed) for place in range(count)), float, count)
    return array("q", np.argsort(keys, kind="stable").astype(np.int64).tobytes())


def only_stretch(kind: str, splits: Mapping[str, Stretch], *, of: str = "documents") -> Stretch:
    """The source's only split. Joining several would put a test split into training. of: what it holds."""
    if len(splits) == 1:
        return next(iter(splits.values()))
    names = sorted(splits)
    raise DataError(
        f"split {kind} cuts one stretch of {of}, but the source already has the splits {listed(names, 'and')}",
        code="splits-already-given",
        hint=_as_given(names),
    )


def _as_given(names: list[str]) -> str:
    roles = {"train": ("train", "training"), "validation": ("validation", "valid", "dev", "test"), "test": ("test",)}
    found = {role: next((name for name in known if name in names), None) for role, known in roles.items()}
    if found["test"] == found["validation"]:
        found["test"] = None
    named = ", ".join(f"{role}: {name}" for role, name in found.items() if name is not None)
    return f"use data.split: {{kind: given, {named}}}"


def check_given(named: Mapping[str, str], splits: Mapping[str, Any], *, of: str = "documents") -> None:
    """Raise DataError for a split that the source does not have. named: the source's name by ours; of: what it holds."""
    if set(splits) == {WHOLE}:
        raise DataError(
            f"the source has one stretch of {of} and no splits of its own",
            code="split-not-given",
            hint="use data.split: {kind: ratio, validation: 0.1}",
        )
    for role, name in named.items():
        if name not in splits:
            near = nearest(name, splits)
            there = listed(sorted(splits), "and")
            cut = (
                "use data.split: {kind: ratio, validation: 0.1} to cut it" if len(splits) == 1 else f"set data.split.{role} to one of them"
            )
            raise DataError(
                f"the source has no split {name!r}; it has {there}",
                code="missing-split",
                hint=f'did you mean "{near}"? set data.split.{role}: {near}' if near else cut,
            )
