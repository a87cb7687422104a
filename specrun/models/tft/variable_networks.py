"""The gated residual networks of all variables at once and the sum of what they say, with its gradient, a few thousand positions at a time.

What is between two operations stays in the processor's caches, in arrays that are used again for each part, and only two arrays of all
variables' size are kept for the backward pass. Normalised values are never written: what normalising multiplies by is one number for all
channels and goes with the others that are.
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
from specrun.models.tft.normalization import center_, normalized

_AT_ONCE = 2**18
"""Numbers in one array of a part: 1 MiB, about what a core has of cache for itself."""
_FEWEST = 64
"""Positions at once, however many variables there are."""


class Entering(NamedTuple):
    """What the networks are given. rows: of each category, its vector and what the first linear map makes of it; shares: weights of the
    sum; slope, offset: a number's vector is slope x number + offset; first_slope, first_offset: what the first linear map makes of it.
    The rest are weights of the networks."""

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
        out_CN = given.shares_VN.new_empty(given.slope_RC1.shape[1], given.shares_VN.shape[1])
        ctx.room = _Room(given, noise, keeps=any(ctx.needs_input_grad))
        for part in _parts(given):
            y_VCM, _, scale_V1M = _outputs(given, part, _second(given, part, ctx.room, noise), ctx.room)
            shares_VM = given.shares_VN[:, part]
            torch.sum(y_VCM.mul_(given.norm_VC1).mul_(scale_V1M.mul_(shares_VM[:, None])), 0, out=out_CN[:, part])
            out_CN[:, part].addmm_(given.norm_bias_VC1[..., 0].t(), shares_VM)
        ctx.noise = noise
        ctx.save_for_backward(*inputs)
        return out_CN

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        given = _scaled(Entering(*ctx.saved_tensors), ctx.noise)
        wants = Entering(*ctx.needs_input_grad[1:])
        grads = Entering(*(torch.zeros_like(tensor) for tensor in given))
        room: _Room = ctx.room
        for part in _parts(given):
            grad_y_VCM, gates_VEM = _output_gradient(given, grads, part, grad_outputs[0][:, part], room)
            grad_first_VCM = _inner_gradient(given, grads, part, grad_y_VCM, gates_VEM, room=room, noise=ctx.noise)
            _entering_gradient(given, grads, part, grad_y_VCM, grad_first_VCM, numbers=bool(wants.numbers_RN))
        if ctx.noise:
            grads.gate_VEC.mul_(ctx.noise.scale)
        return None, *(grad if wanted else None for grad, wanted in zip(grads, wants, strict=True))


def _scaled(given: Entering, noise: Noise | None) -> Entering:
    """What dropout keeps is multiplied in the weights that it meets, which are few."""
    return given._replace(gate_VEC=given.gate_VEC * noise.scale) if noise else given


def _step(given: Entering) -> int:
    return max(_FEWEST, _AT_ONCE // (len(given.shares_VN) * given.slope_RC1.shape[1]))


def _parts(given: Entering) -> Iterator[slice]:
    positions, step = given.shares_VN.shape[1], _step(given)
    return (slice(start, min(start + step, positions)) for start in range(0, positions, step))


class _Room:
    """Memory for the parts: what is kept of each for the backward pass, and arrays that one part after the other is computed in."""

    def __init__(self, given: Entering, noise: Noise | None, *, keeps: bool) -> None:
        self.variables, self.width, self.keeps = len(given.shares_VN), given.slope_RC1.shape[1], keeps
        positions, step = given.shares_VN.shape[1], min(_step(given), given.shares_VN.shape[1])
        per_position = self.variables * self.width
        self.hidden, self.second = (given.shares_VN.new_empty(per_position * (positions if keeps else step)) for _ in range(2))
        self.drawn = noise.draw((per_position * positions,)) if noise else None
        self.wide, self.one, self.other = (given.shares_VN.new_empty(per_position * step * times) for times in (2, 1, 1))

    def of(self, memory: Tensor, part: slice, *, times: int = 1, kept: bool = False) -> Tensor:
        """A part's (V, C, M), or times as many channels, in memory for it alone (kept) or for any."""
        count, size = part.stop - part.start, self.variables * self.width * times
        start = part.start * size if kept else 0
        return memory[start : start + count * size].view(self.variables, self.width * times, count)


def _second(given: Entering, part: slice, room: _Room, noise: Noise | None) -> Tensor:
    """After the second linear map and dropout."""
    x_R1M, numbers, width = given.numbers_RN[:, None, part], *given.slope_RC1.shape[:2]
    hidden_VCM, second_VCM = (room.of(memory, part, kept=room.keeps) for memory in (room.hidden, room.second))
    torch.mul(given.first_slope_RC1, x_R1M, out=hidden_VCM[:numbers]).add_(given.first_offset_RC1)
    hidden_VCM[numbers:] = given.rows_GEN[:, width:, part]
    F.elu_(hidden_VCM)
    torch.baddbmm(given.second_bias_VC1, given.second_VCC, hidden_VCM, out=second_VCM)
    if noise and room.drawn is not None:
        second_VCM.mul_(noise.mask(room.of(room.drawn, part, kept=True), out=room.of(room.one, part)))
    return second_VCM


