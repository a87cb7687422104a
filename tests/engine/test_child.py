"""A step in a process of its own: what it tells arrives, what ends it is named, and it does not outlive who started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from tiny_run import Listener, context, parents, spec

from specrun.engine.executors import local
from specrun.engine.executors.request import step_request
from specrun.engine.executors.wire import ORPHANED
from specrun.errors import SpecrunError
from specrun.events import Alert, Message, Progress
from specrun.runtime.signals import StopNow
from specrun.steps.contract import StepOutput
from specrun.steps.registry import step_kinds

KIND = next(kind for kind in step_kinds() if kind.isolated is True)
SCRIPT = """
import os, sys, time
from specrun.engine.executors import child
from specrun.errors import DataError
from specrun.events import Alert, Message, Progress
from specrun.steps.contract import StepOutput

def step(context, spec, inputs):
{body}

child.load_runner = lambda kind: step
sys.exit(child.main())
"""


def stepping(body: str) -> tuple[str, ...]:
    """The command of a child whose step has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return (sys.executable, "-P", "-c", SCRIPT.format(body=lines))


def run_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, listener: Listener | None = None) -> StepOutput:
    monkeypatch.setattr(local, "child_command", lambda: stepping(body))
    return local.run_in_child(KIND, context(tmp_path / "run", listener or Listener()), spec(), parents(tmp_path))


TELLS = """\
print("a library's own words", flush=True)
os.write(1, b"of C as well")
context.emit(Progress(context.step.id, 1, 2, "size"))
context.emit(Message("under way"))
context.emit(Alert("warning", "a-code", "a warning"))
"""


def test_all_that_a_step_tells_arrives_whatever_else_it_prints(tmp_path, monkeypatch):
    listener = Listener()
    output = run_child(tmp_path, monkeypatch, TELLS + "return StepOutput({'found': 2}, warnings=('a warning',))", listener)
    assert output == StepOutput({"found": 2}, warnings=("a warning",))
    told = [next(listener.of(kind)) for kind in (Progress, Message, Alert)]
    assert told == [Progress("train[seed=0]", 1, 2, "size"), Message("under way"), Alert("warning", "a-code", "a warning")]


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        ("OSError(28, 'No space left on device')", "disk-full", "no space left on device"),
        ("DataError('no such text', code='missing-text', hint='write it')", "missing-text", "no such text"),
        ("MemoryError()", "out-of-memory", "the memory did not suffice"),
        ("RuntimeError('no charts')", "step-crashed", "exit code 1: RuntimeError: no charts"),
    ],
)
def test_a_failure_has_its_own_code_and_what_was_told_before_it_stands(tmp_path, monkeypatch, failure, code, said):
    listener = Listener()
    with pytest.raises(SpecrunError) as caught:
        run_child(tmp_path, monkeypatch, f"{TELLS}raise {failure}", listener)
    assert caught.value.code == code
    assert said in caught.value.message
    assert [alert.code for alert in listener.of(Alert)] == ["a-code"]


def test_a_child_that_dies_before_it_has_heard_is_a_crashed_step(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "child_command", lambda: (sys.executable, "-c", "raise SystemExit('not installed')"))
    with pytest.raises(SpecrunError, match="ended with exit code 1: not installed"):
        local.run_in_child(KIND, context(tmp_path / "run", Listener()), spec(), parents(tmp_path))


def test_a_child_ends_with_the_process_that_started_it(tmp_path):
    given = context(tmp_path / "run", Listener())
    request = json.dumps(step_request(KIND, given, spec(), parents(tmp_path)))
    with subprocess.Popen(stepping("print('begun')\ntime.sleep(60)"), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdin.write(f"{request}\n".encode())
        child.stdin.flush()
        child.stdin.close()  # as the kernel does for a process that was killed
        assert child.wait(30) == ORPHANED


def test_a_step_that_is_left_at_once_takes_its_child_with_it(tmp_path, monkeypatch):
    pids = []

    def leave(event):
        pids.append(int(event.text))
        raise StopNow(signal.SIGTERM)

    monkeypatch.setattr(local, "child_command", lambda: stepping("context.emit(Message(str(os.getpid())))\ntime.sleep(60)"))
    given = context(tmp_path / "run", Listener())
    object.__setattr__(given, "emit", leave)
    with pytest.raises(StopNow):
        local.run_in_child(KIND, given, spec(), parents(tmp_path))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
