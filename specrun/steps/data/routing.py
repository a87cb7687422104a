"""The second reading of a table: the columns that are stored, in batches of one split each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from specrun.events import Emit, Progress
from specrun.sources.assignment import Codes
from specrun.sources.contract import Table
from specrun.spec.split_options import ORDER
from specrun.steps.data.table_writer import TableWriter


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of the source and where each goes. codes: of each row, or one for all of them."""

    table: Table
    codes: Codes | int

    def feeds(self, code: int) -> bool:
        return self.codes == code if isinstance(self.codes, int) else bool((self.codes == code).any())

    def part(self, first: int, count: int) -> Codes:
        """The codes of some rows."""
        return np.full(count, self.codes, np.int8) if isinstance(self.codes, int) else self.codes[first : first + count]


def routed(
    stretch: Stretch, schema: Any, writers: Mapping[str, TableWriter], limits: Mapping[str, int | None], emit: Emit
) -> Iterator[tuple[str, Any, Any]]:
    """The second reading: batches of one split each, with the numbers of their rows. It ends where no split wants more."""
    import pyarrow as pa

    first = 0
    fed = [name for name in writers if stretch.feeds(ORDER.index(name))]
    for batch in stretch.table.read(schema.names):
        whole = pa.RecordBatch.from_arrays([_cast(batch.column(field.name), field.type) for field in schema], schema=schema)
        codes = stretch.part(first, whole.num_rows)
        for name in fed:
            places = np.flatnonzero(codes == ORDER.index(name))
            limit = limits[name]
            if limit is not None:
                places = places[: limit - writers[name].rows]
            if len(places):
                yield name, _taken(whole, places), places + first + 1
        first += whole.num_rows
        emit(Progress("data", first, stretch.table.rows, "row"))
        if all((limit := limits[name]) is not None and writers[name].rows >= limit for name in fed):
            break


def _cast(values: Any, kind: Any) -> Any:
    return values if values.type == kind else values.cast(kind)


def _taken(batch: Any, places: Any) -> Any:
    """Some rows of a batch, in order."""
    import pyarrow as pa

    if len(places) == places[-1] - places[0] + 1:
        return batch.slice(int(places[0]), len(places))
    return batch.take(pa.Int64Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)]))
