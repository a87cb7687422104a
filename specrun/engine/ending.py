"""What ended a run or a step, as an error for a person to read."""

from __future__ import annotations

import re
from pathlib import Path

from specrun.engine.secrecy import process_mask
from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import RunStatus
from specrun.records.atomic import storage_failure
from specrun.runtime.signals import StopNow

_FOREIGN = re.compile(r"\(os error (\d+)\)")
"""How a library that is written in Rust says which call of the system failed; to Python it is a plain exception."""


def as_error(failure: BaseException, folder: Path) -> SpecrunError:
    """What ended a run, as an error for a person to read, without credentials. folder: of the run or the store."""
    return process_mask().error(_known(failure, folder))


def ended_by(error: SpecrunError) -> tuple[RunStatus, str]:
    """The status of a run that an error ended, and the reason as it is recorded."""
    if isinstance(error, InterruptedRun):
        return "interrupted", error.message
    return "failed", f"{error.code}: {error.message}"


def _known(failure: BaseException, folder: Path) -> SpecrunError:
    if isinstance(failure, SpecrunError):
        return failure
    if isinstance(failure, StopNow):
        message = f"stopped at once by signal {failure.number}"
        return InterruptedRun(message, signal_number=failure.number, hint="apply again goes on from what was saved")
    if isinstance(failure, OSError):
        return storage_failure(folder, failure)
    if number := _FOREIGN.search(str(failure)):
        return storage_failure(folder, OSError(int(number[1]), str(failure)))
    said = str(failure).lower()
    if isinstance(failure, MemoryError) or "out of memory" in said or ("alloc" in said and "memory" in said):
        return SpecrunError(
            f"the memory did not suffice: {str(failure).splitlines()[0][:160] if said else 'allocation failed'}",
            code="out-of-memory",
            hint="lower schedule.micro_batch_size (without dropout the result stays the same), or the model",
        )
    return SpecrunError(f"{type(failure).__name__}: {failure}", code="internal-error",
                        hint="this may be a bug in specrun; SPECRUN_DEBUG=1 shows where")  # fmt: skip
