"""The monitor reads beside the training, and cannot harm it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_nvml import FakeDevice, FakeNvml

from specrun.events import Alert, Event, System
from specrun.runtime import monitor
from specrun.runtime.hardware import Choice, Gpu, Machine, ResolvedHardware
from specrun.runtime.monitor import Monitor, watch
from specrun.runtime.nvml import DeviceReadings

CHOICE = Choice("cpu", "a test")
CPU = ResolvedHardware("cpu", "cpu", 1, 2**30, CHOICE, CHOICE, CHOICE, 1)


class Heard:
    """Keeps events, and waits for a number of one kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = threading.Condition()

    def emit(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.of(kind)) >= count, 20)


def fast(heard: Heard, *readings: Callable[[], dict[str, float]]) -> Monitor:
    return Monitor(heard.emit, lambda: readings, interval_seconds=0.001, first_seconds=0.0)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "specrun-monitor"]


def test_readings_come_while_the_work_goes_on_and_once_at_the_end() -> None:
    heard = Heard()
    with Monitor(heard.emit, lambda: [lambda: {"system/a": 1.0}], interval_seconds=3600, first_seconds=0.0):
        heard.wait_for(System, 1)
        assert threads() == ["specrun-monitor"]
    assert heard.events == [System({"system/a": 1.0})] * 2
    assert threads() == []


def test_work_that_ends_at_once_is_read_all_the_same() -> None:
    heard = Heard()
    with Monitor(heard.emit, lambda: [lambda: {"system/a": 1.0}]):
        pass
    assert heard.events == [System({"system/a": 1.0})]


def test_a_machine_that_gives_no_reading_makes_no_event() -> None:
    heard = Heard()
    with fast(heard, dict):
        pass
    assert heard.events == []


def test_the_summary_is_the_mean_over_time_and_the_newest_of_peaks_and_energy() -> None:
    times, values = iter([0.0, 1.0, 4.0]), iter([10.0, 20.0])

    def read() -> dict[str, float]:
        value = next(values)
        return {"system/cpu_percent": value, "system/process_rss_peak_bytes": value, "system/gpu0/energy_joules": value}

    heard = Heard()
    watched = Monitor(heard.emit, lambda: [read], interval_seconds=3600, first_seconds=0.0, clock=lambda: next(times))
    with watched:
        heard.wait_for(System, 1)
    expected = {"cpu_percent": 17.5, "gpu0/energy_joules": 20.0, "process_rss_peak_bytes": 20.0}
    assert watched.summary == expected


@pytest.mark.parametrize("where", ["opening", "reading"])
def test_a_failure_ends_the_watching_with_one_alert_and_nothing_else(where: str) -> None:
    def fail() -> Any:
        raise RuntimeError("no such counter")

    heard = Heard()
    with Monitor(heard.emit, fail if where == "opening" else lambda: [fail], interval_seconds=0.001, first_seconds=0.0):
        heard.wait_for(Alert, 1)
    assert heard.events == [
        Alert("warning", "system-metrics-ended", "the machine is no longer watched: RuntimeError: no such counter")
    ]  # fmt: skip
    assert threads() == []


def test_a_listener_that_fails_hurts_no_one() -> None:
    def refuse(event: Event) -> None:
        raise OSError("no space left")

    with Monitor(refuse, lambda: [lambda: {"system/a": 1.0}], first_seconds=0.0):
        pass
    assert threads() == []


def test_a_driver_that_hangs_keeps_nobody_waiting_and_says_nothing_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "_PATIENCE_SECONDS", 0.01)
    heard, answer = Heard(), threading.Event()

    def hang() -> dict[str, float]:
        assert answer.wait(20)
        return {"system/a": 1.0}

    watched = fast(heard, hang)
    with watched:
        pass
    answer.set()
    watched._thread.join(20)
    assert not watched._thread.is_alive()
    assert heard.events == []


def test_each_reason_that_slows_a_device_down_is_told_once() -> None:
    heard, device = Heard(), FakeDevice(reasons=0x4, celsius=88)
    readings = DeviceReadings(["GPU-a"], FakeNvml({"GPU-a": device}))
    with fast(heard, readings):
        heard.wait_for(System, 3)
        device.reasons = 0x4 | 0x40
        heard.wait_for(System, 6)
    assert heard.of(Alert) == [
        Alert("info", "gpu-throttled", "gpu0 is slowed down by its power limit, at 88 °C"),
        Alert("warning", "gpu-throttled", "gpu0 is slowed down by heat, by the hardware, at 88 °C"),
    ]


def test_a_training_on_the_cpu_reads_its_process_and_no_device() -> None:
    heard = Heard()
    with watch(heard.emit, CPU):
        pass
    [event] = heard.events
    assert isinstance(event, System)
    assert event.values["system/process_rss_bytes"] > 2**20
    assert not any("gpu" in name for name in event.values)


@pytest.mark.parametrize("driver", [True, False])
def test_a_training_on_a_device_reads_the_visible_ones_where_the_driver_lets_it(monkeypatch: pytest.MonkeyPatch, driver: bool) -> None:
    library = FakeNvml({"GPU-a": FakeDevice(), "GPU-b": FakeDevice(celsius=70)})

    def open_library() -> FakeNvml:
        if not driver:
            raise OSError("NVML Shared Library Not Found")
        return library

    monkeypatch.setattr(monitor, "open_library", open_library)
    monkeypatch.setattr(monitor, "probe", lambda: Machine("cpu", 1, 1, frozenset(), (Gpu("B", 1, (9, 0), "GPU-b"),)))
    heard = Heard()
    with watch(heard.emit, replace(CPU, kind="cuda")):
        pass
    [event] = heard.events
    assert isinstance(event, System)
    assert event.values.get("system/gpu0/temperature_celsius") == (70.0 if driver else None)
    assert "system/process_rss_bytes" in event.values


def test_watching_needs_no_torch() -> None:
    code = "import sys, specrun.runtime.monitor, specrun.runtime.readings; sys.exit('torch' in sys.modules or 'pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
