"""The first reading of a table: what a split needs to know of each row, and nothing else. Memory: 8 bytes a row and key.

Legend: N rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.sources.assignment import RowKeys
from specrun.sources.contract import Table
from specrun.sources.row_hash import Hashes, row_hashes
from specrun.steps.data.times import is_moment, times_of

_NAMES = 10_000
"""Names of classes that are kept, for messages."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Columns to read for each key; none where nothing asks for it. whole: all that are stored, for hashes of rows."""

    whole: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    time: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.whole, *self.label, *self.group, *self.time)))


@dataclass
class _Read:
    hashes: list[Hashes] = field(default_factory=list)
    labels: list[Hashes] = field(default_factory=list)
    groups: list[Hashes] = field(default_factory=list)
    times: list[npt.NDArray[np.int64]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    rows: int = 0


def read_keys(table: Table, wanted: Wanted) -> RowKeys:
    """Read what is wanted of every row. Raises DataError for a row that lacks its class, group or time, with its number."""
    if not wanted.columns:
        return RowKeys(table.rows if table.rows is not None else sum(batch.num_rows for batch in table.read(table.schema.names[:1])))
    read = _Read()
    for batch in table.read(wanted.columns):
        if wanted.whole:
            read.hashes.append(row_hashes(batch, wanted.whole))
        for role, columns in (("label", wanted.label), ("group", wanted.group), ("time", wanted.time)):
            _check_there(batch, columns, role=role, before=read.rows)
        if wanted.label:
            read.labels.append(row_hashes(batch, wanted.label))
            _keep_names(read, read.labels[-1], batch.column(wanted.label[0]))
        if wanted.group:
            read.groups.append(row_hashes(batch, wanted.group))
        if wanted.time:
            read.times.append(times_of(batch.column(wanted.time[0]), name=wanted.time[0], first_row=read.rows + 1))
        read.rows += batch.num_rows
    moment = not wanted.time or is_moment(table.schema.field(wanted.time[0]).type)
    return RowKeys(
        rows=read.rows,
        hashes=_joined(read.hashes, np.uint64) if wanted.whole else None,
        labels=_joined(read.labels, np.uint64) if wanted.label else None,
        groups=_joined(read.groups, np.uint64) if wanted.group else None,
        times=_joined(read.times, np.int64) if wanted.time else None,
        is_moment=moment,
        names=read.names,
        label=wanted.label[0] if wanted.label else "label",
    )


def only(keys: RowKeys, kept: npt.NDArray[np.bool_]) -> RowKeys:
    """The keys of some of the rows, which keep their numbers. kept: (N,)."""
    parts: Mapping[str, Any] = {
        name: None if (values := getattr(keys, name)) is None else values[kept] for name in ("hashes", "labels", "groups", "times")
    }
    return RowKeys(rows=int(kept.sum()), is_moment=keys.is_moment, names=keys.names, label=keys.label,
                   numbers=np.flatnonzero(kept) + 1, **parts)  # fmt: skip


def _joined(parts: Sequence[npt.NDArray[Any]], kind: Any) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _keep_names(read: _Read, hashes: Hashes, values: Any) -> None:
    """Remember what a class is called by its hash."""
    found, places = np.unique(hashes, return_index=True)
    for label, place in zip(found.tolist(), places.tolist(), strict=True):
        if label not in read.names and len(read.names) < _NAMES:
            read.names[label] = str(values[place].as_py())


def _check_there(batch: Any, columns: Sequence[str], *, role: str, before: int) -> None:
    for name in columns:
        row = next(missing_rows(batch.column(name), nan=role == "label"), None)
        if row is not None:
            raise DataError(f"row {before + row + 1:,}: column {name!r} has no value, and data.split goes by the {role} of each row",
                            code=f"missing-{role}", hint="give it a value, or leave the row out of the source")  # fmt: skip


def missing_rows(values: Any, *, nan: bool) -> Iterator[int]:
    """Places of missing values, from 0. nan: whether NaN is one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not values.null_count and not (nan and pa.types.is_floating(values.type)):
        return
    missing = pc.is_null(values, nan_is_null=nan and pa.types.is_floating(values.type)).to_numpy(zero_copy_only=False)
    yield from np.flatnonzero(missing).tolist()
