"""The resolved spec as canonical plain data, whole or by impact class. Step keys and diffs are made from it.

Rule: a field that holds a section or a part is descended into, and what is inside counts by its own class; the field's own
class counts only where the value is None, which is how an absent section differs from a present one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Set
from typing import Any

from specrun.spec.impact import IMPACTS, Impact
from specrun.spec.section import Section
from specrun.spec.shape import fields
from specrun.spec.units import ByteSize, Quantity

ALL_IMPACTS: frozenset[Impact] = frozenset(IMPACTS)


def dump(spec: Section, impacts: Set[Impact] = ALL_IMPACTS) -> dict[str, Any]:
    """Every field as JSON-able data: quantities as text, tuples as lists. impacts: classes to keep; empty sections are left out."""
    kept: dict[str, Any] = {}
    for name, field in fields(type(spec)).items():
        value = getattr(spec, name)
        if isinstance(value, Section):
            inner = dump(value, impacts)
            if inner:
                kept[name] = inner
        elif field.impact in impacts:
            kept[name] = canonical(value)
    return kept


def select(spec: Section, path: str, impacts: Set[Impact]) -> Any:
    """What `dump` has under a dotted path: {} for a section of which nothing counts, None for a value that does not count.

    path: "" is the whole spec; a path through an absent section gives None. Raises: KeyError for a field that does not exist.
    """
    value: Any = spec
    impact: Impact | None = None
    for name in path.split(".") if path else ():
        if value is None:
            return None
        if not isinstance(value, Section):
            raise KeyError(path)
        impact = fields(type(value))[name].impact
        value = getattr(value, name)
    if isinstance(value, Section):
        return dump(value, impacts)
    return canonical(value) if impact in impacts else None


def walk_fields(spec: Section, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Impact, Any]]:
    """Every field that is not descended into: its path, its impact class and its value, in the language's order."""
    for name, field in fields(type(spec)).items():
        value = getattr(spec, name)
        if isinstance(value, Section):
            yield from walk_fields(value, (*prefix, name))
        else:
            yield (*prefix, name), field.impact, value


def canonical(value: Any) -> Any:
    """A field's value as JSON-able data."""
    if isinstance(value, Quantity | ByteSize):
        return str(value)
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in sorted(value.items())}
    return value


def digest(spec: Section) -> str:
    """sha256 of the whole resolved spec, in hexadecimal."""
    text = json.dumps(dump(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
