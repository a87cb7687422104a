"""Layer normalisation over channels that lie one below the other (second last dimension), and its gradient.

torch's own wants them side by side, in rows of a few dozen numbers, where a processor's vector units are half idle; along the positions
they are full, at a third of the time. Shapes: (..., C channels, N positions).
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-5
"""Added to the variance."""


def center_(x_CN: Tensor, *, room: Tensor | None = None) -> Tensor:
    """Take the mean over the channels off each position, in place. Returns what normalising multiplies by, (..., 1, N). room: memory of
    its shape to compute in."""
    x_CN.sub_(x_CN.mean(-2, keepdim=True))
    return torch.mul(x_CN, x_CN, out=room).mean(-2, keepdim=True).add_(EPSILON).rsqrt_()


def normalize_(x_CN: Tensor) -> Tensor:
    """Bring each position to mean 0 and variance 1 over its channels, in place. Returns what it was multiplied by, (..., 1, N)."""
    scale_1N = center_(x_CN)
    x_CN.mul_(scale_1N)
    return scale_1N


def normalized(x_CN: Tensor) -> Tensor:
    """The same for autograd."""
    centered_CN = x_CN - x_CN.mean(-2, keepdim=True)
    return centered_CN * (centered_CN.square().mean(-2, keepdim=True) + EPSILON).rsqrt()


def normalization_gradient(grad_CN: Tensor, normalized_CN: Tensor, scale_1N: Tensor) -> Tensor:
    """Gradient of what was normalised, from that of the result and the result itself (Ba et al. 2016)."""
    along_1N = torch.mul(grad_CN, normalized_CN).mean(-2, keepdim=True)
    found_CN = grad_CN - grad_CN.mean(-2, keepdim=True)
    return found_CN.sub_(torch.mul(normalized_CN, along_1N)).mul_(scale_1N)
