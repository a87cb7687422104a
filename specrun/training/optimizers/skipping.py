"""How an optimizer step that must not happen changes nothing, without asking the device whether it must.

Whoever finds a loss or a gradient that is not finite sets `found_inf` on the optimizer, as torch's fused ones take it: a float32 scalar
on the device, 1.0 to leave weights and state as they are. Not set, or None: no step is skipped, and none of this costs anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def found_inf(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """What was set on the optimizer, if anything."""
    return getattr(optimizer, "found_inf", None)


def silence(gradients: Iterable[Tensor], skip: Tensor | None) -> None:
    """Make the gradients of a skipped step zero: a factor of 0 would leave their infinities what they are."""
    if skip is not None:
        skipped = skip > 0
        for gradient in gradients:
            gradient.masked_fill_(skipped, 0.0)


def unless(skip: Tensor | None, value: float, *, skipped: float) -> Any:
    """`value`, or `skipped` in a step that is skipped: a scalar on the device where that has to be seen."""
    return value if skip is None else torch.where(skip > 0, skipped, value)
