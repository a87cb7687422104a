"""What this machine is, probed without torch, and what a spec's `hardware` section becomes on it, with the reasons.

No torch here: plans are made from it. `runtime.device` turns the outcome into torch's objects.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from specrun.spec.sections.hardware import Hardware

Precision = Literal["float32", "bfloat16"]
_GPU_LINE = re.compile(r"^(.+), *(?:(\d+)|\[N/A\]), *(\d+)\.(\d+)\s*$")


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision and why it was taken."""

    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """A CUDA device as its driver describes it."""

    name: str
    memory_bytes: int
    compute_capability: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. cores: logical processors this process may use; instructions: flags of the processor."""

    processor: str
    cores: int
    memory_bytes: int
    instructions: frozenset[str]
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class ResolvedHardware:
    """The `hardware` section on this machine. Every choice carries its reason; it is recorded and shown in the report."""

    kind: Literal["cpu", "cuda"]
    name: str
    cores: int
    memory_bytes: int
    device: Choice
    precision: Choice
    compilation: Choice
    threads: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons in the order a person asks for them."""
        return (f"{self.device.value}: {self.device.reason}", f"{self.precision.value}: {self.precision.reason}",
                f"{self.compilation.value}: {self.compilation.reason}")  # fmt: skip

    @property
    def identity(self) -> dict[str, str]:
        """What enters the key of a step that uses the device: only what can change its result."""
        return {"kind": self.kind, "precision": self.precision.value}


@cache
def probe() -> Machine:
    """Look at the machine once. Starts no process but `nvidia-smi`, where there is one."""
    processor, flags = _processor()
    return Machine(processor, _cores(), _memory_bytes(), flags, _gpus())


def resolve(options: Hardware, machine: Machine) -> ResolvedHardware:
    """Decide device, precision and compilation. A profile that the machine cannot give is left to the caller's check."""
    gpu = machine.gpus[0] if machine.gpus and options.profile != "cpu" else None
    memory = options.memory.bytes if options.memory else (gpu.memory_bytes if gpu else machine.memory_bytes)
    kind: Literal["cpu", "cuda"] = "cuda" if gpu else "cpu"
    if options.profile == "auto":
        device = Choice(kind, f"{gpu.name} found" if gpu else "no CUDA device found")
    else:
        device = Choice(kind, "asked for")
    return ResolvedHardware(
        kind=kind,
        name=gpu.name if gpu else machine.processor,
        cores=machine.cores,
        memory_bytes=memory,
        device=device,
        precision=_precision(options, machine, gpu),
        compilation=Choice("eager", "asked for" if options.compile == "off" else "compilation is not part of this version"),
        threads=options.threads or machine.cores,
    )


def bfloat16_reason(machine: Machine, gpu: Gpu | None) -> Choice:
    """Whether this device computes bfloat16 in hardware."""
    if gpu:
        major, minor = gpu.compute_capability
        return Choice("yes" if major >= 8 else "no", f"compute capability {major}.{minor}")
    found = sorted(machine.instructions & {"avx512_bf16", "amx_bf16", "bf16"})
    return Choice("yes", f"the processor has {found[0]}") if found else Choice("no", "no bf16 instructions here")


def _precision(options: Hardware, machine: Machine, gpu: Gpu | None) -> Choice:
    able = bfloat16_reason(machine, gpu)
    if options.precision != "auto":
        return Choice(options.precision, "asked for")
    if gpu and able.value == "yes":
        return Choice("bfloat16", able.reason)
    if gpu:
        return Choice("float32", able.reason)
    return Choice("float32", able.reason if able.value == "no" else "exact on a CPU, and faster than bfloat16 for small matrices")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return total


def _processor() -> tuple[str, frozenset[str]]:
    name, flags = platform.processor() or platform.machine(), frozenset[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return name, flags
    for line in lines:
        label, _, value = line.partition(":")
        if label.strip() == "model name" and value.strip():
            name = value.strip()
        elif label.strip() in ("flags", "Features"):
            return name, frozenset(value.split())
    return name, flags


def _gpus() -> tuple[Gpu, ...]:
    tool = shutil.which("nvidia-smi")
    if not tool:
        return ()
    query = [tool, "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return ()
    # A broken driver prints a sentence instead. "[N/A]" is the memory of a device that shares the machine's.
    matches = (_GPU_LINE.match(line) for line in output.splitlines())
    return tuple(Gpu(m[1].strip(), int(m[2]) * 2**20 if m[2] else _memory_bytes(), (int(m[3]), int(m[4]))) for m in matches if m)
