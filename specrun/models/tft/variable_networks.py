"""The gated residual networks of all variables at once and the sum of what they say, with its gradient, a few thousand positions at a time.

What is between two operations stays in the processor's caches, and only two arrays of all variables' size are kept for the backward pass.
Shapes: V variables, of which R numbers, then G categories; C width, E = 2 C, N positions, M of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.tft.noise import Noise
from specrun.models.tft.normalization import normalize_, normalized

_AT_ONCE = 2**18
"""Numbers in one array of a part: 1 MiB, about what a core has of cache for itself."""
_FEWEST = 64
"""Positions at once, however many variables there are."""


class Entering(NamedTuple):
    """What the networks are given. numbers_RN; rows_GEN: of each category, its vector and what the first linear map makes of it;
    shares_VN: weights of the sum. slope, offset: a number's vector is slope x number + offset; first: what the first linear map makes of it.
    The rest are weights of the networks, columns that are multiplied or added last in their shape."""

    numbers_RN: Tensor
    rows_GEN: Tensor
    shares_VN: Tensor
    slope_RC1: Tensor
    offset_RC1: Tensor
    first_slope_RC1: Tensor
    first_offset_RC1: Tensor
    second_VCC: Tensor
    second_bias_VC1: Tensor
    gate_VEC: Tensor
    gate_bias_VE1: Tensor
    norm_VC1: Tensor
    norm_bias_VC1: Tensor


def combined(given: Entering, noise: Noise | None) -> Tensor:
    """Sum of the networks' outputs, (C, N), by autograd. noise: of this pass; None: nothing is dropped."""
    x_R1N, width = given.numbers_RN[:, None], given.slope_RC1.shape[1]
    entering_VCN = torch.cat((given.slope_RC1 * x_R1N + given.offset_RC1, given.rows_GEN[:, :width]))
    first_VCN = torch.cat((given.first_slope_RC1 * x_R1N + given.first_offset_RC1, given.rows_GEN[:, width:]))
    second_VCN = given.second_VCC @ F.elu(first_VCN) + given.second_bias_VC1
    second_VCN = noise.dropout(second_VCN) if noise else second_VCN
    y_VCN = normalized(entering_VCN + F.glu(given.gate_VEC @ second_VCN + given.gate_bias_VE1, 1))
    return ((y_VCN * given.norm_VC1 + given.norm_bias_VC1) * given.shares_VN[:, None]).sum(0)


def combined_fused(given: Entering, noise: Noise | None) -> Tensor:
    """The same, with a gradient of its own."""
    found_CN: Tensor = _Combined.apply(noise, *given)  # type: ignore[no-untyped-call]
    return found_CN


class _Combined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, noise: Noise | None, *inputs: Tensor) -> Tensor:
        given = _scaled(Entering(*inputs), noise)
        width, positions = given.slope_RC1.shape[1], given.shares_VN.shape[1]
        out_CN = given.shares_VN.new_empty(width, positions)
        ctx.noise, ctx.kept = noise, []
        for part in _parts(given):
            hidden_VCM, second_VCM, drawn = _second(given, part, noise)
            y_VCM = _outputs(given, part, second_VCM)[0]
            shares_VM = given.shares_VN[:, part]
            torch.sum(y_VCM.mul_(given.norm_VC1).mul_(shares_VM[:, None]), 0, out=out_CN[:, part])
            out_CN[:, part].addmm_(given.norm_bias_VC1[..., 0].t(), shares_VM)
            if any(ctx.needs_input_grad):
                ctx.kept.append((hidden_VCM, second_VCM, drawn))
        ctx.save_for_backward(*inputs)
        return out_CN

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        original = Entering(*ctx.saved_tensors)
        given = _scaled(original, ctx.noise)
        wants = Entering(*ctx.needs_input_grad[1:])
        grads = Entering(*(torch.zeros_like(tensor) for tensor in given))
        kept, ctx.kept = ctx.kept, None
        for part, (hidden_VCM, second_VCM, drawn) in zip(_parts(given), kept, strict=True):
            gates_VEM_y = _outputs(given, part, second_VCM)
            grad_y_VCM = _output_gradient(given, grads, part, grad_outputs[0][:, part], *gates_VEM_y)
            mask = ctx.noise.mask(drawn) if ctx.noise else None
            grad_first_VCM = _inner_gradient(given, grads, grad_y_VCM, gates_VEM_y[1], hidden_VCM, second_VCM, mask)
            _entering_gradient(given, grads, part, grad_y_VCM, grad_first_VCM, numbers=bool(wants.numbers_RN))
        if ctx.noise:
            grads.gate_VEC.mul_(ctx.noise.scale)
        return None, *(grad if wanted else None for grad, wanted in zip(grads, wants, strict=True))


def _scaled(given: Entering, noise: Noise | None) -> Entering:
    """What dropout keeps is multiplied in the weights that it meets, which are few."""
    return given._replace(gate_VEC=given.gate_VEC * noise.scale) if noise else given


