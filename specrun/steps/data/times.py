"""Times of a column as whole numbers, and the first row that holds none.

Legend: N rows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.sources.columns import is_text, type_name


def is_moment(kind: Any) -> bool:
    """Whether a column of this type holds dates, rather than plain numbers."""
    import pyarrow as pa

    return not pa.types.is_integer(kind)


def times_of(values: Any, *, name: str, first_row: int) -> npt.NDArray[np.int64]:
    """Microseconds since 1970 UTC of dates, time stamps and texts of either; plain numbers as they are. values: without missing ones.

    Raises DataError for what is no time. first_row: number of the first value's row. Returns: (N,).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_integer(kind):
        return np.asarray(values.to_numpy(zero_copy_only=False).astype(np.int64))
    if pa.types.is_timestamp(kind):
        return np.asarray(pc.cast(values, pa.timestamp("us", kind.tz), safe=False).view(pa.int64()).to_numpy(zero_copy_only=False))
    if pa.types.is_date(kind):
        return np.asarray(pc.cast(values, pa.timestamp("us")).view(pa.int64()).to_numpy(zero_copy_only=False))
    if is_text(kind):
        return _of_texts(values, name=name, first_row=first_row)
    raise DataError(f"column {name!r} holds {type_name(kind)}, which is no time", code="column-not-time",
                    hint="set data.columns.time to a column of dates, time stamps or whole numbers")  # fmt: skip


def _of_texts(values: Any, *, name: str, first_row: int) -> npt.NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found = pc.cast(pc.cast(values, pa.string()), pa.timestamp("us"))
    except pa.ArrowInvalid:  # an offset, or no time at all
        return np.array([_moment(text, name=name, row=row) for row, text in enumerate(values.to_pylist(), first_row)], np.int64)
    return np.asarray(found.view(pa.int64()).to_numpy(zero_copy_only=False))


def _moment(text: str, *, name: str, row: int) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"row {row:,}: column {name!r} holds {text[:60]!r}, which is no time", code="not-a-time",
                        hint="write times as 2016-07-01 12:00:00; of a csv source, data.source.time_format says how they are written, "
                        'such as "%d.%m.%Y"') from None  # fmt: skip
    since = (found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
