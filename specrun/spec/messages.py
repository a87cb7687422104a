"""Turns pydantic's findings about one field into a fact, a rule and a concrete value that would do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from specrun.spec.bounds import describe, describe_types, example, example_of, found, limits, shown
from specrun.spec.nearest import nearest
from specrun.spec.remedies import remedy
from specrun.spec.secrets import masked, shortened
from specrun.spec.shape import alternatives, members
from specrun.spec.yaml_text import yaml_text


class Said(NamedTuple):
    """What a diagnostic says."""

    code: str
    message: str
    hint: str | None


_RANGE = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "multiple_of"}
_AMOUNT = {"quantity_without_unit", "not_a_quantity", "unit_not_allowed", "quantity_not_positive", "not_a_size", "size_without_unit",
           "out_of_range"}  # fmt: skip
"""Of `spec.units`: what is said there continues `it is ...`."""
_LENGTH = {"missing", "too_short", "too_long", "string_too_short", "string_too_long"}


def say(name: str, info: FieldInfo, errors: Sequence[Any], inner: Sequence[str | int], value: Any, *, written: str | None = None) -> Said:
    """Describe the errors that pydantic has at one value. name: dotted path; inner: path inside the field; value: what stands there;
    written: its text, where that says more."""
    fact = shortened(written) if written else found(value)
    error = _telling(errors)
    kind = error["type"]
    types = _types_at(info, inner)
    use = remedy(value, types) or (_item_example(info, types, _index(inner)) if inner else example(info))
    hint = f"use {use}" if use else None
    if kind in _AMOUNT:
        return Said(kind.replace("_", "-"), f"{name} is {fact}; {error['msg']}", hint)
    if kind not in _KNOWN:
        message = error["msg"] if error["msg"].startswith(name) else f"{name}: {error['msg']}"
        return Said(kind.replace("_", "-"), message, _custom_hint(kind) or hint)
    if kind == "string_pattern_mismatch":
        return _bad_name(name, value)
    rule = describe(info) if not inner else describe_types(types)
    message = f"{name} is {fact}; it must be {rule}"
    if kind == "literal_error" or (isinstance(value, str) and _choices(types)):
        near = _meant(value, _choices(types)) if isinstance(value, str | int) else None
        return Said("unknown-value", message, f"did you mean {near}?" if near else hint)
    if isinstance(value, int | float) and str in [t[0] for t in types] and not (inner and info.examples):
        return Said("wrong-type", message, f'quote it: "{fact}"')
    code = "out-of-range" if kind in _RANGE else "wrong-length" if kind in _LENGTH else "wrong-type"
    return Said(code, message, _shortened(value, types) if kind == "string_too_long" else hint)


def _item_example(info: FieldInfo, types: Sequence[tuple[Any, tuple[Any, ...]]], index: int) -> str | None:
    """A value for an item of a list or mapping."""
    given = info.examples[0] if info.examples else info.default
    if isinstance(given, tuple | list) and given:
        return shown(given[min(index, len(given) - 1)])
    return next((text for t in types if (text := example_of(*t))), None)


def _index(inner: Sequence[str | int]) -> int:
    return inner[0] if isinstance(inner[0], int) else 0


def _shortened(value: Any, types: Sequence[tuple[Any, tuple[Any, ...]]]) -> str:
    most = next(length for _, notes in types if (length := limits(notes).get("max_length")))
    return f"shorten its {len(value):,} characters to {most:,}"


_KNOWN = {
    "int_type", "int_from_float", "int_parsing", "float_type", "string_type", "bool_type", "tuple_type", "dict_type", "none_required",
    "model_type", "literal_error", "string_pattern_mismatch", "int_parsing_size", *_RANGE, *_LENGTH,
}  # fmt: skip


def _bad_name(name: str, value: str) -> Said:
    """A name that cannot be one; the hint keeps what can stay."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", masked(value)).strip("-._")[:80].rstrip("-._") or "my-experiment"
    rule = "it must begin with a letter or digit and have letters, digits, dots, dashes and underscores only"
    return Said("bad-name", f"{name} is {found(value)}; {rule}", f"use {yaml_text(kept)}")


_SYNONYMS = {"gpu": "cuda", "fp32": "float32", "f32": "float32", "32": "float32", "32-true": "float32", "single": "float32",
             "fp16": "float16", "f16": "float16", "16": "float16", "16-mixed": "float16", "half": "float16",
             "bf16": "bfloat16", "bf16-mixed": "bfloat16", "rope": "rotary", "true": "default", "false": "off"}  # fmt: skip
"""What other tools call a value."""


def _meant(value: str | int, choices: Sequence[str]) -> str | None:
    synonym = _SYNONYMS.get(str(value).lower())
    return synonym if synonym in choices else nearest(value, choices) if isinstance(value, str) else None


def _telling(errors: Sequence[Any]) -> Any:
    """Of a union's errors, the one of the alternative whose type was met: its bound is what was broken."""
    broken = [e for e in errors if e["type"] in _RANGE | _LENGTH or e["type"] not in _KNOWN]
    literal = [e for e in errors if e["type"] == "literal_error"]
    return (broken or literal or list(errors))[0]


def _custom_hint(kind: str) -> str | None:
    return {"not_available_yet": "remove it for now", "duplicate_item": "remove one of the two"}.get(kind)


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
