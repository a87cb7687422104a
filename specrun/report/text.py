"""Text that others wrote, made safe to show: what cannot be seen or would reorder its surroundings becomes visible."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of how Persian, Indic scripts and emoji are written."""


def clean(text: str) -> str:
    """Replace control characters, lone surrogates and characters that reorder text by ones that can be seen."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(character if character in _KEPT or character in _JOINERS else _visible(character) for character in text)


def _visible(character: str) -> str:
    category, number = unicodedata.category(character), ord(character)
    if category == "Cc":
        if number < 0x20:
            return chr(0x2400 + number)
        return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"
    if category == "Cs":
        return "�"
    return f"⟨U+{number:04X}⟩" if category == "Cf" else character
