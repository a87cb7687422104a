"""Owns what the fields of run.json and final.json must be for the tables to take them. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from specrun.events import RunStatus

__all__ = ["FINAL_FIELDS", "RUN_FIELDS", "sound", "timestamp_us", "unsound"]

Fields = Mapping[str, Callable[[Any], bool]]


def sound(document: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The document without the fields that are null or not what they must be."""
    return {name: value for name, value in document.items() if value is not None and fields.get(name, _anything)(value)}


def unsound(document: Mapping[str, Any], fields: Fields) -> list[str]:
    """The fields that are not what they must be, by name."""
    return sorted(name for name in fields if document.get(name) is not None and not fields[name](document[name]))


def timestamp_us(text: str | None) -> int | None:
    """Microseconds since 1970, UTC, of an ISO 8601 time; one without an offset is UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def _anything(_: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1023)


def _seconds(value: Any) -> bool:
    return _number(value) and math.isfinite(value) and value >= 0


def _version(value: Any) -> bool:
    return _whole(value) and value > 0


def _time(value: Any) -> bool:
    try:
        return _text(value) and timestamp_us(value) is not None
    except (ValueError, OverflowError):
        return False


def _status(value: Any) -> bool:
    return value in get_args(RunStatus)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _figures(value: Any) -> bool:
    return _mapping(value) and all(map(_number, value.values()))


def _steps(value: Any) -> bool:
    return isinstance(value, list) and all(map(_step, value))


def _step(value: Any) -> bool:
    texts = ("id", "kind", "key", "action", "reason")
    return _mapping(value) and all(_text(value.get(name, "")) for name in texts) and _mapping(value.get("predicted") or {})


def _trial(value: Any) -> bool:
    return _mapping(value) and _text(value.get("study")) and _whole(value.get("number"))


RUN_FIELDS: Fields = {
    "format_version": _version,
    "name": _text,
    "task": _text,
    "seed": _whole,
    "fold": _whole,
    "folds": _whole,
    "started_at": _time,
    "tags": _texts,
    "comparable": _truth,
    "smoke": _truth,
    "parent": _text,
    "spec_digest": _text,
    "experiment": _text,
    "spec": _mapping,
    "plan": _steps,
    "trial": _trial,
}

FINAL_FIELDS: Fields = {
    "attempt": _whole,
    "status": _status,
    "reason": _text,
    "finished_at": _time,
    "duration_s": _seconds,
    "metrics": _figures,
    "spec": _mapping,
    "experiment": _text,
}
