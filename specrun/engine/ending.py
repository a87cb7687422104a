"""What ended a run or a step, as an error for a person to read."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from specrun.engine.secrecy import process_mask
from specrun.errors import InterruptedRun, SpecrunError, unforeseen
from specrun.events import RunStatus
from specrun.records.atomic import is_of_storage, storage_failure
from specrun.runtime.exhaustion import first_line, is_out_of_memory
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
        why = ": the step under way had not ended when the grace was over" if failure.late else ""
        message = f"stopped at once by signal {failure.number}{why}"
        return InterruptedRun(message, signal_number=failure.number, hint="apply again goes on from what was saved")
    if isinstance(failure, OSError) and is_of_storage(failure, _store_of(folder)):
        return storage_failure(folder, failure)
    if number := _FOREIGN.search(str(failure)):
        return storage_failure(folder, OSError(int(number[1]), str(failure)))
    if is_out_of_memory(failure) or (isinstance(failure, OSError) and failure.errno == errno.ENOMEM):
        return SpecrunError(
            f"the memory did not suffice: {first_line(failure)}",
            code="out-of-memory",
            hint="lower schedule.micro_batch_size (without dropout the result stays the same), or the model",
        )
    if isinstance(failure, OSError):
        return SpecrunError(f"the system refused what a step asked of it: {str(failure) or type(failure).__name__}", code="system-error",
                            hint="mend what it says; apply again goes on from what was saved")  # fmt: skip
    return unforeseen(failure)


def _store_of(folder: Path) -> Path:
    """The store that a folder of it lies in; the folder itself where none is marked as one."""
    return next((place for place in (folder, *folder.parents) if (place / "store.json").is_file()), folder)
