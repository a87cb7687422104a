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

pytestmark = pytest.mark.slow

LONG = [
    "--set",
    "schedule.duration=3000 steps",
    "--set",
    "schedule.checkpoint.every=20 steps",
    "--set",
    "schedule.evaluate.every=500 steps",
]


def command(spec: Path, store: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "specrun", "apply", str(spec), "--store", str(store), "--json", *LONG, *more]


def start(spec: Path, store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(command(spec, store), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(spec: Path, store: Path) -> dict:
    done = subprocess.run(command(spec, store), capture_output=True, text=True, check=False)
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
