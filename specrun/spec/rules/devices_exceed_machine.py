"""What: more devices than the machine has.

Why: each process needs a device of its own, on a CPU a core: more of them take longer together than fewer, and each takes the memory of
another Python and torch, until the machine has none left. How many there are is known only on the machine, so the planner asks.

Example: `hardware: {engine: torchrun, devices: 8}` on a machine of 4 GPUs. Remedy: `devices: 4`, or `auto`; of a CPU with 2 cores,
`devices: 2` or fewer.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "devices-exceed-machine"


def device_problems(spec: Spec, *, gpus: int, cores: int) -> Iterator[Problem]:
    """Compare the devices with the machine. gpus: visible ones, 0 where a CPU trains; cores: that this process may use at once."""
    devices = spec.hardware.devices
    if spec.hardware.engine != "torchrun" or devices == "auto":
        return
    path = ("hardware", "devices")
    if gpus and devices > gpus:
        yield Problem(
            path, CODE, f"devices is {devices}, but this machine shows {gpus} GPU{'' if gpus == 1 else 's'}", f"use {gpus} or auto"
        )
    elif not gpus and devices > cores:
        message = f"devices is {devices}, but this machine has {cores} core{'' if cores == 1 else 's'}, and each process needs one"
        yield Problem(path, CODE, message, "use 1, or engine: local" if cores == 1 else f"use {cores} or fewer")
