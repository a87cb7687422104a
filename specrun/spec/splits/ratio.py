"""Consecutive shares of one stretch of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Problem, apart, option
from specrun.spec.split_options import RowKey, SplitOptions, share_problems, stratify_problems

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(SplitOptions):
    """The first documents or rows train, the next validate, the last test. One long document is cut at a character, by the same shares."""

    factory: ClassVar[str] = "specrun.sources.splitting:ratio"
    assigner: ClassVar[str] = "specrun.sources.assignment:ratio"
    kind: Literal["ratio"] = option(impact="weights", description="Consecutive shares, in the source's order.")
    validation: float = option(0.1, impact="weights", description="Share of the data for validation, 0 to 1.", gt=0, lt=1)
    test: float = option(0.0, impact="weights", description="Share of the data for the test split, 0 to 1.", ge=0, lt=1)
    stratify: bool = option(False, impact="weights", description="Cut each class for itself, so that every split has the same share of it.")
    shuffle: bool = option(
        False, impact="weights", description="Shuffle the documents or rows first, by a hash of their position and the seed."
    )
    seed: int = option(0, impact="weights", description="Seed of the shuffle.", ge=0, lt=2**63)

    @property
    def keys(self) -> frozenset[RowKey]:
        """The class of a row, where each is cut for itself."""
        return frozenset({"label"}) if self.stratify else frozenset()

    @property
    def shares(self) -> Mapping[str, float]:
        """As they are asked for."""
        return {"train": 1 - self.validation - self.test, "validation": self.validation, "test": self.test}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares that leave nothing to train on, and classes that there are none of."""
        yield from apart(self._shares(path), self._stratify(spec, path))

    def _shares(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from share_problems(self.validation, self.test, path)

    def _stratify(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.stratify:
            yield from stratify_problems(spec, path)
