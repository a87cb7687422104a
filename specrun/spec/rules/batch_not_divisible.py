"""What: a micro-batch that is larger than the batch, or does not divide it; a batch that devices cannot share evenly.

Why: the gradient of one optimizer step is summed over whole micro-batches of equal size, equally many on each device; a remainder
would train on fewer samples than the spec says, or keep devices waiting for one.

Example: `batch_size: 30` with `micro_batch_size: 8`. Remedy: a divisor of the batch size, or `auto`. With 4 devices and
`micro_batch_size: 2`: a batch size of 24 or 32.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "batch-not-divisible"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the two sizes."""
    batch, micro = spec.schedule.batch_size, spec.schedule.micro_batch_size
    if micro == "auto" or batch % micro == 0:
        hardware = spec.hardware
        if hardware.engine == "torchrun" and hardware.devices != "auto":
            yield from sharing_problems(spec, workers=hardware.devices * hardware.nodes)
        return
    path = ("schedule", "micro_batch_size")
    if micro > batch:
        yield Problem(path, CODE, f"micro_batch_size {micro} is more than batch_size {batch}", f"use {batch} or less, or auto")
        return
    below = next(size for size in range(micro, 0, -1) if batch % size == 0)
    above = next(size for size in range(micro, batch + 1) if batch % size == 0)
    yield Problem(path, CODE, f"batch_size {batch} is not a multiple of micro_batch_size {micro}", f"use {below} or {above}")


def sharing_problems(spec: Spec, *, workers: int) -> Iterator[Problem]:
    """Compare the batch with what so many devices compute at once."""
    batch, micro = spec.schedule.batch_size, spec.schedule.micro_batch_size
    unit = workers if micro == "auto" else workers * micro
    if batch % unit == 0:
        return
    each = f"{workers} devices" if micro == "auto" else f"{workers} devices x {micro}"
    fitting = [str(size) for size in (batch // unit * unit, -(-batch // unit) * unit) if size]
    yield Problem(("schedule", "batch_size"), CODE, f"batch_size {batch} is not a multiple of {each}", f"use {' or '.join(fitting)}")
