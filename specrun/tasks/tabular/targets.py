"""What the target is, a number or a class, and what the train split says of it. What cannot be one is an error with its row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from specrun.errors import DataError
from specrun.tasks.tabular.columns import Chosen, form_of
from specrun.tasks.tabular.encoding import Target
from specrun.tasks.tabular.statistics import counted_of, farthest, number_of, parts_of
from specrun.tasks.tabular.table import Table

_MOST_CLASSES = 10_000
FEW_VALUES = 20
"""Whole numbers of at most so many different values are classes, unless the spec says otherwise."""


def targets_of(train: Table, chosen: Chosen, *, objective: str, whole: Table, warnings: list[tuple[str, str]]) -> tuple[Target, ...]:
    """One class, or one number or several. whole: the train split with all its rows, where classes come from."""
    first = chosen.targets[0]
    if objective == "auto":
        named = chosen.class_names is not None and len(chosen.targets) == 1
        objective = "classification" if named else _objective(whole, chosen.targets, warnings)
    if objective == "classification":
        return (_classes(whole, first, chosen.class_names),)
    return tuple(_scale(train, name, warnings) for name in chosen.targets)


def _objective(table: Table, targets: tuple[str, ...], warnings: list[tuple[str, str]]) -> str:
    """What targets of their types are, where nobody says."""
    if len(targets) > 1:
        return "regression"
    name = targets[0]
    form = form_of(table.schema.field(name).type)
    if form != "whole":
        return "regression" if form == "number" else "classification"
    different = len(counted_of(table, name)[0])
    found = "classification" if different <= FEW_VALUES else "regression"
    what = "classes" if found == "classification" else "a number"
    warnings.append(("objective-assumed", f"the target {name} holds whole numbers, {different:,} different ones, and is taken for {what}; "
                     f"task.objective: {found} says so for certain"))  # fmt: skip
    return found


def _classes(table: Table, name: str, names: Sequence[str] | None) -> Target:
    """names: of classes that the source has by their numbers. Raises: DataError for a missing one, for one without a name, for fractions,
    and where there are less than two or far too many."""
    form = form_of(table.schema.field(name).type)
    if form == "number":
        _refuse_fractions(table, name)
    for column in parts_of(table, name):
        column.refuse_missing(column.words().is_null().to_numpy(zero_copy_only=False))
    counts, _ = counted_of(table, name)
    if len(counts) < 2:
        raise DataError(f"the target {name} is {next(iter(counts))!r} in all rows of the train split: there is nothing to tell apart",
                        code="one-class", hint="name another column in data.columns.target, or split otherwise")  # fmt: skip
    if len(counts) > _MOST_CLASSES:
        raise DataError(f"the target {name} has {len(counts):,} different values; classification has {_MOST_CLASSES:,} classes at most",
                        code="too-many-classes", hint="use task.objective: regression")  # fmt: skip
    classes = sorted(counts, key=lambda word: (float(word), word)) if form in {"whole", "number"} else sorted(counts)
    if names is not None:
        _refuse_unnamed(table, name, names)
        classes = [str(number) for number in range(len(names))]
    return Target(name, classes=tuple(classes), counts=tuple(counts[word] for word in classes), names=tuple(names or classes))


def _refuse_unnamed(table: Table, name: str, names: Sequence[str]) -> None:
    for column in parts_of(table, name):
        values_B = column.numbers()
        if (bad := np.flatnonzero((values_B < 0) | (values_B >= len(names)))).size:
            where = f"{name} in row {column.row[bad[0]]} of {table.split}"
            raise DataError(f"{where} is {values_B[bad[0]]:g}, and its classes are numbered 0 to {len(names) - 1}",
                            code="label-not-a-class", hint="leave rows without a class out of the data")  # fmt: skip


def _refuse_fractions(table: Table, name: str) -> None:
    for column in parts_of(table, name):
        values_B = column.numbers()
        if (bad := np.flatnonzero(values_B % 1 > 0)).size:
            where = f"{name} in row {column.row[bad[0]]} of {table.split} is {values_B[bad[0]]:g}"
            raise DataError(f"{where}, and no class", code="fractional-class", hint="use task.objective: regression")


def _scale(train: Table, name: str, warnings: list[tuple[str, str]]) -> Target:
    """Raises: DataError for a missing one, and for a constant."""
    for column in parts_of(train, name):
        column.refuse_missing(np.isnan(column.numbers()))
    found = number_of(train, name)
    if not found.varies:
        raise DataError(f"the target {name} is {found.median:g} in all rows of the train split: there is nothing to learn",
                        code="constant-target", hint="name another column in data.columns.target, or split otherwise")  # fmt: skip
    if (far := farthest(train, name)) is not None:
        text = f"{name} in row {far.row} of train is {far.value:g}, {far.spreads:.2g} interquartile ranges from the median: "
        warnings.append(("far-out-value", f"{text}scales and errors are those of this value; correct it if it is wrong"))
    return Target(name, mean=found.mean, std=found.std)
