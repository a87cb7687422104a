"""What the workers of a step have said so far: events to pass on, the answer, why one was lost, and how often that may happen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.engine.executors.deaths import Deaths, how_it_ended
from specrun.engine.executors.wire import as_event
from specrun.errors import SpecrunError
from specrun.events import Alert, Emit
from specrun.training.starting_again import begin_anew, lessons

TORCHRUN_LOG = "torchrun.log"
MAX_LOSSES = 3
"""How often all workers are started again because one was lost. Starts that a worker has asked for do not count: each mends something."""


class Hearing:
    """Listens to the workers of one machine. answer: the step's output; warnings: what the outcome keeps beside the step's own.

    folder: of their logs, which an error names; checkpoints: where they leave what they have learned, None on a machine that only lends
    its own: the first one counts losses, and tells. step: its kind; first_rank: of the workers of this machine.
    """

    def __init__(self, emit: Emit, folder: Path, checkpoints: Path | None = None, *, step: str = "train", first_rank: int = 0) -> None:
        self.answer: dict[str, Any] | None = None
        self.warnings: list[str] = []
        self._emit, self._folder, self._checkpoints, self.step = emit, folder, checkpoints, step
        self._deaths = Deaths(folder / TORCHRUN_LOG, first_rank=first_rank)
        self._restarts, self._losses = 0, 0
        self._deaths_since_start = 0
        self._started = False
        self._why: str | None = None  # the newest start came about, as far as a worker could say
        self._symptom = False  # and that it only missed another
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
                self._why, self._symptom = document["lost"], not document["cause"]
        elif "answer" in document:
            self.answer = document["answer"]

    def started(self, restarts: int) -> None:
        """All workers have been started, so many times again. Raises: SpecrunError where they were lost too often."""
        if restarts > self._restarts:
            self._learn_why(self._deaths.newest())
            self._tell(f" ({self._why})" if self._why else "")
        self._started, self._restarts, self._why = True, restarts, None
        self._deaths_since_start = 0

    def look_for_deaths(self) -> None:
        """No worker tells anything just now. Raises: SpecrunError where too many have ended before they could say hello."""
        if (death := self._deaths.newest()) is not None:
            self._deaths_since_start += 1
            if self._deaths_since_start > 1:
                self._why = None  # that was of those before
            self._learn_why(death)
            if self._deaths_since_start - int(self._started) > MAX_LOSSES:  # one of those is counted as all are there again
                raise self.lost_all()

    def lost_all(self, torchrun_code: int = 0) -> SpecrunError:
        """The failure of workers that came to no end. torchrun_code: what torchrun itself returned, negative where a signal ended it."""
        self._learn_why(self._deaths.newest())
        if self._deaths.port_in_use and not self._started:
            return SpecrunError("the port where the machines meet is in use on this one", code="port-in-use",
                                hint="end what uses it, or name another one in SPECRUN_RDZV_ENDPOINT, on each machine")  # fmt: skip
        if torchrun_code < 0:
            self._last_why = f"torchrun, which watches them, {how_it_ended(torchrun_code)}"
        said = f": {self._last_why}" if self._last_why else ""
        again = self._restarts + max(0, self._deaths_since_start - 1)
        tried = "" if again == 0 else f", and again after {'a new start' if again == 1 else f'each of {again} new starts'}"
        more = "free some memory, or use fewer hardware.devices; " if "when memory runs out" in said else ""
        return SpecrunError(f"the workers of the {self.step} step were lost{tried}{said}", code="workers-lost",
                            hint=f"{more}what they said is in {self._folder}; {self._remedy()}")  # fmt: skip

    def _remedy(self) -> str:
        if self._checkpoints is None:
            return "apply again, on all machines"
        if self.step != "train":
            return f"apply again repeats the {self.step} step alone"
        saved = any(self._checkpoints.glob("step-*/"))
        return f"apply again {'goes on from the last checkpoint' if saved else 'begins anew: no checkpoint was saved'}"

    def _learn_why(self, death: tuple[str, int] | None) -> None:
        """What ended a worker, as torchrun saw it, where none could say: that another has gone is no reason."""
        if death is not None:
            how, code = death
            if self._why is None or (self._symptom and code < 0):
                self._why = how
        self._last_why = self._why or self._last_why

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
