"""Kills and signals, in processes of their own: what was saved is gone on from, and the result is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from specrun.training.checkpoint_files import damage

pytestmark = pytest.mark.slow

LONG = [
    "--set",
    "schedule.duration=3000 steps",
    "--set",
    "schedule.checkpoint.every=20 steps",
    "--set",
    "schedule.evaluate.every=500 steps",
]


SHORT = ["--set", "schedule.duration=60 steps", "--set", "schedule.checkpoint.every=20 steps", "--set", "schedule.evaluate.every=20 steps"]


def command(spec: Path, store: Path, sets: list[str] = LONG) -> list[str]:
    return [sys.executable, "-m", "specrun", "apply", str(spec), "--store", str(store), "--json", *sets]


def start(spec: Path, store: Path, sets: list[str] = LONG) -> subprocess.Popen[str]:
    return subprocess.Popen(command(spec, store, sets), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(spec: Path, store: Path, sets: list[str] = LONG) -> dict:
    done = subprocess.run(command(spec, store, sets), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for_checkpoint(store: Path, process: subprocess.Popen[str], *, count: int = 1) -> None:
    """Until that many checkpoints stand in the store."""
    deadline = time.monotonic() + 120
    while len(list(store.glob("runs/*/checkpoints/step-*"))) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def weights(store: Path) -> bytes:
    """The last checkpoint's model file."""
    return sorted(store.glob("runs/*/checkpoints/step-*/model.safetensors"))[-1].read_bytes()


def logged_losses(store: Path) -> list[tuple[int, float]]:
    from specrun.records.queries import open_records

    with open_records(store) as records:
        (run,) = records.runs()
        return [(point.step, point.value) for point in records.series(run.run_id)["train/loss"]]


@pytest.fixture(scope="module")
def straight(tmp_path_factory, tiny_text):
    """The store of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("straight")
    (folder / "tiny.yaml").write_text(tiny_text)
    finish(folder / "tiny.yaml", folder / "store")
    return folder / "store"


def test_kill_9_then_apply_again_gives_the_weights_of_an_uninterrupted_training(spec_file, tmp_path, straight):
    store = tmp_path / "killed"
    for pause_seconds in (0.1, 0.4):
        process = start(spec_file, store)
        wait_for_checkpoint(store, process, count=2)
        time.sleep(pause_seconds)
        process.kill()
        process.communicate()
    document = finish(spec_file, store)
    assert weights(store) == weights(straight)
    assert logged_losses(store) == logged_losses(straight)
    assert {step["id"]: step["action"] for step in document["steps"]}["train"] == "resume"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_with_the_state_saved_and_its_exit_code(spec_file, tmp_path, straight, number, code):
    store = tmp_path / "stopped"
    process = start(spec_file, store)
    wait_for_checkpoint(store, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    (run,) = json.loads(out)["runs"]
    assert run["status"] == "interrupted"
    assert "Traceback" not in err
    finish(spec_file, store)
    assert weights(store) == weights(straight)


def test_a_second_apply_while_the_first_trains_exits_5_and_the_first_goes_on(spec_file, tmp_path):
    store = tmp_path / "both"
    first = start(spec_file, store)
    wait_for_checkpoint(store, first)
    second = subprocess.run(command(spec_file, store), capture_output=True, text=True, check=False)
    assert second.returncode == 5, second.stderr
    assert f"process {first.pid}" in second.stderr
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert json.loads(out)["runs"][0]["status"] == "completed"


def test_a_run_that_was_killed_is_listed_as_crashed_and_not_as_running(spec_file, tmp_path):
    from specrun.records.queries import open_records

    store = tmp_path / "killed"
    process = start(spec_file, store)
    wait_for_checkpoint(store, process)
    with open_records(store) as records:
        assert [run.status for run in records.runs()] == ["running"]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with open_records(store) as records:
        assert [run.status for run in records.runs()] == ["crashed"]


STOPPED = """
import os, signal, sys, threading, time
from specrun.training import checkpoint_files
from specrun.tasks.causal_lm.build import CausalLM

def send(numbers):
    def wait_and_send():
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.5)
    threading.Thread(target=wait_and_send, daemon=True).start()

def once(owner, name, numbers, linger):
    real, done = getattr(owner, name), []
    def call(*args, **kwargs):
        if not done:
            done.append(True)
            send(numbers)
            time.sleep(linger)
        return real(*args, **kwargs)
    setattr(owner, name, call)

where, numbers = sys.argv[1], [int(text) for text in sys.argv[2].split(",")]
once(*{"evaluation": (CausalLM, "evaluate"), "save": (checkpoint_files, "save")}[where], numbers, 1.5 if len(numbers) > 1 else 0.3)
from specrun.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def briefly(tmp_path_factory, tiny_text):
    """The store of a shorter uninterrupted training."""
    folder = tmp_path_factory.mktemp("briefly")
    (folder / "tiny.yaml").write_text(tiny_text)
    finish(folder / "tiny.yaml", folder / "store", SHORT)
    return folder / "store"


@pytest.mark.parametrize(("where", "numbers", "code"), [
    ("evaluation", (signal.SIGTERM,), 143),
    ("save", (signal.SIGTERM,), 143),
    ("evaluation", (signal.SIGUSR1,), 138),
    ("evaluation", (signal.SIGINT, signal.SIGINT), 130),
    ("save", (signal.SIGINT, signal.SIGINT), 130),
])  # fmt: skip
def test_a_signal_in_an_evaluation_or_a_save_ends_with_its_code_and_without_a_half_file(spec_file, tmp_path, briefly, where, numbers, code):
    store = tmp_path / "stopped"
    words = [where, ",".join(str(int(number)) for number in numbers), *command(spec_file, store, SHORT)[3:]]
    done = subprocess.run([sys.executable, "-c", STOPPED, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert run["status"] == "interrupted"
    saved = sorted(store.glob("runs/*/checkpoints/step-*"))
    assert all(damage(path) is None for path in saved)
    if len(numbers) == 1:
        assert saved
        assert "its state is saved" in done.stderr
    finish(spec_file, store, SHORT)
    assert weights(store) == weights(briefly)
    assert not list(store.glob("runs/*/checkpoints/.*.tmp"))
