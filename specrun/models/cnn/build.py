"""Builds the `cnn` model.

Shapes: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import SpecrunError
from specrun.models.cnn.options import Options
from specrun.models.convolution import ACTIVATIONS, Convolution, channels_last, initialize, new_norm


def build(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> Cnn:
    """The network with random weights from torch's generator. Raises: SpecrunError for images that are gone before the last stage."""
    halvings = len(options.widths) - 1
    if min(height, width) >> halvings == 0:
        stages = min(height, width).bit_length()
        raise SpecrunError(
            f"images of {height} x {width} pixels cannot be halved {halvings} times, as model.widths of {halvings + 1} stages asks",
            code="image-too-small",
            hint=f"use {stages} widths at most, such as model.widths: {list(options.widths[:stages])}",
        )
    return Cnn(options, channels=channels, num_classes=num_classes)


class Block(nn.Module):
    """A convolution with its norm and activation, on an image that may be halved before."""

    def __init__(self, options: Options, inputs: int, outputs: int, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.convolution = Convolution(inputs, outputs, kernel_size=options.kernel_size, bias=options.norm == "none")
        self.norm = new_norm(options.norm, outputs, groups=options.groups)
        self.activation = ACTIVATIONS[options.activation]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = F.max_pool2d(x_BCHW, 2) if self.halves else x_BCHW
        return self.activation(self.norm(self.convolution(x_BCHW)))


class Cnn(nn.Module):
    """Images to logits."""

    def __init__(self, options: Options, *, channels: int, num_classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for stage, width in enumerate(options.widths):
            for number in range(options.convolutions):
                self.blocks.append(Block(options, channels, width, halves=stage > 0 and number == 0))
                channels = width
        self.dropout = nn.Dropout(options.dropout) if options.dropout else nn.Identity()
        self.head = nn.Linear(channels, num_classes)
        initialize(self)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) of normalised images."""
        x_BCHW = channels_last(images_BCHW)
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        return self.head(self.dropout(x_BCHW.mean(dim=(2, 3))))  # type: ignore[no-any-return]
