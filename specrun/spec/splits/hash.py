"""Splits by a hash of the content, so that a document or row stays in its split when others come or go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Problem, option
from specrun.spec.split_options import RowKey, SplitOptions, share_problems

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(SplitOptions):
    """The split is decided by the hash of a document's text, or of a row's values, and the seed; equal ones always land together."""

    factory: ClassVar[str] = "specrun.sources.splitting:by_hash"
    assigner: ClassVar[str] = "specrun.sources.assignment:by_hash"
    kind: Literal["hash"] = option(impact="weights", description="By a hash of the document's text, or of the row's values.")
    validation: float = option(0.1, impact="weights", description="Share of the data for validation, 0 to 1.", gt=0, lt=1)
    test: float = option(0.0, impact="weights", description="Share of the data for the test split, 0 to 1.", ge=0, lt=1)
    seed: int = option(0, impact="weights", description="Seed of the hash.", ge=0, lt=2**63)

    @property
    def keys(self) -> frozenset[RowKey]:
        """The hash of a row."""
        return frozenset({"hash"})

    @property
    def shares(self) -> Mapping[str, float]:
        """As they are asked for."""
        return {"train": 1 - self.validation - self.test, "validation": self.validation, "test": self.test}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares that leave nothing to train on."""
        yield from share_problems(self.validation, self.test, path)
