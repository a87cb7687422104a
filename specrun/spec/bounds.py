"""Types and bounds of a field in words, and a value that fits: for messages, `explain` and `init`."""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from specrun.spec.nearest import listed
from specrun.spec.secrets import shortened
from specrun.spec.section import NotYet, Part, Section
from specrun.spec.shape import alternatives, members
from specrun.spec.units import EXAMPLES, ByteSize, Quantity, Units
from specrun.spec.yaml_text import resolve_or_none

_Type = tuple[Any, tuple[Any, ...]]
_BOUNDS: tuple[tuple[str, str], ...] = (("ge", "of at least"), ("gt", "above"), ("le", "of at most"), ("lt", "below"))
_PLAIN: dict[Any, str] = {bool: "true or false", str: "text"}


def describe(info: FieldInfo) -> str:
    """What a field takes: `an integer from 1 to 512`, `"auto" or an integer of at least 1`."""
    return describe_types([t for t in alternatives(info) if t[0] not in (None, types.NoneType)])


def describe_types(alternatives: list[_Type]) -> str:
    """The same for the types of an element."""
    return listed(dict.fromkeys(_describe(annotation, metadata) for annotation, metadata in alternatives)) or "nothing yet"


def _describe(annotation: Any, metadata: tuple[Any, ...]) -> str:
    if any(isinstance(note, NotYet) for note in metadata):
        return "nothing yet"
    if annotation is Any:
        return "what its code takes"
    origin = get_origin(annotation)
    if origin is Literal:
        return listed([shown(value) for value in get_args(annotation)])
    if annotation in (int, float):
        return _number("an integer" if annotation is int else "a number", limits(metadata))
    if annotation is Quantity:
        units = next(note for note in metadata if isinstance(note, Units))
        return f"an amount with its unit, such as {listed([EXAMPLES[u] for u in units.allowed])}"
    if annotation is ByteSize:
        return "a size, such as 16 GiB"
    if origin is tuple:
        return _sequence(get_args(annotation), limits(metadata))
    if origin is dict:
        return f"a mapping to {describe_types(members(get_args(annotation)[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "a mapping with a kind" if issubclass(annotation, Part) else "a mapping"
    return _text(annotation, metadata)


def _text(annotation: Any, metadata: tuple[Any, ...]) -> str:
    bounds = limits(metadata)
    text = _PLAIN.get(annotation, str(annotation))
    if pattern := bounds.get("pattern"):
        text += f" that matches {pattern}"
    if bounds.get("min_length"):
        text += " that is not empty" if bounds["min_length"] == 1 else f" of at least {bounds['min_length']} characters"
    if bounds.get("max_length"):
        text += f" of at most {bounds['max_length']} characters"
    return text


def limits(metadata: tuple[Any, ...]) -> dict[str, Any]:
    """The bounds in a type's metadata, by pydantic's names."""
    found: dict[str, Any] = {}
    for note in [inner for outer in metadata for inner in getattr(outer, "metadata", (outer,))]:
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            if getattr(note, name, None) is not None:
                found[name] = getattr(note, name)
    return found


def _number(noun: str, bounds: dict[str, Any]) -> str:
    if "ge" in bounds and "le" in bounds:
        return f"{noun} from {_grouped(bounds['ge'])} to {_grouped(bounds['le'])}"
    words = [f"{word} {_grouped(bounds[name])}" for name, word in _BOUNDS if name in bounds]
    return " ".join([noun, " and ".join(words).replace("and of ", "and ")]) if words else noun


def _grouped(bound: float) -> str:
    """A bound for reading: no value to copy."""
    return f"{bound:,}" if isinstance(bound, int) and abs(bound) >= 100_000 else shown(bound)


def _sequence(arguments: tuple[Any, ...], bounds: dict[str, Any]) -> str:
    element = describe_types(members(arguments[0]))
    if Ellipsis not in arguments:
        return f"a list of {len(arguments)} values, each {element}"
    least, most = bounds.get("min_length"), bounds.get("max_length")
    size = f"{least} to {most} values" if least and most else f"at least {least} values" if least else "values"
    if most and not least:
        size = f"at most {most} values"
    return f"a list of {size.replace('at least 1 values', 'one or more values')}, each {element}"


def shown(value: Any) -> str:
    """A value as it may stand in a spec."""
    if isinstance(value, str):
        bare = re.fullmatch(r"\w[\w./-]*", value) and isinstance(resolve_or_none(value), str)
        return value if bare else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(v) for v in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    return str(value)


def found(value: Any) -> str:
    """A value as it was found, with its type where the type is the surprise, shortened."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple | list):
        return f"the list {shortened(shown(value))}" if value else "an empty list"
    if isinstance(value, str):
        return shortened(json.dumps(value, ensure_ascii=False))
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"{value:+}".replace("+", "").replace("inf", ".inf").replace("nan", ".nan")
    return shortened(shown(value))


def example(info: FieldInfo) -> str | None:
    """A value that fits: an example, the default, or one by type."""
    if info.examples:
        return shown(info.examples[0])
    if info.default is not None and not info.is_required() and info.default != ():
        return shown(info.default)
    return next((text for t in alternatives(info) if (text := example_of(*t))), None)


def _least(arguments: tuple[Any, ...], bounds: dict[str, Any]) -> int:
    """Values that a list must have, one where it may have any number."""
    return bounds.get("min_length") or 1 if Ellipsis in arguments else len(arguments)


def example_of(annotation: Any, metadata: tuple[Any, ...]) -> str | None:
    """A value of a type within its bounds; None where no value can be made up."""
    bounds = limits(metadata)
    if get_origin(annotation) is Literal:
        return shown(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        element = members(get_args(annotation)[0])
        inner = next((text for t in element if (text := example_of(*t))), None)
        return f"[{', '.join([inner] * _least(get_args(annotation), bounds))}]" if inner else None
    makers: dict[Any, Callable[[], str]] = {
        int: lambda: shown(bounds.get("ge", bounds.get("gt", 0) + 1)),
        float: lambda: shown(float(bounds.get("ge", 0) or min(1.0, bounds.get("lt", 2) / 2))),
        bool: lambda: "true",
        str: lambda: '"text"',
        ByteSize: lambda: "16 GiB",
        Quantity: lambda: EXAMPLES[next(note for note in metadata if isinstance(note, Units)).allowed[0]],
    }
    return makers[annotation]() if annotation in makers else None
