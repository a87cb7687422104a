"""Splits by a hash of the text, so that a document stays in its split when others come or go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Part, Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(Part):
    """A document's split is decided by the hash of its text and the seed; equal documents always land together."""

    factory: ClassVar[str] = "specrun.sources.splitting:by_hash"
    kind: Literal["hash"] = option(impact="weights", description="By a hash of the document's text.")
    validation: float = option(0.1, impact="weights", description="Share of the documents for validation, 0 to 1.", gt=0, lt=1)
    test: float = option(0.0, impact="weights", description="Share of the documents for the test split, 0 to 1.", ge=0, lt=1)
    seed: int = option(0, impact="weights", description="Seed of the hash.", ge=0, lt=2**63)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Shares that leave nothing to train on."""
        if self.validation + self.test >= 1:
            message = f"validation {self.validation:g} and test {self.test:g} leave nothing to train on"
            yield Problem((*path, "validation"), "shares-leave-no-train", message, "use validation: 0.1 and test: 0.1")