def _parts(given: Entering) -> Iterator[slice]:
    variables, positions = given.shares_VN.shape
    step = max(_FEWEST, _AT_ONCE // (variables * given.slope_RC1.shape[1]))
    return (slice(start, min(start + step, positions)) for start in range(0, positions, step))


def _second(given: Entering, part: slice, noise: Noise | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """After the ELU, after the second linear map and dropout, and the random bits of that."""
    x_R1M, rows_GEM = given.numbers_RN[:, None, part], given.rows_GEN[..., part]
    numbers, width = given.slope_RC1.shape[:2]
    hidden_VCM = x_R1M.new_empty(len(given.shares_VN), width, x_R1M.shape[2])
    torch.mul(given.first_slope_RC1, x_R1M, out=hidden_VCM[:numbers]).add_(given.first_offset_RC1)
    hidden_VCM[numbers:] = rows_GEM[:, width:]
    F.elu_(hidden_VCM)
    second_VCM = torch.baddbmm(given.second_bias_VC1, given.second_VCC, hidden_VCM)
    drawn = noise.draw(tuple(second_VCM.shape)) if noise else None
    if noise and drawn is not None:
        second_VCM.mul_(noise.mask(drawn))
    return hidden_VCM, second_VCM, drawn


def _outputs(given: Entering, part: slice, second_VCM: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised outputs without weight and bias, the gates before their sigmoid, and what normalising multiplied by."""
    x_R1M, rows_GEM = given.numbers_RN[:, None, part], given.rows_GEN[..., part]
    numbers, width = given.slope_RC1.shape[:2]
    gates_VEM = torch.baddbmm(given.gate_bias_VE1, given.gate_VEC, second_VCM)
    y_VCM = F.glu(gates_VEM, 1)
    y_VCM[:numbers].add_(torch.mul(given.slope_RC1, x_R1M).add_(given.offset_RC1))
    y_VCM[numbers:].add_(rows_GEM[:, :width])
    return y_VCM, gates_VEM, normalize_(y_VCM)


def _output_gradient(
    given: Entering, grads: Entering, part: slice, grad_CM: Tensor, y_VCM: Tensor, gates_VEM: Tensor, scale_V1M: Tensor  # noqa: ARG001
) -> Tensor:
    """Gradient of what is normalised; those of the weights of the sum and of the norm are added to `grads`."""
    shares_VM, norm_VC = given.shares_VN[:, part], given.norm_VC1[..., 0]
    along_VCM = torch.mul(y_VCM, grad_CM)
    weighed_V1M = torch.bmm(norm_VC[:, None], along_VCM)
    torch.addmm(weighed_V1M[:, 0], given.norm_bias_VC1[..., 0], grad_CM, out=grads.shares_VN[:, part])
    grads.norm_VC1.baddbmm_(along_VCM, shares_VM[..., None])
    grads.norm_bias_VC1[..., 0].addmm_(shares_VM, grad_CM.t())
    # A share is one number for all channels, so that means over these are taken before it is multiplied in.
    width = len(grad_CM)
    found_VCM = torch.mul(given.norm_VC1, grad_CM).sub_((norm_VC @ grad_CM).div_(width)[:, None])
    found_VCM.sub_(torch.mul(y_VCM, weighed_V1M.div_(width)))
    return found_VCM.mul_(scale_V1M.mul_(shares_VM[:, None]))


def _inner_gradient(
    given: Entering, grads: Entering, grad_y_VCM: Tensor, gates_VEM: Tensor, hidden_VCM: Tensor, second_VCM: Tensor, mask: Tensor | None
) -> Tensor:
    """Gradient before the ELU, through gates, dropout and second linear map."""
    grad_gates_VEM = torch.ops.aten.glu_backward(grad_y_VCM, gates_VEM, 1)
    grads.gate_VEC.baddbmm_(grad_gates_VEM, second_VCM.mT)
    grads.gate_bias_VE1.add_(grad_gates_VEM.sum(2, keepdim=True))
    grad_second_VCM = torch.bmm(given.gate_VEC.mT, grad_gates_VEM)
    if mask is not None:
        grad_second_VCM.mul_(mask)
    grads.second_VCC.baddbmm_(grad_second_VCM, hidden_VCM.mT)
    grads.second_bias_VC1.add_(grad_second_VCM.sum(2, keepdim=True))
    grad_hidden_VCM = torch.bmm(given.second_VCC.mT, grad_second_VCM)
    found_VCM: Tensor = torch.ops.aten.elu_backward(grad_hidden_VCM, 1, 1, 1, True, hidden_VCM)  # noqa: FBT003 - torch's own signature
    return found_VCM


def _entering_gradient(
    given: Entering, grads: Entering, part: slice, grad_y_VCM: Tensor, grad_first_VCM: Tensor, *, numbers: bool
) -> None:
    """What is left for vectors, their slopes and offsets; numbers: whether for the numbers themselves too."""
    count, width = given.slope_RC1.shape[:2]
    x_RM1 = given.numbers_RN[:, part, None]
    for grad_VCM, slope, offset in (
        (grad_y_VCM, grads.slope_RC1, grads.offset_RC1), (grad_first_VCM, grads.first_slope_RC1, grads.first_offset_RC1)
    ):  # fmt: skip
        slope.baddbmm_(grad_VCM[:count], x_RM1)
        offset.add_(grad_VCM[:count].sum(2, keepdim=True))
    grads.rows_GEN[:, :width, part] = grad_y_VCM[count:]
    grads.rows_GEN[:, width:, part] = grad_first_VCM[count:]
    if numbers:
        found_R1M = given.slope_RC1.mT @ grad_y_VCM[:count] + given.first_slope_RC1.mT @ grad_first_VCM[:count]
        grads.numbers_RN[:, part] = found_R1M[:, 0]
