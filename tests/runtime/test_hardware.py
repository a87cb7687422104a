"""What a `hardware` section becomes on a machine, and why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
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


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script in the place of nvidia-smi. Nothing of the real environment hides a device."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(script: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setattr(hardware.shutil, "which", lambda _: str(tool))

    return install


def listing(*lines: str) -> str:
    return "cat <<'END'\n" + "\n".join(lines) + "\nEND"


FOUR = tuple(f"{i}, GPU-{c * 8}-1111, {name}, 1024, 8.0" for i, (c, name) in enumerate(zip("aabc", "PQRS", strict=True)))
"""Four devices; the first two have UUIDs that begin alike."""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ("0, GPU-1, NVIDIA H100, 80GB, 81559, 9.0", "1, GPU-2, Tesla T4, 15360, 7.5"),
            [("NVIDIA H100, 80GB", (9, 0)), ("Tesla T4", (7, 5))],
        ),
        ((), []),
        (("0, GPU-1, NVIDIA GB10, [N/A], 12.1",), [("NVIDIA GB10", (12, 1))]),
    ],
)
def test_the_drivers_list_is_read_line_by_line(
    driver: Callable[[str], None], lines: tuple[str, ...], expected: list[tuple[str, tuple[int, int]]]
) -> None:
    driver(listing(*lines))
    assert [(gpu.name, gpu.compute_capability) for gpu in hardware._gpus()] == expected


@pytest.mark.parametrize("script", ["exit 9", "echo 'NVIDIA-SMI has failed because it could not talk to the driver'"])
def test_a_driver_that_does_not_answer_is_no_gpu(driver: Callable[[str], None], script: str) -> None:
    driver(script)
    assert hardware._gpus() == ()


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("", ""), ("-1", ""), ("none", ""), ("NoDevFiles", ""),
        ("0", "P"), ("2,0", "RP"), (" 3 , 1 ", "SQ"),
        ("0,-1,2", "P"), ("0,9,2", "P"),  # what follows a number that names no device is not seen
        ("1,1", ""),  # CUDA refuses a device named twice
        ("GPU-bbbbbbbb-1111", "R"), ("GPU-c,GPU-b", "SR"),
        ("GPU-a", ""), ("GPU-c,GPU-a,GPU-b", "S"),  # the beginning of a UUID counts where it is of one device
        ("GPU-c,GPU-c", ""), ("GPU-x", ""),
    ],
)  # fmt: skip
def test_only_visible_devices_are_seen_and_in_their_order(
    driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, visible: str, names: str
) -> None:
    driver(listing(*(line.replace("GPU-aaaaaaaa-1111, Q", "GPU-aaaabbbb-1111, Q") for line in FOUR)))
    assert "".join(gpu.name for gpu in hardware._gpus()) == "PQRS"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert "".join(gpu.name for gpu in hardware._gpus()) == names


def test_a_device_that_cannot_be_read_does_not_give_its_number_to_another(
    driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(listing("0, GPU-1, P, [Unknown Error], 8.0", *FOUR[1:]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    assert [gpu.name for gpu in hardware._gpus()] == ["Q", "S"]


MIG = """\
GPU 0: P (UUID: GPU-aaaaaaaa-1111)
  MIG 1g.18gb     Device  0: (UUID: MIG-1111-22)
  MIG 3g.71gb     Device  1: (UUID: MIG-3333-44)
GPU 1: Q (UUID: GPU-bbbbbbbb-1111)
  MIG 1c.2g.20gb+me Device  0: (UUID: MIG-5555-66)
"""


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("MIG-1111-22", [("P MIG 1g.18gb", 18)]),
        ("MIG-5555-66", [("Q MIG 1c.2g.20gb+me", 20)]),
        ("MIG-3333", [("P MIG 3g.71gb", 71)]),
        ("MIG-GPU-bbbbbbbb-1111/2/0", [("Q", 141)]),
        ("MIG-9", []),
    ],
)
def test_a_slice_of_a_device_is_seen_with_its_own_memory(
    driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[tuple[str, int]]
) -> None:
    whole = listing("0, GPU-aaaaaaaa-1111, P, 144384, 9.0", "1, GPU-bbbbbbbb-1111, Q, 144384, 9.0")
    driver(f'if [ "$1" = -L ]; then {listing(*MIG.splitlines())}\nelse {whole}\nfi')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = hardware._gpus()
    assert [(gpu.name, gpu.memory_bytes // 2**30) for gpu in found] == expected
    assert all(gpu.uuid.startswith(visible.removeprefix("MIG-").partition("/")[0] if "/" in visible else visible) for gpu in found)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu.max": ""}, 8),
        ({"cpu.max": "100000 0"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/cpu.cfs_period_us": "50000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "150000\n"}, 8),
    ],
)
def test_no_more_cores_are_counted_than_the_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert hardware._cores() == cores


def test_resolving_hardware_needs_no_torch() -> None:
    code = "import sys, specrun.runtime.hardware as h; h.probe(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
