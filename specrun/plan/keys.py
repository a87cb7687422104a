"""Content keys: the same key means the same result, so that a finished record with that key can stand for the work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8. Raises ValueError for NaN and infinities, TypeError for other types."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def step_key(*, kind: str, version: int, options: Mapping[str, Any], inputs: Mapping[str, str], parents: Sequence[str]) -> str:
    """Key of a step. inputs: digests of local inputs; parents: effective keys of what it needs, in order."""
    return digest({"kind": kind, "version": version, "options": options, "inputs": sorted(inputs.values()), "parents": list(parents)})


def effective_key(key: str, variant: str | None) -> str:
    """What a child sees of its parent. variant: said by a result that its key could not foresee (a Hub commit, a fallback)."""
    return digest([key, variant]) if variant else key
