"""What the train split says of its columns: one pass over each, in memory that does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from specrun.errors import DataError
from specrun.tasks.tabular.columns import Chosen, form_of
from specrun.tasks.tabular.encoding import Category, Encoding, Number, Target
from specrun.tasks.tabular.table import Column, Numbers, Table

QUANTILE_BINS = 64
_SAMPLED_ROWS = 1 << 20
"""Quantiles are exact up to so many rows; of more, every second row or every third counts for them."""
_MOST_VALUES = 100_000
_MOST_CLASSES = 10_000
_FEW_VALUES = 20
"""Whole numbers of at most so many different values are classes, unless the spec says otherwise."""

Warnings = list[tuple[str, str]]


def fit(train: Table, chosen: Chosen, *, objective: str, whole: Table) -> tuple[Encoding, Warnings]:
    """The encoding of a split, and what a person should know of it. whole: the same split with all its rows, where classes come from.

    Raises: DataError for what cannot be trained on.
    """
    warnings: Warnings = []
    targets = _targets(train, chosen, objective=objective, whole=whole, warnings=warnings)
    numbers = [_number(train, name) for name in chosen.numbers]
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


def _columns(table: Table, name: str) -> Iterator[Column]:
    return (batch[name] for batch in table.batches([name]))


def _number(train: Table, name: str) -> Number:
    count, mean, squares, low, high = 0, 0.0, 0.0, np.inf, -np.inf
    sample: list[Numbers] = []
    every, seen = -(-train.rows // _SAMPLED_ROWS), 0
    for column in _columns(train, name):
        values_B = column.numbers()
        sample.append(values_B[-seen % every :: every])
        seen += len(values_B)
        there = values_B[~np.isnan(values_B)]
        if not there.size:
            continue
        # Sums of parts joined as Chan, Golub & LeVeque 1979 do: no difference of large numbers.
        part_mean, total = float(there.mean()), count + there.size
        squares += float(((there - part_mean) ** 2).sum()) + (part_mean - mean) ** 2 * count * there.size / total
        mean += (part_mean - mean) * there.size / total
        count, low, high = total, min(low, float(there.min())), max(high, float(there.max()))
    if not count:
        return Number(name, 0.0, 1.0, 0.0, (), train.rows)
    values = np.concatenate(sample)
    values = values[~np.isnan(values)]
    median = float(np.median(values)) if values.size else mean
    std = float(np.sqrt(squares / count))
    if low == high or std == 0.0:
        return Number(name, mean, 1.0, median, (0.0,), train.rows - count)
    quantiles = np.quantile(values, np.linspace(0, 1, QUANTILE_BINS + 1)) if values.size else np.empty(0)
    edges = sorted({float(f"{(edge - mean) / std:.6g}") for edge in (low, *quantiles.tolist(), high)})
    return Number(name, mean, std, median, tuple(edges), train.rows - count)


def _counted(table: Table, name: str) -> tuple[Counter[str], int]:
    """How often each word is there, and in how many rows there is none."""
    import pyarrow.compute as pc

    counts, missing = Counter[str](), 0
    for column in _columns(table, name):
        words = column.words()
        missing += words.null_count
        found = pc.value_counts(words.drop_null())
        counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
    return counts, missing


def _category(train: Table, name: str, chosen: Chosen, warnings: Warnings) -> Category | None:
    counts, missing = _counted(train, name)
    if len(counts) + bool(missing) < 2:
        what = f"is {next(iter(counts))!r}" if counts else "is empty"
        warnings.append(("constant-column", f"{name} {what} in all rows of the train split and is left out"))
        return None
    if not chosen.given and len(counts) > 100 and 2 * len(counts) > train.rows - missing:
        many = f"{name} has {len(counts):,} different values in {train.rows - missing:,} rows, as a name or a number of each row has"
        warnings.append(("near-unique-column", f"{many}, and is left out; data.columns.categories can name it all the same"))
        return None
    if len(counts) > _MOST_VALUES:
        raise DataError(f"{name} has {len(counts):,} different values in the train split; a category has {_MOST_VALUES:,} at most",
                        code="too-many-categories", hint=f"leave {name} out of data.columns.categories")  # fmt: skip
    values = sorted(counts, key=lambda word: (-counts[word], word))
    return Category(name, tuple(values), missing)


def _targets(train: Table, chosen: Chosen, *, objective: str, whole: Table, warnings: Warnings) -> tuple[Target, ...]:
    first = chosen.targets[0]
    if objective == "auto":
        objective = _objective(whole, chosen.targets, warnings)
    if objective == "classification":
        return (_classes(whole, first),)
    return tuple(_scale(train, name) for name in chosen.targets)


def _objective(table: Table, targets: tuple[str, ...], warnings: Warnings) -> str:
    """What targets of their types are, where nobody says."""
    if len(targets) > 1:
        return "regression"
    name = targets[0]
    form = form_of(table.schema.field(name).type)
    if form != "whole":
        return "regression" if form == "number" else "classification"
    different = len(_counted(table, name)[0])
    found = "classification" if different <= _FEW_VALUES else "regression"
    what = "classes" if found == "classification" else "a number"
    warnings.append(("objective-assumed", f"the target {name} holds whole numbers, {different:,} different ones, and is taken for {what}; "
                     f"task.objective: {found} says so for certain"))  # fmt: skip
    return found


def _classes(table: Table, name: str) -> Target:
    """Raises: DataError for a missing one, for fractions, and where there are less than two or far too many."""
    if form_of(table.schema.field(name).type) == "number":
        _refuse_fractions(table, name)
    for column in _columns(table, name):
        column.refuse_missing(column.words().is_null().to_numpy(zero_copy_only=False))
    counts, _ = _counted(table, name)
    if len(counts) < 2:
        raise DataError(f"the target {name} is {next(iter(counts))!r} in all rows of the train split: there is nothing to tell apart",
                        code="one-class", hint="name another column in data.columns.target, or split otherwise")  # fmt: skip
    if len(counts) > _MOST_CLASSES:
        raise DataError(f"the target {name} has {len(counts):,} different values; classification has {_MOST_CLASSES:,} classes at most",
                        code="too-many-classes", hint="use task.objective: regression")  # fmt: skip
    whole = form_of(table.schema.field(name).type) in {"whole", "number"}
    classes = sorted(counts, key=lambda word: (float(word), word)) if whole else sorted(counts)
    return Target(name, classes=tuple(classes), counts=tuple(counts[word] for word in classes))


def _refuse_fractions(table: Table, name: str) -> None:
    for column in _columns(table, name):
        values_B = column.numbers()
        if (bad := np.flatnonzero(values_B % 1 > 0)).size:
            where = f"{name} in row {column.row[bad[0]]} of {table.split} is {values_B[bad[0]]:g}"
            raise DataError(f"{where}, and no class", code="fractional-class", hint="use task.objective: regression")


def _scale(train: Table, name: str) -> Target:
    """Raises: DataError for a missing one, and for a constant."""
    for column in _columns(train, name):
        column.refuse_missing(np.isnan(column.numbers()))
    found = _number(train, name)
    if not found.varies:
        raise DataError(f"the target {name} is {found.median:g} in all rows of the train split: there is nothing to learn",
                        code="constant-target", hint="name another column in data.columns.target, or split otherwise")  # fmt: skip
    return Target(name, mean=found.mean, std=found.std)
