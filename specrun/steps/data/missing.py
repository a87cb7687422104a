"""Rows that lack what no row may lack: counted, and the first of them remembered by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from specrun.errors import DataError
from specrun.spec.document import Spec
from specrun.spec.nearest import listed
from specrun.steps.data.roles import Roles
from specrun.steps.data.row_keys import missing_rows

_FIRST = 5


@dataclass
class _Found:
    count: int = 0
    rows: list[int] = field(default_factory=list)


class MissingValues:
    """Looks through the rows that are stored; a class or a target that is NaN is missing too."""

    def __init__(self, spec: Spec, roles: Roles) -> None:
        self._spec = spec
        self._roles = roles
        self._found: dict[tuple[str, str], _Found] = {}

    def add(self, split: str, batch: Any, numbers: Sequence[int]) -> None:
        """Look through rows of a split. numbers: of the rows in the source."""
        for name in self._roles.needed:
            for place in missing_rows(batch.column(name), nan=name in self._roles.predicted):
                found = self._found.setdefault((name, split), _Found())
                found.count += 1
                if len(found.rows) < _FIRST:
                    found.rows.append(int(numbers[place]))

    def refuse(self) -> None:
        """Raise DataError where anything was missing."""
        if not self._found:
            return
        (name, split), found = next(iter(self._found.items()))
        rows = listed([f"{row:,}" for row in found.rows], "and") + (" and more" if found.count > len(found.rows) else "")
        what = f"1 row of {split} has" if found.count == 1 else f"{found.count:,} rows of {split} have"
        role = self._roles.needed[name]
        raise DataError(
            f"{what} no value in column {name!r}, the {role} of each row: row{'' if found.count == 1 else 's'} {rows} of the source",
            code=f"missing-{role}",
            hint="fill them, or leave the rows out of the source",
        )
