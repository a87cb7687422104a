"""Reads the bytes of a spec as text, and refuses what no editor shows: other encodings, control characters, endless files."""

from __future__ import annotations

import re
from bisect import bisect_right

from specrun.spec.findings import Findings, at
from specrun.spec.nodes import Place, Source, Span

MAX_BYTES = 1_000_000
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML does not take as it is; in double quotes it can be escaped."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def split_lines(text: str) -> tuple[str, ...]:
    """Lines as YAML 1.2 and editors count them: not at form feeds or Unicode's separators."""
    return tuple(_LINE_BREAK.split(text))


def shown_name(name: str) -> str:
    """A file's name as records and messages can hold it: bytes of it that are no UTF-8 as escapes, such as `caf\\xe9.yaml`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def decode(data: bytes, source: Source, findings: Findings) -> str | None:
    """The text of a spec, without a byte order mark; None where it cannot be read, with the reason in findings."""
    start = at(source, 1, 1)
    if len(data) > MAX_BYTES:
        findings.add(
            start, "file-too-large", f"the file has more than the {MAX_BYTES:,} bytes that a spec may have",
            hint="name data files in data.source instead of writing their content here",
        )  # fmt: skip
        return None
    if data.startswith(_UTF_16):
        findings.add(start, "not-utf8", "the file is UTF-16; a spec is UTF-8", hint="save it as UTF-8")
        return None
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = split_lines(data[: error.start].decode("utf-8"))
        findings.add(
            at(source, len(before), len(before[-1]) + 1), "not-utf8",
            f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8",
            hint="save the file as UTF-8",
        )  # fmt: skip
        return None


def check_characters(text: str, source: Source, findings: Findings) -> bool:
    """Find every character that is invisible or breaks lines in some tools only; True where there is one."""
    if not UNPRINTABLE.search(text):
        return False
    for number, line in enumerate(source.lines, 1):
        for match in UNPRINTABLE.finditer(line):
            findings.add(
                at(source, number, match.start() + 1), "control-character",
                f"the character U+{ord(match[0]):04X} is not allowed in a spec",
                hint=f'remove it, or write it as "\\u{ord(match[0]):04x}" in double quotes',
            )  # fmt: skip
    return True


def check_tabs(text: str, source: Source, findings: Findings, inside: list[Span]) -> None:
    """Find every tab outside quoted and block scalars and comments. inside: the spans of those scalars, in the text's order."""
    if "\t" not in text:
        return
    for number, line in enumerate(source.lines, 1):
        if "\t" not in line:
            continue
        for match in re.finditer("\t+", line[: _comment_start(line, number, inside)]):
            column = match.start() + 1
            if findings.full:
                return
            if not _within(inside, number, column):
                findings.add(
                    at(source, number, column, len(match[0])), "tab", "a tab stands between values; YAML counts spaces",
                    hint="use spaces; two a level",
                )  # fmt: skip


def _within(spans: list[Span], line: int, column: int) -> bool:
    index = bisect_right(spans, (line, column), key=lambda span: (span.line, span.column)) - 1
    return index >= 0 and (line, column) < (spans[index].end_line, spans[index].end_column)


def _comment_start(line: str, number: int, inside: list[Span]) -> int:
    starts = (match.start() for match in re.finditer(r"(?:^|(?<=\s))#", line))
    return next((start for start in starts if not _within(inside, number, start + 1)), len(line))


def whole(source: Source) -> Place:
    """The start of a text."""
    return Place(source, Span(1, 1, 1, 2))
