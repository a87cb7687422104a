"""The gated residual networks of all variables and the sum of what they say, with its gradient, some thousand positions of one at a time.

What is between two operations stays in the processor's caches, its products are large enough for either library, and only three arrays of
all variables are kept for the backward pass. Normalised values are never written: what normalising multiplies by is one number for
all channels and goes with the others that are.
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
from specrun.runtime.products import Multiply

_AT_ONCE = 2**18
"""Numbers in one array of a part at most: 1 MiB, as much as a core has of cache for itself."""


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


def combined_fused(given: Entering, noise: Noise | None, multiply: Multiply) -> Tensor:
    """The same, with a gradient of its own. multiply: what multiplies on this device."""
    found_CN: Tensor = _Combined.apply(noise, multiply, *given)  # type: ignore[no-untyped-call]
    return found_CN


class _Combined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, noise: Noise | None, multiply: Multiply, *inputs: Tensor) -> Tensor:
        given = Entering(*inputs)
        work = _Work(given, noise, multiply, keeps=any(ctx.needs_input_grad))
        out_CN = torch.mm(given.norm_bias_VC1[..., 0].t(), given.shares_VN)
        for place in work.places():
            y_CM, scale_1M = work.outputs(place, work.gates_of(place))
            variable, part = place
            y_CM.mul_(given.norm_VC1[variable]).mul_(scale_1M.mul_(given.shares_VN[variable, part]))
            out_CN[:, part].add_(y_CM)
        ctx.work = work
        ctx.save_for_backward(*inputs)
        return out_CN

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        given, (grad_CN,) = Entering(*ctx.saved_tensors), grad_outputs
        wants = Entering(*ctx.needs_input_grad[2:])
        grads = Entering(*(torch.zeros_like(tensor) for tensor in given))
        torch.mm(given.norm_bias_VC1[..., 0], grad_CN, out=grads.shares_VN)
        torch.mm(given.shares_VN, grad_CN.t(), out=grads.norm_bias_VC1[..., 0])
        means_VN = torch.mm(given.norm_VC1[..., 0], grad_CN).div_(len(grad_CN))
        work: _Work = ctx.work
        for place in work.places():
            grad_y_CM, gates_EM = work.output_gradient(grads, place, grad_CN, means_VN)
            grad_first_CM = work.inner_gradient(grads, place, grad_y_CM, gates_EM)
            _entering_gradient(given, grads, place, (grad_y_CM, grad_first_CM), numbers=bool(wants.numbers_RN))
        return None, None, *(grad if wanted else None for grad, wanted in zip(grads, wants, strict=True))


Place = tuple[int, slice]
"""A variable and some positions."""


class _Work:
    """One pass over variables and positions. Three arrays are kept of it for the way back, where it is for one; the rest is memory that
    one place after the other is computed in."""

    def __init__(self, given: Entering, noise: Noise | None, multiply: Multiply, *, keeps: bool) -> None:
        self.given, self.noise, self.multiply, self.keeps = given, noise, multiply, keeps
        (self.variables, self.positions), (self.numbers, self.width) = given.shares_VN.shape, given.slope_RC1.shape[:2]
        # Parts of one size: oneDNN compiles code for each shape that it meets.
        self.step = -(-self.positions // -(-self.positions * self.width // _AT_ONCE))
        kept = self.variables * self.positions if keeps else self.step
        self.hidden, self.second, self.gates = (given.shares_VN.new_empty(kept * self.width * times) for times in (1, 1, 2))
        self.drawn = noise.draw((self.variables * self.positions * self.width,)) if noise else None
        self.one, self.other = (given.shares_VN.new_empty(self.step * self.width) for _ in range(2))
        # What dropout keeps is multiplied in the weights that it meets, which are few.
        self.gate_VEC = given.gate_VEC * noise.scale if noise else given.gate_VEC

    def places(self) -> Iterator[Place]:
        for variable in range(self.variables):
            for start in range(0, self.positions, self.step):
                yield variable, slice(start, min(start + self.step, self.positions))

    def memory(self, memory: Tensor, place: Place, *, kept: bool = False, times: int = 1) -> Tensor:
        """A place's (C, M), or times as many channels, in memory for it alone (kept) or for any."""
        (variable, part), channels = place, self.width * times
        start = (variable * self.positions + part.start) * channels if kept else 0
        count = part.stop - part.start
        return memory[start : start + count * channels].view(channels, count)

    def enter_(self, out_CM: Tensor, place: Place, slope_RC1: Tensor, offset_RC1: Tensor, *, rows: slice) -> Tensor:
        """Slope x number + offset, or rows of a category, written to out_CM."""
        variable, part = place
        if variable >= self.numbers:
            return out_CM.copy_(self.given.rows_GEN[variable - self.numbers, rows, part])
        torch.mul(slope_RC1[variable], self.given.numbers_RN[variable, part], out=out_CM)
        return out_CM.add_(offset_RC1[variable])

    def dropped_(self, x_CM: Tensor, place: Place) -> Tensor:
        """Dropout, but for its scale, in place; the same on the way back."""
        if self.noise and self.drawn is not None:
            x_CM.mul_(self.noise.mask(self.memory(self.drawn, place, kept=True), out=self.memory(self.one, place)))
        return x_CM

    def second_of(self, place: Place) -> Tensor:
        """After the second linear map and dropout."""
        given, (variable, _) = self.given, place
        hidden_CM, second_CM = (self.memory(memory, place, kept=self.keeps) for memory in (self.hidden, self.second))
        self.enter_(hidden_CM, place, given.first_slope_RC1, given.first_offset_RC1, rows=slice(self.width, None))
        product_CM = self.multiply(given.second_VCC[variable], F.elu_(hidden_CM).t())
        return self.dropped_(torch.add(product_CM, given.second_bias_VC1[variable], out=second_CM), place)

    def gates_of(self, place: Place) -> Tensor:
        """The gates before their sigmoid."""
        gates_EM = self.memory(self.gates, place, kept=self.keeps, times=2)
        product_EM = self.multiply(self.gate_VEC[place[0]], self.second_of(place).t())
        return torch.add(product_EM, self.given.gate_bias_VE1[place[0]], out=gates_EM)

    def outputs(self, place: Place, gates_EM: Tensor) -> tuple[Tensor, Tensor]:
        """What is normalised, its mean taken off, and what normalising multiplies by."""
        y_CM, vector_CM = self.memory(self.one, place), self.memory(self.other, place)
        torch.ops.aten.glu.out(gates_EM, 0, out=y_CM)
        y_CM.add_(self.enter_(vector_CM, place, self.given.slope_RC1, self.given.offset_RC1, rows=slice(self.width)))
        return y_CM, center_(y_CM, room=vector_CM)

    def output_gradient(self, grads: Entering, place: Place, grad_CN: Tensor, means_VN: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of what is normalised, and the gates; those of the sum's weights and of the norm are added to `grads`. means_VN: of
        the gradient of what is normalised, over its channels and without its share."""
        given, (variable, part) = self.given, place
        gates_EM = self.memory(self.gates, place, kept=True, times=2)
        y_CM, scale_1M = self.outputs(place, gates_EM)
        along_CM = torch.mul(y_CM, grad_CN[:, part], out=self.memory(self.other, place))
        weighed_1M = torch.mm(given.norm_VC1[variable].t(), along_CM).mul_(scale_1M)
        grads.shares_VN[variable, part].add_(weighed_1M[0])
        total_1M = scale_1M * given.shares_VN[variable, part]
        grads.norm_VC1[variable].add_(torch.mm(along_CM, total_1M.t()))
        found_CM = torch.mul(grad_CN[:, part], given.norm_VC1[variable], out=along_CM).sub_(means_VN[variable, part])
        found_CM.sub_(y_CM.mul_(weighed_1M.mul_(scale_1M).div_(self.width)))
        return found_CM.mul_(total_1M), gates_EM

    def inner_gradient(self, grads: Entering, place: Place, grad_y_CM: Tensor, gates_EM: Tensor) -> Tensor:
        """Gradient before the ELU, through gates, dropout and second linear map."""
        variable, _ = place
        hidden_CM, second_CM = (self.memory(memory, place, kept=True) for memory in (self.hidden, self.second))
        grad_gates_EM = torch.ops.aten.glu_backward(grad_y_CM, gates_EM, 0)
        grad_gate_EC = self.multiply(grad_gates_EM, second_CM)
        grads.gate_VEC[variable].add_(grad_gate_EC, alpha=self.noise.scale if self.noise else 1.0)
        grads.gate_bias_VE1[variable].add_(grad_gates_EM.sum(1, keepdim=True))
        grad_second_CM = self.dropped_(self.multiply(self.gate_VEC[variable].t(), grad_gates_EM.t()), place)
        grads.second_VCC[variable].add_(self.multiply(grad_second_CM, hidden_CM))
        grads.second_bias_VC1[variable].add_(grad_second_CM.sum(1, keepdim=True))
        grad_hidden_CM = self.multiply(self.given.second_VCC[variable].t(), grad_second_CM.t())
        found_CM: Tensor = torch.ops.aten.elu_backward(grad_hidden_CM, 1, 1, 1, True, hidden_CM)
        return found_CM


def _entering_gradient(given: Entering, grads: Entering, place: Place, found: tuple[Tensor, Tensor], *, numbers: bool) -> None:
    """What is left for vectors, their slopes and offsets. found: gradients of the vector, and of what the first linear map makes of it;
    numbers: whether for the numbers themselves too."""
    (variable, part), (count, width) = place, given.slope_RC1.shape[:2]
    if variable >= count:
        grads.rows_GEN[variable - count, :width, part], grads.rows_GEN[variable - count, width:, part] = found
        return
    slopes = given.slope_RC1[variable], given.first_slope_RC1[variable]
    into = (grads.slope_RC1, grads.offset_RC1), (grads.first_slope_RC1, grads.first_offset_RC1)
    for grad_CM, slope_C1, (to_slope, to_offset) in zip(found, slopes, into, strict=True):
        to_slope[variable].add_(torch.mm(grad_CM, given.numbers_RN[variable, part, None]))
        to_offset[variable].add_(grad_CM.sum(1, keepdim=True))
        if numbers:
            grads.numbers_RN[variable, part].add_(torch.mm(slope_C1.t(), grad_CM)[0])
