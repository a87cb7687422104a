"""What: compiling that was asked for on a machine that cannot, or in a mode that the device does not have.

Why: torch compiles with a C++ compiler for a processor and with Triton for a CUDA device; without them the run is computed eagerly.
CUDA graphs, which `reduce-overhead` is, are of CUDA devices alone, and recorded only where a step is one micro-batch. What there is is
known only on the machine, so the planner asks; the result is valid, so these are warnings.

Example: `hardware: {compile: default}` where no compiler is installed. Remedy: install one, or `compile: auto`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "compile-without-compiler"
WITHOUT_EFFECT = "option-without-effect"


def compiler_problems(spec: Spec, *, on: str, lacks: str | None, workers: int = 1) -> Iterator[Problem]:
    """Compare the mode with the machine. on: the device's kind; lacks: what is missing to compile for it, None where nothing is;
    workers: processes that train together."""
    asked, path = spec.hardware.compile, ("hardware", "compile")
    if asked in ("auto", "off"):
        return
    if lacks is not None:
        yield Problem(path, CODE, f"compile is {asked}, which this machine cannot do: {lacks}; the model is not compiled",
                      "install what is missing, or use auto", severity="warning")  # fmt: skip
    elif asked == "reduce-overhead" and on == "cpu":
        yield Problem(path, WITHOUT_EFFECT, "hardware.compile reduce-overhead is the same as default on a CPU, which has no CUDA graphs",
                      "use default, or auto", severity="warning")  # fmt: skip
    elif asked == "reduce-overhead" and (size := spec.schedule.micro_batch_size) != "auto" and size < (share := _share(spec, workers)):
        yield Problem(path, WITHOUT_EFFECT, f"hardware.compile reduce-overhead is the same as default where a step has several "
                      f"micro-batches, here of {size} of {share} samples: CUDA graphs would be recorded for each of them",
                      f"use default, or schedule.micro_batch_size: {share}", severity="warning")  # fmt: skip


def _share(spec: Spec, workers: int) -> int:
    """Samples of a step that one process computes."""
    return max(1, spec.schedule.batch_size // workers)
