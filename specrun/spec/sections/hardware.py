"""The `hardware` section: which machine, which arithmetic, which engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specrun.spec.section import Section, option
from specrun.spec.units import ByteSize


class Hardware(Section):
    """What the experiment runs on. `auto` values are decided from the machine, and the reason is recorded."""

    profile: Literal["auto", "cpu", "cuda"] = option(
        "auto", impact="weights", description="Kind of device; auto takes the first CUDA device, otherwise the CPU."
    )
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16"] = option(
        "auto",
        impact="weights",
        description="Arithmetic of matrix products; master weights are float32 always. float16 scales the loss; tf32 needs a CUDA device "
        "of compute capability 8.0; auto is bfloat16 or float16 on a CUDA device that has it, otherwise float32.",
    )
    compile: Literal["auto", "off", "default", "reduce-overhead", "max-autotune"] = option(
        "auto",
        impact="weights",
        description="How the blocks of the model are compiled for training: a mode of torch.compile, or off; auto compiles only where "
        "the planned steps save more time than compiling takes.",
    )
    engine: Literal["local", "torchrun"] = option(
        "local",
        impact="runtime",
        description="What trains and evaluates: local is this process, on one device; torchrun starts a process a device.",
    )
    memory: ByteSize | None = option(
        None, impact="runtime", description="Memory the run may plan with, such as 16 GiB; absent means what the device has."
    )
    threads: int | None = option(
        None,
        impact="runtime",
        description="CPU threads for arithmetic; absent means one a core. The order of sums depends on it, the experiment does not.",
        ge=1,
        le=1024,
    )
    devices: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = option(
        "auto",
        impact="runtime",
        description="Devices of each machine that train together; auto is every visible GPU, or one process on a CPU. "
        "Each takes its share of a batch, which stays as large as it is.",
    )
    nodes: int = option(
        1, impact="runtime", description="Machines that train together, each with as many devices, on one shared store.", ge=1, le=4096
    )
    activation_checkpointing: bool = option(
        False,
        impact="runtime",
        description="Whether the backward pass computes each block a second time, so that less is kept: less memory, the same result.",
    )
    strategy: Literal["auto", "ddp", "fsdp"] = option(
        "auto",
        impact="runtime",
        description="What each device holds: ddp all weights, gradients and moments; fsdp its share of them, for models that are too "
        "large for one; auto is ddp where they fit.",
    )
