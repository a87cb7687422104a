"""The same from Python: plan and apply as functions. `import specrun` gives these names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from specrun.engine.continuing import check_resume
from specrun.engine.execute import execute
from specrun.engine.folds import PlanOfFolds
from specrun.engine.outcome import Outcome
from specrun.engine.plan import Plan, Request
from specrun.engine.prepare import prepare, refresh_all
from specrun.errors import SpecError, UsageError
from specrun.events import Emit, Event
from specrun.records.place import DEFAULT_STORE, store_of
from specrun.spec.assembly import LoadedSpec, check_value
from specrun.spec.document import Spec
from specrun.spec.dump import dump

Source = str | os.PathLike[str] | LoadedSpec | Spec
"""What can be planned: the path of a spec, what `load_spec` returns, or its `.spec` alone.

A `Spec` is values without their file: relative paths in it start from the current folder.
"""


def compile_plan(
    source: Source,
    *,
    store: os.PathLike[str] | str | None = None,
    sets: Sequence[str] = (),
    preset: str | None = None,
    data_root: os.PathLike[str] | str | None = None,
    smoke: bool = False,
    resume: str | None = None,
    fork: bool = False,
    allow_code: Sequence[str] = (),
) -> Plan | PlanOfFolds:
    """What apply would do: steps with decisions, predictions, hardware. sets, preset: for a path; a loaded spec has its own.
    store: absent means `.specrun` in the current folder. resume: the run to go on from; fork: by a run of its own.
    allow_code: modules and packages whose code may be imported for parts of your own.

    Raises: SpecError with every diagnostic; UsageError for what is no spec, and for a run that cannot go on under it.
    """
    found = _source(source)
    if not isinstance(found, str) and (sets or preset):
        raise UsageError("sets and preset cannot be laid over a spec that is loaded", code="options-with-loaded-spec",
                         hint="give them to load_spec, or give the path")  # fmt: skip
    check_resume(resume, fork=fork, smoke=smoke)
    root = Path(data_root) if data_root else None
    place = store_of(os.fspath(DEFAULT_STORE if store is None else store))
    return prepare(Request(found, place, tuple(sets), preset, root, smoke, resume=resume, fork=fork,
                           allow_code=tuple(allow_code)))  # fmt: skip


def apply(
    source: Source | Plan | PlanOfFolds,
    *,
    store: os.PathLike[str] | str | None = None,
    sets: Sequence[str] = (),
    preset: str | None = None,
    data_root: os.PathLike[str] | str | None = None,
    smoke: bool = False,
    resume: str | None = None,
    fork: bool = False,
    allow_code: Sequence[str] = (),
    show: Emit | None = None,
) -> Outcome:
    """Plan and run, or run a plan, which has its store and options. show: called with every event as it happens.

    A run's failure is in the outcome, not raised.
    """
    if isinstance(source, Plan | PlanOfFolds):
        if sets or preset is not None or data_root is not None or smoke or store is not None or resume or fork or allow_code:
            raise UsageError("a plan has its store and options; they cannot be changed now", code="options-with-plan",
                             hint="give them to compile_plan")  # fmt: skip
        plan = refresh_all(source)  # the store may be another than when it was made
    else:
        plan = compile_plan(
            source, store=store, sets=sets, preset=preset, data_root=data_root, smoke=smoke, resume=resume, fork=fork,
            allow_code=allow_code,
        )  # fmt: skip
    return execute(plan, show=show or _silent)


def _source(source: Source) -> str | LoadedSpec:
    if isinstance(source, LoadedSpec):
        return source
    if isinstance(source, Spec):
        checked = check_value(dump(source), "<Spec>")
        if checked.loaded is None:
            raise SpecError(checked.diagnostics)
        return checked.loaded
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    raise UsageError(f"a {type(source).__name__} is no spec", code="not-a-spec",
                     hint="give the path of a spec, or what load_spec returns")  # fmt: skip


def _silent(event: Event) -> None:
    """Show nothing."""
