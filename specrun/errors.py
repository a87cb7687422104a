"""Every error specrun raises for a person to read, and the exit code of each.

    SpecrunError                1   a run, or something outside the spec, failed
    ├── UsageError              2   the command line is wrong
    ├── SpecError               3   the spec is invalid; carries every diagnostic
    ├── GateFailed              4   an `expect` gate or `--fail-if` failed
    ├── LockedError             5   another apply holds the same steps
    ├── StalePlanError          7   the plan file no longer describes the spec and its inputs
    ├── ExportError             8   an export failed its verification
    ├── DataError               1   the data cannot be read or used
    ├── StoreError              1   the store cannot be read or written
    │   └── StorageFailure      1   its disk is full or read-only: no other run of the apply can be kept either
    ├── MissingExtraError       1   an optional integration is not installed
    └── InterruptedRun          128 + the signal (130, 138, 143), state saved

Broken invariants are `assert`s, not members of this tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specrun.spec.diagnostics import Diagnostic

__all__ = [
    "EXIT_CHANGES",
    "EXIT_OK",
    "DataError",
    "ExportError",
    "GateFailed",
    "InterruptedRun",
    "LockedError",
    "MissingExtraError",
    "SpecError",
    "SpecrunError",
    "StalePlanError",
    "StorageFailure",
    "StoreError",
    "UsageError",
    "unforeseen",
]

EXIT_OK = 0
EXIT_CHANGES = 6
"""What `plan --detailed-exitcode` returns when something would run."""


class SpecrunError(Exception):
    """A failure with a place, a fact, a rule and a remedy.

    code: stable, named after the bad pattern. message: the place and the fact. hint: what to do, with concrete values.
    """

    exit_code = 1

    def __init__(self, message: str, *, code: str = "failed", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f"\n  {self.hint}" if self.hint else "")


class UsageError(SpecrunError):
    """The command line asks for something that does not exist or does not go together."""

    exit_code = 2


class SpecError(SpecrunError):
    """One or more specs are invalid. diagnostics: all of them, errors and warnings."""

    exit_code = 3

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        errors = [d for d in diagnostics if d.severity == "error"]
        first = f"{errors[0].code}: {errors[0].message}" if errors else "invalid"
        text = first if len(errors) < 2 else f"{len(errors)} errors, the first: {first}"
        super().__init__(text, code="invalid-spec")
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        lines = [f"{d.file}:{d.line}:{d.column} {d.code}: {d.message}" + (f"; {d.hint}" if d.hint else "") for d in self.diagnostics]
        return "\n  ".join([f"{self.code}: {self.message}", *lines])


class GateFailed(SpecrunError):
    """An `expect` gate did not hold: names the gate, the figure and the bound."""

    exit_code = 4


class LockedError(SpecrunError):
    """Another living process is executing the same step."""

    exit_code = 5


class StalePlanError(SpecrunError):
    """The saved plan was made from another spec, other inputs or another version."""

    exit_code = 7


class ExportError(SpecrunError):
    """An exported model does not reproduce the trained one."""

    exit_code = 8


class DataError(SpecrunError):
    """Data is missing, empty, undecodable or does not fit what the spec says of it."""


class StoreError(SpecrunError):
    """The store is unwritable, damaged, or of a newer version."""


class StorageFailure(StoreError):
    """The file system takes nothing more: the disk is full, read-only or not ours. What else would be kept there fails alike."""


class MissingExtraError(SpecrunError):
    """A feature needs an optional dependency; the hint names the extra to install."""


class InterruptedRun(SpecrunError):
    """A signal stopped the run after its state was saved. signal_number decides the exit code."""

    def __init__(self, message: str, *, signal_number: int, hint: str | None = None) -> None:
        super().__init__(message, code="interrupted", hint=hint)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def unforeseen(failure: BaseException) -> SpecrunError:
    """The error of an exception that nobody has foreseen, of specrun's own or of a library."""
    return SpecrunError(f"{type(failure).__name__}: {failure}", code="internal-error",
                        hint="this may be a bug in specrun; SPECRUN_DEBUG=1 shows where")  # fmt: skip
