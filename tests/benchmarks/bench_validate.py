"""Times `specrun validate` against `check-jsonschema` on the same file and schema, as processes in interleaved blocks (A B B A).

pytest tests/benchmarks/bench_validate.py -m benchmark -s
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from specrun.spec.assembly import check_spec

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "specs" / "quickstart.yaml"
SCHEMA = ROOT / "schemas" / "experiment.schema.json"
BLOCKS = 12


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def _with_bytecode(folder: Path) -> dict[str, str]:
    """Installed packages have their bytecode compiled; a checkout under PYTHONDONTWRITEBYTECODE has not. Both contenders get it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder)}


def _interval(ratios: list[float], draws: int = 4000) -> tuple[float, float]:
    """Percentile bootstrap of the median, 95 %."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws)]


@pytest.mark.benchmark
def test_validating_one_spec_against_check_jsonschema(tmp_path: Path) -> None:
    environment = _with_bytecode(tmp_path)
    ours = [str(Path(sys.executable).parent / "specrun"), "validate", str(SPEC)]
    theirs_path = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if theirs_path is None:
        pytest.skip("check-jsonschema is not installed beside this Python")
    theirs = [theirs_path, "--schemafile", str(SCHEMA), str(SPEC)]
    for command in (ours, theirs, ours, theirs):
        _seconds(command, environment)
    a, b, ratios = [], [], []
    for _ in range(BLOCKS):
        block = [_seconds(command, environment) for command in (ours, theirs, theirs, ours)]
        a += [block[0], block[3]]
        b += [block[1], block[2]]
        ratios.append((block[0] + block[3]) / (block[1] + block[2]))
    low, high = _interval(ratios)
    print(f"\nspecrun validate {statistics.median(a):.3f} s, check-jsonschema {statistics.median(b):.3f} s (medians of {2 * BLOCKS})")
    print(f"ratio {statistics.median(ratios):.3f}, 95 % interval {low:.3f} to {high:.3f}; wanted: <= 0.9")
    assert len(ratios) == BLOCKS


@pytest.mark.benchmark
def test_validating_a_thousand_specs_in_one_process(tmp_path: Path) -> None:
    text = SPEC.read_text(encoding="utf-8")
    files = []
    for index in range(1000):
        files.append(tmp_path / f"spec{index}.yaml")
        files[-1].write_text(text.replace("name: quickstart", f"name: quickstart-{index}"), encoding="utf-8")
    start = time.perf_counter()
    valid = sum(check_spec(file).loaded is not None for file in files)
    print(f"\n1,000 specs in {time.perf_counter() - start:.2f} s; wanted: <= 5 s")
    assert valid == 1000
