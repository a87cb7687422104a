"""Reading a large store: `SPECRUN_BENCH_RUNS=1000 pytest tests/benchmarks/bench_records.py -m benchmark -s` (100 runs by default)."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.records.lines import encode_line
from specrun.records.queries import open_records
from specrun.records.snapshots import current
from specrun.records.store import merge

RUNS = int(os.environ.get("SPECRUN_BENCH_RUNS", "100"))
STEPS, METRICS = 1000, 8


def write_run(folder: Path, number: int, rng: random.Random) -> None:
    folder.mkdir(parents=True)
    moment = f"2026-01-{1 + number // 1440 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z"
    spec = {"model": {"kind": "gpt", "width": 256}, "schedule": {"optimizer": {"learning_rate": rng.random()}}}
    document = {"format_version": 1, "name": "gpt", "task": "causal_lm", "seed": number, "started_at": moment, "spec": spec}
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    began = 1767225600.0 + 60.0 * number
    records: list[dict[str, Any]] = [{"kind": "journal", "format_version": 1, "run_id": folder.name, "attempt": 1}]
    for step in range(1, STEPS + 1):
        values = {f"train/metric_{place}": rng.random() for place in range(METRICS)}
        records.append({"kind": "metrics", "step": step, "values": values, "epoch": step / STEPS, "tokens": step * 1024})
    records.append({"kind": "status", "status": "completed", "reason": ""})
    lines = [encode_line({"n": n, "time": began + n * 0.05, **record}) for n, record in enumerate(records)]
    (folder / f"events-1-host-{number + 1}.jsonl").write_bytes(b"".join(lines))


def timed(what: str, act: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = act()
    print(f"  {what}: {time.perf_counter() - began:.3f} s")
    return result


@pytest.mark.benchmark
def test_questions_to_a_large_store(tmp_path: Path) -> None:
    rng = random.Random(0)
    for number in range(RUNS):
        write_run(tmp_path / "runs" / f"gpt-wikitext-{number:05x}", number, rng)
    print(f"\n{RUNS:,} runs x {STEPS:,} steps x {METRICS} metrics")
    timed("first merge", lambda: merge(tmp_path))
    snapshot = current(tmp_path)
    assert snapshot is not None
    print(f"  snapshot: {snapshot.stat().st_size / 2**20:.0f} MiB")
    for _ in range(3):
        timed("open and list 50 runs", lambda: list_runs(tmp_path))
    with open_records(tmp_path) as records:
        timed("the ten best runs", lambda: records.best("train/metric_3", "minimize"))
        curves = timed("one run's curves", lambda: records.series(f"gpt-wikitext-{RUNS // 2:05x}"))
        query = "SELECT count(*), avg(value), max(step) FROM metrics WHERE metric = 'train/metric_3'"
        timed("one metric over all runs, in SQL", lambda: records.sql(query))
        everything = "SELECT run_id, step, value FROM metrics WHERE metric = 'train/metric_3' ORDER BY run_id, step"
        timed("one metric over all runs, every value (first million rows)", lambda: records.sql(everything, 1_000_000))
    assert sum(map(len, curves.values())) == STEPS * METRICS


def list_runs(store: Path) -> int:
    with open_records(store) as records:
        return len(records.runs(limit=50))
