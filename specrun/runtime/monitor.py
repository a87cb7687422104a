"""Watches the machine while a step trains: a thread that reads it every few seconds and emits what it read.

It can neither slow nor end a training: whatever goes wrong in it ends the watching alone, with one alert.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from specrun.events import Alert, Emit, Event, Level, System
from specrun.runtime.hardware import ResolvedHardware, probe
from specrun.runtime.nvml import POWER_LIMIT, DeviceReadings, open_library

Reading = Callable[[], dict[str, float]]
INTERVAL_SECONDS = 5.0
_FIRST_SECONDS = 0.5
"""The first reading comes soon, so that a training that ends early has one of its middle."""

_PATIENCE_SECONDS = 5.0
"""How long the end waits for a reading under way: a driver that hangs must not keep a trained model."""

_LAST = ("_peak_bytes", "/energy_joules")
"""Endings of the metrics whose newest reading is the figure of the whole stretch; of the others it is their mean over time."""


class Monitor:
    """Emits `System` events while it is entered; `summary` then has the figures of the whole stretch.

    open_readings: called in the thread, gives what is read. interval_seconds: between readings, first_seconds: before the first.
    """

    def __init__(
        self,
        emit: Emit,
        open_readings: Callable[[], Sequence[Reading]],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        first_seconds: float = _FIRST_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._emit = emit
        self._open_readings = open_readings
        self._waits = (first_seconds, interval_seconds)
        self._clock = clock
        self._ending = threading.Event()
        self._speaking = threading.Lock()
        self._silent = False
        self._sums: dict[str, tuple[float, float]] = {}
        self._newest: dict[str, float] = {}
        self._slowed: set[tuple[int, str]] = set()
        self._thread = threading.Thread(target=self._watch, name="specrun-monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join(_PATIENCE_SECONDS)
        with self._speaking:
            self._silent = True

    @property
    def summary(self) -> dict[str, float]:
        """Each reading over the stretch, by its name without `system/`: means over time, of peaks and energy the newest."""
        figures = {name: total / seconds for name, (total, seconds) in dict(self._sums).items() if seconds > 0}
        figures |= {name: value for name, value in self._newest.items() if name.endswith(_LAST)}
        return {name.removeprefix("system/"): figures[name] for name in sorted(figures)}

    def _watch(self) -> None:
        try:
            readings, before, wait = self._open_readings(), self._clock(), self._waits[0]
            while not self._ending.wait(wait):
                before, wait = self._read(readings, before), self._waits[1]
            self._read(readings, before)
        except Exception as error:  # noqa: BLE001 - see the module's first lines
            with contextlib.suppress(Exception):
                self._say(Alert("warning", "system-metrics-ended", f"the machine is no longer watched: {type(error).__name__}: {error}"))

    def _read(self, readings: Sequence[Reading], before: float) -> float:
        """Read once. Returns when."""
        values: dict[str, float] = {}
        for reading in readings:
            values |= reading()
            self._tell_slowed(getattr(reading, "slowed", {}), values)
        now = self._clock()
        for name, value in values.items():
            total, seconds = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = (total + value * (now - before), seconds + now - before)
        self._newest |= values
        if values:
            self._say(System(values))
        return now

    def _tell_slowed(self, slowed: Mapping[int, Sequence[str]], values: Mapping[str, float]) -> None:
        """Alert to each reason for which a device is slowed down, once."""
        for number, reasons in slowed.items():
            for reason in reasons:
                if (number, reason) in self._slowed:
                    continue
                self._slowed.add((number, reason))
                celsius = values.get(f"system/gpu{number}/temperature_celsius")
                heat = "" if celsius is None else f", at {celsius:.0f} °C"
                # At its power limit is where a device that is kept busy should be.
                level: Level = "info" if reason == POWER_LIMIT else "warning"
                self._say(Alert(level, "gpu-throttled", f"gpu{number} is slowed down by {reason}{heat}"))

    def _say(self, event: Event) -> None:
        with self._speaking:
            if not self._silent:
                self._emit(event)


def watch(emit: Emit, hardware: ResolvedHardware) -> Monitor:
    """The monitor of a training on this hardware: of the process always, of the visible devices where it trains on one."""
    return Monitor(emit, lambda: _readings(hardware))


def _readings(hardware: ResolvedHardware) -> list[Reading]:
    from specrun.runtime.readings import ProcessReadings

    readings: list[Reading] = [ProcessReadings()]
    if hardware.kind == "cuda":
        with contextlib.suppress(OSError):  # a driver without the library: its readings are absent
            readings.append(DeviceReadings([gpu.uuid for gpu in probe().gpus], open_library()))
    return readings
