"""Consecutive shares of one stretch of data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Part, Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(Part):
    """The first documents train, the next validate, the last test. One long document is cut at a character, by the same shares."""

    factory: ClassVar[str] = "specrun.sources.splitting:ratio"
    kind: Literal["ratio"] = option(impact="weights", description="Consecutive shares, in the source's order.")
    validation: float = option(0.1, impact="weights", description="Share of the data for validation, 0 to 1.", gt=0, lt=1)
    test: float = option(0.0, impact="weights", description="Share of the data for the test split, 0 to 1.", ge=0, lt=1)
    shuffle: bool = option(False, impact="weights", description="Shuffle the documents first, by a hash of their position and the seed.")
    seed: int = option(0, impact="weights", description="Seed of the shuffle.", ge=0, lt=2**63)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares that leave nothing to train on."""
        if self.validation + self.test >= 1:
            message = f"validation {self.validation:g} and test {self.test:g} leave nothing to train on"
            yield Problem((*path, "validation"), "shares-leave-no-train", message, "use validation: 0.1 and test: 0.1")
