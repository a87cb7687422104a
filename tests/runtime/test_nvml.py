"""Readings of devices: what a device gives, under its number among the visible ones, and nothing for what it does not."""

from __future__ import annotations

from dataclasses import fields

import pynvml
import pytest
from fake_nvml import FakeDevice, FakeNvml

from specrun.runtime.nvml import DeviceReadings, open_library


def test_a_device_gives_all_its_readings_in_the_units_of_their_names() -> None:
    device = FakeDevice()
    readings = DeviceReadings(["GPU-a"], FakeNvml({"GPU-a": device}))
    device.energy_millijoules = 5_120_000
    assert readings() == {
        "system/gpu0/utilization_percent": 93.0,
        "system/gpu0/memory_used_bytes": 2.0**30,
        "system/gpu0/power_watts": 350.0,
        "system/gpu0/energy_joules": 120.0,
        "system/gpu0/temperature_celsius": 61.0,
        "system/gpu0/throttled": 0.0,
    }


def test_devices_are_found_by_uuid_and_numbered_as_cuda_numbers_them() -> None:
    library = FakeNvml({"GPU-a": FakeDevice(celsius=40), "GPU-b": FakeDevice(celsius=50), "GPU-c": FakeDevice(celsius=60)})
    found = DeviceReadings(["GPU-c", "GPU-a"], library)()
    assert [found[f"system/gpu{i}/temperature_celsius"] for i in (0, 1)] == [60.0, 40.0]
    assert not any(name.startswith("system/gpu2/") for name in found)


@pytest.mark.parametrize("part", [field.name for field in fields(FakeDevice)])
def test_what_a_device_does_not_give_is_absent_and_all_else_is_there(part: str) -> None:
    device = FakeDevice(**{part: None})
    names = {
        "utilization": "utilization_percent", "memory": "memory_used_bytes", "milliwatts": "power_watts", "celsius": "temperature_celsius",
        "reasons": "throttled",
    }  # fmt: skip
    found = {name.rpartition("/")[2] for name in DeviceReadings(["GPU-a"], FakeNvml({"GPU-a": device}))()}
    missing = {names[part]} if part in names else set()
    assert found == {*names.values(), "energy_joules"} - missing


def test_a_device_that_gives_nothing_or_is_unknown_has_no_readings() -> None:
    silent = FakeDevice(**{field.name: None for field in fields(FakeDevice)})
    assert DeviceReadings(["GPU-a", "GPU-x"], FakeNvml({"GPU-a": silent}))() == {}


def test_without_a_counter_energy_is_power_times_time() -> None:
    now, device = [0.0], FakeDevice(energy_millijoules=None, milliwatts=100_000)
    readings = DeviceReadings(["GPU-a"], FakeNvml({"GPU-a": device}), clock=lambda: now[0])
    energy = []
    for seconds, milliwatts in ((0.0, 100_000), (10.0, 100_000), (20.0, 300_000)):
        now[0], device.milliwatts = seconds, milliwatts
        energy.append(readings()["system/gpu0/energy_joules"])
    assert energy == [0.0, 1000.0, 3000.0]


def test_a_counter_that_goes_back_or_falls_silent_gives_no_energy_rather_than_a_wrong_one() -> None:
    device = FakeDevice()
    readings = DeviceReadings(["GPU-a"], FakeNvml({"GPU-a": device}))
    for value in (4_999_999, None):
        device.energy_millijoules = value
        assert "system/gpu0/energy_joules" not in readings()


@pytest.mark.parametrize(
    ("reasons", "slowed"),
    [
        (0x0, ()),
        (0x1 | 0x2 | 0x10 | 0x100, ()),
        (0x4, ("its power limit",)),
        (0x8 | 0x40, ("a hardware slowdown (heat or power)", "heat, by the hardware")),
    ],
)  # fmt: skip
def test_only_what_slows_a_device_down_counts_and_is_named(reasons: int, slowed: tuple[str, ...]) -> None:
    readings = DeviceReadings(["GPU-a"], FakeNvml({"GPU-a": FakeDevice(reasons=reasons)}))
    assert readings()["system/gpu0/throttled"] == float(bool(slowed))
    assert readings.slowed == {0: slowed}


def test_an_older_driver_is_asked_by_the_older_name() -> None:
    library = FakeNvml({"GPU-a": FakeDevice(reasons=0x20)}, absent=frozenset({"nvmlDeviceGetCurrentClocksEventReasons"}))
    assert DeviceReadings(["GPU-a"], library)()["system/gpu0/throttled"] == 1.0


def test_the_real_module_has_every_function_that_is_asked() -> None:
    library = FakeNvml({"GPU-a": FakeDevice()})
    DeviceReadings(["GPU-a"], library)()
    assert library.asked
    assert [name for name in {*library.asked, "nvmlDeviceGetCurrentClocksThrottleReasons"} if not hasattr(pynvml, name)] == []
    reasons = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
    assert [getattr(pynvml, f"nvmlClocksEventReason{name}") for name in reasons] == [0x04, 0x08, 0x20, 0x40, 0x80]
    assert library.NVML_TEMPERATURE_GPU == pynvml.NVML_TEMPERATURE_GPU


def test_a_machine_without_a_driver_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    with pytest.raises(OSError, match="NVML Shared Library Not Found"):
        open_library()
