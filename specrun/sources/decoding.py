"""Decodes a text file strictly and block by block, and says which byte is wrong, where, and what to do."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from specrun.errors import DataError
from specrun.sources.open_files import open_bytes

_BLOCK = 1 << 20
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Undecodable(DataError):
    """A byte that the encoding has no character for. line: on which it is, from 1."""

    def __init__(self, message: str, *, line: int, hint: str) -> None:
        super().__init__(message, code="wrong-encoding", hint=hint)
        self.line = line


def decoded_blocks(path: Path, encoding: str) -> Iterator[str]:
    """The text in blocks, newlines as they are, without a byte-order mark; of a file named .gz what is packed in it.

    Raises SourceUnavailable for a file that cannot be opened, DataError for a binary file and for bytes that do not decode.
    """
    name = codecs.lookup(encoding).name
    decoder = codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)("strict")
    wide = name.startswith(("utf-16", "utf-32"))
    offset = lines = 0
    with open_bytes(path) as stream:
        while True:
            block = stream.read(_BLOCK)
            if not wide and (at := block.find(b"\0")) >= 0:
                raise _binary(path, offset + at, _start(path))
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at = offset - pending + error.start
                line = 1 + lines + error.object[: error.start].decode(encoding, "ignore").count("\n")
                raise _undecodable(path, at, error, line, encoding) from None
            offset += len(block)
            lines += text.count("\n")
            if text:
                yield text
            if not block:
                return


def _binary(path: Path, at: int, start: bytes) -> DataError:
    marked = _marked(start)
    hint = "leave it out, or convert it to text"
    if marked is not None:
        hint = f"it starts with the byte-order mark of {marked}: set data.source.encoding: {marked}"
    elif start[:200].count(0) > len(start[:200]) // 4:
        hint = (
            "if it is UTF-16 without a byte-order mark, set data.source.encoding: utf-16-le; otherwise leave it out or convert it to text"
        )
    return DataError(f"{path}: not text: a zero byte at byte {at:,}", code="binary-file", hint=hint)


def _undecodable(path: Path, at: int, error: UnicodeDecodeError, line: int, encoding: str) -> Undecodable:
    value = error.object[error.start]
    marked = _marked(_start(path))
    if marked is not None and not codecs.lookup(encoding).name.startswith(marked):
        hint = f"the file starts with the byte-order mark of {marked}: set data.source.encoding: {marked}"
    else:
        meant = [name for name in ("utf-8", "cp1252", "latin-1") if codecs.lookup(name).name != codecs.lookup(encoding).name]
        fitting = next((name for name in meant if _decodes(path, name)), None)
        hint = (
            f"the whole file decodes as {fitting}: set data.source.encoding: {fitting}, or repair the byte"
            if fitting
            else "repair the byte"
        )
    message = f"{path}: byte {at:,} is 0x{value:02x} (line {line:,}), which is not {encoding}: {error.reason}"
    return Undecodable(message, line=line, hint=hint)


def _start(path: Path) -> bytes:
    with open_bytes(path) as stream:
        return stream.read(4096)


def _marked(start: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with open_bytes(path) as stream:
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
