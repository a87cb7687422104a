"""Killed at any moment, a training run goes on from its last checkpoint and ends with the weights of an undisturbed one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Listener, context, parents, q, spec

from specrun.records.journal import Journal
from specrun.records.queries import open_records
from specrun.records.run_files import write_run
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


def final_state(run_folder: Path, step: int = 60) -> dict[str, torch.Tensor]:
    last = run_folder / "checkpoints" / f"step-{step:08d}"
    return load_file(last / "model.safetensors") | load_file(last / "optimizer.safetensors")


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    parents(tmp_path)
    killed = attempt(tmp_path, 38)  # asked after each step but the first, and seven times more by the evaluation of step 20: after step 32
    assert killed.returncode == -9, killed.stderr
    finished = attempt(tmp_path, 0)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() in ("[28]", "[21]"), "the newest, or the one before where the kill came before the newest was durable"
    run(context(tmp_path / "straight" / "run", Listener()), settings(), parents(tmp_path / "straight"))
    one, other = final_state(tmp_path / "run"), final_state(tmp_path / "straight" / "run")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


KILLED_AGAIN_AND_AGAIN = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from test_train_kill import KILLS, long_settings, settings
from tiny_run import Listener, context, finished
from specrun.events import Metrics
from specrun.records.journal import Journal
from specrun.records.journal import next_attempt
from specrun.steps.train.run import run
root, folder = Path(sys.argv[2]), Path(sys.argv[2]) / "runs" / "tiny"
data = {kind: finished(kind, root / kind, {"vocab_size": 9}) for kind in ("tokens", "tokenizer")}

def attempt(steps):
    listener = Listener()
    with Journal.open(folder, run_id="tiny", attempt=next_attempt(folder)) as journal:
        def emit(event):
            journal.emit(event)
            if isinstance(event, Metrics):
                os.write(steps, b".")
        listener.emit = emit
        run(context(folder, listener), long_settings(), data)

run(context(root / "warm-up", Listener()), settings(), data)  # what torch imports at the first step is imported once
random.seed(int(sys.argv[3]))
kills = []
while len(kills) < KILLS:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        attempt(writing)
        os._exit(0)
    os.close(writing)
    wanted = random.randrange(12)
    while wanted > 0 and (seen := os.read(reading, wanted)):
        wanted -= len(seen)
    time.sleep(random.random() * 0.02)
    os.kill(child, signal.SIGKILL)
    kills.append(os.waitpid(child, 0)[1])
    os.close(reading)
print(kills.count(signal.SIGKILL))
attempt(os.open(os.devnull, os.O_WRONLY))
"""

KILLS, STEPS = 50, 900
DESCRIPTION = {
    "format_version": 1, "run_id": "tiny", "name": "tiny", "tags": [], "task": "causal_lm", "seed": 0, "started_at": "2026-01-02T03:04:05Z",
    "spec": {}, "spec_digest": "", "plan": [], "comparable": True,
}  # fmt: skip


def long_settings():  # type: ignore[no-untyped-def]
    """Long enough that the kills all come before its end; every step is in the record."""
    return spec(
        model={"dropout": 0.2, "num_layers": 1}, duration=q(f"{STEPS} steps"), log_every=q("1 steps"),
        evaluate=Evaluate(every=q("100 steps")), checkpoint=Checkpoint(every=q("5 steps")),
    )  # fmt: skip


@pytest.mark.slow
def test_killed_at_50_random_moments_it_ends_with_the_same_bits_and_each_step_once_in_its_record(tmp_path: Path) -> None:
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    for root in (killed, straight):
        parents(root)
        (root / "runs" / "tiny").mkdir(parents=True)
        write_run(root / "runs" / "tiny", DESCRIPTION)
    command = [sys.executable, "-c", KILLED_AGAIN_AND_AGAIN, str(Path(__file__).parent)]
    done = subprocess.run([*command, str(killed), "0"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(KILLS), "every attempt but the last was killed"
    with Journal.open(straight / "runs" / "tiny", run_id="tiny", attempt=1) as journal:
        listener = Listener()
        listener.emit = journal.emit  # type: ignore[method-assign]
        run(context(straight / "runs" / "tiny", listener), long_settings(), parents(tmp_path / "data"))
    one, other = (final_state(root / "runs" / "tiny", STEPS) for root in (killed, straight))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    losses = recorded(killed)
    assert losses == recorded(straight)
    assert list(losses) == list(range(1, STEPS + 1))


def recorded(store: Path) -> dict[int, float]:
    """The loss of each step that counts, as any reader of the records sees it."""
    with open_records(store) as records:
        points = records.series("tiny")["train/loss"]
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in points}
