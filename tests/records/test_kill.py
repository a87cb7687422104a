"""Writers killed at random moments under the eyes of a polling reader: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from specrun.records.queries import open_records
from specrun.records.run_files import run_folder
from specrun.records.snapshots import current, generation_of
from specrun.records.store import merge, rebuild

from .dumps import snapshot_dump

WRITER = """
import os, sys, time
from pathlib import Path
from specrun.events import Metrics, Status
from specrun.records.journal import Journal, next_attempt
from specrun.records.run_files import mark_active, run_folder, unmark_active, write_final, write_run
store, run_id, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
folder = run_folder(store, run_id)
attempt = next_attempt(folder)
if not (folder / "run.json").exists():
    write_run(folder, {"format_version": 1, "run_id": run_id, "name": run_id, "task": "causal_lm", "seed": 0, "spec": {}})
mark_active(store, run_id)
with Journal.open(folder, run_id=run_id, attempt=attempt, heartbeat_seconds=0.05) as journal:
    journal.emit(Status("running", resumed_from=first))
    for step in range(first + 1, last + 1):
        journal.emit(Metrics(step, {"train/loss": 1.0 / step, "train/attempt": float(attempt)}))
        os.write(1, b"%d\\n" % step)
        time.sleep(0.001)
    journal.emit(Status("completed"))
write_final(folder, {"status": "completed", "reason": "", "metrics": {}})
unmark_active(store, run_id)
"""


class Life:
    """A run whose process is killed and begun again until its last record is written. acknowledged: steps of each attempt."""

    def __init__(self, store: Path, number: int, records: int, rng: random.Random) -> None:
        self.store, self.records, self.rng = store, records, rng
        self.run_id = f"writer-{number}"
        run_folder(store, self.run_id).mkdir(parents=True)
        self.acknowledged: list[tuple[int, int]] = []
        self.output = store.parent / f"{self.run_id}.acknowledged"
        self.process: subprocess.Popen[bytes] | None = None
        self.kill_at = 0.0
        self.first = 0

    def advance(self) -> bool:
        """Start, kill or collect the process; False once the last record is acknowledged."""
        if self.process is None:
            if self.first >= self.records:
                return False
            with open(self.output, "wb") as output:
                self.process = start(self.store, self.run_id, self.first, self.records, output)
            self.kill_at = time.monotonic() + self.rng.uniform(0.3, 2.0)
        elif self.process.poll() is not None or time.monotonic() > self.kill_at:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
            self.collect()
        return True

    def collect(self) -> None:
        steps = [int(line) for line in self.output.read_bytes().split(b"\n")[:-1]]
        if steps:
            self.acknowledged.append((self.first, steps[-1]))
            # Going back some steps, as a resume from a checkpoint does.
            self.first = steps[-1] if steps[-1] == self.records else max(0, steps[-1] - self.rng.randrange(50))


def start(store: Path, run_id: str, first: int, last: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(store), run_id, str(first), str(last)], stdout=output)


def poll(store: Path) -> tuple[float, float]:
    """One look of a reader at everything; returns how long it took, and how much of that it worked itself, in seconds."""
    began, worked = time.monotonic(), time.process_time()
    with open_records(store) as records:
        for run in records.runs():
            steps = [point.step for point in records.series(run.run_id, ["train/loss"]).get("train/loss", [])]
            assert len(steps) == len(set(steps))
    return time.monotonic() - began, time.process_time() - worked


def polls(store: Path, lives: list[Life]) -> Iterator[tuple[float, float]]:
    while True in {life.advance() for life in lives}:
        took = poll(store)
        yield took
        time.sleep(max(0.0, 0.05 - took[0]))


def check_records(store: Path, lives: list[Life]) -> None:
    """Every step is there once, up to the last acknowledged one, and from the newest attempt that wrote it."""
    with open_records(store) as records:
        for life in lives:
            points = records.series(life.run_id)["train/loss"]
            assert [point.step for point in points] == list(range(1, life.records + 1))
            assert records.run(life.run_id).attempts >= len(life.acknowledged)
            attempts = [point.value for point in records.series(life.run_id)["train/attempt"]]
            assert attempts == sorted(attempts)


@pytest.mark.parametrize(("writers", "count"), [(2, 400), pytest.param(8, 5000, marks=pytest.mark.slow)])
def test_killed_writers_lose_nothing_while_a_reader_polls(store: Path, writers: int, count: int) -> None:
    rng = random.Random(7)
    pytest.importorskip("pyarrow")  # a reader's imports are no wait
    lives = [Life(store, number, count, rng) for number in range(writers)]
    waits = sorted(polls(store, lives))
    check_records(store, lives)
    merge(store)
    merged = snapshot_dump(store)
    rebuild(store)
    assert snapshot_dump(store) == merged
    kills = sum(len(life.acknowledged) for life in lives)
    median, longest, work = waits[len(waits) // 2][0], waits[-1][0], max(work for _, work in waits)
    print(f"{writers} writers x {count} records, {kills} lives ended, generation {generation_of(current(store))}")
    print(f"{len(waits)} polls: median {median * 1000:.0f} ms, longest {longest * 1000:.0f} ms; at most {work * 1000:.0f} ms of work")
    assert waits
