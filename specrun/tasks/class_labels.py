"""The classes of the labels of a data set, and the number of each label among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.spec.nearest import nearest

Label = str | int


@dataclass(slots=True)
class Labels:
    """Labels of a split as they are read. rows: numbers of their rows in the source, from 1."""

    split: str
    column: str
    values: list[Label] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add(self, value: object, row: int) -> None:
        """Take one in. Raises: DataError for one that is missing or neither a word nor a whole number."""
        place = f"{self.column} in row {row} of {self.split}"
        if value is None or value == "":
            raise DataError(f"{place} is empty", code="missing-label", hint="fill it in, or leave such rows out of the data")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, str | int):
            raise DataError(f"{place} is {value!r}: a class is a word or a whole number", code="label-not-a-class",
                            hint="name a column of classes in data.columns.label")  # fmt: skip
        self.values.append(value)
        self.rows.append(row)


@dataclass(frozen=True, slots=True)
class Classes:
    """names: of the classes, in the order of their numbers. number: of each label."""

    names: tuple[str, ...]
    number: Mapping[Label, int]

    def codes(self, labels: Labels) -> npt.NDArray[np.int64]:
        """Numbers of the classes of a split. Raises: DataError for a label that the train split has not."""
        for value, row in zip(labels.values, labels.rows, strict=True):
            if value not in self.number:
                near = nearest(str(value), self.names)
                meant = f'did you mean "{near}"? ' if near else ""
                raise DataError(
                    f"{labels.column} in row {row} of {labels.split} is {value!r}, a class that the train split has not",
                    code="unseen-label", hint=f"{meant}correct it, or split the data so that every class is in the train split",
                )  # fmt: skip
        return np.array([self.number[value] for value in labels.values], dtype=np.int64)


def classes_of(train: Labels, names: Sequence[str] | None) -> Classes:
    """names: of the classes by their numbers, where the source has numbers with names; else the labels themselves are, in their order.

    Raises: DataError where there is only one class, and for a number without a name.
    """
    if names is not None:
        for value, row in zip(train.values, train.rows, strict=True):
            if not (isinstance(value, int) and 0 <= value < len(names)):
                raise DataError(f"{train.column} in row {row} of train is {value!r}, and its classes are numbered 0 to {len(names) - 1}",
                                code="label-not-a-class", hint="leave rows without a class out of the data")  # fmt: skip
        found: list[Label] = list(range(len(names)))
    else:
        found = sorted(set(train.values), key=lambda value: (isinstance(value, str), value))
    if len(set(train.values)) < 2:
        only = f"all are {train.values[0]!r}" if train.values else "there are no rows"
        raise DataError(f"the train split has one class: {only}", code="one-class", hint="train on data of two classes or more")
    return Classes(tuple(names or [str(value) for value in found]), {value: number for number, value in enumerate(found)})


def absent(classes: Classes, codes: npt.NDArray[np.int64]) -> list[str]:
    """Names of the classes that have no sample."""
    counts = Counter(codes.tolist())
    return [name for number, name in enumerate(classes.names) if not counts[number]]
