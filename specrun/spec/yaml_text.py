"""Writes values as YAML that reads back as the same values."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from specrun.spec.scalars import resolve
from specrun.spec.text import UNPRINTABLE
from specrun.spec.visible import visible

_BARE = re.compile(r"[A-Za-z0-9_./<>=+%-][A-Za-z0-9_./<>=+% -]*\Z")
_LAST_OF_FOUR_DIGITS = 0xFFFF
_INDICATORS = ("-", "?", ">", "%", "=")


def yaml_value(value: Any) -> str:
    """A value in flow style, on one line. Quantities are text by now."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml_text(key)}: {yaml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    if isinstance(value, str):
        return yaml_text(value)
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def yaml_text(text: str) -> str:
    """A text, quoted where it would read as something else."""
    bare = _BARE.match(text) and not text.endswith(" ") and not text.startswith(_INDICATORS) and isinstance(resolve_or_none(text), str)
    return text if bare else "".join(map(_escaped, json.dumps(text, ensure_ascii=False)))


def _escaped(character: str) -> str:
    """Within double quotes: what cannot be seen, or YAML does not take as it is, by its number."""
    if visible(character) == character and not UNPRINTABLE.match(character):
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= _LAST_OF_FOUR_DIGITS else f"\\U{ord(character):08x}"


def resolve_or_none(text: str) -> Any:
    """What a bare text reads as; None where it reads as no text."""
    try:
        return resolve(text)
    except ValueError:
        return None


def _number(value: float) -> str:
    assert math.isfinite(value)
    return repr(value)
