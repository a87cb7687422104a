"""What a `hardware` section becomes on a machine, and why."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from specrun.runtime import hardware
from specrun.runtime.hardware import Gpu, Machine, probe, resolve
from specrun.spec.sections.hardware import Hardware
from specrun.spec.units import ByteSize

CPU = Machine("some cpu", 4, 16 * 2**30, frozenset({"avx2"}), ())
T4 = Gpu("Tesla T4", 15 * 2**30, (7, 5))
A100 = Gpu("A100", 40 * 2**30, (8, 0))


def test_auto_takes_the_first_gpu_and_says_so() -> None:
    found = resolve(Hardware(), replace(CPU, gpus=(A100, T4)))
    assert (found.kind, found.name, found.memory_bytes) == ("cuda", "A100", A100.memory_bytes)
    assert found.reasons[:2] == ("cuda: A100 found", "bfloat16: compute capability 8.0")


def test_auto_without_a_gpu_is_the_cpu_in_float32() -> None:
    found = resolve(Hardware(), CPU)
    assert (found.kind, found.precision.value, found.threads) == ("cpu", "float32", 4)
    assert found.reasons[0] == "cpu: no CUDA device found"
    assert "no bf16 instructions" in found.precision.reason


def test_an_old_gpu_stays_with_float32() -> None:
    found = resolve(Hardware(), replace(CPU, gpus=(T4,)))
    assert (found.precision.value, found.precision.reason) == ("float32", "compute capability 7.5")


def test_what_is_asked_for_is_taken() -> None:
    found = resolve(Hardware(profile="cpu", precision="bfloat16", threads=3, memory=ByteSize(2**31)), replace(CPU, gpus=(A100,)))
    assert (found.kind, found.precision.value, found.threads, found.memory_bytes) == ("cpu", "bfloat16", 3, 2**31)
    assert found.device.reason == "asked for"


def test_a_cpu_with_bf16_instructions_is_still_exact_by_default_and_says_why() -> None:
    found = resolve(Hardware(), replace(CPU, instructions=frozenset({"avx512_bf16"})))
    assert found.precision.value == "float32"
    assert "exact" in found.precision.reason


def test_only_what_changes_results_is_identity() -> None:
    one, other = resolve(Hardware(), CPU), resolve(Hardware(), replace(CPU, processor="other cpu", memory_bytes=2**31))
    assert one.identity == other.identity
    assert one.identity != resolve(Hardware(), replace(CPU, gpus=(A100,))).identity


def test_the_probe_describes_this_machine() -> None:
    machine = probe()
    assert machine.cores >= 1
    assert machine.memory_bytes > 2**26
    assert machine.processor


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("NVIDIA H100, 80GB, 81559, 9.0\nTesla T4, 15360, 7.5\n", [("NVIDIA H100, 80GB", (9, 0)), ("Tesla T4", (7, 5))]),
        ("", []),
        ("NVIDIA GB10, [N/A], 12.1", [("NVIDIA GB10", (12, 1))]),
    ],
)
def test_the_drivers_list_is_read_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, expected: list[tuple[str, tuple[int, int]]]
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '%s' '{output}'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(hardware.shutil, "which", lambda _: str(tool))
    assert [(gpu.name, gpu.compute_capability) for gpu in hardware._gpus()] == expected


@pytest.mark.parametrize("script", ["exit 9", "echo 'NVIDIA-SMI has failed because it could not talk to the driver'"])
def test_a_driver_that_does_not_answer_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(hardware.shutil, "which", lambda _: str(tool))
    assert hardware._gpus() == ()


def test_resolving_hardware_needs_no_torch() -> None:
    code = "import sys, specrun.runtime.hardware as h; h.probe(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
