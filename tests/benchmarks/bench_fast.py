"""Time to a validation loss: `gpt_shakespeare_fast.yaml` against the recipe of AdamW 1e-3 and 2,000 steps, three seeds of each, in turn.

    pytest tests/benchmarks/bench_fast.py -m benchmark -s

Both have the same parameters within 2 %, the same batch and length, and are judged on the whole validation split. Times are the train
step's own: everything from its first step to its last save, evaluations included.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT.parent / "shared" / "data" / "text" / "tinyshakespeare.txt"
SEEDS = tuple(range(int(os.environ.get("SPECRUN_BENCH_SEEDS", "3"))))
SHORT = {"schedule.duration": "280 steps", "schedule.evaluate.every": "100%", "expect": "[]"}
RECIPE = {"schedule.optimizer.learning_rate": "1e-3", "expect": "[]", "hardware.compile": "off"}
COURSES: dict[str, tuple[str, dict[str, str]]] = {
    "recipe": ("gpt_shakespeare.yaml", RECIPE),
    "fast, short": ("gpt_shakespeare_fast.yaml", SHORT),
    "fast, whole": ("gpt_shakespeare_fast.yaml", {}),
}


def _run(course: str, *, seed: int, store: Path) -> tuple[float, float, int]:
    """Seconds of training, the final validation loss, and the number of parameters."""
    spec, settings = COURSES[course]
    command = [str(Path(sys.executable).parent / "specrun"), "apply", str(ROOT / "specs" / spec), "--store", str(store), "--json"]
    for name, value in {**settings, "seeds": f"[{seed}]", "data.source.path": str(TEXT)}.items():
        command += ["--set", f"{name}={value}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    run = json.loads(done.stdout)["runs"][0]
    training = json.loads((Path(run["folder"]) / "final.json").read_text(encoding="utf-8"))["training"]
    return float(training["seconds"]), float(run["metrics"]["validation/loss"]), int(training["parameters"])


@pytest.mark.benchmark
@pytest.mark.skipif(not TEXT.is_file(), reason="needs the shared text of Shakespeare")
def test_time_to_a_validation_loss(tmp_path: Path) -> None:
    taken: dict[str, list[tuple[float, float, int]]] = {course: [] for course in COURSES}
    for seed in SEEDS:
        for course in COURSES if seed % 2 == 0 else reversed(COURSES):
            taken[course].append(_run(course, seed=seed, store=tmp_path / course.replace(", ", "-")))
    recipe = [seconds for seconds, _, _ in taken["recipe"]]
    for course, runs in taken.items():
        share = [seconds / whole for (seconds, _, _), whole in zip(runs, recipe, strict=True)]
        print(
            f"\n{course}: {runs[0][2]:,} parameters; validation loss {', '.join(f'{loss:.3f}' for _, loss, _ in runs)}; "
            f"{statistics.median(seconds for seconds, _, _ in runs):.1f} s, {', '.join(f'{x:.3f}' for x in share)} x the recipe's time"
        )
    sizes = {runs[0][2] for runs in taken.values()}
    assert max(sizes) <= 1.02 * min(sizes)
