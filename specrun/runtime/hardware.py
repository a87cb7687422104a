"""What this machine is, probed without torch, and what a spec's `hardware` section becomes on it, with the reasons.

No torch here: plans are made from it. `runtime.device` turns the outcome into torch's objects.
"""

from __future__ import annotations

import itertools
import math
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from specrun.plan.spread import Spread
from specrun.runtime.choice import Choice
from specrun.runtime.compilers import EAGER, choose_compilation, compiler_reason, lacks_cpp, lacks_triton
from specrun.runtime.precision import TORCHS_OWN, choose_precision, choose_products, precision_reason
from specrun.spec.sections.hardware import Hardware

_GPU_LINE = re.compile(r"^(\d+), *([^,]+), *(.+), *(?:(\d+)|\[N/A\]), *(\d+)\.(\d+)\s*$")
_SLICE_LINE = re.compile(r"^\s+MIG (\S+?\.(\d+)gb\S*)\s+Device\s+\d+:\s+\(UUID: (MIG-[^)]+)\)")
_WHOLE_LINE = re.compile(r"^GPU \d+:.*\(UUID: (GPU-[^)]+)\)")
_CGROUP = Path("/sys/fs/cgroup")
_ORDER, _BY_BUS = "CUDA_DEVICE_ORDER", "PCI_BUS_ID"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A CUDA device as its driver describes it. uuid: the name under which the driver gives readings of it, and of no other."""

    name: str
    memory_bytes: int
    compute_capability: tuple[int, int]
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. cores: processors this process may use at once; instructions: flags of the processor; gpus: the visible
    ones, in the order in which CUDA numbers them. lacks_cpp, lacks_triton: what is missing to compile a model for a processor, and for a
    CUDA device; empty where nothing is. vendor: of the processor, as an x86 one names it, else empty."""

    processor: str
    cores: int
    memory_bytes: int
    instructions: frozenset[str]
    gpus: tuple[Gpu, ...]
    lacks_cpp: str = ""
    lacks_triton: str = ""
    vendor: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedHardware:
    """The `hardware` section on this machine. Every choice carries its reason; it is recorded and shown in the report.

    devices: of each machine; threads: of each device's process; strategy: how several processes hold a model, None for one on its own;
    products: what multiplies linear layers, which changes rounding alone.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    cores: int
    memory_bytes: int
    device: Choice
    precision: Choice
    compilation: Choice
    threads: int
    devices: int = 1
    nodes: int = 1
    strategy: Choice | None = None
    products: Choice = TORCHS_OWN

    @property
    def workers(self) -> int:
        """Processes that train together, on all machines."""
        return self.spread.workers

    @property
    def spread(self) -> Spread:
        """Over how many processes a training is spread."""
        return Spread(self.devices, self.nodes, sharded=self.strategy is not None and self.strategy.value == "fsdp")

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons in the order a person asks for them."""
        told = [self.device, self.precision, *([] if self.products == TORCHS_OWN else [self.products]), self.compilation]
        return tuple(f"{choice.value}: {choice.reason}" for choice in told)

    @property
    def identity(self) -> dict[str, str]:
        """What enters the key of a step that uses the device: only what can change its result."""
        compiled = {} if self.compilation.value == EAGER else {"compile": self.compilation.value}
        return {"kind": self.kind, "precision": self.precision.value, **compiled}

    @property
    def measured_on(self) -> dict[str, str | int]:
        """What enters the key of a step that measures the device: what its figures are of."""
        return {"name": self.name, "memory_bytes": self.memory_bytes, "workers": self.workers}


@cache
def probe() -> Machine:
    """Look at the machine once. Starts no process but `nvidia-smi`, where there is one."""
    processor, vendor, flags = _processor()
    return Machine(processor, _cores(), _memory_bytes(), flags, _gpus(), lacks_cpp(), lacks_triton(), vendor)


def abilities(machine: Machine) -> dict[str, Choice]:
    """What the hardware that `auto` takes can do, yes or no with the reason: precisions beside float32, and compiling a model."""
    gpu = machine.gpus[0] if machine.gpus else None
    able = {precision: precision_reason(precision, machine, gpu) for precision in ("bfloat16", "float16", "tf32")}
    return {**able, "compile": compiler_reason(machine, gpu)}


def used_gpu(options: Hardware, machine: Machine) -> Gpu | None:
    """The CUDA device that a profile takes, None for the processor."""
    return machine.gpus[0] if machine.gpus and options.profile != "cpu" else None


