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
    part where they are `Multiplies` too."""
    for module in model.modules():
        if isinstance(module, Multiplies):
            module.multiply = multiply
        elif type(module) is nn.Linear and multiply is onednn_linear:
            module.__class__ = OneDnnLinear


class Multiplies:
    """A layer of a class of its own that multiplies by `multiply`, which `multiply_by` sets."""

    multiply: Multiply = staticmethod(F.linear)


class OneDnnLinear(nn.Linear):
    """A linear layer that oneDNN multiplies."""

    def forward(self, input: Tensor) -> Tensor:
        return onednn_linear(input, self.weight, self.bias)


def onednn_linear(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x W^T + b with its gradients. What is not for oneDNN goes to torch: other types and devices, few rows, functional transforms."""
    if (
        x.dtype is not torch.float32
        or weight_OI.dtype is not torch.float32
        or x.device.type != "cpu"
        or x.numel() < _FEWEST_ROWS * x.shape[-1]
        or torch.is_autocast_enabled("cpu")
    ):
        return F.linear(x, weight_OI, bias_O)
    product: Tensor
    if torch.compiler.is_compiling():
        product = torch.ops.specrun.linear(x, weight_OI, bias_O)
    elif torch._C._are_functorch_transforms_active():  # noqa: SLF001 - as torch.autograd.Function asks
        product = F.linear(x, weight_OI, bias_O)
    elif torch.is_grad_enabled():
        product = _Linear.apply(x, weight_OI, bias_O)  # type: ignore[no-untyped-call]
    else:
        product = _product(x, weight_OI, bias_O)
    return product


class _Linear(torch.autograd.Function):
    """Code that is not compiled: half the cost of a call of an operation that is registered, which matters for small layers."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        ctx.save_for_backward(*inputs[:2])
        return _product(*inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(ctx, *grad_outputs)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Of input, weight and bias, as far as they are wanted; made of what has gradients itself."""
    x, weight_OI = ctx.saved_tensors
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
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_OI, bias_O, "none", [], "")  # noqa: SLF001 - torch's compiler calls it
    return product


def _shaped(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:  # noqa: ARG001 - as the operation has it
    """What the compiler has to know of a product."""
    return x.new_empty(*x.shape[:-1], len(weight_OI))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 - as torch calls it
    ctx.save_for_backward(*inputs[:2])


_LIBRARY = torch.library.Library("specrun", "FRAGMENT")  # type: ignore[no-untyped-call]
"""The product as an operation that compiled code calls as a whole: torch's compiler knows oneDNN's for inference alone."""
_LIBRARY.define("linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor")  # type: ignore[no-untyped-call]
_LIBRARY.impl("linear", _product, "CPU")  # type: ignore[no-untyped-call]
_LIBRARY.impl("linear", _shaped, "Meta")  # type: ignore[no-untyped-call]
torch.library.register_autograd("specrun::linear", _gradients, setup_context=_keep, lib=_LIBRARY)
