"""The `data.checks` section: what must hold of the data before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from specrun.spec.section import Section, option
from specrun.spec.units import Quantity, Units

Column = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Value = bool | int | float | str


class Checks(Section):
    """Expectations of the rows of all splits together, compiled to SQL; one that does not hold ends the run before it trains, with the
    numbers of the first rows that break it."""

    leakage: Literal["warn", "fail", "off"] = option(
        "warn", impact="weights", description="What follows where the same document or row stands in two splits."
    )
    min_rows: int | None = option(
        None, impact="weights", description="Fewest rows, or documents, that all splits have together.", ge=1, le=10**12
    )
    max_rows: int | None = option(
        None, impact="weights", description="Most rows, or documents, that all splits have together.", ge=1, le=10**12
    )
    nulls: dict[Column, Share] = option(
        {}, impact="weights", description="Largest share of missing values by column, 0 to 1; NaN counts as missing."
    )
    ranges: dict[Column, tuple[float, float]] = option(
        {}, impact="weights", description="Smallest and largest value by column, both allowed, as [low, high]."
    )
    values: dict[Column, Annotated[tuple[Value, ...], Field(min_length=1, max_length=100_000)]] = option(
        {}, impact="weights", description="The values that a column may have."
    )
    unique: Annotated[tuple[Column, ...], Field(max_length=100)] = option(
        (), impact="weights", description="Columns whose values, taken together, no two rows share."
    )
    increasing: bool = option(
        False,
        impact="weights",
        description="Whether the time of data.columns.time must rise from row to row, in each group of data.columns.group.",
    )
    frequency: Annotated[Quantity, Units("seconds")] | None = option(
        None,
        impact="weights",
        description="Time from each row to the next in the order of data.columns.time, in each group and split.",
        examples=["1h"],
    )

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns that expectations name, each with the key that names it first."""
        keys = {name: f"unique.{place}" for place, name in reversed(list(enumerate(self.unique)))}
        for key in ("values", "ranges", "nulls"):
            keys |= {name: f"{key}.{name}" for name in getattr(self, key)}
        return keys

    @property
    def needs_time(self) -> bool:
        """Whether rows are looked at in the order of their time."""
        return self.increasing or self.frequency is not None

    @property
    def of_columns(self) -> bool:
        """Whether anything is expected of columns."""
        return bool(self.columns) or self.needs_time
