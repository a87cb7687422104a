"""Readings of NVIDIA devices through NVML, the driver's own library. What a device does not give is absent, never 0.

Utilisation and memory are the device's, by whichever process; a slice that MIG has made gives its memory alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

POWER_LIMIT = "its power limit"
_SLOWED = {
    0x04: POWER_LIMIT,
    0x08: "a hardware slowdown (heat or power)",
    0x20: "heat, by the driver",
    0x40: "heat, by the hardware",
    0x80: "the power brake of the machine",
}
"""What slows a device down: nvmlClocksThrottleReason SwPowerCap, HwSlowdown, SwThermalSlowdown, HwThermalSlowdown and
HwPowerBrakeSlowdown of nvml.h. Idleness and clocks that someone has set are none of it."""


class DeviceReadings:
    """Readings of the devices with these UUIDs, as gpu0, gpu1, ... in their order. `slowed`: why each was slowed down when last read.

    library: NVML's Python module, initialised. A device that it does not know gives no readings.
    """

    def __init__(self, uuids: Sequence[str], library: ModuleType | Any, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._devices = [_Device(library, uuid, clock) for uuid in uuids]
        self.slowed: dict[int, tuple[str, ...]] = {}

    def __call__(self) -> dict[str, float]:
        """Readings by metric."""
        values: dict[str, float] = {}
        for number, device in enumerate(self._devices):
            values |= {f"system/gpu{number}/{name}": value for name, value in device.read().items()}
            self.slowed[number] = device.slowed
        return values


def open_library() -> Any:
    """NVML's module, initialised. Raises: OSError where there is no driver, with why."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise OSError(f"NVML: {error}") from error
    return pynvml


def driver_version(library: Any) -> str:
    """Version of the driver."""
    version = library.nvmlSystemGetDriverVersion()
    return version.decode() if isinstance(version, bytes) else str(version)


class _Device:
    """One device and the energy that it has used since it was opened."""

    def __init__(self, library: Any, uuid: str, clock: Callable[[], float]) -> None:
        self._library = library
        self._clock = clock
        self._handle = self._ask("nvmlDeviceGetHandleByUUID", uuid)
        self._counted_from = self._counter()
        self._drawn_joules = 0.0
        self._drawn_at: tuple[float, float] | None = None
        self.slowed: tuple[str, ...] = ()

    def read(self) -> dict[str, float]:
        if self._handle is None:
            return {}
        utilization, memory = self._of("nvmlDeviceGetUtilizationRates"), self._of("nvmlDeviceGetMemoryInfo")
        milliwatts = self._of("nvmlDeviceGetPowerUsage")
        celsius = self._of("nvmlDeviceGetTemperature", self._library.NVML_TEMPERATURE_GPU)
        watts = None if milliwatts is None else milliwatts / 1000
        found = {
            "utilization_percent": None if utilization is None else utilization.gpu,
            "memory_used_bytes": None if memory is None else memory.used,
            "power_watts": watts,
            "energy_joules": self._energy(watts),
            "temperature_celsius": celsius,
            "throttled": self._throttled(),
        }
        return {name: float(value) for name, value in found.items() if value is not None}

    def _energy(self, watts: float | None) -> float | None:
        """Joules since the beginning: by the device's own counter where it has one, else power times time."""
        if self._counted_from is not None:
            counter = self._counter()
            return None if counter is None or counter < self._counted_from else (counter - self._counted_from) / 1000
        if watts is None:
            return None
        now = self._clock()
        if self._drawn_at is not None:
            before, at = self._drawn_at
            self._drawn_joules += (before + watts) / 2 * (now - at)
        self._drawn_at = (watts, now)
        return self._drawn_joules

    def _throttled(self) -> float | None:
        """Whether the device was slowed down by anything: 1 or 0."""
        # The newer name is missing from older drivers, the older one will be from newer ones.
        reasons = self._of("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:
            reasons = self._of("nvmlDeviceGetCurrentClocksThrottleReasons")
        if reasons is None:
            self.slowed = ()
            return None
        self.slowed = tuple(words for bit, words in _SLOWED.items() if reasons & bit)
        return 1.0 if self.slowed else 0.0

    def _counter(self) -> int | None:
        """Millijoules since the driver was loaded."""
        value: int | None = self._of("nvmlDeviceGetTotalEnergyConsumption")
        return value

    def _of(self, question: str, *arguments: Any) -> Any:
        return None if self._handle is None else self._ask(question, self._handle, *arguments)

    def _ask(self, question: str, *arguments: Any) -> Any:
        """The answer, or None where this device, or this driver, has none."""
        function = getattr(self._library, question, None)
        try:
            return None if function is None else function(*arguments)
        except self._library.NVMLError:
            return None
