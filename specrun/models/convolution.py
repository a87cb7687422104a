"""What networks of convolutions are made of: a convolution that computes with channels last, norms, how weights begin.

Shapes: B images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import SpecrunError

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


class Convolution(nn.Conv2d):
    """Padded to keep height and width at stride 1.

    The weight is turned to channels last in each pass and not once for all: training on processors is mostly a sixth faster with
    it than without, and whatever saves, shards or averages weights has them as others do.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel_size: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__(inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(input, weight, self.bias, self.stride, self.padding)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe & Szegedy 2015): by the micro-batch in training, by running means of them in evaluations.

    Raises: SpecrunError for a single number a channel, which has no variance.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.shape[0] * input.shape[2] * input.shape[3] == 1:
            raise SpecrunError(
                "batch normalisation over a micro-batch of one image that is one pixel large by then: it has no variance",
                code="batch-norm-of-one",
                hint="choose schedule.batch_size and schedule.micro_batch_size so that no micro-batch holds one image, or "
                "set model.norm: group",
            )
        return super().forward(input)


def new_norm(kind: str, channels: int, *, groups: int) -> nn.Module:
    """kind: batch, group (Wu & He 2018), or none."""
    match kind:
        case "batch":
            return BatchNorm(channels)
        case "group":
            return nn.GroupNorm(groups, channels)
        case _:
            return nn.Identity()


def channels_last(images_BCHW: Tensor) -> Tensor:
    """The same images in the order of memory that convolutions are fastest with."""
    return images_BCHW.contiguous(memory_format=torch.channels_last)


def initialize(model: nn.Module) -> None:
    """Convolutions as He et al. (2015), by the fan out; norms are ones, other layers as torch begins them."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
