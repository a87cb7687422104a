"""Several machines that train together, played by processes that meet on the loopback: what one of them does without the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from tiny_run import Listener, parents, q

from specrun.engine.executors.torchrun import lend_workers, run_on_workers
from specrun.errors import InterruptedRun, SpecrunError
from tests.engine import test_torchrun
from tests.engine.test_torchrun import NEVER, TRAIN, Asked, Doing, children, on_two, read, settings

_PORTS = count()
pytestmark = pytest.mark.slow
in_workers = test_torchrun.in_workers
TWO_MACHINES = {"devices": 1, "nodes": 2}


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Where the machines meet: below those that the system gives out by itself."""
    found = 20000 + (os.getpid() + next(_PORTS)) % 10000
    monkeypatch.setenv("SPECRUN_RDZV_ENDPOINT", f"127.0.0.1:{found}")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    return found


def train_as_first(root: Path, listener: Listener, *, signals: Asked = NEVER, steps: int = 24) -> None:
    context = on_two(root / "run", listener, signals=signals)
    context = replace(context, hardware=replace(context.hardware, **TWO_MACHINES))
    run_on_workers(TRAIN, context, settings(duration=q(f"{steps} steps")), parents(root))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_ends_the_wait_for_another_machine(rank, tmp_path, port, monkeypatch):
    monkeypatch.setenv("SPECRUN_NODE_RANK", str(rank))
    asked = Asked(signal.SIGTERM)
    wait = lend if rank else train_as_first
    with pytest.raises(InterruptedRun, match="signal 15 ended the run while it waited for its workers") as interrupted:
        wait(tmp_path, Listener(), signals=asked)
    assert interrupted.value.exit_code == 143
    assert asked.heeded  # the grace is over with it
    assert children(os.getpid()) == []


def lend(root: Path, listener: Listener, *, signals: Asked = NEVER) -> None:
    machine = replace(on_two(root, listener).hardware, **TWO_MACHINES)
    lend_workers(machine, root / "node", emit=listener.emit, signals=signals)  # type: ignore[arg-type]


def first_until_killed(root: Path) -> None:
    """Not to be called by the tests' own process."""
    train_as_first(root, Doing(at={5: lambda: os.kill(os.getpid(), signal.SIGKILL)}), steps=100000)


def in_another_process(call: str, *, rank: int) -> subprocess.Popen[bytes]:
    code = f"from pathlib import Path; from tests.engine.test_machines import *; {call}"
    environment = os.environ | {"SPECRUN_NODE_RANK": str(rank)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment)


def nothing_speaks_of(folder: Path) -> bool:
    """Whether every process that has the folder in its call ends in a while."""
    trying = 600
    while trying and any(str(folder).encode() in read(process / "cmdline") for process in Path("/proc").glob("[0-9]*")):
        trying -= 1
        time.sleep(0.05)
    return trying > 0


SHORT_PATIENCE = """
from datetime import timedelta
from specrun.runtime import distributed
distributed.PATIENCE_AGAIN = timedelta(seconds=3)
"""


def test_the_loss_of_the_first_machine_ends_the_run_on_the_others(tmp_path, port, in_workers, monkeypatch):
    in_workers(SHORT_PATIENCE)
    monkeypatch.setenv("SPECRUN_NODE_RANK", "1")
    first = in_another_process(f"first_until_killed(Path({str(tmp_path / 'first')!r}))", rank=0)
    with pytest.raises(SpecrunError) as lost:
        lend(tmp_path / "second", Listener())
    assert first.wait() == -signal.SIGKILL
    assert lost.value.code == "workers-lost"
    assert nothing_speaks_of(tmp_path)


def test_the_loss_of_another_machine_ends_the_run_on_the_first(tmp_path, port, in_workers, monkeypatch):
    in_workers(SHORT_PATIENCE)
    monkeypatch.setenv("SPECRUN_NODE_RANK", "0")
    second = in_another_process(f"lend(Path({str(tmp_path / 'second')!r}), Listener())", rank=1)
    with pytest.raises(SpecrunError, match="started again, and within 3 seconds not all came back") as lost:
        train_as_first(tmp_path / "first", Doing(at={5: second.kill}), steps=100000)
    assert second.wait() == -signal.SIGKILL
    assert lost.value.code == "workers-lost"
    assert nothing_speaks_of(tmp_path)


def test_torchrun_does_not_outlive_one_that_is_killed_while_it_waits_for_another_machine(tmp_path, port):
    first = in_another_process(f"train_as_first(Path({str(tmp_path)!r}), Listener())", rank=0)
    while not (tmp_path / "run" / "workers" / "torchrun.log").exists():
        assert first.poll() is None
        time.sleep(0.05)
    time.sleep(4.0)  # torchrun has its port by then, or is about to
    first.kill()
    first.wait()
    assert nothing_speaks_of(tmp_path / "run")
