"""Plain scalars by the core schema of YAML 1.2: `1e-4` is a number, `no` is text, `0o17` is octal, `012` is twelve."""

from __future__ import annotations

import math
import re

_CONSTANTS: dict[str, bool | float | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
}  # fmt: skip
for _word in (".inf", ".Inf", ".INF"):
    _CONSTANTS |= {_word: math.inf, f"+{_word}": math.inf, f"-{_word}": -math.inf}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
MAX_DIGITS = 300
"""A number of more characters is a mistake; it also keeps int() clear of Python's own limit."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar. Raises ValueError for a number of more than MAX_DIGITS characters."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "-+.0123456789":
        return text
    number: int | float
    if _INTEGER.match(text) or _BASED.match(text):
        _check_length(text)
        number = int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    elif _FLOAT.match(text):
        _check_length(text)
        number = float(text)
    else:
        return text
    return number


def _check_length(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
