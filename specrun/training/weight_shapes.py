"""Names and shapes of saved weights, read from the head of their file alone. No torch, and no numbers are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_LENGTH_BYTES = 8


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]] | None:
    """Of every tensor in a safetensors file, by name; None where the head cannot be read.

    Layout: 8 bytes length of the header, the header as JSON (https://github.com/huggingface/safetensors#format).
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > path.stat().st_size:
                return None
            header = json.loads(file.read(length))
        if not isinstance(header, Mapping):
            return None
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError):
        return None
