"""Turns pydantic's findings about one field into a fact, a rule and a concrete value that would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from specrun.spec.bounds import describe, describe_types, example, example_of, found
from specrun.spec.nearest import nearest
from specrun.spec.shape import alternatives, members


class Said(NamedTuple):
    """What a diagnostic says."""

    code: str
    message: str
    hint: str | None


_RANGE = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "multiple_of"}
_LENGTH = {"too_short", "too_long", "string_too_short", "string_too_long"}


def say(name: str, info: FieldInfo, errors: Sequence[Any], inner: Sequence[str | int], value: Any) -> Said:
    """Describe the errors that pydantic has at one value. name: dotted path; inner: path inside the field; value: what stands there."""
    error = _telling(errors)
    kind = error["type"]
    if kind not in _KNOWN:
        return Said(kind.replace("_", "-"), f"{name}: {error['msg']}", _custom_hint(error, info, inner))
    types = _types_at(info, inner)
    rule = describe(info) if not inner else describe_types(types)
    message = f"{name} is {found(value)}; it must be {rule}"
    suggestion = example(info, value) if not inner else next((text for t in types if (text := example_of(*t))), None)
    if kind == "literal_error" or (isinstance(value, str) and _choices(types)):
        near = nearest(value, _choices(types)) if isinstance(value, str) else None
        return Said("unknown-value", message, f"did you mean {near}?" if near else f"use {suggestion}")
    if isinstance(value, int | float) and not isinstance(value, bool) and str in [t[0] for t in types]:
        return Said("wrong-type", message, f'quote it: "{value}"')
    code = "out-of-range" if kind in _RANGE else "wrong-length" if kind in _LENGTH else _TYPE_CODES.get(kind, "wrong-type")
    return Said(code, message, f"use {suggestion}" if suggestion else None)


_TYPE_CODES = {"string_pattern_mismatch": "bad-name"}
_KNOWN = {
    "int_type", "int_from_float", "int_parsing", "float_type", "string_type", "bool_type", "tuple_type", "dict_type", "none_required",
    "model_type", "literal_error", "string_pattern_mismatch", "int_parsing_size", *_RANGE, *_LENGTH,
}  # fmt: skip


def _telling(errors: Sequence[Any]) -> Any:
    """Of a union's errors, the one of the alternative whose type was met: its bound is what was broken."""
    broken = [e for e in errors if e["type"] in _RANGE | _LENGTH or e["type"] not in _KNOWN]
    literal = [e for e in errors if e["type"] == "literal_error"]
    return (broken or literal or list(errors))[0]


def _custom_hint(error: Any, info: FieldInfo, inner: Sequence[str | int]) -> str | None:
    if error["type"] in {"not_available_yet", "duplicate_item"}:
        return "remove it for now" if error["type"] == "not_available_yet" else "remove one of the two"
    value = example(info) if not inner else None
    return f"use {value}" if value else None


def _types_at(info: FieldInfo, inner: Sequence[str | int]) -> list[tuple[Any, tuple[Any, ...]]]:
    """The types that a value inside a field may have, by its path."""
    types = alternatives(info)
    for _ in inner:
        below: list[tuple[Any, tuple[Any, ...]]] = []
        for annotation, _metadata in types:
            arguments = get_args(annotation)
            if get_origin(annotation) is tuple:
                below += members(arguments[0])
            elif get_origin(annotation) is dict:
                below += members(arguments[1])
        types = below or types
    return types


def _choices(types: Sequence[tuple[Any, tuple[Any, ...]]]) -> list[str]:
    return [str(choice) for annotation, _ in types for choice in get_args(annotation) if isinstance(choice, str)]
