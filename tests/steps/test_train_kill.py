"""Killed at any moment, a training run goes on from its last checkpoint and ends with the weights of an undisturbed one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Listener, context, parents, q, spec

from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.train.run import run

TRAIN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_train_kill import settings
from tiny_run import Listener, context, finished
from specrun.steps.train.run import run
root = Path(sys.argv[2])
listener, seen = Listener(), 0
def stop():
    global seen
    seen += 1
    if seen == int(sys.argv[3]):
        os.kill(os.getpid(), 9)
data = {kind: finished(kind, root / kind, {"vocab_size": 9}) for kind in ("tokens", "tokenizer")}
run(context(root / "run", listener, stop=stop), settings(), data)
print([s.resumed_from for s in listener.events if hasattr(s, "resumed_from")])
"""


def settings():  # type: ignore[no-untyped-def]
    """60 steps with dropout, so that random numbers matter."""
    return spec(
        model={"dropout": 0.2}, duration=q("60 steps"), evaluate=Evaluate(every=q("20 steps")), checkpoint=Checkpoint(every=q("7 steps"))
    )


def attempt(root: Path, die_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TRAIN, str(Path(__file__).parent), str(root), str(die_at)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def final_state(root: Path) -> dict[str, torch.Tensor]:
    last = root / "run" / "checkpoints" / "step-00000060"
    return load_file(last / "model.safetensors") | load_file(last / "optimizer.safetensors")


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    parents(tmp_path)
    killed = attempt(tmp_path, 31)
    assert killed.returncode == -9, killed.stderr
    finished = attempt(tmp_path, 0)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "[28]"
    run(context(tmp_path / "straight" / "run", Listener()), settings(), parents(tmp_path / "straight"))
    one, other = final_state(tmp_path), final_state(tmp_path / "straight")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_killed_at_random_times_again_and_again_it_still_ends_with_the_same_bits(tmp_path: Path) -> None:
    parents(tmp_path)
    command = [sys.executable, "-c", TRAIN, str(Path(__file__).parent), str(tmp_path), "0"]
    kills = 0
    for number in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        before = set((tmp_path / "run").glob("checkpoints/*"))
        while process.poll() is None and time.monotonic() < deadline:
            if set((tmp_path / "run").glob("checkpoints/*")) != before:
                time.sleep(0.003 * number)
                process.kill()
                kills += 1
                break
            time.sleep(0.001)
        if process.wait() == 0:
            break
    assert attempt(tmp_path, 0).returncode == 0
    run(context(tmp_path / "straight" / "run", Listener()), settings(), parents(tmp_path / "straight"))
    one, other = final_state(tmp_path), final_state(tmp_path / "straight")
    assert kills >= 3
    assert all(torch.equal(one[name], other[name]) for name in one)
