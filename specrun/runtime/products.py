"""Linear layers of float32 on a processor, through whichever of torch's libraries multiplies fastest there.

torch hands float32 products to MKL, which keeps to AVX2 on processors of other makers than its own. oneDNN, which torch carries as well,
takes AVX-512 on them too and is twice as fast (docs/benchmarks.md). The sums are the same in another order: float32 either way.

oneDNN compiles code for each shape that it meets, a millisecond and half a megabyte each: it is for batches of few shapes.
Shapes: M rows (all dimensions of a batch but the last), I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.runtime.device import Device

_FEWEST_ROWS = 32
"""With fewer, as when one sequence is continued token by token, there is nothing to gain."""


class Multiply(Protocol):
    """As `torch.nn.functional.linear`: x (..., I) times the transposed weight (O, I), plus the bias (O,)."""

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None = None, /) -> Tensor: ...


def multiplication(device: Device, *, few_shapes: bool) -> Multiply:
    """What multiplies on this device. few_shapes: whether batches are of a few shapes, whatever the data."""
    return onednn_linear if device.products == "onednn" and few_shapes else F.linear


def multiply_by(multiply: Multiply, model: nn.Module) -> None:
    """Have a model's linear layers multiplied so, in place; their weights and the names of these stay. Layers of other classes take
    part where they say so, by an attribute `multiply`."""
    for module in model.modules():
        if hasattr(module, "multiply"):
            setattr(module, "multiply", multiply)  # noqa: B010 - of a class that only says so by having it
        elif type(module) is nn.Linear and multiply is onednn_linear:
            module.__class__ = OneDnnLinear


class OneDnnLinear(nn.Linear):
    """A linear layer that oneDNN multiplies."""

    def forward(self, input: Tensor) -> Tensor:
        return onednn_linear(input, self.weight, self.bias)


def onednn_linear(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x W^T + b with its gradients. What is not for oneDNN goes to torch: other types and devices, few rows, code that is
    compiled or transformed."""
    if (
        x.dtype is not torch.float32
        or weight_OI.dtype is not torch.float32
        or x.device.type != "cpu"
        or x.numel() < _FEWEST_ROWS * x.shape[-1]
        or torch.compiler.is_compiling()
        or torch.is_autocast_enabled("cpu")
        or torch._C._are_functorch_transforms_active()  # noqa: SLF001 - as torch.autograd.Function asks
    ):
        return F.linear(x, weight_OI, bias_O)
    if not torch.is_grad_enabled():
        return _product(x, weight_OI, bias_O)
    product: Tensor = _Linear.apply(x, weight_OI, bias_O)  # type: ignore[no-untyped-call]
    return product


class _Linear(torch.autograd.Function):
    """Its backward pass is made of what has gradients itself."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, weight_OI, bias_O = inputs
        ctx.save_for_backward(x, weight_OI)
        return _product(x, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_OI = ctx.saved_tensors
        (grad,) = grad_outputs
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        grad_MO = grad.reshape(-1, len(weight_OI))
        grad_x = onednn_linear(grad, weight_OI.t()) if wants_x else None
        grad_weight_OI = _weight_gradient(grad_MO, x.reshape(-1, weight_OI.shape[1])) if wants_weight else None
        return grad_x, grad_weight_OI, grad_MO.sum(0) if wants_bias else None


def _weight_gradient(grad_MO: Tensor, x_MI: Tensor) -> Tensor:
    """The left matrix of a product is copied, row after row, the right one is taken as it lies: the smaller is put left."""
    if grad_MO.shape[1] <= x_MI.shape[1]:
        return onednn_linear(grad_MO.t(), x_MI.t())
    return onednn_linear(x_MI.t(), grad_MO.t()).t()


def _product(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_OI, bias_O, "none", [], "")  # noqa: SLF001 - torch's compiler calls it too
    return product
