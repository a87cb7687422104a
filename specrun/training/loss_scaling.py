"""The loss scale of float16 training (Micikevicius et al. 2018): large enough that small gradients do not vanish, halved where one
overflows. Kept on the device: nothing here waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from specrun.runtime.device import Device

INITIAL_SCALE = 65_536.0
GROWTH_STEPS = 2_000
"""Steps in a row without an overflow after which the scale is doubled; torch's own figure."""
SMALLEST_SCALE = 1.0
"""What overflows at this scale overflows without any: that is a fault of the training, and no longer of the scale."""


class LossScale:
    """The factor between the loss and what is differentiated, a float32 scalar on the device."""

    def __init__(self, device: Device, *, initial: float = INITIAL_SCALE, growth_steps: int = GROWTH_STEPS) -> None:
        self._initial, self._growth_steps = initial, growth_steps
        self._scale = torch.full((), initial, dtype=torch.float32, device=device.place)
        self._steps_without_overflow = torch.zeros((), dtype=torch.int32, device=device.place)

    @classmethod
    def needed_on(cls, device: Device) -> Self | None:
        """A new scale where products are float16, whose numbers end at 65,504 and begin at 6e-8."""
        return cls(device) if device.compute_dtype is torch.float16 else None

    def scale(self, loss: Tensor) -> Tensor:
        """The loss to differentiate."""
        return loss * self._scale

    def unscale(self, gradients: Sequence[Tensor]) -> None:
        """Make the gradients those of the loss itself, in place. To be called once a step, before they are clipped."""
        torch._foreach_mul_(tuple(gradients), self._scale.reciprocal())

    def shown(self, gradient_norm: Tensor) -> Tensor:
        """The norm as it is recorded: infinite where the scale was too large, which is no fault; NaN where no smaller one would help."""
        otherwise = torch.where(self._scale > SMALLEST_SCALE, math.inf, math.nan)
        return torch.where(gradient_norm.isfinite(), gradient_norm, otherwise)

    def update(self, found_inf: Tensor) -> None:
        """Choose the scale of the next step. found_inf: 1.0 where a gradient of this one was not finite, else 0.0; float32 scalar."""
        torch._amp_update_scale_(self._scale, self._steps_without_overflow, found_inf, 2.0, 0.5, self._growth_steps)
        self._scale.clamp_(min=SMALLEST_SCALE)

    def reset(self) -> None:
        """Go back to the scale of before the first step."""
        self._scale.fill_(self._initial)
        self._steps_without_overflow.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"scale": self._scale, "steps_without_overflow": self._steps_without_overflow}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what a checkpoint kept."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
