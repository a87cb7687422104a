"""What a training asked of its machine, in figures of all its attempts."""

from __future__ import annotations

from specrun.report.facts import Facts, mapping
from specrun.report.numbers import number, percent, size
from specrun.report.readings import System, devices, largest, least, mean, total
from specrun.report.views import Fact


def machine_facts(facts: Facts) -> tuple[Fact, ...]:
    """Processor, memory and a line a device; what the machine did not give is said to be unavailable.

    Nothing of a run without any reading, such as one of before there were some.
    """
    system = facts.system
    if not system:
        return ()
    cores, busy = mean(system, "system/process_cpu_percent"), mean(system, "system/cpu_percent")
    peak, left = largest(system, "system/process_rss_peak_bytes"), least(system, "system/memory_available_bytes")
    whole = "" if busy is None else f"of this process; all of the machine {percent(busy / 100)} busy"
    found = [Fact("cores kept busy", "unavailable" if cores is None else number(cores / 100, digits=3), whole)]
    processes = facts.result("train").get("peak_memory_processes", 1)
    notes = ("" if processes == 1 else f"of the first of {processes} processes", "" if left is None else f"at least {size(left)} left")
    found.append(Fact("peak memory", "unavailable" if peak is None else size(peak), "; ".join(note for note in notes if note)))
    found += [Fact(f"gpu{number}", _device(system, number)) for number in devices(system)]
    if not devices(system):
        found.append(Fact("GPU readings", "unavailable", why_no_device(facts)))
    return tuple(found)


def why_no_device(facts: Facts) -> str:
    """Why there are no readings of a device."""
    on_cpu = mapping(facts.document.get("hardware")).get("kind") == "cpu"
    return "this training ran on the processor" if on_cpu else "the driver gave none"


def _device(system: System, device: int) -> str:
    """Its means and its energy in a line, without what it did not give."""
    name = f"system/gpu{device}"
    busy, memory, watts, celsius, slowed = (
        mean(system, f"{name}/{metric}")
        for metric in ("utilization_percent", "memory_used_bytes", "power_watts", "temperature_celsius", "throttled")
    )
    joules = total(system, f"{name}/energy_joules")
    parts = (
        None if busy is None else f"{percent(busy / 100)} busy",
        None if memory is None else f"{size(memory)} in use",
        None if watts is None else f"{number(watts, digits=3)} W",
        None if celsius is None else f"{celsius:.0f} °C",
        None if joules is None else f"{number(joules / 3600, digits=3)} Wh in all",
        None if not slowed else f"slowed down {percent(slowed)} of the time",
    )
    return ", ".join(part for part in parts if part is not None)
