"""Which columns of a table are read, and as what: the target's, those of numbers, those of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from specrun.errors import DataError
from specrun.spec.nearest import listed, nearest
from specrun.spec.sections.data import Columns
from specrun.tasks.tabular.options import names

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "__row__"
"""Column that says which row of the source a row is, from 1."""
Form = Literal["number", "whole", "truth", "text", "other"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Columns by role. given: categories that were named, and not taken because no role was. unread: (name, type) of what has no role and
    is neither a number nor a category."""

    targets: tuple[str, ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    given: bool
    unread: tuple[tuple[str, str], ...] = ()

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


def choose(columns: Columns, schema: pa.Schema) -> Chosen:
    """Roles as they are named; where none are, numbers are all numeric columns without another role, and categories all of text or truth
    values. Raises: DataError for a column that is not there, or is of no type for its role, and where nothing is left to predict from."""
    forms = {field.name: form_of(field.type) for field in schema if field.name != ROW}
    targets = names(columns.target)
    _check(targets, "target", schema, ("number", "whole", "truth", "text"))
    _check(columns.numbers or (), "numbers", schema, ("number", "whole", "truth", "text"))
    _check(columns.categories or (), "categories", schema, ("number", "whole", "truth", "text"))
    taken = {*targets, *names(columns.group), *names(columns.time), *(columns.numbers or ()), *(columns.categories or ())}
    free = [name for name in forms if name not in taken]
    numbers = tuple(n for n in free if forms[n] in {"number", "whole"}) if columns.numbers is None else columns.numbers
    categories = tuple(n for n in free if forms[n] in {"truth", "text"}) if columns.categories is None else columns.categories
    if not numbers and not categories:
        raise DataError(
            f"there is no column to predict {listed(targets, 'and')} from",
            code="no-input-columns",
            hint="name columns in data.columns.numbers or data.columns.categories",
        )
    unread = tuple((n, str(schema.field(n).type)) for n in free if forms[n] == "other")
    return Chosen(targets, numbers, categories, columns.categories is not None, unread)


def _check(wanted: Sequence[str], role: str, schema: pa.Schema, forms: Sequence[Form]) -> None:
    """Raises: DataError for the first column that is missing, or is of another form."""
    known = [name for name in schema.names if name != ROW]
    for name in wanted:
        if name not in known:
            near = nearest(name, known)
            raise DataError(f"data.columns.{role} names {name}, which is not there; columns are {listed(known[:30], 'and')}",
                            code="missing-column", hint=f"use {near}" if near else None)  # fmt: skip
        if form_of(schema.field(name).type) not in forms:
            raise DataError(f"data.columns.{role} names {name}, which holds {schema.field(name).type}, neither numbers nor words",
                            code="wrong-type", hint=f"leave {name} out of data.columns.{role}")  # fmt: skip
