"""Documents on disk: a Parquet file a split, long documents in several rows so that no reader needs one whole.

    text  large_string  a document, or a piece of one
    part  int32         place of the piece in its document; 0 begins a document

A document is cut where white space follows something else, which splits no word and no token of a byte-level tokenizer whose
pre-tokenizer is GPT-2's: pieces encode to what the whole would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from specrun.sources.columns import text_array

PIECE_CHARACTERS = 1 << 18
_FLUSH_CHARACTERS = 1 << 22
_FLUSH_ROWS = 1 << 16


class Piece(NamedTuple):
    """A stretch of a document. part: 0 begins a document."""

    text: str
    part: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a split holds. words: stretches without white space; sha256: of the documents' lengths and bytes, in order."""

    documents: int
    characters: int
    bytes: int
    words: int
    sha256: str


def pieces(text: str, *, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """A text in stretches of about `size` characters, cut before a blank or newline that follows something else."""
    start = 0
    while start < len(text):
        stop = _cut(text, start, start + size)
        yield text[start:stop]
        start = stop


def _cut(text: str, start: int, wanted: int) -> int:
    """The last place to cut after start and before wanted, else the first one after it, else the end."""
    if wanted >= len(text):
        return len(text)
    for at in range(wanted, start, -1):
        if text[at] in " \n" and not text[at - 1].isspace():
            return at
    for at in range(wanted + 1, len(text)):
        if text[at] in " \n" and not text[at - 1].isspace():
            return at
    return len(text)


class DocumentWriter(AbstractContextManager["DocumentWriter"]):
    """Writes documents in row groups of some megabytes. `written` is final once the writer is closed."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([("text", pa.large_string()), ("part", pa.int32())])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=False, write_statistics=False)
        self._texts: list[bytes] = []
        self._parts: list[int] = []
        self._waiting = 0
        self._sha256 = hashlib.sha256()
        self.documents = self.characters = self._bytes = self._words = 0

    @property
    def written(self) -> Written:
        """What has been added so far."""
        return Written(self.documents, self.characters, self._bytes, self._words, self._sha256.hexdigest())

    def add(self, document: str) -> None:
        """Append a document that is not empty."""
        assert document
        size = 0
        for part, text in enumerate(pieces(document) if len(document) > PIECE_CHARACTERS else (document,)):
            data = text.encode()
            self._sha256.update(data)
            size += len(data)
            self._words += len(text.split())
            self._texts.append(data)
            self._parts.append(part)
            self._waiting += len(text)
            if self._waiting >= _FLUSH_CHARACTERS or len(self._texts) >= _FLUSH_ROWS:
                self._flush()
        self._sha256.update(size.to_bytes(8, "little"))
        self.documents += 1
        self.characters += len(document)
        self._bytes += size

    def _flush(self) -> None:
        self._writer.write_table(_table(self._schema, self._texts, self._parts))
        self._texts, self._parts, self._waiting = [], [], 0

    def __exit__(self, *_: object) -> None:
        if self._texts:
            self._flush()
        self._writer.close()


def _table(schema: Any, texts: Sequence[bytes], parts: Sequence[int]) -> Any:
    import numpy as np
    import pyarrow as pa

    text = text_array(texts)
    part = pa.Int32Array.from_buffers(pa.int32(), len(parts), [None, pa.py_buffer(np.asarray(parts, dtype=np.int32))])
    return pa.Table.from_arrays([text, part], schema=schema)


def read_pieces(path: Path) -> Iterator[list[Piece]]:
    """The pieces in order, a row group at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table: Any = file.read_row_group(group)
            yield [Piece(*row) for row in zip(table["text"].to_pylist(), table["part"].to_pylist(), strict=True)]


def read_documents(path: Path) -> Iterator[str]:
    """The documents whole, in order."""
    begun: list[str] = []
    for group in read_pieces(path):
        for text, part in group:
            if part == 0 and begun:
                yield "".join(begun)
                begun = []
            begun.append(text)
    if begun:
        yield "".join(begun)
