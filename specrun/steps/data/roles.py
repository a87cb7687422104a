"""Which columns of a source the roles of a task are played by, and whether they are of a kind that can play them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specrun.errors import DataError
from specrun.sources.columns import check_column, check_flat, check_text, is_image, is_text
from specrun.spec.document import Spec
from specrun.spec.nearest import listed
from specrun.spec.shape import fields
from specrun.spec.split_options import label_columns, named

if TYPE_CHECKING:
    import pyarrow as pa

ROW_NUMBER = "__row__"
"""Column of the number of each row in its split of the source, from 1."""
_WHOLE = ("label", "target", "time", "group")
"""Roles that no row may lack, whether or not the task must have them."""


@dataclass(frozen=True, slots=True)
class Roles:
    """columns: by role, in the language's order. needed: columns that no row may lack, with the role of each; labels: of them what is
    predicted, where NaN is missing too; predicted: those that are no features."""

    columns: Mapping[str, tuple[str, ...]]
    needed: Mapping[str, str]
    predicted: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every column once."""
        return tuple(dict.fromkeys(name for names in self.columns.values() for name in names))

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are compared between splits: all but what is predicted, or all where nothing else is left."""
        return tuple(name for name in self.names if name not in self.predicted) or self.names


def roles_of(spec: Spec, schema: pa.Schema) -> Roles:
    """The columns of the task's roles. Raises DataError for one that is not there, or holds what its role cannot be."""
    if ROW_NUMBER in schema.names:
        raise DataError(f"the source has a column {ROW_NUMBER!r}, which is the name for the numbers of rows", code="reserved-column",
                        hint="give it another name in the source")  # fmt: skip
    found: dict[str, tuple[str, ...]] = {}
    for role, need in spec.task.roles.items():
        columns = _named(spec, role, schema, required=need == "required")
        for place, name in enumerate(columns):
            _check(spec, role, name, schema, key=key_of(spec, role, place))
        if columns:
            found[role] = columns
    if not found:
        raise DataError(f"no column of the source plays a role for the task {spec.task.kind}; it has {listed(schema.names, 'and')}",
                        code="no-columns", hint=f"name some in data.columns: {listed(sorted(spec.task.roles))}")  # fmt: skip
    whole = [role for role in found if role in _WHOLE or spec.task.roles[role] == "required"]
    needed = {name: role for role in whole for name in found[role]}
    return Roles(found, needed, tuple(name for name in label_columns(spec) if name in needed))


def key_of(spec: Spec, role: str, place: int) -> str:
    """The key of the spec that names a role's column."""
    value = getattr(spec.data.columns, role)
    return f"data.columns.{role}.{place}" if isinstance(value, tuple) else f"data.columns.{role}"


def _named(spec: Spec, role: str, schema: pa.Schema, *, required: bool) -> tuple[str, ...]:
    """The columns of a role: as they are named, else all others of its kind, or none."""
    columns = spec.data.columns
    value = getattr(columns, role)
    if value is None and role in ("numbers", "categories"):
        return tuple(_others(spec, schema, role))
    by_default = role not in columns.model_fields_set
    if by_default and not required and not set(named(value)) <= set(schema.names):
        return ()
    if required and not named(value):
        raise DataError(f"the task {spec.task.kind} needs data.columns.{role}, which names no column", code="missing-column",
                        hint=f"set data.columns.{role} to one of {listed(schema.names)}")  # fmt: skip
    return named(value)


def _others(spec: Spec, schema: pa.Schema, role: str) -> Iterator[str]:
    """Columns without another role that hold numbers, or texts and truth values."""
    import pyarrow as pa

    taken = set(_taken(spec))
    for field in schema:
        is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        is_category = is_text(field.type) or pa.types.is_boolean(field.type) or pa.types.is_dictionary(field.type)
        if field.name not in taken and (is_number if role == "numbers" else is_category):
            yield field.name


def _taken(spec: Spec) -> Iterator[str]:
    """Columns that are named for a role, by the spec or, where the task needs it, by default."""
    columns = spec.data.columns
    for role in fields(type(columns)):
        if role in columns.model_fields_set or spec.task.roles.get(role) is not None:
            yield from named(getattr(columns, role))


def _check(spec: Spec, role: str, name: str, schema: pa.Schema, *, key: str) -> None:
    import pyarrow as pa

    check_column(schema, name, key=key)
    kind: Any = schema.field(name).type
    if role in spec.task.text_roles or role in ("text", "source"):
        check_text(schema, name, key=key)
    elif role == "image":
        if not (is_image(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            images = [field.name for field in schema if is_image(field.type)]
            raise DataError(f"column {name!r} holds {kind}, not images", code="column-not-image",
                            hint=f"set {key}: {images[0]}" if images else "name a source with images")  # fmt: skip
    else:
        check_flat(schema, name, key=key)
