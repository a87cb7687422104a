"""Owns the form of one journal line: JSON with its checksum as the last field. Standard library only.

`{"n":7,"time":1763630000.25,"kind":"metrics",...,"crc":"1a2b3c4d"}`: n counts the lines of a file from 0; time is Unix
seconds; crc is the CRC-32 of every byte before `,"crc"`. A NaN or infinity, which JSON has no word for, is written as null and
named in `non_finite`: a list of [path, "nan" | "inf" | "-inf"].
"""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["decode_line", "encode_line", "flag_non_finite", "restore_non_finite"]

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().decode
_TAIL = len(b',"crc":"00000000"}')


def encode_line(payload: dict[str, Any]) -> bytes:
    """One line, newline included. The payload holds plain JSON values; floats may be non-finite."""
    try:
        body = _encode(payload)
    except ValueError:
        body = _encode(flag_non_finite(payload))
    data = body[:-1].encode("ascii")
    return b'%s,"crc":"%08x"}\n' % (data, binascii.crc32(data))


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The payload of a whole line, non-finite numbers restored; None when the line is damaged."""
    line = line.rstrip(b"\n")
    data, tail = line[:-_TAIL], line[-_TAIL:]
    if tail != b',"crc":"%08x"}' % binascii.crc32(data):
        return None
    try:
        payload = _decode(data.decode("ascii") + "}")
    except ValueError:
        return None
    if not isinstance(payload, dict):
        return None
    restore_non_finite(payload)
    return payload


def flag_non_finite(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with each non-finite float replaced by null and listed in `non_finite`, where there is one."""
    flags: list[tuple[list[str | int], str]] = []

    def walk(value: Any, path: list[str | int]) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            flags.append((path, "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"))
            return None
        if isinstance(value, Mapping):
            return {str(key): walk(item, [*path, str(key)]) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [walk(item, [*path, index]) for index, item in enumerate(value)]
        return value

    copy: dict[str, Any] = walk(payload, [])
    return {**copy, "non_finite": flags} if flags else copy


def restore_non_finite(payload: dict[str, Any]) -> None:
    """Undo `flag_non_finite`, in place."""
    for path, text in payload.pop("non_finite", ()):
        *parents, last = path
        target: Any = payload
        for key in parents:
            target = target[key]
        target[last] = float(text)
