"""Gives every row of a table to a split. Pure functions of what a split knows of the rows; a byte a row comes out.

    ratio(options, keys: RowKeys) -> Codes

A code is the place of the split in `split_options.ORDER`, or LEFT_OUT. Memory: some 30 bytes a row.

Legend: N rows, G groups, M moments (distinct times).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.sources.row_hash import Hashes, fractions, mixed, shuffled
from specrun.spec.split_options import SplitOptions
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.group import Options as Group
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.kfold import Options as KFold
from specrun.spec.splits.ratio import Options as Ratio

Codes = npt.NDArray[np.int8]
TRAIN, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, -1


@dataclass(frozen=True, slots=True)
class RowKeys:
    """What a split knows of each row. hashes_N: of its values; labels_N, groups_N: of its class and its group, None where nothing asks.

    times: whole numbers; in microseconds since 1970 where `is_moment`. names: of classes by their hash, as far as they are few enough
    to be kept. label: what the column of the classes is called. numbers (N,): of the rows in the source, where they are not 1 .. N.
    """

    rows: int
    hashes: Hashes | None = None
    labels: Hashes | None = None
    groups: Hashes | None = None
    times: npt.NDArray[np.int64] | None = None
    is_moment: bool = True
    names: Mapping[int, str] = field(default_factory=dict)
    label: str = "label"
    numbers: npt.NDArray[np.int64] | None = None

    def number(self, place: int) -> int:
        """The row's number in the source, from 1."""
        return place + 1 if self.numbers is None else int(self.numbers[place])


def assign(options: SplitOptions, keys: RowKeys) -> Codes:
    """Each row's split by the options. Raises DataError where the rows cannot be told apart as asked."""
    module, name = options.assigner.split(":")
    return cast("Codes", getattr(importlib.import_module(module), name)(options, keys))


def ratio(options: Ratio, keys: RowKeys) -> Codes:
    """Consecutive shares of all rows, or of each class: see `consecutive` and `by_class`."""
    shares = (1 - options.validation - options.test, options.validation, options.test)
    order = shuffled(keys.rows, seed=options.seed) if options.shuffle else np.arange(keys.rows)
    return by_class(order, keys, shares) if options.stratify else consecutive(order, shares)


def held_out(options: Given, keys: RowKeys) -> Codes:
    """A share of the train split for validation, in shuffled order, of all rows or of each class."""
    assert not isinstance(options.validation, str)
    shares = (1 - options.validation, options.validation, 0.0)
    order = shuffled(keys.rows, seed=options.seed)
    return by_class(order, keys, shares) if options.stratify else consecutive(order, shares)


def by_hash(options: Hash, keys: RowKeys) -> Codes:
    """Each row by the hash of its values: equal ones together, and none moves when others come or go."""
    assert keys.hashes is not None
    places = fractions(keys.hashes, seed=options.seed)
    codes = np.full(keys.rows, TRAIN, np.int8)
    codes[places < options.test + options.validation] = VALIDATION
    codes[places < options.test] = TEST
    return codes


def group(options: Group, keys: RowKeys) -> Codes:
    """Whole groups, in an order that the seed decides: test takes each that brings it nearer to its share, then validation does.

    No group that is left for train would bring either nearer. Raises DataError where there are fewer groups than splits.
    """
    assert keys.groups is not None
    names_G, of_N, sizes_G = np.unique(keys.groups, return_inverse=True, return_counts=True)
    wanted = [(code, share) for code, share in ((TEST, options.test), (VALIDATION, options.validation)) if share]
    if len(names_G) <= len(wanted):
        raise _too_few_groups(len(names_G), len(wanted) + 1)
    codes_G = np.full(len(names_G), TRAIN, np.int8)
    order = np.argsort(mixed(names_G, seed=options.seed), kind="stable")
    for later, (code, share) in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        left = order[codes_G[order] == TRAIN]
        codes_G[_nearest_to(share * keys.rows, left, sizes_G, at_most=len(left) - later - 1)] = code
    return np.asarray(codes_G[of_N], dtype=np.int8)


def _nearest_to(target: float, left: npt.NDArray[np.int64], sizes_G: npt.NDArray[np.int64], *, at_most: int) -> list[int]:
    """Groups of `left`, in its order, that each bring the sum of their sizes nearer to the target; the smallest where none does."""
    taken: list[int] = []
    total = 0
    for place in left.tolist():
        if len(taken) < at_most and abs(total + sizes_G[place] - target) < abs(total - target):
            taken.append(place)
            total += int(sizes_G[place])
    return taken or [min(left.tolist(), key=lambda place: int(sizes_G[place]))]


def kfold(options: KFold, keys: RowKeys) -> Codes:
    """The rows of one fold validate. Folds are consecutive; of a class they are dealt in turn; whole groups go to the smallest fold."""
    assert options.fold != "all", "each fold is planned and read by itself"
    folds_N = _folds(options, keys)
    return np.where(folds_N == options.fold - 1, VALIDATION, TRAIN).astype(np.int8)


