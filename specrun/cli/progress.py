"""Live progress of an apply: plain lines for logs and pipes; a terminal gets `bars`. Shows events; keeps nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from specrun.events import Alert, Emit, Event, Example, Message, Metrics, Progress, StepRecord
from specrun.plan import figures
from specrun.spec.visible import visible, visible_line

_PLAIN_EVERY_SECONDS = 5.0
_SAMPLE_CHARACTERS = 160


@contextmanager
def progress(stream: TextIO) -> Iterator[Emit]:
    """Yield the function that shows events on the stream. What becomes of a run when showing fails is its caller's to say."""
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from specrun.cli.bars import terminal

        with terminal(stream) as show:
            yield _ends_once(show)
    else:
        yield _ends_once(PlainProgress(stream).show)


def _ends_once(show: Emit) -> Emit:
    """Show events, but that a step has ended only once: the records of runs that share it say so again."""
    ended: set[str] = set()

    def shown(event: Event) -> None:
        if isinstance(event, StepRecord) and event.actual:
            if event.id in ended:
                return
            ended.add(event.id)
        show(event)

    return shown


class Pace:
    """How fast a step goes, from the first progress this process saw of it."""

    def __init__(self, first: Progress, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done, self._time = first.done, clock()

    def eta_seconds(self, now: Progress) -> float | None:
        """Seconds left at the pace so far; None before there is a pace, or without a total."""
        done, elapsed = now.done - self._done, self._clock() - self._time
        if now.total is None or done <= 0 or elapsed <= 0:
            return None
        return (now.total - now.done) * elapsed / done


class PlainProgress:
    """Lines for logs and pipes: at most one every few seconds a step, and one at its end."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._paces: dict[tuple[str, str], Pace] = {}
        self._shown: dict[str, float] = {}

    def show(self, event: Event) -> None:
        """Write the event as a line, where it is worth one."""
        if isinstance(event, Progress):
            self._show_progress(event)
        elif (text := line_of(event)) is not None:
            print(f"  {text}", file=self._stream, flush=True)

    def _show_progress(self, event: Progress) -> None:
        pace = self._paces.setdefault((event.producer, event.unit), Pace(event, clock=self._clock))
        now = self._clock()
        last = event.total is not None and event.done >= event.total
        if not last and now - self._shown.setdefault(event.producer, now) < _PLAIN_EVERY_SECONDS:
            return
        self._shown[event.producer] = now
        eta = pace.eta_seconds(event)
        left = f"ETA {figures.seconds(eta)}" if eta and not last else ""
        line = "  ".join(filter(None, (event.producer, position(event), values_text(event), left)))
        print(f"  {line}", file=self._stream, flush=True)


def position(event: Progress) -> str:
    """`step 700/1200  58 %`."""
    return "  ".join(filter(None, (count_text(event), share_text(event))))


def count_text(event: Progress) -> str:
    """`step 700/1200`."""
    return f"{event.unit} {event.done:,}" if event.total is None else f"{event.unit} {event.done:,}/{event.total:,}"


def share_text(event: Progress) -> str:
    """`58 %`; empty without a total."""
    if event.total is None:
        return ""
    return f"{100 * event.done / event.total:.0f} %" if event.total else "100 %"


def values_text(event: Progress) -> str:
    """`loss 4.012  lr 0.0005  best 4.187 @ 600  28.4k tok/s`."""
    return "  ".join(value_texts(event).values())


def value_texts(event: Progress) -> dict[str, str]:
    """Each value that came with the progress, as text, by its name."""
    values = event.values
    parts = {}
    if "loss" in values:
        parts["loss"] = f"loss {values['loss']:.4f}"
    if "learning_rate" in values:
        parts["learning_rate"] = f"lr {figures.learning_rate(values['learning_rate'])}"
    if "best" in values:
        parts["best"] = f"best {values['best']:.4f} @ {values.get('best_step', 0):.0f}"
    if "tokens_per_second" in values:
        parts["tokens_per_second"] = f"{figures.count(values['tokens_per_second'])} tok/s"
    if "samples_per_second" in values:
        parts["samples_per_second"] = f"{figures.count(values['samples_per_second'])} samples/s"
    return parts


def line_of(event: Event) -> str | None:
    """A stored event as a line, or None for those that are not shown."""
    if isinstance(event, Message):
        return visible_line(event.text)
    if isinstance(event, Alert):
        return visible_line(f"{event.level}: {event.message}")
    if isinstance(event, StepRecord):
        ended = event.action in ("run", "resume") and "seconds" in event.actual
        return f"{event.id}: done in {figures.seconds(event.actual['seconds'])}" if ended else None
    if isinstance(event, Metrics) and any(name.startswith(("validation/", "test/")) for name in event.values):
        shown = [f"{name} {figures.number(value)}" for name, value in event.values.items()]
        return f"step {event.step:,}: {', '.join(shown)}"
    if isinstance(event, Example) and "text" in event.data:
        text = " ".join(visible(str(event.data["text"])).split())
        what = "sample of the best checkpoint" if event.name.startswith("final") else "sample"
        return f'{what}: "{text[:_SAMPLE_CHARACTERS]}{"…" if len(text) > _SAMPLE_CHARACTERS else ""}"'
    return None
