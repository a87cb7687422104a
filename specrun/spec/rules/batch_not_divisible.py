"""What: a micro-batch that is larger than the batch, or does not divide it.

Why: the gradient of one optimizer step is summed over whole micro-batches of equal size; a remainder would train on fewer samples
than the spec says.

Example: `batch_size: 30` with `micro_batch_size: 8`. Remedy: a divisor of the batch size, or `auto`.
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
        return
    path = ("schedule", "micro_batch_size")
    if micro > batch:
        yield Problem(path, CODE, f"micro_batch_size {micro} is more than batch_size {batch}", f"use {batch} or less, or auto")
        return
    below = next(size for size in range(micro, 0, -1) if batch % size == 0)
    above = next(size for size in range(micro, batch + 1) if batch % size == 0)
    yield Problem(path, CODE, f"batch_size {batch} is not a multiple of micro_batch_size {micro}", f"use {below} or {above}")
