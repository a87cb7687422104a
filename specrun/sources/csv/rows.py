"""Reads the rows of a CSV file as text, block by block, and says which row cannot be read, on which line, and why."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.errors import DataError
from specrun.sources.csv.options import Options
from specrun.sources.decoding import Undecodable, decoded_blocks
from specrun.sources.open_files import open_bytes

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 1 << 20
_LONGEST_ROW_BYTES = 1 << 30
_SHOWN_CHARACTERS = 80
_ROW = re.compile(r"Row #(\d+)")
_OTHER_DELIMITERS = (";", "\t", "|", ",")
_UTF8 = frozenset({"utf-8", "utf8", "utf_8", "u8"})


class RowTooLong(Exception):
    """A row is longer than a block."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file's rows are. names: of its columns, each one of its own; header: whether the first line has them; blank_lines: before
    it; unnamed: places of columns that the header has no name for, from 1."""

    names: tuple[str, ...]
    header: bool
    blank_lines: int = 0
    unnamed: tuple[int, ...] = ()


def layout_of(file: Path, options: Options) -> Layout | None:
    """What a file's first line says; None for a file without one. Raises DataError for a name that stands twice."""
    with_header = options.names is None
    blank, first = 0, None
    for record in csv.reader(_lines(file, options.encoding, errors="replace"), **_dialect(options)):
        if record:
            first = record
            break
        blank += 1
    if first is None:
        return None
    if options.names is not None:
        if [name.strip() for name in first] == list(options.names):
            raise DataError(f"{file}: the first line has the names themselves", code="header-read-as-row",
                            hint="remove data.source.names: the file has a header")  # fmt: skip
        return Layout(options.names, with_header, blank)
    names = [name.strip() for name in first]
    if any("\ufffd" in name for name in names):
        for _ in decoded_blocks(file, options.encoding):  # says which byte, where one is wrong
            pass
    _check_delimiter(file, names, options)
    unnamed = tuple(place for place, name in enumerate(names, 1) if not name)
    names = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    for place, name in enumerate(names):
        if name in names[:place]:
            places = f"{names.index(name) + 1} and {place + 1}"
            raise DataError(f"{file}: the header names columns {places} both {name!r}", code="duplicate-column",
                            hint="give each column a name of its own")  # fmt: skip
    return Layout(tuple(names), with_header, blank, unnamed)


def _check_delimiter(file: Path, names: Sequence[str], options: Options) -> None:
    other = next((sign for sign in _OTHER_DELIMITERS if sign != options.delimiter and sign in names[0]), None)
    if len(names) == 1 and other is not None:
        written = '"\\t"' if other == "\t" else f'"{other}"'
        raise DataError(
            f"{file}: the header has one column, {names[0]!r}: its values are not separated by {options.delimiter!r}",
            code="wrong-delimiter",
            hint=f"set data.source.delimiter: {written}",
        )


