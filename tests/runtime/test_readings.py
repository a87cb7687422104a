"""Readings of this process and machine, against what can be known of them."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from specrun.runtime import readings
from specrun.runtime.readings import ProcessReadings, available_memory_bytes


def test_this_process_has_all_readings() -> None:
    read = ProcessReadings()
    read._since -= 1.0
    found = read()
    assert set(found) == {
        "system/process_rss_bytes", "system/process_rss_peak_bytes", "system/memory_available_bytes", "system/process_cpu_percent",
        "system/cpu_percent",
    }  # fmt: skip
    assert 2**20 < found["system/process_rss_bytes"] < psutil.virtual_memory().total
    assert found["system/process_rss_peak_bytes"] >= 0.9 * found["system/process_rss_bytes"]
    assert 0 < found["system/memory_available_bytes"] < psutil.virtual_memory().total
    assert 0 <= found["system/cpu_percent"] <= 100


def test_processor_use_is_over_the_time_since_the_reading_before(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, busy = [100.0], [7.0]
    monkeypatch.setattr(readings.time, "perf_counter", lambda: wall[0])
    monkeypatch.setattr(readings.time, "process_time", lambda: busy[0])
    read = ProcessReadings()
    percents = []
    for seconds, used in ((2.0, 3.0), (4.0, 1.0)):
        wall[0], busy[0] = wall[0] + seconds, busy[0] + used
        percents.append(read()["system/process_cpu_percent"])
    assert percents == [150.0, 25.0]


def test_a_stretch_too_short_to_measure_has_no_processor_use() -> None:
    read = ProcessReadings()
    assert "system/process_cpu_percent" not in read() or time.perf_counter() - read._since > 0.1


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 1000),
        ({"memory.max": "max", "memory.current": "10", "memory.stat": ""}, 1000),
        ({"memory.max": "500", "memory.current": "300", "memory.stat": "anon 1\ninactive_file 100"}, 300),
        ({"memory.max": "500", "memory.current": "800", "memory.stat": "anon 1"}, 0),
        ({"memory.max": "5000", "memory.current": "0", "memory.stat": ""}, 1000),
        (
            {
                "memory/memory.limit_in_bytes": "400",
                "memory/memory.usage_in_bytes": "350",
                "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 50",
            },
            100,
        ),
        ({"memory.max": "nonsense", "memory.current": "", "memory.stat": ""}, 1000),
    ],
)
def test_no_more_memory_is_available_than_the_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], left: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(readings, "_CGROUP", tmp_path)
    monkeypatch.setattr(readings.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    assert available_memory_bytes() == left
