"""Charts of what a training asked of its machine, over time: processor, memory, and the devices where there are readings of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from specrun.report.curves import bounds, curve, spread
from specrun.report.facts import Facts, mapping
from specrun.report.machine_facts import why_no_device
from specrun.report.numbers import count, number, percent, plural
from specrun.report.readings import Points, System, devices, mean, points
from specrun.report.views import Across, Axis, Column, Mark, Panel, Row, Table

_TABLE_ROWS = 20


@dataclass(frozen=True, slots=True)
class _Time:
    """How time is told. seconds: of a unit; last: where the readings end, in units."""

    across: Across
    seconds: float
    last: float


@dataclass(frozen=True, slots=True)
class _Design:
    """A chart. metric: of the process, or the last part of a device's. scale: what a reading is divided by."""

    id: str
    title: str
    unit: str
    metric: str
    scale: float = 1.0
    style: Literal["number", "percent"] = "number"


_PROCESSOR = _Design("machine-processor", "Processor", "cores kept busy", "system/process_cpu_percent", 100.0)
_MEMORY = _Design("machine-memory", "Memory", "GiB of this process", "system/process_rss_bytes", 2.0**30)
_DEVICES = (
    _Design("machine-gpu", "GPU", "busy", "utilization_percent", 100.0, "percent"),
    _Design("machine-gpu-memory", "GPU memory", "GiB in use", "memory_used_bytes", 2.0**30),
    _Design("machine-gpu-power", "GPU power", "watts", "power_watts"),
)


def machine_panels(facts: Facts) -> tuple[Panel, ...]:
    """The charts; those of the GPU are one, which says why, where no device gave a reading. None for a run without any reading."""
    system = facts.system
    if not system:
        return ()
    time = _time(max(points(readings)[-1][0] for readings in system.values()))
    shown = [_panel(facts, each, {each.unit: each.metric}, time) for each in (_PROCESSOR, _MEMORY)]
    if not devices(system):
        return (*shown, _panel(facts, _DEVICES[0], {}, time))
    return (*shown, *(_panel(facts, each, _of_devices(system, each), time) for each in _DEVICES))


def _time(seconds: float) -> _Time:
    if seconds <= 180:
        return _Time("seconds", 1, max(1.0, seconds))
    return _Time("minutes", 60, seconds / 60) if seconds <= 180 * 60 else _Time("hours", 3600, seconds / 3600)


def _of_devices(system: System, design: _Design) -> dict[str, str]:
    """The metrics that a chart shows, by label: of one device or two each; of more, the highest and the lowest on average."""
    metrics = {f"gpu{device}": f"system/gpu{device}/{design.metric}" for device in devices(system)}
    means = {label: found for label, metric in metrics.items() if (found := mean(system, metric)) is not None}
    if len(means) <= 2:
        return {label: metrics[label] for label in means}
    highest, lowest = max(means, key=lambda label: means[label]), min(means, key=lambda label: means[label])
    return {f"{highest}, the highest": metrics[highest], f"{lowest}, the lowest": metrics[lowest]}


def _panel(facts: Facts, design: _Design, shown: Mapping[str, str], time: _Time) -> Panel:
    series = {
        label: [(round(seconds / time.seconds, 3), value / design.scale) for seconds, value in points(facts.system[metric])]
        for label, metric in shown.items() if metric in facts.system
    }  # fmt: skip
    roles = ("train", "validation")
    curves = tuple(
        curve(drawn, metric=shown[label], label=label, role=role) for (label, drawn), role in zip(series.items(), roles, strict=False)
    )
    level = _level(facts, design) if curves else None
    values = [value for drawn in series.values() for _, value in drawn]
    # Room above a level for what it is called.
    shown_values = [0.0, *values, *([1.15 * level.value] if level else [])]
    return Panel(
        id=design.id,
        title=design.title,
        unit=design.unit,
        curves=curves,
        steps=(0, time.last),
        axes=(Axis(*bounds(shown_values, log=False), style=design.style),),
        summary=_summary(design, series, time),
        note=" ".join(_thinned(each.label, len(each.samples), each.recorded) for each in curves if each.thinned),
        values=_values(design, series, time),
        level=level,
        empty="" if curves else _empty(facts, design),
        across=time.across,
    )


def _empty(facts: Facts, design: _Design) -> str:
    of_process = design.metric.startswith("system/")
    return f"Unavailable: {'this machine did not give it' if of_process or devices(facts.system) else why_no_device(facts)}."


def _thinned(label: str, drawn: int, recorded: int) -> str:
    return f"{label}: {count(drawn)} of {plural(recorded, 'reading')} drawn, each stretch by its smallest and largest."


def _level(facts: Facts, design: _Design) -> Mark | None:
    """The threads that training may keep busy."""
    threads = mapping(facts.document.get("hardware")).get("threads")
    return Mark(plural(threads, "thread"), float(threads)) if design is _PROCESSOR and isinstance(threads, int) else None


def _write(design: _Design) -> Callable[[float | None], str]:
    return percent if design.style == "percent" else number


def _summary(design: _Design, series: Mapping[str, Points], time: _Time) -> str:
    write = _write(design)
    parts = [
        f"{label} between {write(min(value for _, value in drawn))} and {write(max(value for _, value in drawn))}"
        for label, drawn in series.items()
    ]
    over = f"over {number(math.ceil(10 * time.last) / 10, digits=3)} {time.across}"
    return f"{design.title}: {'; '.join(parts)}, {over}." if parts else f"{design.title}: nothing to draw."


def _values(design: _Design, series: Mapping[str, Points], time: _Time) -> Table:
    """The curves as figures at evenly spaced times."""
    recorded, write = [dict(drawn) for drawn in series.values()], _write(design)
    times = sorted({at for values in recorded for at in values})
    chosen = [times[i] for i in spread(range(len(times)), limit=_TABLE_ROWS)]
    rows = tuple(Row((number(at), *(write(values.get(at)) for values in recorded))) for at in chosen)
    columns = (Column(time.across, numeric=True), *(Column(label, numeric=True) for label in series))
    return Table(f"{design.title} at {count(len(chosen))} of {plural(len(times), 'time')}", columns, rows)
