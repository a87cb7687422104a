"""A stand-in for NVML's Python module, with devices that answer what a test gives them. Holds no test."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As the module's own."""


@dataclass
class FakeDevice:
    """Answers of one device; None is "not supported". energy_millijoules counts since the driver was loaded."""

    utilization: int | None = 93
    memory: int | None = 2**30
    milliwatts: int | None = 350_000
    energy_millijoules: int | None = 5_000_000
    celsius: int | None = 61
    reasons: int | None = 0


@dataclass
class FakeNvml:
    """The module. absent: functions that this driver does not have."""

    devices: dict[str, FakeDevice]
    absent: frozenset[str] = frozenset()
    broken: Exception | None = None
    NVML_TEMPERATURE_GPU: int = 0
    NVMLError: type[Exception] = NVMLError
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        if name in self.absent or not name.startswith("nvml"):
            raise AttributeError(name)

        def answer(*arguments: Any) -> Any:
            self.asked.append(name)
            if self.broken is not None:
                raise self.broken
            value = self._answer(name, *arguments)
            if value is None:
                raise NVMLError("Not Supported")
            return value

        return answer

    def _answer(self, name: str, device: Any, *more: Any) -> Any:
        if name == "nvmlDeviceGetHandleByUUID":
            return self.devices.get(device)
        return {
            "nvmlDeviceGetUtilizationRates": _part("gpu", device.utilization),
            "nvmlDeviceGetMemoryInfo": _part("used", device.memory),
            "nvmlDeviceGetPowerUsage": device.milliwatts,
            "nvmlDeviceGetTotalEnergyConsumption": device.energy_millijoules,
            "nvmlDeviceGetTemperature": device.celsius,
            "nvmlDeviceGetCurrentClocksEventReasons": device.reasons,
            "nvmlDeviceGetCurrentClocksThrottleReasons": device.reasons,
        }[name]


def _part(name: str, value: int | None) -> Any:
    return None if value is None else SimpleNamespace(**{name: value})
