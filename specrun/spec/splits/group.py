"""Splits that keep whatever belongs together in one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Problem, apart, option
from specrun.spec.split_options import RowKey, SplitOptions, role_problems, share_problems

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(SplitOptions):
    """All rows of a group go to one split, so that a model is judged on persons, things or places that it has not seen."""

    factory: ClassVar[str] = "specrun.sources.assignment:group"
    assigner: ClassVar[str] = "specrun.sources.assignment:group"
    splits_documents: ClassVar[bool] = False
    kind: Literal["group"] = option(impact="weights", description="Whole groups, by the columns of data.columns.group.")
    validation: float = option(
        0.1, impact="weights", description="Share of the rows for validation, 0 to 1, as near as whole groups allow.", gt=0, lt=1
    )
    test: float = option(
        0.0, impact="weights", description="Share of the rows for the test split, 0 to 1, as near as whole groups allow.", ge=0, lt=1
    )
    seed: int = option(0, impact="weights", description="Seed of the order in which groups are held out.", ge=0, lt=2**63)

    @property
    def keys(self) -> frozenset[RowKey]:
        """The group of a row."""
        return frozenset({"group"})

    @property
    def shares(self) -> Mapping[str, float]:
        """As they are asked for."""
        return {"train": 1 - self.validation - self.test, "validation": self.validation, "test": self.test}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares that leave nothing to train on, and no column of groups."""
        yield from apart(self._shares(path), role_problems(spec, path, role="group", of="split group"))

    def _shares(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from share_problems(self.validation, self.test, path)
