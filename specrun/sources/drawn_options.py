"""What the options of every source of drawn rows have in common: their number, their seed, and that nothing outside decides them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from specrun.sources.contract import WHOLE
from specrun.sources.extent import Extent
from specrun.spec.section import Part, option


class DrawnOptions(Part):
    """Rows that follow from the options alone, with an optimum that is known: facts tell it as `optimum`, by metric.

    row_bytes: of a row in memory, roughly.
    """

    has_columns: ClassVar[bool] = True
    row_bytes: ClassVar[int] = 64

    seed: int = option(0, impact="weights", description="Seed of what is to be learned and of the rows.", ge=0, lt=2**63)

    @property
    def total_rows(self) -> int:
        raise NotImplementedError

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """None: the rows follow from the options."""
        return ()

    def identity(self) -> dict[str, Any]:
        """Facts beyond options that decide the result: none."""
        return {}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """How much there is, roughly in bytes."""
        return {WHOLE: Extent(self.total_rows * self.row_bytes, float(self.total_rows))}
