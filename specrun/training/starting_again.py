"""Why the workers of a training all begin anew from the last checkpoint, and what they then do otherwise: a file beside its checkpoints.

Any worker writes it, on any machine that sees the store; each reads it as it begins, and so does the process that started them. No torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from specrun.records.atomic import atomic_write

_FILE = "start-again.json"


class StartAgain(Exception):
    """What one worker cannot do while the others wait for it. alert: its code and message; micro_batch_size: samples computed at once
    from here on, where these are fewer; divided: evaluations are by so much, where that is more; eager: nothing is compiled from here
    on."""

    def __init__(
        self, reason: str, *, alert: tuple[str, str], micro_batch_size: int | None = None, divided: int = 1, eager: bool = False
    ) -> None:
        super().__init__(reason)
        self.alert, self.micro_batch_size, self.divided, self.eager = alert, micro_batch_size, divided, eager


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the workers have learned from their starts. micro_batch_size: the most samples that fit at once, where that is known, and
    divided: by what an evaluation is, to be heeded by whoever goes on. eager, alerts (code and message): of the starts of one apply."""

    micro_batch_size: int | None = None
    divided: int = 1
    eager: bool = False
    alerts: tuple[tuple[str, str], ...] = ()


@contextmanager
def remembering(folder: Path) -> Iterator[None]:
    """What a worker cannot do inside is known to whoever begins anew, and raised on. folder: of checkpoints."""
    try:
        yield
    except StartAgain as again:
        remember(folder, again)
        raise


def remember(folder: Path, again: StartAgain) -> None:
    """Add to what whoever trains in a folder of checkpoints is to know."""
    known = lessons(folder)
    _write(
        folder,
        Lessons(
            again.micro_batch_size or known.micro_batch_size,
            max(again.divided, known.divided),
            again.eager or known.eager,
            known.alerts if again.alert in known.alerts else (*known.alerts, again.alert),
        ),
    )


def begin_anew(folder: Path) -> Lessons:
    """Forget what was of the starts of another apply. Returns what is left."""
    known = lessons(folder)
    left = replace(known, eager=False, alerts=())
    if left != known:
        _write(folder, left)
    return left


def lessons(folder: Path) -> Lessons:
    """What is remembered in a folder of checkpoints."""
    try:
        document: dict[str, Any] = json.loads((folder / _FILE).read_bytes())
        alerts = tuple((str(code), str(message)) for code, message in document["alerts"])
        size = document["micro_batch_size"]
        divided = int(document.get("divided", 1))
        return Lessons(int(size) if size is not None else None, divided, bool(document["eager"]), alerts)
    except (OSError, ValueError, TypeError, KeyError):
        return Lessons()


def _write(folder: Path, known: Lessons) -> None:
    """Put the whole file in place at once: several workers may have the same to say, while the first of them saves beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / _FILE, json.dumps(asdict(known)))
