"""Owns which run a person means by what they typed: an id, the beginning of one, or a name."""

from __future__ import annotations

import shlex
import sys

from specrun.errors import UsageError
from specrun.records.place import smoke_stores
from specrun.records.queries import Records
from specrun.records.rows import RunRow
from specrun.spec.visible import visible_line

__all__ = ["RUN_HELP", "choose", "choose_only"]

RUN_HELP = "A run's id, the beginning of it, or a name, which means its newest run."
_SHOWN = 10


def choose(records: Records, run: str) -> RunRow:
    """The run that is meant; of a name that several have the newest, which is said on standard error. Raises UsageError."""
    row, same = _find(records, run)
    if len(same) > 1:
        print(f"{visible_line(run)} is the name of {len(same)} runs; this is the newest, {row.run_id}", file=sys.stderr)
    return row


def choose_only(records: Records, run: str) -> RunRow:
    """The one run that can be meant. Raises UsageError, also `ambiguous-run` for a name that several have."""
    row, same = _find(records, run)
    if len(same) > 1:
        listed = ", ".join(same[:_SHOWN]) + (f" and {len(same) - _SHOWN} more" if len(same) > _SHOWN else "")
        raise UsageError(
            f"{run} is the name of {len(same)} runs: {listed}", code="ambiguous-run", hint="give the ids of those that are meant"
        )
    return row


def _find(records: Records, run: str) -> tuple[RunRow, list[str]]:
    """The run, and where it was found by its name the ids of all of that name."""
    try:
        row = records.run(run)
    except UsageError as error:
        for store in reversed(smoke_stores(records.store)):
            if run and any(folder.name.startswith(run) for folder in (store / "runs").glob("*")):
                hint = f"smoke runs have stores of their own; look there with: --store {shlex.quote(str(store))}"
                raise UsageError(f"{run} is a smoke run", code="unknown-run", hint=hint) from error
        raise
    return row, records.named(run) if row.run_id != run and row.name == run else []
