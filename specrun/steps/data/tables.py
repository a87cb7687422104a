"""Stores rows: every row goes to its split's file, with its number in the source.

Two readings: one of what the split needs to know of each row, where it needs anything, and one of the columns that are stored. Memory:
some batches, and up to 160 bytes a row while splits and leaks are computed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from specrun.errors import DataError
from specrun.sources.columns import check_column, type_name
from specrun.sources.contract import LoadedTable, Table
from specrun.sources.row_hash import row_hashes
from specrun.sources.splitting import check_given, only_stretch
from specrun.spec.document import Spec
from specrun.spec.splits.given import Options as Given
from specrun.steps.contract import StepContext
from specrun.steps.data.assigning import assigned, told_left_out
from specrun.steps.data.choice import Chosen
from specrun.steps.data.expectations import checked_columns
from specrun.steps.data.leakage import LeakageCheck
from specrun.steps.data.missing import MissingValues
from specrun.steps.data.roles import Roles, roles_of
from specrun.steps.data.routing import Stretch, routed
from specrun.steps.data.row_leaks import row_leaks
from specrun.steps.data.stored import Stored, check_not_empty, check_rows
from specrun.steps.data.table_writer import TableWriter

SMOKE_ROWS = {"train": 4096, "validation": 1024, "test": 1024}
"""A smoke run takes at most so many rows of a split."""
_CHECKED = "checked-{}.parquet"


def _limit(name: str, limit: int | None, *, smoke: bool) -> int | None:
    return min(SMOKE_ROWS[name], limit or SMOKE_ROWS[name]) if smoke else limit


def store_table(context: StepContext, spec: Spec, chosen: Chosen[LoadedTable]) -> Stored:
    """Split, check and write.

    values: splits {name: rows, bytes, sha256}, columns {name: type}, roles {role: columns}, profile {split: {column: see `profile`}},
    leakage {"train/validation": rows}; where there are any, unread {column without a role: type}, left_out {reason: rows}, class_names and
    checks (the expectations that hold).
    """
    data, tables = spec.data, _used(chosen)
    schema = common_schema(tables)
    roles = roles_of(spec, schema)
    left_out: dict[str, int] = {}
    stretches = assigned(spec, chosen.split, tables, roles, left_out)
    written = _write(context, spec, stretches, roles=roles, schema=schema, splits=chosen.split.names)
    written.missing.refuse()
    sizes = {name: writer.rows for name, writer in written.writers.items()}
    if not any(sizes.values()) and not any(left_out.values()):
        raise DataError(f"the {chosen.source.kind} source holds no rows", code="empty-table", hint="name a source that holds rows")
    check_not_empty(sizes, chosen.split, noun="rows", left_out=told_left_out(left_out))
    check_rows(sum(sizes.values()), data.checks, noun="rows")
    held = _expectations(context, spec, written)
    leakage, warnings = row_leaks(written.leakage, data.checks, sizes, context.folder)
    class_names = {name: names for name, names in chosen.loaded.facts.get("class_names", {}).items() if name in roles.names}
    unread = {field.name: type_name(field.type) for field in schema if field.name not in roles.names}
    values: dict[str, Any] = {
        "splits": {name: dict(writer.facts) for name, writer in written.writers.items()},
        "columns": {field.name: type_name(field.type) for field in _schema_of(schema, roles.names)},
        "roles": {role: list(columns) for role, columns in roles.columns.items()},
        "profile": {name: writer.profile.to_json() for name, writer in written.writers.items()},
        "leakage": leakage,
        **({"unread": unread} if unread else {}),
        **({"left_out": left_out} if any(left_out.values()) else {}),
        **({"class_names": class_names} if class_names else {}),
        **({"checks": held} if held else {}),
    }
    return Stored(values, {f"{name}.parquet": "rows" for name in sizes}, warnings)


@dataclass(frozen=True, slots=True)
class _Written:
    """What the second reading came to. checked: rows for expectations alone, where those need columns that no role has."""

    writers: Mapping[str, TableWriter]
    checked: Mapping[str, TableWriter]
    leakage: LeakageCheck
    missing: MissingValues


def _write(context: StepContext, spec: Spec, stretches: Sequence[Stretch], *, roles: Roles, schema: Any, splits: Sequence[str]) -> _Written:
    wanted = checked_columns(spec)
    for name, key in wanted.items():
        check_column(schema, name, key=key)
    stored = _schema_of(schema, roles.names)
    more = [name for name in wanted if name not in roles.names]
    read, looked_at = _schema_of(schema, [*roles.names, *more]), _schema_of(schema, list(wanted))
    limits = {name: _limit(name, spec.data.limit, smoke=context.smoke) for name in splits}
    with ExitStack() as stack:

        def opened(path: str, kind: Any) -> TableWriter:
            return stack.enter_context(TableWriter(context.folder / path, kind, classes=frozenset(roles.predicted)))

        found = _Written(
            writers={name: opened(f"{name}.parquet", stored) for name in splits},
            checked={name: opened(_CHECKED.format(name), looked_at) for name in splits} if more else {},
            leakage=LeakageCheck(),
            missing=MissingValues(spec, roles),
        )
        for stretch in stretches:
            for name, whole, numbers in routed(stretch, read, found.writers, limits, context.emit):
                batch = whole.select(stored.names) if more else whole
                found.missing.add(name, batch, numbers)
                found.leakage.add_rows(name, row_hashes(batch, roles.features))
                found.writers[name].add(batch, numbers)
                if more:
                    found.checked[name].add(whole.select(looked_at.names), numbers)
    return found


def _expectations(context: StepContext, spec: Spec, written: _Written) -> list[str]:
    """The expectations that hold. Raises DataError for those that do not."""
    if not spec.data.checks.of_columns:
        return []
    from specrun.steps.data.checking import check_expectations

    pattern = _CHECKED if written.checked else "{}.parquet"
    files = {name: context.folder / pattern.format(name) for name in written.writers}
    held = check_expectations(spec, files, scratch=context.folder)
    for name in written.checked:
        files[name].unlink()
    shutil.rmtree(context.folder / "duckdb", ignore_errors=True)
    return held


def _used(chosen: Chosen[LoadedTable]) -> dict[str, Table]:
    """The tables that rows are taken from: by our name where the splits are given, else the only one as `train`."""
    split, loaded = chosen.split, chosen.loaded
    if isinstance(split, Given):
        check_given(split.sources, loaded.splits, of="rows")
        return {role: loaded.splits[name] for role, name in split.sources.items()}
    return {"train": only_stretch(split.kind, loaded.splits, of="rows")}


def common_schema(tables: Mapping[str, Table]) -> Any:
    """The columns that all tables have, with types that hold the values of each. Raises DataError where types do not go together."""
    import pyarrow as pa

    first, *others = tables
    schema = tables[first].schema
    for other in others:
        fields = []
        for field in schema:
            theirs = tables[other].schema
            if field.name not in theirs.names:
                continue  # whether it is needed shows when a role names it
            try:
                fields.append(
                    pa.unify_schemas([pa.schema([field]), pa.schema([theirs.field(field.name)])], promote_options="permissive")[0]
                )
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                here, there = type_name(field.type), type_name(theirs.field(field.name).type)
                raise DataError(
                    f"column {field.name!r} holds {here} in {first} and {there} in {other}",
                    code="types-differ",
                    hint="give it one type in all splits of the source",
                ) from None
        schema = pa.schema(fields)
    return schema


def _schema_of(schema: Any, names: Sequence[str]) -> Any:
    import pyarrow as pa

    kinds = ((name, schema.field(name).type) for name in names)
    return pa.schema([pa.field(name, kind.value_type if pa.types.is_dictionary(kind) else kind) for name, kind in kinds])
