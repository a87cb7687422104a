"""Options of the `synthetic` source: text from a Markov chain whose entropy is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from specrun.sources.contract import WHOLE
from specrun.sources.extent import Extent
from specrun.spec.section import Part, option


class Options(Part):
    """A stationary first-order chain over letters. Its entropy rate in nats a character is recorded: the loss cannot go below."""

    factory: ClassVar[str] = "specrun.sources.synthetic.build:build"
    kind: Literal["synthetic"] = option(impact="weights", description="A Markov chain over letters.")
    states: int = option(16, impact="weights", description="Letters of the alphabet.", ge=2, le=64)
    concentration: float = option(
        0.2, impact="weights", description="Dirichlet parameter of each row of transitions; small is predictable.", gt=0, le=100
    )
    characters: int = option(200_000, impact="weights", description="Characters of the whole text.", ge=100, le=10**9)
    document_characters: int = option(1000, impact="weights", description="Characters of one document.", ge=2, le=10**7)
    seed: int = option(0, impact="weights", description="Seed of the chain and of the text.", ge=0, lt=2**63)

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """None: the text follows from the options."""
        return ()

    def identity(self) -> dict[str, Any]:
        """Facts beyond options that decide the result: none."""
        return {}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """How much text: every character is one byte."""
        return {WHOLE: Extent(self.characters, max(1.0, self.characters / self.document_characters))}
