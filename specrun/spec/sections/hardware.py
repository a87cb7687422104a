"""The `hardware` section: which machine, which arithmetic, which engine."""

from __future__ import annotations

from typing import Annotated, Literal

from specrun.spec.section import NotYet, Section, option
from specrun.spec.units import ByteSize


class Hardware(Section):
    """What the experiment runs on. `auto` values are decided from the machine, and the reason is recorded."""

    profile: Literal["auto", "cpu", "cuda"] = option(
        "auto", impact="weights", description="Kind of device; auto takes the first CUDA device, otherwise the CPU."
    )
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", impact="weights", description="Arithmetic of matrix products; master weights are float32 always."
    )
    compile: Literal["auto", "off"] = option("auto", impact="runtime", description="Whether the model is compiled; auto is off for now.")
    engine: Literal["local"] = option("local", impact="runtime", description="What starts the processes.")
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
    devices: Annotated[None, NotYet("training on several devices")] = option(None, impact="runtime", description="Number of devices.")
