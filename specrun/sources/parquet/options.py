"""Options of the `parquet` source: tables in columns, with their types."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from specrun.sources.file_options import FileOptions
from specrun.spec.section import option

_COMPRESSED_RATIO = 2
"""Bytes of values in a byte of compressed Parquet, roughly; for estimates alone."""


class Options(FileOptions):
    """Types are the files' own; files of one split have the same ones."""

    factory: ClassVar[str] = "specrun.sources.parquet.build:build"
    suffix: ClassVar[str] = ".parquet"
    bytes_per_byte: ClassVar[float] = _COMPRESSED_RATIO

    kind: Literal["parquet"] = option(impact="weights", description="Parquet files.")
    documents: Literal["rows", "joined"] = option(
        "rows", impact="weights", description="For tasks on text: whether a row is a document, or all rows of a split joined make one."
    )

    def rows(self, file: Path, size_bytes: int) -> float | None:
        """Not known: the files' own count of their rows is read with them."""
        return None
