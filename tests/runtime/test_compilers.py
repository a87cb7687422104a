"""Whether a machine can compile, and what becomes of a spec's `compile` on it."""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from specrun.engine.machine_problems import machine_problems
from specrun.runtime import compilers
from specrun.runtime.choice import Choice
from specrun.runtime.compilers import UNDECIDED, compiler_reason, lacks_cpp, lacks_triton
from specrun.runtime.hardware import Gpu, Machine, resolve
from specrun.spec.sections.hardware import Hardware

CPU = Machine("some cpu", 4, 16 * 2**30, frozenset(), ())
BARE = replace(CPU, lacks_cpp="no C++ compiler (g++ not found)", lacks_triton="Triton is not installed")
MODES = ("auto", "off", "default", "reduce-overhead", "max-autotune")


def with_gpu(machine: Machine, major: int) -> Machine:
    return replace(machine, gpus=(Gpu("some gpu", 2**34, (major, 0)),))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (CPU, ["eager", "eager", "default", "default", "max-autotune"]),
        (BARE, ["eager"] * 5),
        (with_gpu(CPU, 8), ["eager", "eager", "default", "reduce-overhead", "max-autotune"]),
        (with_gpu(BARE, 8), ["eager"] * 5),
        (with_gpu(CPU, 6), ["eager"] * 5),
    ],
    ids=["cpu", "cpu, no compiler", "gpu", "gpu, no triton", "old gpu"],
)
def test_a_mode_becomes_what_the_machine_can_do(machine: Machine, expected: list[str]) -> None:
    assert [resolve(Hardware(compile=mode), machine).compilation.value for mode in MODES] == expected  # type: ignore[arg-type]


def test_auto_waits_for_the_number_of_steps_where_there_is_a_choice_and_says_what_is_missing_where_there_is_none() -> None:
    assert resolve(Hardware(), CPU).compilation == UNDECIDED
    assert resolve(Hardware(), BARE).compilation == Choice("eager", "no C++ compiler (g++ not found)")
    assert resolve(Hardware(), with_gpu(BARE, 8)).compilation == Choice("eager", "Triton is not installed")
    assert resolve(Hardware(), with_gpu(CPU, 6)).compilation == Choice("eager", "Triton does not know compute capability 6.0")


def test_only_a_compiled_run_has_another_identity_than_before() -> None:
    identity = {mode: resolve(Hardware(compile=mode), CPU).identity for mode in MODES}  # type: ignore[arg-type]
    assert identity["auto"] == identity["off"] == {"kind": "cpu", "precision": "float32"}
    assert identity["default"] == identity["reduce-overhead"] == {"kind": "cpu", "precision": "float32", "compile": "default"}
    assert identity["max-autotune"]["compile"] == "max-autotune"


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (CPU, {"reduce-overhead": "option-without-effect"}),
        (BARE, dict.fromkeys(MODES[2:], "compile-without-compiler")),
        (with_gpu(CPU, 8), {}),
        (with_gpu(BARE, 8), dict.fromkeys(MODES[2:], "compile-without-compiler")),
    ],
)
def test_a_mode_that_cannot_be_had_is_told(machine: Machine, told: dict[str, str]) -> None:
    def warned(mode: str) -> str | None:
        spec: Any = type("Spec", (), {"hardware": Hardware(compile=mode), "schedule": schedule()})  # type: ignore[arg-type]
        found = list(machine_problems(spec, machine))
        assert all(problem.severity == "warning" and problem.path == ("hardware", "compile") for problem in found)
        return found[0].code if found else None

    assert {mode: warned(mode) for mode in MODES} == {mode: told.get(mode) for mode in MODES}


@pytest.mark.parametrize(
    ("size", "engine", "told"), [("auto", "local", 0), (8, "local", 0), (4, "local", 1), (4, "torchrun", 0), (2, "torchrun", 1)]
)
def test_cuda_graphs_that_a_divided_step_will_not_have_are_told(size: Any, engine: Any, told: int) -> None:
    machine = replace(CPU, gpus=(Gpu("some gpu", 2**34, (8, 0)),) * 2)
    hardware = Hardware(compile="reduce-overhead", engine=engine)
    spec: Any = type("Spec", (), {"hardware": hardware, "schedule": schedule(size)})
    found = [problem for problem in machine_problems(spec, machine) if problem.path == ("hardware", "compile")]
    assert [problem.code for problem in found] == ["option-without-effect"] * told


def schedule(micro_batch_size: Any = "auto") -> Any:
    """As much of one as the rules look at."""
    return type("Schedule", (), {"batch_size": 8, "micro_batch_size": micro_batch_size, "optimizer": None})


def test_a_compiler_is_looked_for_by_the_name_that_torch_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers.sys, "platform", "linux")
    monkeypatch.setattr(compilers, "_lacks_headers", lambda: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert lacks_cpp() == "no C++ compiler (g++ not found)"
    for name in ("g++", "my-compiler"):
        (tmp_path / name).touch(mode=0o755)
    assert lacks_cpp() == ""
    monkeypatch.setenv("CXX", "clang++ -stdlib=libc++")
    assert lacks_cpp() == "no C++ compiler (clang++ not found)"
    monkeypatch.setenv("CXX", str(tmp_path / "my-compiler"))
    assert lacks_cpp() == ""


def test_triton_needs_itself_and_a_c_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_lacks_headers", lambda: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compilers.importlib.util, "find_spec", lambda name: None)
    assert lacks_triton() == "Triton is not installed"
    monkeypatch.setattr(compilers.importlib.util, "find_spec", lambda name: object())
    assert lacks_triton() == "no C compiler (gcc or clang not found)"
    (tmp_path / "clang").touch(mode=0o755)
    assert lacks_triton() == ""


def test_pythons_headers_are_part_of_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_lacks_program", lambda names, language: "")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert lacks_cpp() == lacks_triton_or_absent() == f"Python's headers are missing ({tmp_path / 'Python.h'})"
    (tmp_path / "Python.h").touch()
    assert lacks_cpp() == ""


def lacks_triton_or_absent() -> str:
    """What Triton lacks, were it installed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compilers.importlib.util, "find_spec", lambda name: object())
        return lacks_triton()


def test_the_reason_of_being_able_names_the_compiler() -> None:
    assert compiler_reason(CPU, None) == Choice("yes", "a C++ compiler is there")
    assert compiler_reason(with_gpu(CPU, 8), with_gpu(CPU, 8).gpus[0]) == Choice("yes", "Triton is there")
