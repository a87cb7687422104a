"""Builds the `resnet` model.

Shapes: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.convolution import Convolution, channels_last, initialize, new_norm
from specrun.models.resnet.layers import Place, convolutions, places, shortcut
from specrun.models.resnet.options import Options


def build(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> ResNet:  # noqa: ARG001 - as all are built
    """The network with random weights from torch's generator. height: decides the stem where none is chosen; any size will do."""
    return ResNet(options, channels=channels, large=options.has_large_stem(height), num_classes=num_classes)


class Normed(nn.Module):
    """A convolution without biases, and its norm."""

    def __init__(self, options: Options, inputs: int, outputs: int, *, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, outputs, kernel_size=kernel_size, stride=stride)
        self.norm = new_norm(options.norm, outputs, groups=options.groups)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.norm(self.convolution(x_BCHW))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Two or three convolutions, added to what came in."""

    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        kind = options.form.block
        self.path = nn.ModuleList(
            Normed(options, conv.inputs, conv.outputs, kernel_size=conv.kernel_size, stride=conv.stride)
            for conv in convolutions(kind, place)
        )
        beside = shortcut(place)
        self.shortcut = (
            nn.Identity() if beside is None else Normed(options, beside.inputs, beside.outputs, kernel_size=1, stride=beside.stride)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = x_BCHW
        for number, layer in enumerate(self.path):
            y_BCHW = layer(F.relu(y_BCHW) if number else y_BCHW)
        return F.relu(y_BCHW + self.shortcut(x_BCHW))


class ResNet(nn.Module):
    """Images to logits."""

    def __init__(self, options: Options, *, channels: int, large: bool, num_classes: int) -> None:
        super().__init__()
        form = options.form
        self.large = large
        self.stem = Normed(options, channels, form.width, kernel_size=7 if large else 3, stride=2 if large else 1)
        self.blocks = nn.ModuleList(Block(options, place) for place in places(form.block, form.blocks, form.width))
        *_, last = places(form.block, form.blocks, form.width)
        self.head = nn.Linear(last.outputs, num_classes)
        initialize(self)
        for block in self.blocks:
            # Each block begins as its shortcut (Goyal et al. 2017, section 5.1).
            nn.init.zeros_(block.path[-1].norm.weight)  # type: ignore[union-attr, index]

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) of normalised images."""
        x_BCHW = F.relu(self.stem(channels_last(images_BCHW)))
        if self.large:
            x_BCHW = F.max_pool2d(x_BCHW, 3, stride=2, padding=1)
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        return self.head(x_BCHW.mean(dim=(2, 3)))  # type: ignore[no-any-return]
