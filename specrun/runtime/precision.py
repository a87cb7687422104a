"""In what arithmetic a machine multiplies matrices, by which library, and what of it its hardware can do. No torch: plans are made from
it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.runtime.choice import Choice

if TYPE_CHECKING:
    from specrun.runtime.hardware import Gpu, Machine
    from specrun.spec.sections.hardware import Hardware

_WITH_TENSOR_CORES = (7, 0)
"""Compute capability from which float16 products are faster than float32 ones."""
_AMPERE = (8, 0)
"""Compute capability from which a device has bfloat16 and TF32."""
_INTEL = "GenuineIntel"
_AVX512 = "avx512f"

TORCHS_OWN = Choice("torch", "its own choice of library")
"""Of a library to multiply with."""


def choose_precision(options: Hardware, machine: Machine, gpu: Gpu | None) -> Choice:
    """What the `precision` of a spec is on this device. One that the device cannot give is left to the planner's check."""
    if options.precision != "auto":
        return Choice(options.precision, "asked for")
    able = bfloat16_reason(machine, gpu)
    if gpu is None:
        return Choice("float32", able.reason if able.value == "no" else "exact; bfloat16, which this CPU has, is taken when asked for")
    if able.value == "yes":
        return Choice("bfloat16", able.reason)
    if gpu.compute_capability >= _WITH_TENSOR_CORES:
        return Choice("float16", f"{able.reason} has no bfloat16; the loss is scaled")
    return Choice("float32", able.reason)


def choose_products(precision: Choice, machine: Machine, gpu: Gpu | None) -> Choice:
    """Which library multiplies the linear layers: "torch", the one that torch takes of itself, or "onednn" (`runtime.products`)."""
    if gpu is None and precision.value == "float32" and machine.vendor not in ("", _INTEL) and _AVX512 in machine.instructions:
        return Choice("onednn", "it multiplies float32 with AVX-512 on this processor, MKL with AVX2")
    return TORCHS_OWN


def precision_reason(precision: str, machine: Machine, gpu: Gpu | None) -> Choice:
    """Whether this device's hardware has a precision."""
    match precision:
        case "tf32":
            return tf32_reason(gpu)
        case "bfloat16":
            return bfloat16_reason(machine, gpu)
        case "float16":
            return float16_reason(gpu)
        case _:
            return Choice("yes", "every device has float32")


def bfloat16_reason(machine: Machine, gpu: Gpu | None) -> Choice:
    """Whether this device computes bfloat16 in hardware."""
    if gpu:
        return Choice("yes" if gpu.compute_capability >= _AMPERE else "no", _capability(gpu))
    found = sorted(machine.instructions & {"avx512_bf16", "amx_bf16", "bf16"})
    return Choice("yes", f"the processor has {found[0]}") if found else Choice("no", "no bf16 instructions here")


def float16_reason(gpu: Gpu | None) -> Choice:
    """Whether this device computes float16 faster than float32. No processor counts: torch's kernels convert there and back."""
    if gpu is None:
        return Choice("no", "torch converts float16 on a CPU")
    return Choice("yes" if gpu.compute_capability >= _WITH_TENSOR_CORES else "no", _capability(gpu))


def tf32_reason(gpu: Gpu | None) -> Choice:
    """Whether this device has TensorFloat-32: float32 with products of 10 bits."""
    if gpu is None:
        return Choice("no", "a CPU has no TF32")
    return Choice("yes" if gpu.compute_capability >= _AMPERE else "no", _capability(gpu))


def _capability(gpu: Gpu) -> str:
    major, minor = gpu.compute_capability
    return f"compute capability {major}.{minor}"
