"""Compiles `data.checks` to SQL over the rows that were written. What they come to is asked by `checking`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specrun.errors import DataError
from specrun.spec.document import Spec
from specrun.spec.sections.checks import Checks
from specrun.spec.split_options import named

SPLIT = "__split__"
IN_ORDER = f"{SPLIT}, __row__"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold. key: under `data.checks`; broken: what is said of rows that break it; where: SQL that is true of such a row of
    `source`, a table or a subquery; shown: SQL of what is told of the row; parameters: of both; allowed: share of rows that may."""

    key: str
    broken: str
    where: str
    shown: str
    source: str = "rows"
    parameters: tuple[Any, ...] = ()
    allowed: float = 0.0


def compile_checks(spec: Spec, types: Mapping[str, str]) -> tuple[Expectation, ...]:
    """Every expectation of columns. types: DuckDB's names for the types of the columns. Raises DataError for one of another type."""
    checks = spec.data.checks
    return (*_nulls(checks, types), *_ranges(checks, types), *_values(checks, types), *_unique(checks), *_order(spec, types))


def _nulls(checks: Checks, types: Mapping[str, str]) -> Iterator[Expectation]:
    for name, share in checks.nulls.items():
        where = f"{quoted(name)} IS NULL" + (f" OR isnan({quoted(name)})" if _is_float(types[name]) else "")
        bound = f"more than the {share:.1%} that may" if share else "and none may"
        yield Expectation(f"nulls.{name}", f"lack {name}, {bound}", where, "NULL", allowed=share)


def _ranges(checks: Checks, types: Mapping[str, str]) -> Iterator[Expectation]:
    for name, (low, high) in checks.ranges.items():
        if not _is_number(types[name]):
            raise _wrong_type(f"ranges.{name}", name, types[name], "numbers")
        column = quoted(name)
        finite = f" AND NOT isnan({column})" if _is_float(types[name]) else ""
        where = f"{column} IS NOT NULL{finite} AND NOT ({column} BETWEEN ? AND ?)"
        yield Expectation(f"ranges.{name}", f"have a {name} that is not from {low:g} to {high:g}", where, column, parameters=(low, high))


def _values(checks: Checks, types: Mapping[str, str]) -> Iterator[Expectation]:
    for name, values in checks.values.items():
        is_number = _is_number(types[name])
        if is_number and any(isinstance(value, str) for value in values):
            raise _wrong_type(f"values.{name}", name, types[name], "text")
        column = f"CAST({quoted(name)} AS {'DOUBLE' if is_number else 'VARCHAR'})"
        allowed = [float(value) if is_number else _as_text(value) for value in values]
        where = f"{quoted(name)} IS NOT NULL AND NOT list_contains(?, {column})"
        few = ", ".join(_as_text(value) for value in values[:5]) + (" and others" if len(values) > 5 else "")
        yield Expectation(f"values.{name}", f"have a {name} other than {few}", where, quoted(name), parameters=(allowed,))


def _unique(checks: Checks) -> Iterator[Expectation]:
    if checks.unique:
        columns = ", ".join(map(quoted, checks.unique))
        source = f"(SELECT *, row_number() OVER (PARTITION BY {columns} ORDER BY {IN_ORDER}) AS place FROM rows)"  # noqa: S608 - names are quoted
        shown = " || ', ' || ".join(f"coalesce(CAST({quoted(name)} AS VARCHAR), 'nothing')" for name in checks.unique)
        yield Expectation("unique", f"have the {' and '.join(checks.unique)} of an earlier row", "place > 1", shown, source)


def _order(spec: Spec, types: Mapping[str, str]) -> Iterator[Expectation]:
    checks = spec.data.checks
    if not checks.needs_time:
        return
    (name,) = named(spec.data.columns.time)
    groups = "".join(f", {quoted(group)}" for group in named(spec.data.columns.group))
    is_moment = not _is_number(types[name])
    time = f"CAST({quoted(name)} AS TIMESTAMP)" if is_moment else quoted(name)

    def with_previous(order: str) -> str:
        over = f"OVER (PARTITION BY {SPLIT}{groups} ORDER BY {order})"
        return f"(SELECT *, {time} AS now, lag({time}) {over} AS previous FROM rows)"  # noqa: S608 - names are quoted

    if checks.increasing:
        broken = f"have a {name} that is not after that of the row before"
        yield Expectation("increasing", broken, "now <= previous", "now", with_previous("__row__"))
    if checks.frequency is not None:
        if not is_moment:
            raise _wrong_type("frequency", name, types[name], "dates")
        broken = f"are not {checks.frequency} after the row before in time"
        where = "previous IS NOT NULL AND epoch_us(now) - epoch_us(previous) <> ?"
        parameters = (round(checks.frequency.amount * 1e6),)
        yield Expectation("frequency", broken, where, "now", with_previous("now, __row__"), parameters)


def checked_columns(spec: Spec) -> Mapping[str, str]:
    """The columns that expectations look at, each with the key of the spec that names it."""
    checks = spec.data.checks
    found = {name: f"data.checks.{key}" for name, key in checks.columns.items()}
    for role in ("time", "group") if checks.needs_time else ():
        found |= dict.fromkeys(named(getattr(spec.data.columns, role)), f"data.columns.{role}")
    return found


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_float(kind: str) -> bool:
    return kind in ("FLOAT", "DOUBLE")


def _is_number(kind: str) -> bool:
    return _is_float(kind) or "INT" in kind or kind.startswith("DECIMAL")


def _wrong_type(key: str, name: str, kind: str, wanted: str) -> DataError:
    held = {"VARCHAR": "text", "BOOLEAN": "truth values"}.get(kind, kind)
    return DataError(f"data.checks.{key} expects {wanted}, and column {name!r} holds {held}", code="check-of-another-type",
                     hint=f"remove data.checks.{key}, or give the column another type in the source")  # fmt: skip


def told(failed: Sequence[str]) -> DataError:
    """The error of expectations that do not hold."""
    what = "1 expectation of data.checks does" if len(failed) == 1 else f"{len(failed)} expectations of data.checks do"
    return DataError(f"{what} not hold: {'; '.join(failed)}", code="expectation-failed",
                     hint="look at these rows of the source; where they are right, change data.checks")  # fmt: skip
