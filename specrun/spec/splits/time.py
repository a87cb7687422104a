"""Splits that follow one another in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Problem, apart, option
from specrun.spec.split_options import RowKey, SplitOptions, role_problems, share_problems
from specrun.spec.units import Quantity, Units

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Share = Annotated[float, Field(gt=0, lt=1)]
Moment = Annotated[str, Field(min_length=10, max_length=40)]


class Options(SplitOptions):
    """The earlier rows train, the later ones validate, the last test. Rows of one moment stay together, whatever their groups."""

    factory: ClassVar[str] = "specrun.sources.time_split:split_by_time"
    assigner: ClassVar[str] = "specrun.sources.time_split:split_by_time"
    splits_documents: ClassVar[bool] = False
    kind: Literal["time"] = option(impact="weights", description="Consecutive in time, by the column data.columns.time.")
    validation: Share | Moment = option(
        0.1,
        impact="weights",
        description="Share for validation, 0 to 1, or the moment at which it begins, such as 2017-06-26 or 2017-06-26T12:00.",
    )
    test: Share | Moment | None = option(
        None,
        impact="weights",
        description="Share for the test split, 0 to 1, or the moment at which it begins; absent means none.",
    )
    share_of: Literal["rows", "time"] = option(
        "rows", impact="weights", description="What a share is of: the rows in order of their time, or the time from the first to the last."
    )
    end: Moment | None = option(
        None, impact="weights", description="Moment from which rows are left out; absent means all are used.", examples=["2018-02-21"]
    )
    gap: Annotated[Quantity, Units("rows", "seconds")] | None = option(
        None,
        impact="weights",
        description="What is left out at the end of each split but the last, so that no window reaches from one into the next: time stamps "
        "(96 rows), or a time (4 days).",
    )

    @property
    def keys(self) -> frozenset[RowKey]:
        """The time of a row."""
        return frozenset({"time"})

    @property
    def shares(self) -> Mapping[str, float] | None:
        """As they are asked for; moments tell none."""
        validation, test = self.validation, 0.0 if self.test is None else self.test
        if isinstance(validation, str) or isinstance(test, str):
            return None
        return {"train": 1 - validation - test, "validation": validation, "test": test}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares and moments that do not go together, and no column of time stamps."""
        yield from apart(self._shares(path), self._mixed(path), self._moments(path), self._without_effect(path),
                         role_problems(spec, path, role="time", of="split time"))  # fmt: skip

    def _shares(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        shares = self.shares
        if shares is not None:
            yield from share_problems(shares["validation"], shares["test"], path)

    def _mixed(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.test is not None and isinstance(self.test, str) != isinstance(self.validation, str):
            message = f"validation {self.validation} and test {self.test}: one is a share and the other a moment"
            yield Problem((*path, "test"), "share-beside-moment", message, "give both as shares, or both as moments")

    def _moments(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Moments that no calendar has, and those that are not in order."""
        known: list[tuple[str, datetime]] = []
        for name in ("validation", "test", "end"):
            text = getattr(self, name)
            if isinstance(text, str):
                try:
                    known.append((name, moment(text)))
                except ValueError as error:
                    yield Problem((*path, name), "no-such-moment", f"{name} {text}: {error}", "write it as 2017-06-26 or 2017-06-26T12:00")
        for (first, earlier), (second, later) in pairwise(known):
            if earlier >= later:
                message = f"{first} begins at {earlier:%Y-%m-%d %H:%M}, not before {second} at {later:%Y-%m-%d %H:%M}"
                yield Problem((*path, second), "moments-not-in-order", message, f"set a later {second}, or an earlier {first}")

    def _without_effect(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if "share_of" in self.model_fields_set and isinstance(self.validation, str):
            message = f"{'.'.join(map(str, path))}.share_of has no effect: validation is a moment"
            yield Problem((*path, "share_of"), "option-without-effect", message, "remove share_of", severity="warning")


def moment(text: str) -> datetime:
    """A moment in UTC, which it is in where it names no offset. Raises ValueError for one that no calendar has."""
    found = datetime.fromisoformat(text)  # which says itself what is wrong
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
