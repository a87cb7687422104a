"""Signals that reach the processes of a step past the one that started them: a scheduler sends its own to every process of a job."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.engine.test_interrupts import start, wait_for_checkpoint

WORKER = """
import ctypes, os, signal, subprocess, sys, threading, time
from specrun.engine.executors import outside
outside._PARENT_SECONDS = {seconds}
asked = outside.Asked()
outside.heed_parent_alone(asked)
def listen():
    for line in sys.stdin:
        asked.note(int(line))
        print("noted", flush=True)
threading.Thread(target=listen, daemon=True).start()
print("there", flush=True)
reading, _ = os.pipe()
ctypes.CDLL(None).read(reading, ctypes.create_string_buffer(1), 1)  # no handler of Python's is called meanwhile
"""


def worker(*, seconds: float) -> subprocess.Popen[str]:
    """A process that heeds its parent, which tells it of signals a line each, and else hangs."""
    process = subprocess.Popen([sys.executable, "-c", WORKER.format(seconds=seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    return process


def test_a_worker_whose_parent_asks_for_nothing_is_ended_by_sigterm_alone_whatever_it_does():
    with worker(seconds=0.2) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGUSR1)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


@pytest.mark.parametrize("parent_first", [True, False])
def test_a_worker_outlives_a_sigterm_that_the_parent_was_sent_too(parent_first):
    with worker(seconds=60) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if not parent_first:
            process.send_signal(signal.SIGTERM)
        process.stdin.write("15\n")
        process.stdin.flush()
        assert process.stdout.readline() == "noted\n"
        if parent_first:
            process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.kill()


TORCHRUN = ["--set", "hardware.engine=torchrun", "--set", "hardware.devices=2", "--set", "schedule.duration=20000 steps",
            "--set", "schedule.checkpoint.every=20 steps", "--set", "schedule.evaluate.every=10000 steps"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_every_process_of_a_job_ends_the_run_as_one_to_the_first_does(number, spec_file, tmp_path):
    process = start(spec_file, tmp_path / "store", TORCHRUN)
    wait_for_checkpoint(tmp_path / "store", process)
    job = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(job) >= 4
    for one in job:
        one.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    (run,) = json.loads(out)["runs"]
    assert (run["status"], run["error"]["code"]) == ("interrupted", "interrupted")
    message = run["error"]["message"]
    assert message.startswith(f"signal {int(number)} ended training after step ")
    saved = Path(run["folder"], "checkpoints", f"step-{int(message.split('after step ')[1].split()[0].rstrip(',;:.')):08d}")
    assert saved.is_dir()
    assert not any(one.is_running() for one in job)
