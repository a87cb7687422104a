"""Text of others can be shown: nothing in it is hidden, or steers where it is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.visible import cells, visible, visible_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\t", "two\nlines\t"),
        ("a\x00b", "a␀b"),
        ("a\x7fb", "a␡b"),
        ("a\x85b", "a⟨U+0085⟩b"),
        ("lone \ud800", "lone �"),
        ("safe\u202egnp.exe", "safe⟨U+202E⟩gnp.exe"),
        ("\ufeffmark", "⟨U+FEFF⟩mark"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\r\nb", "a\nb"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("\x1b[2J\x9b2J\a", "␛[2J⟨U+009B⟩2J␇"),
        ("é 試験 🎉", "é 試験 🎉"),
    ],
)
def test_what_cannot_be_seen_becomes_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_visible_text_can_always_be_written(text: str) -> None:
    shown = visible(text)
    assert shown.encode("utf-8").decode() == shown
    assert visible(shown) == shown


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_a_visible_line_is_one_line_without_control_characters(text: str) -> None:
    line = visible_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("試験", 4), ("e\u0301", 1)])
def test_a_text_takes_the_cells_of_its_characters(text: str, width: int) -> None:
    assert cells(text) == width
