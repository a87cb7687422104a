"""Writes the rows of one split as Parquet, with their numbers, and counts them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.sources.row_hash import row_hashes
from specrun.steps.data.profile import TableProfile
from specrun.steps.data.roles import ROW_NUMBER

_FLUSH_BYTES = 1 << 24
_FLUSH_ROWS = 1 << 16


class TableWriter(AbstractContextManager["TableWriter"]):
    """Writes row groups of some megabytes. `facts` and `profile` are final once the writer is closed."""

    def __init__(self, path: Path, schema: Any, *, classes: frozenset[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.schema = schema
        self._stored = schema.append(pa.field(ROW_NUMBER, pa.int64()))
        # Measurements repeat too rarely to be worth a dictionary, which takes twice as long to write as they do.
        repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
        self._writer = pq.ParquetWriter(path, self._stored, compression="zstd", compression_level=1, use_dictionary=repeating)
        self._waiting: list[Any] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._sha256 = hashlib.sha256("\0".join(schema.names).encode())
        self.profile = TableProfile(schema, classes=classes)
        self.rows = self.bytes = 0

    @property
    def facts(self) -> Mapping[str, Any]:
        """rows, bytes, sha256: of the columns' names and the hashes of the rows, in their order."""
        return {"rows": self.rows, "bytes": self.bytes, "sha256": self._sha256.hexdigest()}

    def add(self, batch: Any, numbers: npt.NDArray[np.int64]) -> None:
        """Append rows. batch: of the schema's columns and types; numbers: of the rows in the source, from 1."""
        import pyarrow as pa

        self._sha256.update(row_hashes(batch, batch.schema.names).astype("<u8").tobytes())
        self.profile.add(batch)
        numbered = pa.Int64Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])
        self._waiting.append(pa.RecordBatch.from_arrays([*batch.columns, numbered], schema=self._stored))
        self.rows += batch.num_rows
        self.bytes += batch.nbytes
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_bytes >= _FLUSH_BYTES or self._waiting_rows >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(self._waiting, schema=self._stored))
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            self._flush()
        self._writer.close()
