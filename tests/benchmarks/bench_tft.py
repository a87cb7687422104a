"""Training steps of the tft model against pytorch-forecasting's, at the same sizes and with the same dropout.

    SPECRUN_BENCH_FORECASTING_PYTHON=.../bin/python pytest tests/benchmarks/bench_tft.py -m benchmark -s

That interpreter is of an environment with `torch lightning pytorch-forecasting pandas`. Each contender is a process of its own, in
interleaved blocks (A B C, then C B A); ratios are of a pair of neighbours, shown with the middle 80 % of pairs. The rival reads its windows
from memory in the same process, in loops over single windows, which is how it is used; ours takes batches that lie ready.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RIVAL = ROOT.parent / "shared" / "rivals" / "tft_pytorch_forecasting.py"
DATA = ROOT.parent / "shared" / "data" / "csv" / "ETTh1.csv"
OURS = Path(__file__).parent / "contenders" / "tft_step.py"
PYTHON = os.environ.get("SPECRUN_BENCH_FORECASTING_PYTHON")
BLOCKS = int(os.environ.get("SPECRUN_BENCH_BLOCKS", "5"))
STEPS, RIVAL_STEPS = 90, 45
"""A third of them is warm-up."""
WANTED, WANTED_OF_FOUR = 2.5, 6.4


def _windows_a_second(*command: str) -> float:
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"windows_per_s ([\d.]+)", said)
    assert found, said
    return float(found[1])


@pytest.mark.benchmark
@pytest.mark.skipif(PYTHON is None or not DATA.is_file(), reason="needs SPECRUN_BENCH_FORECASTING_PYTHON and the shared ETTh1")
def test_training_windows_and_forecast_targets_a_second_against_the_rival() -> None:
    contenders = {
        "pytorch-forecasting": lambda: _windows_a_second(str(PYTHON), str(RIVAL), str(DATA), str(RIVAL_STEPS)),
        "one target": lambda: _windows_a_second(sys.executable, str(OURS), str(STEPS), "1"),
        "four targets": lambda: 4 * _windows_a_second(sys.executable, str(OURS), str(STEPS), "4"),
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for block in range(2 * BLOCKS):
        for name in list(contenders) if block % 2 == 0 else reversed(contenders):
            taken[name].append(contenders[name]())
    print(f"\n{BLOCKS} blocks A B C C B A; targets of windows a second, in training")
    ratios = {
        name: sorted(one / rival for one, rival in zip(rates, taken["pytorch-forecasting"], strict=True)) for name, rates in taken.items()
    }
    for name, found in ratios.items():
        low, high = found[len(found) // 10], found[-1 - len(found) // 10]
        print(
            f"{name}: {statistics.median(taken[name]):.0f} a second, {statistics.median(found):.2f} x the rival ({low:.2f} to {high:.2f})"
        )
    assert statistics.median(ratios["one target"]) >= WANTED
    assert statistics.median(ratios["four targets"]) >= WANTED_OF_FOUR
