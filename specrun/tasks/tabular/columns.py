"""Which columns of a table are read, and as what: the target's, those of numbers, those of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from specrun.errors import DataError
from specrun.spec.nearest import listed
from specrun.spec.sections.data import Columns
from specrun.tasks.tabular.options import names

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "__row__"
"""Column that says which row of the source a row is, from 1."""
Form = Literal["number", "whole", "truth", "text", "other"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Columns by role. by_type: those of numbers and categories that the spec does not name, so that all columns of their types are
    taken. unread: columns without a role, and their types. class_names: of a target that holds classes by their numbers."""

    targets: tuple[str, ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    by_type: frozenset[str]
    unread: Mapping[str, str]
    class_names: Sequence[str] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.numbers, *self.categories)


def form_of(dtype: pa.DataType) -> Form:
    """What a column of that type holds."""
    from pyarrow import types

    if types.is_dictionary(dtype):
        dtype = dtype.value_type
    if types.is_integer(dtype):
        return "whole"
    if types.is_floating(dtype) or types.is_decimal(dtype):
        return "number"
    if types.is_boolean(dtype):
        return "truth"
    return "text" if types.is_string(dtype) or types.is_large_string(dtype) else "other"


def choose(columns: Columns, facts: Mapping[str, Any], schema: pa.Schema) -> Chosen:
    """facts: of the `data` step, which has found the columns of each role. Raises: DataError for a column of no type for its role, and
    where there is none to predict from."""
    targets, numbers, categories = (tuple(facts["roles"].get(role, ())) for role in ("target", "numbers", "categories"))
    for role, named in (("target", targets), ("numbers", numbers), ("categories", categories)):
        for name in (name for name in named if form_of(schema.field(name).type) == "other"):
            raise DataError(f"data.columns.{role} names {name}, which holds {schema.field(name).type}, neither numbers nor words",
                            code="wrong-type", hint=f"leave {name} out of data.columns.{role}")  # fmt: skip
    if not numbers and not categories:
        raise DataError(f"there is no column to predict {listed(targets, 'and')} from", code="no-input-columns",
                        hint="name columns in data.columns.numbers or data.columns.categories")  # fmt: skip
    by_type = frozenset(role for role in ("numbers", "categories") if getattr(columns, role) is None)
    # Who names all columns has left the others out on purpose.
    unread = {name: dtype for name, dtype in facts.get("unread", {}).items() if by_type and name not in _split_by(columns)}
    return Chosen(targets, numbers, categories, by_type, unread, facts.get("class_names", {}).get(targets[0]))


def _split_by(columns: Columns) -> tuple[str, ...]:
    """Columns of roles that the split may read."""
    return (*names(columns.group), *names(columns.time))
