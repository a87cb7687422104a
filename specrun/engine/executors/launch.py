"""torchrun as a child that does not outlive the process that started it: this module is run in the place of `torch.distributed.run`.

Its workers watch the pipe that is their standard input, and their parent by it; while the machines have not met there are none, and
torchrun itself watches nobody.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import select
import signal
import threading

import psutil

from specrun.engine.executors.outside import leave_to_parent
from specrun.engine.executors.wire import ORPHANED

_STDIN = 0
_END_SECONDS = 12.0
"""Longest wait for workers to end, as they do by the same pipe, before they are killed."""


def main() -> None:
    """Be torchrun, with the arguments given."""
    leave_to_parent()
    threading.Thread(target=_end_with_parent, name="specrun-parent", daemon=True).start()
    runpy.run_module("torch.distributed.run", run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """End once the other end of standard input is closed. It is not read: what comes through it is for the workers."""
    closed = select.poll()
    closed.register(_STDIN, 0)
    closed.poll()
    os.kill(os.getpid(), signal.SIGHUP)  # by which torchrun ends its workers, and starts none again
    _, left = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=_END_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
