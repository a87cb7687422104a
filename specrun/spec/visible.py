"""Text that others wrote, made safe to show: what cannot be seen or would steer a terminal becomes visible. And the room it takes."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of how Persian, Indic scripts and emoji are written."""
_TO_SPACES = str.maketrans("\n\t", "  ")


def visible(text: str) -> str:
    """The text with control characters, lone surrogates and characters that reorder text or break lines replaced by ones that
    can be seen. Line feeds and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(character if character in _KEPT or character in _JOINERS else _visible(character) for character in text)


def visible_line(text: str) -> str:
    """The same on one line: a space for a line feed or a tab."""
    return visible(text).translate(_TO_SPACES)


def cells(text: str) -> int:
    """Cells of a terminal that a text takes: two for a wide character, none for an accent that is set over another."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _visible(character: str) -> str:
    category, number = unicodedata.category(character), ord(character)
    if category == "Cc":
        if number < 0x20:
            return chr(0x2400 + number)
        return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return f"⟨U+{number:04X}⟩" if category in ("Cf", "Zl", "Zp") else character
