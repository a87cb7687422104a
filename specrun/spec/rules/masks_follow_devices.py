"""What: dropout, a micro-batch that is left to be each device's share, and a number of devices that is left to the machine.

Why: masks are drawn a micro-batch at a time, so that another number of devices would be another training under the same key.

The same goes for batch norm, whose means are those of a micro-batch, and whose running means are those over all devices.

The same goes for documents (`data.packing: documents`), whatever the micro-batch: each device divides its own.

Example: `model: {dropout: 0.1}` with `hardware: {engine: torchrun}` on its own. Remedy: a `micro_batch_size`, or a number of devices.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.own_path import is_own
from specrun.spec.section import Problem

CODE = "masks-follow-devices"


def check(spec: Spec) -> Iterator[Problem]:
    """Look at what the size of a micro-batch would come from."""
    hardware, lora = spec.hardware, spec.schedule.parameters.lora
    draws = getattr(spec.model, "draws_in_training", True) or (lora is not None and lora.dropout > 0)
    machine_decides = hardware.engine == "torchrun" and hardware.devices == "auto"
    if getattr(spec.model, "depends_on_micro_batch", False) and machine_decides:
        message = "batch norm's means are those of each device's samples, and devices auto leaves these to the machine"
        otherwise = "say depends_on_micro_batch = False in its class" if is_own(spec.model.kind) else "use model.norm: group"
        yield Problem(("hardware", "engine"), CODE, message, f"set hardware.devices, or {otherwise}")
        return
    left_open = draws and machine_decides
    if left_open and spec.data.packing == "documents":
        message = "with dropout, documents are dealt out to devices before masks are drawn, and devices auto leaves these to the machine"
        yield Problem(("hardware", "engine"), CODE, message, "set hardware.devices, or use data.packing: stream")
    elif left_open and spec.schedule.micro_batch_size == "auto":
        message = "with dropout, micro_batch_size auto is each device's share, and devices auto leaves that to the machine"
        yield Problem(("hardware", "engine"), CODE, message, "use schedule.micro_batch_size: 1 or more, or set hardware.devices")
