"""Trains with freed memory kept for the next step, and with glibc's own ways, as processes in interleaved blocks (A B B A).

    pytest tests/benchmarks/bench_allocation.py -m benchmark -s

Page faults are those of the whole process; throughput is that of the train step.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT.parent / "shared" / "data" / "text" / "tinyshakespeare.txt"
GLIBCS_OWN = {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"}
"""Its default, written out: whoever speaks of the allocator is left to it."""
BLOCKS = 3
SIZES: dict[str, dict[str, str]] = {
    "0.8 M, 768 tokens a step": {"schedule.duration": "200 steps"},
    "9 M, 8,192 tokens a step": {
        "schedule.duration": "12 steps", "schedule.batch_size": "32", "data.sequence_length": "256", "model.num_layers": "5",
        "model.width": "384", "model.num_heads": "6",
    },
}  # fmt: skip


def _train(store: Path, settings: dict[str, str], environment: dict[str, str]) -> tuple[float, int, float, float]:
    """Tokens a second, page faults of the process, its largest memory in MiB, and the validation loss."""
    command = [str(Path(sys.executable).parent / "specrun"), "apply", str(ROOT / "specs" / "gpt_shakespeare.yaml"), "--store", str(store)]
    quiet = {"data.source.path": str(TEXT), "schedule.evaluate.every": "100%", "schedule.checkpoint.every": "100%", "expect": "[]"}
    for name, value in {**quiet, **settings}.items():
        command += ["--set", f"{name}={value}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    done = subprocess.run([*command, "--json"], check=True, capture_output=True, env={**os.environ, **environment})
    faults = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before
    run = json.loads(done.stdout)["runs"][0]
    training = json.loads((Path(run["folder"]) / "final.json").read_text(encoding="utf-8"))["training"]
    figures = run["metrics"]
    return figures["throughput/tokens_per_second"], faults, training["peak_memory_bytes"] / 2**20, figures["validation/loss"]


@pytest.mark.benchmark
@pytest.mark.skipif(not TEXT.is_file(), reason="needs the shared text of Shakespeare")
@pytest.mark.parametrize("size", SIZES)
def test_training_with_freed_memory_kept(tmp_path: Path, size: str) -> None:
    taken: dict[str, list[tuple[float, int, float, float]]] = {"kept": [], "glibc": []}
    for block in range(BLOCKS):
        for place, name in enumerate(("kept", "glibc", "glibc", "kept")):
            taken[name].append(_train(tmp_path / f"{block}-{place}", SIZES[size], GLIBCS_OWN if name == "glibc" else {}))
    ratios = [a[0] / b[0] for a, b in zip(taken["kept"], taken["glibc"], strict=True)]
    print(f"\n{size}: {statistics.median(ratios):.2f} x as fast ({min(ratios):.2f} to {max(ratios):.2f})")
    for name, runs in taken.items():
        speed, faults, memory, _ = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"  {name}: {speed:,.0f} tokens a second, {faults:,.0f} page faults, {memory:,.0f} MiB at most")
    assert len({loss for runs in taken.values() for *_, loss in runs}) == 1, "where memory comes from changes no result"
    assert max(run[1] for run in taken["kept"]) < min(run[1] for run in taken["glibc"])
