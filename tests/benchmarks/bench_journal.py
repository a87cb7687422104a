"""What a record costs the training thread: `pytest tests/benchmarks/bench_journal.py -m benchmark -s`."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from specrun.events import Metrics
from specrun.records.journal import Journal, read_journal

RECORDS = 50_000


@pytest.mark.benchmark
def test_cost_of_a_record_of_eight_metrics(tmp_path: Path) -> None:
    values = {f"train/metric_{number}": 0.123456789 * number for number in range(8)}
    took = []
    with Journal.open(tmp_path, run_id="r", attempt=1) as journal:
        for step in range(RECORDS):
            began = time.perf_counter_ns()
            journal.emit(Metrics(step, values, epoch=0.5, tokens=step * 1024))
            took.append((time.perf_counter_ns() - began) / 1000)
    began = time.perf_counter()
    count = sum(1 for _ in read_journal(journal.path))
    seconds = time.perf_counter() - began
    took.sort()
    print(
        f"\nemit: median {statistics.median(took):.1f} us, 99 % {took[int(RECORDS * 0.99)]:.1f} us, longest {took[-1] / 1000:.2f} ms"
        f" ({RECORDS:,} records, to {tmp_path}); reading back {count / seconds:,.0f} records/s"
    )
    assert count == RECORDS + 1
