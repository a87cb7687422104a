"""Cuts a JSON file into blocks of whole objects, and says which row of a block cannot be read and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.errors import DataError
from specrun.sources.decoding import Undecodable, decoded_blocks
from specrun.sources.open_files import open_bytes

_BLOCK_BYTES = 1 << 20
_LONGEST_OBJECT = 1 << 30
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Block:
    """Whole objects, one after the other. rows_before: in the file; line: of the first, None in a list, whose rows have no lines."""

    data: bytes
    rows_before: int
    line: int | None


def blocks(file: Path) -> Iterator[tuple[bytes, bool]]:
    """Stretches of the file with whole objects in them, and whether they are a list's. Raises DataError for bytes that are not UTF-8."""
    with open_bytes(file) as stream:
        first = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"[":
        yield from ((data, True) for data in _of_list(file))
    else:
        yield from ((data, False) for data in _of_lines(file))


def _texts(file: Path) -> Iterator[str]:
    try:
        yield from decoded_blocks(file, "utf-8")
    except Undecodable as wrong:
        raise DataError(wrong.message, code=wrong.code, hint="JSON is UTF-8: repair the byte, or write the file anew") from None


def _of_lines(file: Path) -> Iterator[bytes]:
    """Cut at line ends; checked to be UTF-8, which the parser does not."""
    begun: list[str] = []
    for text in _texts(file):
        head, newline, tail = text.rpartition("\n")
        if newline:
            yield "".join([*begun, head, newline]).encode()
            begun = []
        if tail:
            begun.append(tail)
    if begun:
        yield "".join(begun).encode()


def _of_list(file: Path) -> Iterator[bytes]:
    """The elements of a list, an element a line."""
    waiting: list[str] = []
    size = 0
    for element in _elements(file):
        waiting.append(element)
        size += len(element)
        if size >= _BLOCK_BYTES:
            yield _joined(waiting)
            waiting, size = [], 0
    if waiting:
        yield _joined(waiting)


def _elements(file: Path) -> Iterator[str]:
    """What is between the brackets and commas of a list, as it is written. Raises DataError where there is something else."""
    text, at, number, ended = "", 0, 0, False
    for more in _texts(file):
        text, at = text[at:] + more, 0
        while (at := _after_space(text, at)) < len(text):
            if ended:
                raise _not_a_list(file, number, "there is more after its end")
            if text[at] in "[,]" and not (text[at] == "[" and number):
                ended, at = text[at] == "]", at + 1
                continue
            end = _element_end(text, at)
            if end is None:
                break  # it may be in the next block
            number += 1
            yield text[at:end]
            at = end
        if len(text) - at > _LONGEST_OBJECT:
            raise _not_a_list(file, number, "an object of it does not end")
    if not ended:
        raise _not_a_list(file, number, _why(text[at:]))


def _element_end(text: str, at: int) -> int | None:
    try:
        _, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        return None
    return end if end < len(text) or text[end - 1] in '}]"' else None  # a number may go on


def _joined(elements: list[str]) -> bytes:
    """One a line: white space inside an object is of no account, so that its line ends can go."""
    return "\n".join(element.replace("\n", " ").replace("\r", " ") for element in elements).encode() + b"\n"


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _why(rest: str) -> str:
    try:
        _DECODER.raw_decode(rest.lstrip())
    except json.JSONDecodeError as error:
        return "it does not end" if error.pos >= len(rest.lstrip()) - 1 else f"{error.msg} at {rest.lstrip()[error.pos : error.pos + 20]!r}"
    return "it does not end"


def _not_a_list(file: Path, rows: int, why: str) -> DataError:
    return DataError(f"{file}: the list cannot be read after row {rows:,}: {why}", code="not-json", hint="repair it, or write it anew")


class _Twice(ValueError):
    """A key that stands twice in an object."""


def _as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for place, key in enumerate(keys) if key in keys[:place]))
    return found


def rows_of(file: Path, block: Block) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a block with the number of their row in the file, slowly. Raises DataError for what is no JSON object."""
    number = block.rows_before
    for offset, line in enumerate(block.data.decode().split("\n")):
        if not line.strip():
            continue
        number += 1
        where = f"{file}: row {number:,}" + (f" (line {block.line + offset:,})" if block.line is not None else "")
        try:
            value = json.loads(line, object_pairs_hook=_as_object)
        except json.JSONDecodeError as error:
            whole = "write an object a line, or one list of objects"
            raise DataError(f"{where} is not JSON: {error.msg} at character {error.pos + 1:,}", code="not-json", hint=whole) from None
        except _Twice as twice:
            raise DataError(f"{where} has the key {str(twice)!r} twice", code="duplicate-column", hint="leave one of them out") from None
        if not isinstance(value, dict):
            kind = "a list" if isinstance(value, list) else f"{json.dumps(value)[:40]}"
            raise DataError(
                f"{where} is {kind}, not an object", code="row-not-an-object", hint='write rows such as {"text": "...", "label": 1}'
            )
        yield number, value