def string_batches(
    file: Path, layout: Layout, options: Options, columns: Sequence[str], *, block_bytes: int = _BLOCK_BYTES
) -> Iterator[pa.RecordBatch]:
    """The named columns as text, missing values null. Raises RowTooLong, or DataError with the row and the line of what is wrong."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    ragged: list[Any] = []

    def remember(row: Any) -> str:
        ragged.append(row)
        return "error"

    read = arrow_csv.ReadOptions(
        use_threads=False,
        block_size=block_bytes,
        column_names=layout.names,
        skip_rows=layout.blank_lines,
        skip_rows_after_names=1 if layout.header else 0,
        encoding=options.encoding,
    )
    parse = arrow_csv.ParseOptions(
        delimiter=options.delimiter,
        quote_char=options.quote or False,
        newlines_in_values=options.quote is not None,
        invalid_row_handler=remember,
    )
    convert = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=list(columns),
        null_values=list(options.missing),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    stream = _Counting(open_bytes(file), (options.quote or '"').encode())
    try:
        with stream:
            for batch in arrow_csv.open_csv(stream, read_options=read, parse_options=parse, convert_options=convert):
                if batch.num_rows:
                    yield batch
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise _failure(file, layout, options, ragged, error) from None
    if options.quote is not None and stream.signs % 2:
        _check_closed(file, options)


def with_growing_blocks(read: Callable[[int], Any], file: Path) -> int:
    """Call with ever larger blocks until no row is longer than one. Returns: the bytes of a block."""
    size = _BLOCK_BYTES
    while True:
        try:
            read(size)
        except RowTooLong:
            if size >= _LONGEST_ROW_BYTES:
                hint = "a quote may be without its other one; if there are none, set data.source.quote: null"
                raise DataError(f"{file}: a row is longer than {size >> 20} MiB", code="row-too-long", hint=hint) from None
            size *= 8
        else:
            return size


class _Counting(io.RawIOBase):
    """Passes a stream on and counts a sign in it."""

    def __init__(self, stream: Any, sign: bytes) -> None:
        self._stream, self._sign, self.signs = stream, sign, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._stream.read(size)
        self.signs += block.count(self._sign)
        return block

    def close(self) -> None:
        self._stream.close()
        super().close()


def _failure(file: Path, layout: Layout, options: Options, ragged: Sequence[Any], error: Exception) -> Exception:
    text = str(error)
    if "straddling object" in text:
        return RowTooLong()
    if ragged:
        try:
            return _ragged(file, layout, options, ragged[0])
        except DataError as wrong:
            return wrong
    try:
        for _ in decoded_blocks(file, options.encoding):
            pass
    except Undecodable as wrong:
        record = _record_at(file, options, wrong.line)
        return DataError(f"{wrong.message}; row {record - layout.header:,}" if record > layout.header else wrong.message,
                         code=wrong.code, hint=wrong.hint)  # fmt: skip
    except DataError as wrong:
        return wrong
    return DataError(f"{file} cannot be read: {' '.join(text.split())}", code="unreadable-csv",
                     hint="check data.source.delimiter, quote and encoding")  # fmt: skip


def _ragged(file: Path, layout: Layout, options: Options, row: Any) -> DataError:
    if options.quote is not None and "\n" in row.text:
        _check_closed(file, options)
    number = row.number  # of records, the header among them; those without a value do not count
    line = next((line for count, line in enumerate(_record_lines(file, options), 1) if count == number), None)
    shown = row.text if len(row.text) <= _SHOWN_CHARACTERS else row.text[: _SHOWN_CHARACTERS - 1] + "…"
    whose = "the header" if layout.header else "data.source.names"
    hint = "put values with a delimiter in them in quotes" if row.actual_columns > row.expected_columns else "complete the row"
    values = "1 value" if row.actual_columns == 1 else f"{row.actual_columns} values"
    return DataError(
        f"{file}: row {number - layout.header:,} (line {line:,}) has {values}, {whose} {row.expected_columns}: {shown!r}",
        code="ragged-row",
        hint=f"{hint}, or check data.source.delimiter and quote",
    )


def _check_closed(file: Path, options: Options) -> None:
    """A quote that opens a value that nothing closes swallows the rest of the file."""
    begun = 1
    try:
        reader = csv.reader(_lines(file, options.encoding), strict=True, **_dialect(options))
        for _ in reader:
            begun = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataError(f"{file}: the row on line {begun:,} opens a quote that is never closed", code="unclosed-quote",
                            hint="close it, or set data.source.quote: null where quotes are part of the text") from None  # fmt: skip


def _record_at(file: Path, options: Options, line: int) -> int:
    """Which record a line is in, from 1, the header among them."""
    return next((count for count, last in enumerate(_record_lines(file, options, ends=True), 1) if last >= line), 0)


def _record_lines(file: Path, options: Options, *, ends: bool = False) -> Iterator[int]:
    """The line on which each record begins, or ends, from 1; lines without anything are no records."""
    reader = csv.reader(_lines(file, options.encoding, errors="replace"), **_dialect(options))
    before = 0
    for record in reader:
        if record:
            yield reader.line_num if ends else before + 1
        before = reader.line_num


def _lines(file: Path, encoding: str, errors: str = "strict") -> Iterator[str]:
    name = "utf-8-sig" if encoding.lower() in _UTF8 else encoding
    with io.TextIOWrapper(open_bytes(file), encoding=name, errors=errors, newline="") as stream:
        try:
            yield from stream
        except UnicodeDecodeError:
            for _ in decoded_blocks(file, encoding):  # says where
                pass
            raise


def _dialect(options: Options) -> dict[str, Any]:
    csv.field_size_limit(_LONGEST_ROW_BYTES)
    return {"delimiter": options.delimiter, "quotechar": options.quote, "quoting": csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE}
