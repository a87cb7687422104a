"""Tables whose rows are drawn as they are read: a block at a time, each from random numbers of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from specrun.sources.contract import Table

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 1 << 12


def generator(seed: int, stream: int) -> np.random.Generator:
    """Random numbers of a stream, the same whatever was drawn from others. Stream 0: what is to be learned; 1 and up: blocks of rows."""
    return np.random.Generator(np.random.Philox(key=[seed, stream]))


def drawn_table(schema: pa.Schema, rows: int, draw: Callable[[int], Mapping[str, Any]], *, block_rows: int = BLOCK_ROWS) -> Table:
    """draw: number of a block, from 0 -> columns by name, block_rows each, the same for the same number. A longer table begins with the
    rows of a shorter one."""
    import pyarrow as pa

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([schema.field(name) for name in columns])
        for number, start in enumerate(range(0, rows, block_rows)):
            drawn = draw(number)
            block = pa.RecordBatch.from_arrays([pa.array(drawn[field.name], field.type) for field in wanted], schema=wanted)
            yield block.slice(0, rows - start)

    return Table(schema, read, rows=rows)
