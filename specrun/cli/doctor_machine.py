"""What `doctor` says of the machine, and of what a training on it would come to by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from specrun.cli.finding import Finding
from specrun.plan import figures
from specrun.runtime.hardware import Gpu, Machine, abilities, probe, resolve
from specrun.runtime.nvml import DeviceReadings, driver_version, open_library
from specrun.spec.sections.hardware import Hardware

_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve", "bf16")
"""Those that decide how fast matrices are multiplied: of x86-64, then of Arm."""


_NOW: Mapping[str, Callable[[float], str]] = {
    "memory_used_bytes": lambda value: f"{figures.size(value)} in use",
    "utilization_percent": lambda value: f"{value:.0f} % busy",
    "power_watts": lambda value: f"{value:.0f} W",
    "temperature_celsius": lambda value: f"{value:.0f} °C",
}
"""Readings of a device, and how they are written."""


def machine_findings() -> Iterator[Finding]:
    """Processor, memory, devices and their readings."""
    machine = probe()
    yield Finding("machine", "processor", "ok", f"{machine.processor}, {machine.cores} core{'' if machine.cores == 1 else 's'}")
    yield Finding("machine", "memory", "ok", _memory(machine))
    present = [name for name in _INSTRUCTIONS if name in machine.instructions]
    yield Finding("machine", "instructions", "ok" if present else "unavailable", ", ".join(present) or "none that speed up matrices")
    if not machine.gpus:
        yield Finding("machine", "CUDA device", "unavailable", _why_no_gpu())
        return
    yield from _devices(machine.gpus)


def training_findings() -> Iterator[Finding]:
    """What `hardware: auto` is here, and what else could be asked for."""
    machine = probe()
    chosen = resolve(Hardware(), machine)
    yield Finding("training", "device", "ok", f"auto is {chosen.device.value}: {chosen.device.reason}")
    yield Finding("training", "precision", "ok", f"auto is {chosen.precision.value}: {chosen.precision.reason}")
    if chosen.kind == "cpu":
        yield Finding("training", "linear layers", "ok", f"multiplied by {chosen.products.value}: {chosen.products.reason}")
    for name, able in abilities(machine).items():
        there = able.value == "yes"
        detail = f"{able.reason}; auto compiles where the planned steps repay it" if name == "compile" and there else able.reason
        yield Finding("training", name, "ok" if there else "unavailable", detail)
    yield from _torch(machine)


def _memory(machine: Machine) -> str:
    whole = figures.size(machine.memory_bytes)
    try:
        from specrun.runtime.readings import available_memory_bytes
    except ImportError:  # told among the packages
        return whole
    return f"{whole}, {figures.size(available_memory_bytes())} of it available"


def _devices(gpus: tuple[Gpu, ...]) -> Iterator[Finding]:
    """The devices, each with what it reads now."""
    values: dict[str, float] = {}
    try:
        library = open_library()
        values = DeviceReadings([gpu.uuid for gpu in gpus], library)()
        readings = Finding("machine", "GPU readings", "ok", f"NVML, driver {driver_version(library)}")
    except (OSError, ImportError) as error:
        readings = Finding("machine", "GPU readings", "unavailable", f"{error}; energy, heat and use of devices are not recorded")
    for number, gpu in enumerate(gpus):
        major, minor = gpu.compute_capability
        parts = [f"{gpu.name}, {figures.size(gpu.memory_bytes)}, compute capability {major}.{minor}"]
        now = {metric: values.get(f"system/gpu{number}/{metric}") for metric in _NOW}
        parts += [write(value) for metric, write in _NOW.items() if (value := now[metric]) is not None]
        yield Finding("machine", f"gpu{number}", "ok", ", ".join(parts))
    yield readings


def _torch(machine: Machine) -> Iterator[Finding]:
    try:
        from specrun.runtime.torch_build import torch_build

        build = torch_build()
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is what is to be told
        yield Finding("training", "torch build", "broken", f"cannot be imported: {type(error).__name__}: {error}; install it again")
        return
    made_for = f"{build.version}, built {f'for CUDA {build.cuda}' if build.cuda else 'without CUDA'}"
    if machine.gpus and not build.devices:
        remedy = "install a CUDA build of torch, or set hardware.profile: cpu" if not build.cuda else "install a newer driver"
        yield Finding("training", "torch build", "broken", f"{made_for}, cannot use {machine.gpus[0].name}; {remedy}")
    else:
        able = f", can use {build.devices} of {len(machine.gpus)} CUDA devices" if build.devices else ""
        yield Finding("training", "torch build", "ok", made_for + able)
    for name, what in (("gloo", "processes on CPUs"), ("nccl", "processes on CUDA devices")):
        if name in build.backends:
            yield Finding("training", name, "ok", f"engine: torchrun joins {what}")
        else:
            yield Finding("training", name, "unavailable", "not in this build of torch")


def _why_no_gpu() -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return "nvidia-smi not found, or it lists no device"
    return f"CUDA_VISIBLE_DEVICES={visible!r} shows none of those that nvidia-smi lists, if it lists any"
