"""Gated skip connections and gated residual networks (Lim et al. 2021, section 4.1).

Shapes: I inputs, O outputs, E = 2 O, N positions; where several networks lie side by side, V of them in front.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.columns import Columns, fusable
from specrun.models.tft.noise import Noise
from specrun.models.tft.normalization import normalization_gradient, normalize_, normalized
from specrun.runtime.products import Multiply


class GatedNorm(nn.Module):
    """norm(residual + GLU(W dropout(x) + b)). maps: how many lie side by side; None: one alone."""

    def __init__(self, inputs: int, outputs: int, *, maps: int | None = None) -> None:
        super().__init__()
        self.gate = Columns(inputs, 2 * outputs, maps=maps, parts=(outputs, outputs))
        self.norm_weight = nn.Parameter(torch.ones((maps or 1) * outputs))
        self.norm_bias = nn.Parameter(torch.zeros((maps or 1) * outputs))
        self.shape = (outputs, 1) if maps is None else (maps, outputs, 1)

    def forward(self, x_IN: Tensor, residual_ON: Tensor, noise: Noise | None) -> Tensor:
        """(I, N) and (O, N) to (O, N). noise: of this pass; None: nothing is dropped."""
        weights = self.gate.weight, self.gate.bias, self.norm_weight, self.norm_bias
        if self.gate.maps is None and fusable(x_IN):
            fused_ON: Tensor = _GatedNorm.apply(noise, self.gate.multiply, x_IN.contiguous(), residual_ON, *weights)  # type: ignore[no-untyped-call]
            return fused_ON
        x_IN = noise.dropout(x_IN) if noise else x_IN
        y_ON = normalized(residual_ON + F.glu(self.gate(x_IN), -2))
        return y_ON * self.norm_weight.view(self.shape) + self.norm_bias.view(self.shape)


class _GatedNorm(torch.autograd.Function):
    """The same with its gradient, without what autograd would copy."""

    @staticmethod
    def forward(ctx: Any, noise: Noise | None, multiply: Multiply, x_IN: Tensor, residual_ON: Tensor, *weights: Tensor) -> Tensor:
        weight_EI, bias_E, norm_weight_O, norm_bias_O = weights
        drawn_IN = noise.draw(tuple(x_IN.shape)) if noise else None
        if noise and drawn_IN is not None:
            x_IN, weight_EI = noise.mask(drawn_IN).mul_(x_IN), weight_EI * noise.scale
        gates_EN = multiply(weight_EI, x_IN.t()).add_(bias_E[:, None])
        y_ON = F.glu(gates_EN, 0).add_(residual_ON)
        scale_1N = normalize_(y_ON)
        ctx.noise, ctx.multiply, ctx.drawn_IN = noise, multiply, drawn_IN
        ctx.save_for_backward(x_IN, gates_EN, y_ON, scale_1N, weight_EI, norm_weight_O)
        return torch.mul(y_ON, norm_weight_O[:, None]).add_(norm_bias_O[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x_IN, gates_EN, y_ON, scale_1N, weight_EI, norm_weight_O = ctx.saved_tensors
        (grad_ON,) = grad_outputs
        grad_norm_weight_O, grad_norm_bias_O = torch.mul(grad_ON, y_ON).sum(1), grad_ON.sum(1)
        grad_y_ON = normalization_gradient(torch.mul(grad_ON, norm_weight_O[:, None]), y_ON, scale_1N)
        grad_gates_EN = torch.ops.aten.glu_backward(grad_y_ON, gates_EN, 0)
        grad_weight_EI, grad_bias_E = ctx.multiply(grad_gates_EN, x_IN), grad_gates_EN.sum(1)
        grad_x_IN = ctx.multiply(weight_EI.t(), grad_gates_EN.t())
        if ctx.noise:
            grad_x_IN.mul_(ctx.noise.mask(ctx.drawn_IN))
            grad_weight_EI.mul_(ctx.noise.scale)
        return None, None, grad_x_IN, grad_y_ON, grad_weight_EI, grad_bias_E, grad_norm_weight_O, grad_norm_bias_O


class GatedResidual(nn.Module):
    """GRN(a, c) = norm(a + GLU(dropout(W1 ELU(W2 a + W3 c + b2) + b1))). context: whether there is a c."""

    def __init__(self, width: int, *, context: bool = False, maps: int | None = None) -> None:
        super().__init__()
        self.first = Columns(width, width, maps=maps)
        self.context = Columns(width, width, bias=False) if context else None
        self.second = Columns(width, width, maps=maps)
        self.gated = GatedNorm(width, width, maps=maps)

    def forward(self, x_CN: Tensor, noise: Noise | None, context_CB: Tensor | None = None) -> Tensor:
        """(C, N) to (C, N); with several side by side (C, N) to (V, C, N). context_CB: of each sample; positions are in the order of
        time, of each the samples."""
        hidden_CN = self.first(x_CN)
        if self.context is not None and context_CB is not None:
            hidden_CN = add_context(hidden_CN, self.context(context_CB))
        return self.gated(self.second(F.elu(hidden_CN)), x_CN, noise)  # type: ignore[no-any-return]


def add_context(x_CN: Tensor, context_CB: Tensor) -> Tensor:
    """Add a vector of each sample to all of its positions."""
    channels, samples = context_CB.shape
    return (x_CN.view(channels, -1, samples) + context_CB[:, None]).view(channels, -1)
