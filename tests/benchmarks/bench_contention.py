"""Trains beside one busy process, with OpenMP's own waiting and with ours, as processes in interleaved blocks (A B B A).

pytest tests/benchmarks/bench_contention.py -m benchmark -s
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from specrun.runtime.threads import SPIN_COUNT

SPEC = Path(__file__).resolve().parents[2] / "specs" / "quickstart.yaml"
OPENMP_DEFAULT = 300_000
BLOCKS = 3


def _tokens_per_second(store: Path, *, spin_count: int) -> float:
    command = [str(Path(sys.executable).parent / "specrun"), "apply", str(SPEC), "--store", str(store), "--json"]
    settings = ["--set", "schedule.duration=60 steps", "--set", "expect=[]"]
    environment = {**os.environ, "GOMP_SPINCOUNT": str(spin_count)}
    done = subprocess.run([*command, *settings], check=True, capture_output=True, env=environment)
    return float(json.loads(done.stdout)["runs"][0]["metrics"]["throughput/tokens_per_second"])


@pytest.mark.benchmark
@pytest.mark.parametrize("busy_processes", [0, 1])
def test_training_beside_other_work(tmp_path: Path, busy_processes: int) -> None:
    ratios = []
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy_processes)]
    try:
        for block in range(BLOCKS):
            figures = [
                _tokens_per_second(tmp_path / f"{block}-{place}", spin_count=count)
                for place, count in enumerate((SPIN_COUNT, OPENMP_DEFAULT, OPENMP_DEFAULT, SPIN_COUNT))
            ]
            ratios.append((figures[0] + figures[3]) / (figures[1] + figures[2]))
    finally:
        for other in others:
            other.kill()
            other.wait()
    print(f"\nbeside {busy_processes} busy processes: {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})")
    assert len(ratios) == BLOCKS
