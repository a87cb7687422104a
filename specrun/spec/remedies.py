"""A concrete value that would do instead of one that does not: the nearest to what was written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, get_args, get_origin

from specrun.spec.amounts import meant_quantity, with_point
from specrun.spec.bounds import limits, shown
from specrun.spec.scalars import resolve
from specrun.spec.shape import members
from specrun.spec.units import SCALES, ByteSize, Quantity, Units

_WORDS = {"yes": "true", "on": "true", "y": "true", "1": "true", "no": "false", "off": "false", "n": "false", "0": "false"}
"""What YAML 1.1 and other tools call true and false."""
_MOST_GIB = 256
"""A size without a unit is in GiB up to here, and beyond it in MiB."""


def remedy(value: Any, types: list[tuple[Any, tuple[Any, ...]]]) -> str | None:
    """The value as one of the types, as it may be written; None where nothing can be kept of it."""
    return next((text for annotation, metadata in types if (text := _as(annotation, metadata, value)) is not None), None)


def _as(annotation: Any, metadata: tuple[Any, ...], value: Any) -> str | None:
    makers: dict[Any, Callable[[Any, tuple[Any, ...]], str | None]] = {
        Quantity: lambda value, notes: meant_quantity(value, next(note for note in notes if isinstance(note, Units)).allowed),
        ByteSize: lambda value, _: _size(value),
        int: _integer,
        float: _number,
        bool: lambda value, _: _WORDS.get(str(value).lower()),
    }
    if get_origin(annotation) is tuple and Ellipsis in get_args(annotation):
        return _list(members(get_args(annotation)[0]), value)
    return makers[annotation](value, metadata) if annotation in makers else None


def _read(value: Any) -> float | int | None:
    """The number that a value is, that stands in its quotes, or that a word is written behind: `3e-3s`, `10k`."""
    with_quotes = isinstance(value, str) and value.strip()
    try:
        number = _behind(value.strip()) if with_quotes else value
    except ValueError:
        return None
    return number if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) else None


def _behind(text: str) -> Any:
    """The value of a text, or of what is left of it without a word at its end; a scale (k, M, B) counts."""
    match = re.match(r"(.*[\d.])\s*([A-Za-z]+)\Z", text)
    whole = resolve(text)
    if not isinstance(whole, str) or match is None:
        return whole
    number = resolve(match[1])
    return number * SCALES.get(match[2], 1) if isinstance(number, int | float) else whole


def _integer(value: Any, metadata: tuple[Any, ...]) -> str | None:
    number = _read(value)
    return None if number is None else _within(round(number), metadata, step=1)


def _number(value: Any, metadata: tuple[Any, ...]) -> str | None:
    number = _read(value)
    return None if number is None else _within(number, metadata, step=None)


def _within(number: float, metadata: tuple[Any, ...], *, step: int | None) -> str | None:
    """The number, or the nearest bound. step: between neighbours; None for a type without, where an open bound has no nearest."""
    bounds = limits(metadata)
    low = bounds["gt"] + step if step and "gt" in bounds else bounds.get("ge")
    high = bounds["lt"] - step if step and "lt" in bounds else bounds.get("le")
    if low is not None and number < low:
        return shown(low)
    if high is not None and number > high:
        return shown(high)
    beyond = number <= bounds.get("gt", -math.inf) or number >= bounds.get("lt", math.inf)
    return None if beyond else shown(number)


def _size(value: Any) -> str | None:
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)", with_point(str(value))) if isinstance(value, int | float | str) else None
    if match is None or float(match[1]) == 0 or len(match[1]) > 6:
        return None
    return f"{match[1]} {(match[2] or ('G' if float(match[1]) <= _MOST_GIB else 'M')).upper()}iB"


def _list(element: list[tuple[Any, tuple[Any, ...]]], value: Any) -> str | None:
    """A list of what stands alone; a mapping of texts (`test/loss: < 4`) as a list of its lines."""
    if isinstance(value, dict) and value and str in [annotation for annotation, _ in element]:
        return shown(tuple(f"{key} {item}" for key, item in value.items())) if all(isinstance(i, str) for i in value.values()) else None
    if isinstance(value, str) and str in [annotation for annotation, _ in element]:
        lines = [line.strip().removeprefix("- ") for line in value.splitlines() if line.strip()]
        return shown(tuple(lines)) if lines else None
    choices = [choice for annotation, _ in element for choice in get_args(annotation)]
    if value in choices and isinstance(value, str):
        return shown((value,))
    item = remedy(value, element) if not isinstance(value, dict | tuple | list) else None
    return None if item is None else f"[{item}]"
