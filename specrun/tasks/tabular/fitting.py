"""Fits the encoding of a table on its train split: which columns tell anything, and what is to be known of them."""

from __future__ import annotations

import numpy as np

from specrun.errors import DataError
from specrun.tasks.tabular.columns import Chosen, form_of
from specrun.tasks.tabular.encoding import Category, Encoding
from specrun.tasks.tabular.statistics import counted_of, number_of, parts_of
from specrun.tasks.tabular.table import Table
from specrun.tasks.tabular.targets import targets_of

_MANY = 100
"""Columns of more values than this can be names or numbers of rows, a different one in each."""
_CLOSE = 4
"""Numbers of rows reach at most so far for each row of the train split: it has a share of them."""
_MOST_VALUES = 100_000

Warnings = list[tuple[str, str]]


def fit(train: Table, chosen: Chosen, *, objective: str, whole: Table) -> tuple[Encoding, Warnings]:
    """The encoding of a split, and what a person should know of it. whole: the same split with all its rows, where classes come from.

    Raises: DataError for what cannot be trained on.
    """
    warnings: Warnings = []
    targets = targets_of(train, chosen, objective=objective, whole=whole, warnings=warnings)
    numbers = [number_of(train, name) for name in chosen.numbers if not _counts_rows(train, name, chosen, warnings)]
    for number in (number for number in numbers if not number.varies):
        what = "is empty in all rows" if number.missing == train.rows else f"is {number.median:g} in all rows that have one"
        warnings.append(("constant-column", f"{number.name} {what} of the train split and is left out"))
    categories = [found for name in chosen.categories if (found := _category(train, name, chosen, warnings)) is not None]
    encoding = Encoding(
        "classification" if targets[0].classes else "regression", targets, tuple(n for n in numbers if n.inputs()), tuple(categories)
    )
    if not encoding.numbers and not encoding.categories:
        raise DataError("no column is left to predict from: all are constant in the train split", code="no-input-columns",
                        hint="name others in data.columns.numbers or data.columns.categories")  # fmt: skip
    return encoding, warnings


def _counts_rows(train: Table, name: str, chosen: Chosen, warnings: Warnings) -> bool:
    """Whether a column that no role names holds whole numbers close to one another, none of them twice, as a row's own number is."""
    if "numbers" not in chosen.by_type or form_of(train.schema.field(name).type) != "whole":
        return False
    count, low, high = 0, np.inf, -np.inf
    for column in parts_of(train, name):
        values_B = column.numbers()
        if np.isnan(values_B).any():
            return False
        count, low, high = count + len(values_B), min(low, float(values_B.min())), max(high, float(values_B.max()))
    if count <= _MANY or high - low >= _CLOSE * count:
        return False
    seen = np.zeros(int(high - low) + 1, dtype=np.bool_)
    for column in parts_of(train, name):
        places_B = (column.numbers() - low).astype(np.int64)
        if seen[places_B].any() or len(np.unique(places_B)) < len(places_B):
            return False
        seen[places_B] = True
    warnings.append(("row-number-column", f"{name} holds {count:,} different whole numbers between {low:.0f} and {high:.0f}, as numbers of "
                     "rows are, and is left out; data.columns.numbers can name it all the same"))  # fmt: skip
    return True


def _category(train: Table, name: str, chosen: Chosen, warnings: Warnings) -> Category | None:
    counts, missing = counted_of(train, name)
    if len(counts) + bool(missing) < 2:
        what = f"is {next(iter(counts))!r}" if counts else "is empty"
        warnings.append(("constant-column", f"{name} {what} in all rows of the train split and is left out"))
        return None
    if "categories" in chosen.by_type and len(counts) > _MANY and 2 * len(counts) > train.rows - missing:
        many = f"{name} has {len(counts):,} different values in {train.rows - missing:,} rows, as a name or a number of each row has"
        warnings.append(("near-unique-column", f"{many}, and is left out; data.columns.categories can name it all the same"))
        return None
    if len(counts) > _MOST_VALUES:
        raise DataError(f"{name} has {len(counts):,} different values in the train split; a category has {_MOST_VALUES:,} at most",
                        code="too-many-categories", hint=f"leave {name} out of data.columns.categories")  # fmt: skip
    values = sorted(counts, key=lambda word: (-counts[word], word))
    return Category(name, tuple(values), missing)