def resolve(options: Hardware, machine: Machine) -> ResolvedHardware:
    """Decide device, precision and compilation. A profile that the machine cannot give is left to the caller's check."""
    gpu = used_gpu(options, machine)
    memory = options.memory.bytes if options.memory else (gpu.memory_bytes if gpu else machine.memory_bytes)
    kind: Literal["cpu", "cuda"] = "cuda" if gpu else "cpu"
    if options.profile == "auto":
        device = Choice(kind, f"{gpu.name} found" if gpu else "no CUDA device found")
    else:
        device = Choice(kind, "asked for")
    devices, precision = _devices(options, machine, gpu), choose_precision(options, machine, gpu)
    return ResolvedHardware(
        kind=kind,
        name=gpu.name if gpu else machine.processor,
        cores=machine.cores,
        memory_bytes=memory,
        device=device,
        precision=precision,
        compilation=choose_compilation(options, machine, gpu),
        threads=options.threads or max(1, machine.cores // devices),
        devices=devices,
        nodes=options.nodes,
        strategy=None if options.engine == "local" else _strategy(options),
        products=choose_products(precision, machine, gpu),
    )


def _devices(options: Hardware, machine: Machine, gpu: Gpu | None) -> int:
    if options.devices != "auto":
        return options.devices
    return len(machine.gpus) if gpu and options.engine == "torchrun" else 1


def _strategy(options: Hardware) -> Choice:
    ddp = Choice("ddp", "each device has room for all of the model")
    return ddp if options.strategy == "auto" else Choice(options.strategy, "asked for")


def _cores() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return available if quota is None else max(1, min(available, math.ceil(quota)))


def _quota() -> float | None:
    """Processors' worth of time that the control group grants, version 2 or 1; None where it sets no limit."""
    for names in (("cpu.max",), *((f"{folder}/cpu.cfs_quota_us", f"{folder}/cpu.cfs_period_us") for folder in ("cpu", "cpu,cpuacct"))):
        try:
            quota, period = " ".join((_CGROUP / name).read_text() for name in names).split()
            if int(quota) > 0 and int(period) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):  # another version's file, or "max"
            continue
    return None


def _memory_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            total = min(total, int((_CGROUP / name).read_text()))
        except (OSError, ValueError):
            continue
    return total


def _processor() -> tuple[str, str, frozenset[str]]:
    """Its name, its vendor where it tells that, and the flags of its instructions."""
    name, vendor, flags = platform.processor() or platform.machine(), "", frozenset[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return name, vendor, flags
    for line in lines:
        label, _, value = line.partition(":")
        if label.strip() == "model name" and value.strip():
            name = value.strip()
        elif label.strip() == "vendor_id":
            vendor = value.strip()
        elif label.strip() in ("flags", "Features"):
            return name, vendor, frozenset(value.split())
    return name, vendor, flags


def number_by_bus(environment: MutableMapping[str, str]) -> bool:
    """Have CUDA number devices by their place on the bus, as its driver's tool does: by itself it begins with what it takes for the
    fastest, so that plans would be made for another one. To be called before CUDA is first used. Returns whether it will: it does not
    where the user has said in which order."""
    return environment.setdefault(_ORDER, _BY_BUS) == _BY_BUS


def _gpus() -> tuple[Gpu, ...]:
    """The devices that CUDA numbers, in the order of `number_by_bus`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # A broken driver prints a sentence instead. "[N/A]" is the memory of a device that shares the machine's.
    matches = map(_GPU_LINE.match, _nvidia_smi("--query-gpu=index,uuid,name,memory.total,compute_cap", "--format=csv,noheader,nounits"))
    lines = [m for m in matches if m]
    found = {
        m[2].strip(): Gpu(m[3].strip(), int(m[4]) * 2**20 if m[4] else _memory_bytes(), (int(m[5]), int(m[6])), m[2].strip()) for m in lines
    }
    if visible is None or not found:
        return tuple(found.values())
    if visible.lstrip().startswith("MIG-"):
        found = _slices(found)
    numbers = {int(m[1]): m[2].strip() for m in lines}
    chosen = [_named(entry.strip(), list(found), numbers) for entry in visible.split(",")]
    # As CUDA does: what follows an entry that names no device is not seen, and a device named twice hides them all.
    seen = [uuid for uuid in itertools.takewhile(lambda uuid: uuid is not None, chosen) if uuid is not None]
    return tuple(found[uuid] for uuid in seen) if len(set(seen)) == len(seen) else ()


def _named(entry: str, uuids: list[str], numbers: Mapping[int, str]) -> str | None:
    """The device that an entry of CUDA_VISIBLE_DEVICES means: by its number, or by the beginning of its UUID."""
    if entry.isdecimal():
        return numbers.get(int(entry))
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    whole = entry.removeprefix("MIG-").partition("/")[0] if entry.startswith("MIG-GPU-") else entry
    near = [uuid for uuid in uuids if uuid.startswith(whole)]
    return near[0] if len(near) == 1 else None


def _slices(gpus: Mapping[str, Gpu]) -> dict[str, Gpu]:
    """The slices that MIG has made of devices, by UUID, with the memory that their profile names; and the devices."""
    found, parent = dict(gpus), None
    for line in _nvidia_smi("-L"):
        if whole := _WHOLE_LINE.match(line):
            parent = gpus.get(whole[1])
        elif (part := _SLICE_LINE.match(line)) and parent is not None:
            found[part[3]] = replace(parent, name=f"{parent.name} MIG {part[1]}", memory_bytes=int(part[2]) * 2**30, uuid=part[3])
    return found


def _nvidia_smi(*arguments: str) -> list[str]:
    """What the driver's tool prints; nothing where there is none, or it fails."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return []
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()
