"""Linear maps of columns, several side by side where a network has one for each of its variables, and where fused code may run.

Shapes: V maps, I inputs, O outputs, N positions. The matrices of all maps are one parameter, one below the other (V x O, I), and their
biases one vector, so that optimizers treat them as what they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from specrun.runtime.products import Multiplies


def fusable(x: Tensor) -> bool:
    """Whether code with gradients of its own may compute this: float32 on a processor, as it stands."""
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()  # noqa: SLF001 - as torch.autograd.Function asks
    )


class Columns(nn.Module, Multiplies):
    """y = W x + b for each column x. maps: how many maps side by side; None: one, and no dimension for it. parts: projections that one
    matrix holds, one below the other."""

    def __init__(
        self, inputs: int, outputs: int, *, maps: int | None = None, parts: tuple[int, ...] | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        count = maps or 1
        self.maps, self.inputs, self.outputs = maps, inputs, outputs
        self.rows = (parts or (outputs,)) * count
        bound = [math.sqrt(6 / (inputs + part)) for part in self.rows]
        weights = [torch.empty(part, inputs).uniform_(-limit, limit) for part, limit in zip(self.rows, bound, strict=True)]
        self.weight = nn.Parameter(torch.cat(weights))
        self.bias = nn.Parameter(torch.zeros(count * outputs)) if bias else None

    @property
    def weight_VOI(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """The matrices; without V where there is one alone."""
        return self.weight if self.maps is None else self.weight.view(self.maps, self.outputs, self.inputs)

    @property
    def bias_VO1(self) -> Tensor:  # noqa: N802
        """The biases, to be added to columns."""
        assert self.bias is not None
        return self.bias[:, None] if self.maps is None else self.bias.view(self.maps, self.outputs, 1)

    def forward(self, x_VIN: Tensor) -> Tensor:
        """(V, I, N) or (I, N) to (V, O, N); (I, N) to (O, N) where there is one map."""
        # A linear layer with the roles of weight and input changed. For a part of longer columns oneDNN takes a thousand times as long.
        product_VON = torch.matmul(self.weight_VOI, x_VIN) if self.maps else self.multiply(self.weight, x_VIN.contiguous().mT)
        return product_VON if self.bias is None else product_VON + self.bias_VO1
