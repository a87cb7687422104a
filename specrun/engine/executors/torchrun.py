"""Runs a step in several processes that torchrun starts, watches and starts again; listens to them, and passes signals on.

torchrun is a process of its own, so that this one neither imports torch nor shares its handling of signals. When this process ends,
however it ends, the pipe that all of them inherit as standard input ends too, and they and torchrun with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from specrun.engine.executors.hearing import MAX_LOSSES, TORCHRUN_LOG, Hearing
from specrun.engine.executors.nodes import Node, this_node
from specrun.engine.executors.outside import LEFT_TO_TORCHRUN
from specrun.engine.executors.request import as_error, as_output, step_request
from specrun.engine.executors.wire import Lines
from specrun.errors import InterruptedRun
from specrun.events import Emit
from specrun.plan.step import StepKind
from specrun.runtime.hardware import ResolvedHardware, number_by_bus
from specrun.runtime.signals import StopSignals
from specrun.runtime.threads import let_waiting_threads_sleep
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput

MAX_STARTS_AGAIN = 32
"""Starts that workers ask for: a micro-batch is halved so often, and compiling given up once."""
MEET_SECONDS = 3600
"""How long a machine waits for the others: the first of them prepares the data meanwhile."""
FOLDER = "workers"
"""Below the run's folder: the request, and what each worker and torchrun said."""
_LOOK_SECONDS = 0.1
_END_SECONDS = 15.0


def run_on_workers(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Execute a step in as many processes as the hardware says. Raises whatever one of them raised, its rank named."""
    folder = context.folder / FOLDER
    folder.mkdir(exist_ok=True)
    request = folder / f"{kind.kind}.json"
    request.write_text(json.dumps(step_request(kind, context, spec, inputs)))
    with Workers(request, context.hardware, this_node(context.hardware.nodes)) as workers:
        heard = Hearing(context.emit, folder, context.folder / "checkpoints", step=kind.kind)
        _follow(workers, heard, stop_pending=context.stop_pending, stop_requested=context.stop_requested)
    if heard.answer is None:
        raise _ended_by_signal(heard, context.stop_pending()) or heard.lost_all(workers.code)
    return as_output(heard.answer, more_warnings=tuple(heard.warnings))


def lend_workers(hardware: ResolvedHardware, folder: Path, *, emit: Emit, signals: StopSignals) -> None:
    """Take part in a step that another machine runs, with this machine's workers. folder: for what they say. Raises whatever one of
    them raised."""
    folder.mkdir(parents=True, exist_ok=True)
    node = this_node(hardware.nodes)
    with Workers(folder / "request.json", hardware, node) as workers:
        heard = Hearing(emit, folder, first_rank=node.rank * hardware.devices)
        _follow(workers, heard, stop_pending=signals.pending, stop_requested=signals.requested)
    if workers.code:
        raise _ended_by_signal(heard, signals.pending()) or heard.lost_all(workers.code)


def _follow(workers: Workers, heard: Hearing, *, stop_pending: Callable[[], int | None], stop_requested: Callable[[], int | None]) -> None:
    for document in workers.documents():
        if (number := stop_pending()) is not None:
            if workers.starts == 0:
                stop_requested()
                raise InterruptedRun(f"signal {number} ended the run while it waited for its workers, before the {heard.step} step began",
                                     signal_number=number, hint="apply again goes on from what was finished")  # fmt: skip
            workers.ask_to_stop(number)
        if "hello" in document:
            workers.starts += 1
            heard.started(int(document["hello"]["restarts"]))
        elif not document:
            heard.look_for_deaths()
        elif "heeded" in document:
            stop_requested()
        elif "error" in document:
            raise as_error(document["error"])
        else:
            heard.take(document)


def _ended_by_signal(heard: Hearing, number: int | None) -> InterruptedRun | None:
    """What ended a step whose workers were lost after the run had been asked to end: whoever asked may have ended them too."""
    if number is None:
        return None
    lost = heard.lost_all()
    return InterruptedRun(f"signal {number} ended the run; {lost.message}", signal_number=number, hint=lost.hint)


class Workers:
    """The processes of one step on this machine, under torchrun. A context manager: whoever is left when it ends is ended.

    request: its place; what torchrun and the workers say goes to files beside it. starts: how often they have said that they were
    started. code: what torchrun returned, 0 where all came to their end, once that is known.
    """

    def __init__(self, request: Path, hardware: ResolvedHardware, node: Node) -> None:
        self.starts = 0
        self.code = 1
        self._asked_start = 0
        self._devices = hardware.devices
        with request.with_name(TORCHRUN_LOG).open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 - torch's own module and ours
                command(request, hardware, node), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
                env=environment(hardware), start_new_session=True,
            )  # fmt: skip

    def documents(self) -> Iterator[dict[str, Any]]:
        """What the workers tell, as they tell it, and an empty document now and then, until all have ended."""
        assert self._process.stdout is not None
        pipe, lines = self._process.stdout.fileno(), Lines()
        while True:
            ready, _, _ = select.select([pipe], [], [], _LOOK_SECONDS)
            if ready:
                if not (data := os.read(pipe, 1 << 16)):
                    self.code = self._process.wait()
                    return
                yield from lines.feed(data)
            yield {}

    def ask_to_stop(self, number: int) -> None:
        """Pass a signal on to each worker, once to each start of them."""
        assert self._process.stdin is not None
        if self._asked_start != self.starts:
            self._asked_start = self.starts
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(bytes([number] * self._devices))
                self._process.stdin.flush()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # the workers end by it, and torchrun
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)  # which ends it while it is still to start any
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdout.close()


def command(request: Path, hardware: ResolvedHardware, node: Node) -> list[str]:
    """The call of torchrun for this machine's part."""
    if node.count == 1:
        meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1", "--rdzv-id", uuid.uuid4().hex]
    else:
        meeting = ["--node-rank", str(node.rank), "--master-addr", node.address, "--master-port", str(node.port),
                   "--rdzv-conf", f"timeout={MEET_SECONDS}"]  # fmt: skip
    return [
        sys.executable, "-P", "-m", "specrun.engine.executors.launch", *meeting,
        "--nnodes", str(node.count), "--nproc-per-node", str(hardware.devices), "--max-restarts", str(MAX_LOSSES + 1 + MAX_STARTS_AGAIN),
        "--monitor-interval", "0.2", "--shutdown-timeout", "10", "--signals-to-handle", LEFT_TO_TORCHRUN,
        "-m", "specrun.engine.executors.worker", hardware.kind, str(request),
    ]  # fmt: skip


def environment(hardware: ResolvedHardware) -> dict[str, str]:
    """What the workers inherit: this process's environment, with each one's share of the threads."""
    inherited = dict(os.environ)
    let_waiting_threads_sleep(inherited)
    number_by_bus(inherited)  # here, as a worker takes its device before it opens it
    # -P for the workers too, which torchrun starts by a command of its own.
    inherited |= {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": str(hardware.threads)}
    if hardware.nodes == 1 and sys.platform == "linux":
        inherited.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a machine's own name need not lead anywhere
    return inherited
