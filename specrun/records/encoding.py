"""Owns how stored events become JSON fields and back. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from specrun.events import Label, Metrics, Stored

__all__ = ["KIND_OF", "decode_event", "encode_event"]

KIND_OF: dict[type, str] = {cls: cls.__name__.lower() for cls in get_args(Stored)}
"""Class of a stored event -> its `kind` in the journal."""

_CLASS_OF: dict[str, type] = {kind: cls for cls, kind in KIND_OF.items()}
_FIELDS_OF: dict[type, tuple[str, ...]] = {cls: tuple(field.name for field in fields(cls)) for cls in KIND_OF}


def encode_event(event: Stored) -> dict[str, Any]:
    """The fields of an event; those that are None are left out."""
    if type(event) is Metrics:
        encoded: dict[str, Any] = {"step": event.step, "values": _floats(event.values)}
        if event.epoch is not None:
            encoded["epoch"] = event.epoch
        if event.tokens is not None:
            encoded["tokens"] = event.tokens
        return encoded
    encoded = {}
    for name in _FIELDS_OF[type(event)]:
        value = getattr(event, name)
        if value is None:
            continue
        # `kind` is the line's own field, so a plan step's kind has a name of its own.
        key = "step_kind" if name == "kind" else name
        encoded[key] = _floats(value) if name in {"values", "predicted", "actual"} else dict(value) if isinstance(value, Mapping) else value
    return encoded


def decode_event(kind: str, data: Mapping[str, Any]) -> Stored:
    """The event of a record; fields that this version does not know are left out."""
    cls = _CLASS_OF[kind]
    found = {name: data[key] for name in _FIELDS_OF[cls] if (key := "step_kind" if name == "kind" else name) in data}
    if cls is Label:
        found |= {name: tuple(found[name]) for name in ("added", "removed") if name in found}
    event: Stored = cls(**found)
    return event


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
