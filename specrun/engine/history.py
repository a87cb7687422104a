"""What steps cost in earlier runs: one line a finished step in `history.jsonl`, appended whole, read from the end."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from specrun.plan.past import Past

_TAIL_BYTES = 256 * 1024


def read_history(path: Path) -> list[Past]:
    """The newest entries, oldest first. A torn or foreign line is passed over: predictions need no exact history."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Past(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def append_history(path: Path, past: Past) -> None:
    """Add one line in a single write, so that concurrent writers do not mix."""
    line = json.dumps(asdict(past)).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
