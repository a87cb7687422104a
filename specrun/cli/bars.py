"""Progress in a terminal: one bar for the step that runs, redrawn in place, and lines above it. Fits any width."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from specrun.cli.progress import Pace, count_text, line_of, share_text, value_texts
from specrun.events import Emit, Event, Progress, StepRecord
from specrun.plan import figures

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_NAME_WIDTH = 9
_BARS = ((96, 16), (72, 10))
"""From this width of the terminal on, a bar so wide; below all of them the space is the figures'."""
_ORDER = ("count", "share", "loss", "learning_rate", "best", "tokens_per_second", "samples_per_second", "eta")
_IMPORTANCE = ("loss", "eta", "share", "count", "tokens_per_second", "samples_per_second", "best", "learning_rate")
_GAP = "  "


@contextmanager
def terminal(stream: TextIO) -> Iterator[Emit]:
    """Yield the function that shows events in the terminal behind the stream."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = Console(file=stream, highlight=False, markup=False)
    name = TextColumn(f"  {{task.description:<{_NAME_WIDTH}}}", markup=False)
    text = TextColumn("{task.fields[text]}", markup=False)
    bar_width = bar_columns(console.width)
    columns = (name, BarColumn(bar_width=bar_width), text) if bar_width else (name, text)
    with Bars(*columns, console=console, transient=False) as bars:
        yield _Redrawn(bars, bar_width=bar_width).show


def bar_columns(width: int) -> int:
    """Columns of the bar in a terminal of that width."""
    return next((columns for least, columns in _BARS if width >= least), 0)


def fitted(parts: Mapping[str, str], width: int) -> str:
    """As many of the parts as fit, the most important first; in their usual order."""
    kept: set[str] = set()
    room = width
    for name in _IMPORTANCE:
        needed = len(parts.get(name, "")) + (len(_GAP) if kept else 0)
        if parts.get(name) and needed <= room:
            kept.add(name)
            room -= needed
    return _GAP.join(parts[name] for name in _ORDER if name in kept)


class _Redrawn:
    """The bar of the step that runs; it goes when the step has ended, and a line says how long it took."""

    def __init__(self, bars: Bars, *, bar_width: int) -> None:
        self._bars = bars
        self._bar_width = bar_width
        self._tasks: dict[str, TaskID] = {}
        self._paces: dict[tuple[str, str], Pace] = {}

    def show(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._redraw(event)
            return
        if isinstance(event, StepRecord) and event.actual and event.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(event.id))
            self._bars.refresh()  # at once: lines that follow would be written above what was drawn last
        if (text := line_of(event)) is not None:
            self._bars.console.print(f"  {text}", soft_wrap=True)

    def _redraw(self, event: Progress) -> None:
        if event.producer not in self._tasks:
            self._tasks[event.producer] = self._bars.add_task(event.producer, total=event.total, text="")
        task = self._tasks[event.producer]
        pace = self._paces.setdefault((event.producer, event.unit), Pace(event, clock=time.monotonic))
        eta = pace.eta_seconds(event)
        parts = {"count": count_text(event), "share": share_text(event), **value_texts(event)}
        if eta:
            parts["eta"] = f"ETA {figures.seconds(eta)}"
        self._bars.update(task, completed=event.done, total=event.total, text=fitted(parts, self._room(event.producer)))

    def _room(self, name: str) -> int:
        bar = self._bar_width + 1 if self._bar_width else 0
        return self._bars.console.width - 2 - max(_NAME_WIDTH, len(name)) - 1 - bar
