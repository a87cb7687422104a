"""One of the processes that do a step together. torchrun starts it, with the kind of device and the place of the step's request.

The request lies on the machine of the first worker, who tells the others; beside its place each worker has its log. The first on each
machine tells of the start; the first of all passes events on and answers. What a worker cannot mend is told, and the parent ends all of
them; what may be mended by starting again (another worker was lost) ends this one, and torchrun starts all anew. Signals that ask the
run to end come from the parent.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from specrun.engine.ending import as_error
from specrun.engine.executors.local import load_runner
from specrun.engine.executors.outside import Asked, heed_parent_alone
from specrun.engine.executors.request import error_document, output_document, requested_call
from specrun.engine.executors.wire import Wire, listen_to_parent
from specrun.engine.secrecy import process_mask
from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import Event

_FIRST_SPEAKS_SECONDS = 1.0
"""What all workers fail by is told by the first of them; the others wait so long."""
_END_SECONDS = 60.0
"""Longest wait for the parent to end a worker that has told why it cannot go on."""


def main() -> int:
    """Do this worker's part of the step; 0, or 1 where all are to be started again."""
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    device_kind, place = sys.argv[1], Path(sys.argv[2])
    wire = Wire()
    asked = _Asked(wire)
    heed_parent_alone(asked.by_parent)
    listen_to_parent(asked.by_parent.note)
    if local_rank == 0:
        wire.send(hello={"restarts": int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))})
    try:
        wire.print_to(place.with_name(f"rank-{rank}.log"))
        faulthandler.enable()
        _work(device_kind, place, wire, asked)
    except BaseException as failure:  # noqa: BLE001 - whatever it is, someone has to hear of it
        return _tell(failure, wire, rank=rank, local_rank=local_rank, folder=place.parent.parent)
    return 0


class _Asked:
    """The number of the signal that asks the run to end, once there has been one. The parent learns that it is heeded."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.by_parent = Asked()
        self._told = False

    def requested(self) -> int | None:
        if (number := self.by_parent.number) is not None and not self._told:
            self._told = True
            self._wire.send(heeded=number)
        return number


def _work(device_kind: str, place: Path, wire: Wire, asked: _Asked) -> None:
    from specrun.runtime.distributed import join_workers, leave_workers

    workers = join_workers(device_kind)
    request: dict[str, Any] = workers.told(json.loads(place.read_text()) if workers.first else None)
    kind, context, spec, inputs = requested_call(
        request, emit=wire.emit if workers.first else _unheard, stop_requested=asked.requested, workers=workers
    )
    output = load_runner(kind)(context, spec, inputs)
    workers.wait()
    leave_workers()
    if workers.first:
        wire.send(answer=output_document(output))


def _unheard(event: Event) -> None:
    """Every worker comes to the same events; the first one's are enough."""


def _tell(failure: BaseException, wire: Wire, *, rank: int, local_rank: int, folder: Path) -> int:
    from specrun.runtime.distributed import lost_worker
    from specrun.training.starting_again import StartAgain

    sys.stderr.write(process_mask().text(traceback.format_exc()))
    sys.stderr.flush()
    if isinstance(failure, StartAgain):
        wire.send(lost=f"rank {rank}: {process_mask().text(str(failure))}", cause=True)
        return 1
    if not isinstance(failure, SpecrunError) and lost_worker(failure):
        wire.send(lost=f"rank {rank} no longer heard the others", cause=False)
        return 1
    error = as_error(failure, folder)
    if rank and not isinstance(failure, InterruptedRun):
        time.sleep(_FIRST_SPEAKS_SECONDS)
        error.message = f"rank {rank}: {error.message}"
    if local_rank == 0 or not isinstance(failure, InterruptedRun):
        wire.send(error=error_document(error))
    time.sleep(_END_SECONDS)
    return 1


if __name__ == "__main__":
    # Threads of collectives and of writers may be waiting for others: what had to be said has been said.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
