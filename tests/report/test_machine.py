"""What the report says of the machine: what was read, over which time, and what could not be."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from specrun.records.rows import Reading
from specrun.report.facts import read
from specrun.report.machine_facts import machine_facts
from specrun.report.machine_panels import machine_panels
from specrun.report.readings import mean, points, total
from specrun.report.views import Panel
from tests.report.report_fakes import RUN_ID, FakeRecords, device_readings, readings

Good = tuple[FakeRecords, dict[str, dict[str, Any]]]


def panels_of(records: FakeRecords) -> dict[str, Panel]:
    return {panel.id: panel for panel in machine_panels(read(records, RUN_ID))}


def facts_of(records: FakeRecords) -> dict[str, tuple[str, str]]:
    return {fact.label: (fact.value, fact.note) for fact in machine_facts(read(records, RUN_ID))}


def test_a_run_without_readings_shows_nothing_of_them(good: Good) -> None:
    records, _ = good
    records.machine = {}
    assert (panels_of(records), facts_of(records)) == ({}, {})


def test_a_training_on_the_processor_has_its_curves_and_says_that_a_gpus_are_unavailable(good: Good) -> None:
    records, _ = good
    found = panels_of(records)
    assert list(found) == ["machine-processor", "machine-memory", "machine-gpu"]
    assert found["machine-gpu"].empty == "Unavailable: this training ran on the processor."
    assert facts_of(records)["GPU readings"] == ("unavailable", "this training ran on the processor")
    assert [found[name].empty for name in ("machine-processor", "machine-memory")] == ["", ""]


def test_readings_of_one_of_several_processes_say_so(good: Good) -> None:
    records, _ = good
    alone = facts_of(records)["peak memory"]
    two = replace(read(records, RUN_ID), results={"train": {"peak_memory_processes": 2}})
    (together,) = [fact for fact in machine_facts(two) if fact.label == "peak memory"]
    assert (together.value, together.note) == (alone[0], f"of the first of 2 processes; {alone[1]}")


def test_a_gpu_without_readings_is_unavailable_and_not_idle(good: Good) -> None:
    records, _ = good
    records.run_document["hardware"] = {"kind": "cuda"}
    assert panels_of(records)["machine-gpu"].empty == "Unavailable: the driver gave none."
    assert not any("0 %" in value for value, _ in facts_of(records).values())


def test_a_device_has_its_curves_means_and_energy(good: Good) -> None:
    records, _ = good
    records.machine |= device_readings()
    found = panels_of(records)
    assert list(found) == ["machine-processor", "machine-memory", "machine-gpu", "machine-gpu-memory", "machine-gpu-power"]
    assert all(not panel.empty for panel in found.values())
    value, _ = facts_of(records)["gpu0"]
    assert value.endswith("GiB in use, 610 W, 63 °C, 106 Wh in all, slowed down 20.4 % of the time")
    assert "GPU readings" not in facts_of(records)


def test_a_reading_that_a_device_does_not_give_is_left_out_and_its_chart_says_so(good: Good) -> None:
    records, _ = good
    records.machine |= {name: values for name, values in device_readings().items() if "power" not in name and "energy" not in name}
    assert panels_of(records)["machine-gpu-power"].empty == "Unavailable: this machine did not give it."
    value, _ = facts_of(records)["gpu0"]
    assert "W" not in value.replace("GiB", "")


def test_of_many_devices_the_highest_and_the_lowest_are_drawn_and_all_are_listed(good: Good) -> None:
    records, _ = good
    for device, busy in enumerate((90.0, 95.0, 60.0, 91.0)):
        records.machine |= device_readings(device, busy=busy)
    assert [curve.label for curve in panels_of(records)["machine-gpu"].curves] == ["gpu1, the highest", "gpu2, the lowest"]
    assert [label for label in facts_of(records) if label.startswith("gpu")] == ["gpu0", "gpu1", "gpu2", "gpu3"]


@pytest.mark.parametrize(
    ("seconds", "across", "last"), [(0.0, "seconds", 1.0), (40.0, "seconds", 40.0), (628.0, "minutes", 10.47), (36_000.0, "hours", 10.0)]
)
def test_time_is_told_in_the_unit_to_read_it_in(good: Good, seconds: float, across: str, last: float) -> None:
    records, _ = good
    records.machine = {"system/process_cpu_percent": readings({0.0: 100.0, seconds: 100.0})}
    panel = panels_of(records)["machine-processor"]
    assert (panel.across, panel.steps) == (across, (0, pytest.approx(last, abs=0.01)))


def test_attempts_follow_one_another_without_the_time_between_them() -> None:
    first = readings({0.0: 1.0, 10.0: 2.0}, attempt=1)
    second = readings({0.0: 3.0, 5.0: 4.0}, attempt=2, began=first[0].time_s + 86_400)
    assert points([*first, *second]) == [(0.0, 1.0), (10.0, 2.0), (10.0, 3.0), (15.0, 4.0)]


def test_means_weigh_time_and_energy_adds_up_over_attempts() -> None:
    first = readings({0.0: 0.0, 10.0: 30.0, 15.0: 60.0}, attempt=1)
    second = readings({0.0: 0.0, 5.0: 20.0}, attempt=2, began=first[0].time_s + 86_400)
    system = {"m": [*first, *second]}
    assert mean(system, "m") == pytest.approx((30 * 10 + 60 * 5 + 20 * 5) / 20)
    assert total(system, "m") == 80.0
    assert (mean(system, "x"), total(system, "x")) == (None, None)


def test_a_clock_that_is_set_back_gives_no_negative_time() -> None:
    found = [Reading(1, 100.0, 1.0), Reading(1, 90.0, 2.0), Reading(1, 110.0, 3.0)]
    assert [at for at, _ in points(found)] == [0.0, 0.0, 10.0]
    value = mean({"m": found}, "m")
    assert value is not None
    assert math.isfinite(value)