def _folds(options: KFold, keys: RowKeys) -> npt.NDArray[np.int64]:
    """The fold of each row, from 0."""
    if options.by_group:
        assert keys.groups is not None
        return _folds_of_groups(options, keys.groups)
    order = shuffled(keys.rows, seed=options.seed) if options.shuffle else np.arange(keys.rows)
    folds = np.empty(keys.rows, np.int64)
    if options.stratify:
        assert keys.labels is not None
        check_classes(keys)
        by_label = order[np.argsort(keys.labels[order], kind="stable")]
        folds[by_label] = np.arange(keys.rows) % options.folds
    else:
        folds[order] = np.arange(keys.rows) * options.folds // max(1, keys.rows)
    return folds


def _folds_of_groups(options: KFold, groups_N: Hashes) -> npt.NDArray[np.int64]:
    names_G, of_N, sizes_G = np.unique(groups_N, return_inverse=True, return_counts=True)
    if len(names_G) < options.folds:
        raise _too_few_groups(len(names_G), options.folds)
    ties = mixed(names_G, seed=options.seed) if options.shuffle else names_G
    folds_G = np.empty(len(names_G), np.int64)
    totals = [0] * options.folds
    for place in np.lexsort((ties, -sizes_G)).tolist():
        smallest = totals.index(min(totals))
        folds_G[place] = smallest
        totals[smallest] += int(sizes_G[place])
    return np.asarray(folds_G[of_N])


def consecutive(order_N: npt.NDArray[np.int64], shares: Sequence[float]) -> Codes:
    """The first rows of an order train, the next validate, the last test: each within a row of its share."""
    _, validation, test = shares
    first, second = int(round(1 - validation - test, 12) * len(order_N)), int(round(1 - test, 12) * len(order_N))
    codes = np.full(len(order_N), TRAIN, np.int8)
    codes[order_N[first:second]] = VALIDATION
    codes[order_N[second:]] = TEST
    return codes


def by_class(order_N: npt.NDArray[np.int64], keys: RowKeys, shares: Sequence[float]) -> Codes:
    """The same for each class: every split has its share of a class within a row, and of all rows nearly so; train has every class.

    Raises DataError for a class of one row.
    """
    assert keys.labels is not None
    check_classes(keys)
    by_label = order_N[np.argsort(keys.labels[order_N], kind="stable")]
    _, counts = np.unique(keys.labels, return_counts=True)
    codes, start, owed = np.empty(keys.rows, np.int8), 0, np.zeros(3)
    for count in counts.tolist():
        ideal = np.asarray(shares) * count
        given = np.floor(np.round(ideal, 9))
        fraction = ideal - given
        spare = round(count - given.sum())
        # Who is owed most gets what is left over, so that the shares of all classes together come out too.
        claims = np.where(fraction > 1e-9, fraction + owed, -np.inf)
        given[np.argsort(-claims, kind="stable")[:spare]] += 1
        if not given[TRAIN]:
            given[int(np.argmax(given))] -= 1
            given[TRAIN] = 1
        owed += ideal - given
        codes[by_label[start : start + count]] = np.repeat(np.array([TRAIN, VALIDATION, TEST], np.int8), given.astype(np.int64))
        start += count
    return codes


def check_classes(keys: RowKeys) -> None:
    """Raise DataError for a class of one row, of which no two splits can have a share."""
    assert keys.labels is not None
    labels, first, counts = np.unique(keys.labels, return_index=True, return_counts=True)
    single = np.flatnonzero(counts == 1)
    if not len(single):
        return
    if len(labels) > max(20, keys.rows // 2):
        raise DataError(
            f"column {keys.label!r} has {len(labels):,} different values in {keys.rows:,} rows, so it holds no classes to stratify by",
            code="class-with-one-row",
            hint="remove data.split.stratify; shuffle: true spreads the rows evenly",
        )
    places = sorted(int(first[place]) for place in single)
    named = [repr(keys.names.get(int(keys.labels[place]), "?")) for place in places[:3]]
    rows = ", ".join(f"{name} (row {keys.number(place):,})" for name, place in zip(named, places, strict=False))
    what = f"the class {rows} has one row" if len(single) == 1 else f"{len(single):,} classes have one row each: {rows}"
    more = " and more" if len(single) > len(named) else ""
    raise DataError(
        f"column {keys.label!r}: {what}{more}; a stratified split needs two of a class",
        code="class-with-one-row",
        hint="add rows of it, leave it out of the source, or remove data.split.stratify",
    )


def _too_few_groups(found: int, needed: int) -> DataError:
    there = "1 group" if found == 1 else f"{found:,} groups"
    return DataError(f"the rows are of {there}, and whole groups are to go to {needed} splits", code="too-few-groups",
                     hint="name finer groups in data.columns.group, or use split: {kind: ratio, validation: 0.1}")  # fmt: skip
