"""What: compiling that was asked for on a machine that cannot, or in a mode that the device does not have.

Why: torch compiles with a C++ compiler for a processor and with Triton for a CUDA device; without them the run is computed eagerly.
CUDA graphs, which `reduce-overhead` is, are of CUDA devices alone. What there is is known only on the machine, so the planner asks;
the result is valid, so these are warnings.

Example: `hardware: {compile: default}` where no compiler is installed. Remedy: install one, or `compile: auto`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "compile-without-compiler"
WITHOUT_EFFECT = "option-without-effect"


def compiler_problems(spec: Spec, *, on: str, lacks: str | None) -> Iterator[Problem]:
    """Compare the mode with the machine. on: the device's kind; lacks: what is missing to compile for it, None where nothing is."""
    asked, path = spec.hardware.compile, ("hardware", "compile")
    if asked in ("auto", "off"):
        return
    if lacks is not None:
        yield Problem(path, CODE, f"compile is {asked}, which this machine cannot do: {lacks}; the model is not compiled",
                      "install what is missing, or use auto", severity="warning")  # fmt: skip
    elif asked == "reduce-overhead" and on == "cpu":
        yield Problem(path, WITHOUT_EFFECT, "hardware.compile reduce-overhead is the same as default on a CPU, which has no CUDA graphs",
                      "use default, or auto", severity="warning")  # fmt: skip
