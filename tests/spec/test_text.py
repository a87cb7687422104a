"""Bytes to text: encodings, characters, lines; and where each complaint points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.findings import Findings
from specrun.spec.nodes import Source, Span
from specrun.spec.text import MAX_BYTES, UNPRINTABLE, check_characters, check_tabs, decode, shown_name, split_lines

SOURCE = Source("file", "a.yaml")


def decoded(data: bytes) -> tuple[str | None, Findings]:
    findings = Findings()
    return decode(data, SOURCE, findings), findings


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_utf8_reads_back_but_for_a_byte_order_mark(text: str) -> None:
    result, findings = decoded(text.encode())
    assert result == text.removeprefix("\ufeff")
    assert findings.ordered() == ()


@pytest.mark.parametrize(
    ("data", "line", "column", "words"),
    [
        (b"\xff", 1, 1, "byte 0xff at offset 0"),
        (b"a: 1\nb: \xe9t\xe9\n", 2, 4, "byte 0xe9 at offset 8"),
        ("é: ".encode() + b"\x80", 1, 4, "byte 0x80 at offset 4"),
        (b"a\r\nb\r\n\xc3", 3, 1, "byte 0xc3 at offset 6"),
    ],
)
def test_the_byte_that_is_no_utf8_is_named_with_its_place(data: bytes, line: int, column: int, words: str) -> None:
    result, findings = decoded(data)
    (found,) = findings.ordered()
    assert result is None
    assert (found.code, found.line, found.column) == ("not-utf8", line, column)
    assert words in found.message
    assert found.hint == "save the file as UTF-8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named(encoding: str) -> None:
    data = "version: 1\n".encode(encoding)
    marked = data if encoding == "utf-16" else {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding] + data
    (found,) = decoded(marked)[1].ordered()
    assert found.message == "the file is UTF-16; a spec is UTF-8"


def test_the_largest_file_is_read_and_one_byte_more_is_not() -> None:
    assert decoded(b"#" * MAX_BYTES)[0] is not None
    result, findings = decoded(b"#" * (MAX_BYTES + 1))
    assert result is None
    assert "more than the 1,000,000 bytes" in findings.ordered()[0].message


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", ("",)), ("a", ("a",)), ("a\n", ("a", "")), ("a\r\nb\rc\nd", ("a", "b", "c", "d")), ("a\x0bb\x0cc", ("a\x0bb\x0cc",))],
)
def test_lines_end_where_yaml_says(text: str, lines: tuple[str, ...]) -> None:
    assert split_lines(text) == lines


@given(st.text(alphabet="ab\n\r", max_size=30))
def test_no_character_is_lost_between_lines(text: str) -> None:
    assert "".join(split_lines(text)) == text.replace("\n", "").replace("\r", "")


def characters(text: str) -> list[tuple[int, int]]:
    findings = Findings()
    check_characters(text, Source("file", "a.yaml", split_lines(text)), findings)
    return [(d.line, d.column) for d in findings.ordered()]


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x0b", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\ufeff", "\uffff"])
def test_an_invisible_character_is_pointed_at(character: str) -> None:
    assert UNPRINTABLE.search(character)
    assert characters(f"a: 1\nbc{character}d\n") == [(2, 3)]


@pytest.mark.parametrize("character", ["\t", "é", "名", "😀", "\xa0", "\u200b"])
def test_a_character_of_a_text_is_let_through(character: str) -> None:
    assert characters(f"a: {character}\n") == []


def test_every_invisible_character_is_told() -> None:
    assert characters("\x01a\x02\n\x03\n") == [(1, 1), (1, 3), (2, 1)]


def tabs(text: str, *quoted: Span) -> list[tuple[int, int, int]]:
    findings = Findings()
    check_tabs(text, Source("file", "a.yaml", split_lines(text)), findings, list(quoted))
    return [(d.line, d.column, d.end_column) for d in findings.ordered()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a:\tb\n", [(1, 3, 4)]),
        ("\t\ta: b\n", [(1, 1, 3)]),
        ("a: b\t# c\td\n", [(1, 5, 6)]),
        ("# \ta\n", []),
        ("a: b#\tc\n", [(1, 6, 7)]),
        ("a: 1\nb:\t2\nc:\t3\n", [(2, 3, 4), (3, 3, 4)]),
    ],
)
def test_tabs_outside_comments_are_told(text: str, found: list[tuple[int, int, int]]) -> None:
    assert tabs(text) == found


def test_tabs_inside_quotes_are_text_and_a_number_sign_there_is_no_comment() -> None:
    assert tabs("a: 'x\ty'\tb\n", Span(1, 4, 1, 9)) == [(1, 9, 10)]
    assert tabs("a: ' # '\tb\n", Span(1, 4, 1, 9)) == [(1, 9, 10)]
    assert tabs("a: |\n  x\ty\n  z\tw\nb:\tc\n", Span(1, 4, 4, 1)) == [(4, 3, 4)]


def test_a_name_is_shown_as_it_is_and_bytes_of_it_that_are_no_text_as_escapes():
    assert shown_name("sp\u00e4ce/\u6f22.yaml") == "sp\u00e4ce/\u6f22.yaml"
    assert shown_name("caf\udce9.yaml") == "caf\\xe9.yaml"
    # Under an ASCII locale every byte beyond it comes so, whole characters included.
    assert shown_name("caf\udcc3\udca9.yaml") == "caf\u00e9.yaml"
