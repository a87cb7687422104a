"""Laws of memory that is freed and asked for again, counted in pages that the system had to bring."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from specrun.runtime import allocation

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told what to do")

STEPPING = """
import os, resource
from specrun.runtime.allocation import give_back_freed_memory, keep_freed_memory

def step():
    return [b"1" * size for size in (200_000, 3_000_000, 48_000_000)]

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

kept = {keep} and keep_freed_memory(os.environ)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
held = resident()
give_back_freed_memory()
print(int(kept), faults, held - resident())
"""


def _steps(*, keep: bool, **environment: str) -> tuple[bool, int, int]:
    """Whether memory was kept, the pages that ten steps of 51 MB asked for, and the bytes that were given back after them."""
    silent = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", STEPPING.replace("{keep}", str(keep))]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=silent | environment)
    kept, faults, given_back = map(int, answer.stdout.split())
    return bool(kept), faults, given_back


@needs_glibc
def test_a_step_finds_the_memory_of_the_step_before() -> None:
    kept, faults, given_back = _steps(keep=True)
    assert kept
    assert faults < 1000, "ten steps of 12,500 pages each"
    assert given_back > 40_000_000


@needs_glibc
def test_without_it_a_step_brings_its_memory_anew() -> None:
    kept, faults, _ = _steps(keep=False)
    assert not kept
    assert faults > 50_000


@needs_glibc
@pytest.mark.parametrize(
    "own",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"MALLOC_TOP_PAD_": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}],
    ids=lambda own: next(iter(own)),
)
def test_a_user_who_said_how_memory_is_kept_is_obeyed(own: dict[str, str]) -> None:
    kept, faults, _ = _steps(keep=True, **own)
    assert not kept
    assert faults > 50_000


def test_another_library_than_glibc_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not allocation.keep_freed_memory({})
    allocation.give_back_freed_memory()


def test_an_old_glibc_that_refuses_the_largest_block_is_asked_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []

    def mallopt(name: int, value: int) -> int:
        said.append((name, value))
        return int(value <= 32 << 20 or name != -3)

    monkeypatch.setattr(allocation, "_function", lambda _: mallopt)
    assert allocation.keep_freed_memory({})
    assert said == [(-3, 1 << 30), (-3, 32 << 20), (-1, -1), (-2, 64 << 20)]
