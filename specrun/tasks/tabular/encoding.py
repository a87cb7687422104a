"""How a table's values become what a model computes with, as its train split says: a frozen description, and its application.

Numbers are standardised; a missing one is the median, and where the train split has missing ones a number beside it says so. A category
is a row of a table of embeddings: 0 for what the train split lacks, 1 for a missing value where it has such, then its values by frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from specrun.tasks.tabular.table import Numbers

if TYPE_CHECKING:
    import pyarrow as pa

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Number:
    """A column of numbers in the train split. edges: quantiles of the standardised values, strictly ascending; one alone where all values
    are the same, which tell nothing, and none where there is no value. missing: how many rows have none."""

    name: str
    mean: float
    std: float
    median: float
    edges: tuple[float, ...]
    missing: int

    @property
    def varies(self) -> bool:
        return len(self.edges) > 1

    @property
    def sometimes_missing(self) -> bool:
        return self.missing > 0 and bool(self.edges)

    def inputs(self) -> list[tuple[str, tuple[float, ...]]]:
        """(name, edges) of the numbers that a model sees of it: itself, and whether it is missing."""
        itself = [(self.name, self.edges)] if self.varies else []
        return [*itself, (f"{self.name} is missing", (0.0, 1.0))] if self.sometimes_missing else itself

    def encode(self, values_B: Numbers) -> list[Numbers]:
        """The numbers that a model sees, (B,) each."""
        missing_B = np.isnan(values_B)
        itself = [(np.where(missing_B, self.median, values_B) - self.mean) / self.std] if self.varies else []
        return [*itself, missing_B.astype(np.float64)] if self.sometimes_missing else itself


@dataclass(frozen=True, slots=True)
class Category:
    """A column of categories. values: those of the train split, the most frequent first. missing: how many of its rows have none."""

    name: str
    values: tuple[str, ...]
    missing: int

    @property
    def first(self) -> int:
        """Row of the first value."""
        return 2 if self.missing else 1

    @property
    def cardinality(self) -> int:
        return self.first + len(self.values)

    def encode(self, words: pa.Array) -> Codes:
        """Rows of the table of embeddings, (B,)."""
        place_B = place_of(words, self.values)
        code_B: Codes = np.where(place_B < 0, 0, place_B + self.first).astype(np.int32)
        if self.missing:
            code_B[words.is_null().to_numpy(zero_copy_only=False)] = 1
        return code_B


@dataclass(frozen=True, slots=True)
class Target:
    """A target. mean, std: of one that is a number. classes: of one that is not, as the data has them, in their order; counts: their rows
    in the train split; names: what they are called."""

    name: str
    mean: float = 0.0
    std: float = 1.0
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoding:
    """All columns, in the order in which a model has them. objective: regression or classification."""

    objective: str
    targets: tuple[Target, ...]
    numbers: tuple[Number, ...] = field(default=())
    categories: tuple[Category, ...] = field(default=())

    @property
    def inputs(self) -> list[tuple[str, tuple[float, ...]]]:
        """(name, edges) of every number that a model sees."""
        return [one for number in self.numbers for one in number.inputs()]

    @property
    def columns(self) -> list[str]:
        """Names of all columns that are read, targets first."""
        targets, numbers = [target.name for target in self.targets], [number.name for number in self.numbers]
        return [*targets, *numbers, *(category.name for category in self.categories)]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none where numbers are predicted."""
        return self.targets[0].names

    @property
    def sizes(self) -> dict[str, Any]:
        """Keywords of the `table` interface."""
        return {
            "numbers": len(self.inputs),
            "categories": [category.cardinality for category in self.categories],
            "edges": [list(edges) for _, edges in self.inputs],
            "outputs": len(self.classes) or len(self.targets),
        }

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def read_encoding(document: Mapping[str, Any]) -> Encoding:
    """The encoding that `document()` wrote."""
    targets = tuple(Target(**{**one, **{name: tuple(one[name]) for name in ("classes", "counts", "names")}}) for one in document["targets"])
    numbers = tuple(Number(**{**one, "edges": tuple(one["edges"])}) for one in document["numbers"])
    categories = tuple(Category(**{**one, "values": tuple(one["values"])}) for one in document["categories"])
    return Encoding(document["objective"], targets, numbers, categories)


def place_of(words: pa.Array, values: tuple[str, ...]) -> Codes:
    """Of each word its place among the values, (B,); -1 for what is not among them, null included."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(words, value_set=pa.array(values, pa.large_string()), skip_nulls=True)
    codes: Codes = pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes
