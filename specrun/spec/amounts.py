"""The amount that a person meant by a value that is none, or is in another unit: for hints."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from specrun.spec.nearest import nearest
from specrun.spec.units import COUNTED, FRACTIONAL, MOST, NUMBER, SCALES, TIME_SECONDS, Quantity, Unit, parse_quantity, times

_SYNONYMS: dict[str, Unit] = {"iteration": "steps", "iter": "steps", "it": "steps", "update": "steps", "batch": "steps",
                              "batche": "steps", "eval": "evaluations", "example": "samples", "row": "samples",
                              "percent": "percent", "pct": "percent"}  # fmt: skip
"""What other tools call a unit, without the plural's s."""
_TOKENS = 10**6
"""A bare number from here on counts tokens."""
_STEPS = 30
"""A bare number from here on, of what may be counted in epochs too, counts steps."""
_PARTS = rf"\s*-?\s*({NUMBER})\s*(.*?)\s*\Z"
_DECIMAL_COMMA = r"\A(\s*-?\s*(?![1-9]\d{0,2},\d{3}(?!\d))\d+),(\d+)(?![\d,._])"


def meant_quantity(value: Any, allowed: Sequence[Unit]) -> str | None:
    """A written value as an amount in one of the units that are allowed: `6` as `6 epochs`; None where nothing can be kept of it."""
    number, word = _read(value)
    if number is None or not number > 0 or math.isinf(number):
        return None
    unit = _unit(word, allowed) if word else None
    if unit is None and (word in TIME_SECONDS or word == "%"):
        return None  # a time or a share is no count of anything
    if unit is None and "percent" in allowed and not word and number < 1:
        number, unit = round(number * 100, 10), "percent"
    unit = unit or _usual(number, allowed)
    if unit == "seconds":
        number *= TIME_SECONDS[nearest(word.lower(), TIME_SECONDS) or "s"]
    amount = number if unit in FRACTIONAL else math.ceil(number)
    return str(Quantity(float(amount), unit)) if 0 < amount <= MOST[unit] else None


def _usual(number: float, allowed: Sequence[Unit]) -> Unit:
    """The unit that a number of this size is likely to be of."""
    if number >= _TOKENS and "tokens" in allowed:
        return "tokens"
    return "steps" if number >= _STEPS and "steps" in allowed else allowed[0]


def with_point(text: str) -> str:
    """The text with a point in its number where it has a comma that groups no thousands."""
    return re.sub(_DECIMAL_COMMA, r"\1.\2", text)


def _read(value: Any) -> tuple[float | None, str]:
    """The number and the word after it. A scale (k, M, B) counts in the number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    if not isinstance(value, str):
        return None, ""
    value = with_point(value)
    try:
        known = parse_quantity(value)
    except ValueError:
        match = re.match(_PARTS, value)
    else:
        return (known.amount, known.unit) if known.unit in COUNTED else (known.amount, "%" if known.unit == "percent" else "s")
    if match is None:
        return None, ""
    number, word = match.groups()
    scale, rest = word[:1], word[1:].strip()
    if scale in SCALES and scale and (not rest or _unit(rest, tuple(MOST)) is not None):
        return float(times(number, SCALES[scale])), rest
    return float(times(number, 1)), word


def _unit(word: str, allowed: Sequence[Unit]) -> Unit | None:
    """The unit that a word means, if it is allowed."""
    plain = word.lower()
    if COUNTED.get(plain) in allowed:
        return COUNTED[plain]
    synonym = _SYNONYMS.get(plain.removesuffix("s"))
    if synonym is not None:
        return synonym if synonym in allowed else None
    names: dict[str, Unit] = {name: unit for name, unit in COUNTED.items() if unit in allowed}
    if "seconds" in allowed:
        names |= dict.fromkeys(TIME_SECONDS, "seconds")
    near = plain if plain in names else nearest(plain, names)
    return names[near] if near is not None else None
