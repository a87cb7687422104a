"""What the workers of a step have said so far: events to pass on, the answer, why one was lost, and how often that may happen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.engine.executors.wire import as_event
from specrun.errors import SpecrunError
from specrun.events import Alert, Emit
from specrun.training.starting_again import begin_anew, lessons

MAX_LOSSES = 3
"""How often all workers are started again because one was lost. Starts that a worker has asked for do not count: each mends something."""


class Hearing:
    """Listens to the workers of one machine. answer: the step's output; warnings: what the outcome keeps beside the step's own.

    folder: of their logs, which an error names; checkpoints: where they leave what they have learned, None on a machine that only lends
    its own: the first one counts losses, and tells.
    """

    def __init__(self, emit: Emit, folder: Path, checkpoints: Path | None = None) -> None:
        self.answer: dict[str, Any] | None = None
        self.warnings: list[str] = []
        self._emit, self._folder, self._checkpoints = emit, folder, checkpoints
        self._restarts, self._losses = 0, 0
        self._why: str | None = None  # the newest start came about, where a worker could say so
        self._last_why: str | None = None
        self._known = begin_anew(checkpoints) if checkpoints is not None else None
        self._heard: set[tuple[str, str]] = set()

    def take(self, document: Mapping[str, Any]) -> None:
        """Take in what a worker has told."""
        if "event" in document:
            event = as_event(document["event"])
            if isinstance(event, Alert):
                self._heard.add((event.code, event.message))
            self._emit(event)
        elif "lost" in document:
            if document["cause"] or self._why is None:
                self._why = self._last_why = document["lost"]
        elif "answer" in document:
            self.answer = document["answer"]

    def started(self, restarts: int) -> None:
        """All workers have been started, so many times again. Raises: SpecrunError where they were lost too often."""
        if restarts > self._restarts:
            self._tell(f" ({self._why})" if self._why else "")
        self._restarts, self._why = restarts, None

    def lost_all(self) -> SpecrunError:
        """The failure of workers that came to no end."""
        said = f": {self._last_why}" if self._last_why else ""
        times = "once" if self._restarts == 0 else f"{self._restarts + 1} times"
        return SpecrunError(f"the workers were lost {times}{said}", code="workers-lost",
                            hint=f"what they said is in {self._folder}; apply again goes on from the last checkpoint")  # fmt: skip

    def _tell(self, why: str) -> None:
        logs = f"{self._folder} has their logs"
        if self._asked_for():
            message = f"all workers were started again{why}: {logs}"
        else:
            self._losses += 1
            if self._losses > MAX_LOSSES and self._checkpoints is not None:
                raise self.lost_all()
            message = f"a worker was lost{why}; all were started again, {self._losses} of at most {MAX_LOSSES} times: {logs}"
        self.warnings.append(message)
        self._emit(Alert("warning", "worker-restarted", message))

    def _asked_for(self) -> bool:
        """Whether a worker has asked for the newest start. Its alert is passed on: it is heard of the first worker's alone."""
        if self._checkpoints is None:
            return False
        before, self._known = self._known, lessons(self._checkpoints)
        for code, message in self._known.alerts:
            if before is None or (code, message) not in before.alerts:
                self.warnings.append(message)
                if (code, message) not in self._heard:
                    self._emit(Alert("warning", code, message))
        return self._known != before