def _outputs(given: Entering, part: slice, second_VCM: Tensor, room: _Room) -> tuple[Tensor, Tensor, Tensor]:
    """What is normalised, its mean taken off; the gates before their sigmoid; what normalising multiplies by."""
    x_R1M, numbers, width = given.numbers_RN[:, None, part], *given.slope_RC1.shape[:2]
    gates_VEM, y_VCM, vectors_VCM = room.of(room.wide, part, times=2), room.of(room.one, part), room.of(room.other, part)
    torch.baddbmm(given.gate_bias_VE1, given.gate_VEC, second_VCM, out=gates_VEM)
    torch.ops.aten.glu.out(gates_VEM, 1, out=y_VCM)
    vectors_RCM = torch.mul(given.slope_RC1, x_R1M, out=vectors_VCM[:numbers])
    y_VCM[:numbers].add_(vectors_RCM.add_(given.offset_RC1))
    y_VCM[numbers:].add_(given.rows_GEN[:, :width, part])
    return y_VCM, gates_VEM, center_(y_VCM, room=vectors_VCM)


def _output_gradient(given: Entering, grads: Entering, part: slice, grad_CM: Tensor, room: _Room) -> tuple[Tensor, Tensor]:
    """Gradient of what is normalised, and the gates; those of the weights of the sum and of the norm are added to `grads`."""
    y_VCM, gates_VEM, scale_V1M = _outputs(given, part, room.of(room.second, part, kept=True), room)
    shares_VM, norm_VC, width = given.shares_VN[:, part], given.norm_VC1[..., 0], len(grad_CM)
    along_VCM = torch.mul(y_VCM, grad_CM, out=room.of(room.other, part))
    weighed_V1M = torch.bmm(norm_VC[:, None], along_VCM).mul_(scale_V1M)
    torch.addmm(weighed_V1M[:, 0], given.norm_bias_VC1[..., 0], grad_CM, out=grads.shares_VN[:, part])
    total_V1M = scale_V1M * shares_VM[:, None]
    # A row seen as a column: MKL takes eight times as long for one that lies as a column.
    grads.norm_VC1.add_(torch.bmm(along_VCM, total_V1M.mT))
    grads.norm_bias_VC1[..., 0].addmm_(shares_VM, grad_CM.t())
    # Means over the channels are taken before what is one number for all of them is multiplied in.
    found_VCM = torch.mul(given.norm_VC1, grad_CM, out=along_VCM).sub_((norm_VC @ grad_CM).div_(width)[:, None])
    found_VCM.sub_(y_VCM.mul_(weighed_V1M.mul_(scale_V1M).div_(width)))
    return found_VCM.mul_(total_V1M), gates_VEM


def _inner_gradient(
    given: Entering, grads: Entering, part: slice, grad_y_VCM: Tensor, gates_VEM: Tensor, *, room: _Room, noise: Noise | None
) -> Tensor:
    """Gradient before the ELU, through gates, dropout and second linear map."""
    hidden_VCM, second_VCM = (room.of(memory, part, kept=True) for memory in (room.hidden, room.second))
    grad_gates_VEM = torch.ops.aten.glu_backward(grad_y_VCM, gates_VEM, 1)
    grads.gate_VEC.baddbmm_(grad_gates_VEM, second_VCM.mT)
    grads.gate_bias_VE1.add_(grad_gates_VEM.sum(2, keepdim=True))
    grad_second_VCM = torch.bmm(given.gate_VEC.mT, grad_gates_VEM, out=room.of(room.one, part))
    if noise and room.drawn is not None:
        grad_second_VCM.mul_(noise.mask(room.of(room.drawn, part, kept=True), out=room.of(room.wide, part)))
    grads.second_VCC.baddbmm_(grad_second_VCM, hidden_VCM.mT)
    grads.second_bias_VC1.add_(grad_second_VCM.sum(2, keepdim=True))
    grad_hidden_VCM = torch.bmm(given.second_VCC.mT, grad_second_VCM, out=room.of(room.wide, part))
    found_VCM: Tensor = torch.ops.aten.elu_backward(grad_hidden_VCM, 1, 1, 1, True, hidden_VCM)
    return found_VCM


def _entering_gradient(given: Entering, grads: Entering, part: slice, grad_y_VCM: Tensor, grad_first_VCM: Tensor, *, numbers: bool) -> None:
    """What is left for vectors, their slopes and offsets; numbers: whether for the numbers themselves too."""
    count, width = given.slope_RC1.shape[:2]
    x_RM1 = given.numbers_RN[:, None, part].mT
    for grad_VCM, slope, offset in (
        (grad_y_VCM, grads.slope_RC1, grads.offset_RC1), (grad_first_VCM, grads.first_slope_RC1, grads.first_offset_RC1)
    ):  # fmt: skip
        slope.add_(torch.bmm(grad_VCM[:count], x_RM1))
        offset.add_(grad_VCM[:count].sum(2, keepdim=True))
    grads.rows_GEN[:, :width, part] = grad_y_VCM[count:]
    grads.rows_GEN[:, width:, part] = grad_first_VCM[count:]
    if numbers:
        found_R1M = given.slope_RC1.mT @ grad_y_VCM[:count] + given.first_slope_RC1.mT @ grad_first_VCM[:count]
        grads.numbers_RN[:, part] = found_R1M[:, 0]
