"""Whether a machine can compile a model, and what the `compile` of a spec is on it. No torch: plans are made from it.

torch compiles by Inductor: to C++ for a processor, to Triton for a CUDA device. What it needs for that is looked for here, so that a
plan says what is missing; `runtime.compilation` compiles.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from specrun.runtime.choice import Choice

if TYPE_CHECKING:
    from specrun.runtime.hardware import Gpu, Machine
    from specrun.spec.sections.hardware import Hardware

EAGER = "eager"
UNDECIDED = Choice(EAGER, "decided when the number of steps is known")
"""What `auto` comes to on a machine that can compile, until the planner weighs what compiling saves against what it takes."""
WITHOUT_GRAPHS: Mapping[str, str] = {"reduce-overhead": "default", "max-autotune": "max-autotune-no-cudagraphs"}
"""Of the modes that record CUDA graphs, the ones that are the same but for that."""
_TRITON_FROM = (7, 0)
"""Compute capability that Triton generates code for."""


def choose_compilation(options: Hardware, machine: Machine, gpu: Gpu | None) -> Choice:
    """How the model is computed: eager, or Inductor's mode. What was asked for and cannot be had is left to the planner's check."""
    if options.compile == "off":
        return Choice(EAGER, "asked for")
    able = compiler_reason(machine, gpu)
    if able.value == "no":
        return Choice(EAGER, able.reason)
    if options.compile == "auto":
        return UNDECIDED
    if options.compile == "reduce-overhead" and gpu is None:
        return Choice("default", "reduce-overhead is CUDA graphs, which a CPU has not")
    return Choice(options.compile, "asked for")


def compiler_reason(machine: Machine, gpu: Gpu | None) -> Choice:
    """Whether torch can compile for this device, with what is missing or what compiles."""
    if gpu is None:
        return Choice("no", machine.lacks_cpp) if machine.lacks_cpp else Choice("yes", "a C++ compiler is there")
    if gpu.compute_capability < _TRITON_FROM:
        major, minor = gpu.compute_capability
        return Choice("no", f"Triton does not know compute capability {major}.{minor}")
    return Choice("no", machine.lacks_triton) if machine.lacks_triton else Choice("yes", "Triton is there")


def lacks_cpp() -> str:
    """What is missing to compile C++ for Python; empty where nothing is. Looks for what torch's Inductor calls."""
    name = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return _lacks_program(name.split()[:1], "C++") or _lacks_headers()


def lacks_triton() -> str:
    """What is missing to compile for a CUDA device; empty where nothing is. Triton builds its launchers with a C compiler."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    named = os.environ.get("CC")
    return _lacks_program([named.split()[0]] if named else ["gcc", "clang"], "C") or _lacks_headers()


def _lacks_program(names: list[str], language: str) -> str:
    return "" if any(shutil.which(name) for name in names) else f"no {language} compiler ({' or '.join(names)} not found)"


def _lacks_headers() -> str:
    folder = Path(sysconfig.get_path("include"))
    return "" if (folder / "Python.h").exists() else f"Python's headers are missing ({folder / 'Python.h'})"
