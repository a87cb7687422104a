"""The same from Python: plan and apply as functions. `import specrun` gives these names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from specrun.engine.execute import execute
from specrun.engine.outcome import Outcome
from specrun.engine.prepare import Prepared, Request, prepare
from specrun.events import Emit, Event

DEFAULT_STORE = Path(".specrun")


def compile_plan(
    source: Path | str,
    *,
    store: Path | str = DEFAULT_STORE,
    sets: Sequence[str] = (),
    preset: str | None = None,
    data_root: Path | str | None = None,
    smoke: bool = False,
) -> Prepared:
    """What apply would do: steps with decisions, predictions, hardware. Raises SpecError with every diagnostic."""
    return prepare(Request(str(source), Path(store), tuple(sets), preset, Path(data_root) if data_root else None, smoke))


def apply(
    source: Path | str,
    *,
    store: Path | str = DEFAULT_STORE,
    sets: Sequence[str] = (),
    preset: str | None = None,
    data_root: Path | str | None = None,
    smoke: bool = False,
    show: Emit | None = None,
) -> Outcome:
    """Plan and run. show: called with every event as it happens. A run's failure is in the outcome, not raised."""
    prepared = compile_plan(source, store=store, sets=sets, preset=preset, data_root=data_root, smoke=smoke)
    return execute(prepared, show=show or _silent)


def _silent(event: Event) -> None:
    """Show nothing."""
