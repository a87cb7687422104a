"""Builds the `vit` model.

Shapes: B images, C channels, H height, W width, P patches, T positions, D width of the stream, K classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from specrun.errors import SpecrunError
from specrun.models.transformer import INITIAL_STD, Transformer, initialize
from specrun.models.vit.options import Options


def build(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> ViT:
    """The network with random weights from torch's generator. Raises: SpecrunError where patches do not divide the image."""
    side = options.patch_size
    if height % side or width % side:
        common = math.gcd(height, width)
        sides = [size for size in range(1, common + 1) if common % size == 0]
        nearest = min(sides, key=lambda size: (abs(size - side), size))
        raise SpecrunError(
            f"images of {height} x {width} pixels do not divide into patches of model.patch_size {side}",
            code="patch-does-not-divide-image",
            hint=f"use model.patch_size: {nearest}, or task.size: "
            f"{_size(max(1, round(height / side)) * side, max(1, round(width / side)) * side)}",
        )
    return ViT(options, channels=channels, max_positions=options.positions(height, width), num_classes=num_classes)


def _size(height: int, width: int) -> str:
    return str(height) if height == width else f"[{height}, {width}]"


class ViT(Transformer):
    """Images to logits. max_positions: patches of an image, and the class vector where there is one."""

    def __init__(self, options: Options, *, channels: int, max_positions: int, num_classes: int) -> None:
        super().__init__(options.design, max_positions=max_positions, vocab_size=None)
        self.class_vector = nn.Parameter(torch.zeros(options.width)) if options.pools_first else None
        self.patches = nn.Conv2d(channels, options.width, options.patch_size, stride=options.patch_size)
        self.head = nn.Linear(options.width, num_classes)
        initialize(self, options.design)
        nn.init.normal_(self.patches.weight, std=1 / math.sqrt(channels * options.patch_size**2))
        nn.init.zeros_(self.patches.bias)  # type: ignore[arg-type]
        if self.class_vector is not None:
            nn.init.normal_(self.class_vector, std=INITIAL_STD)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) of normalised images."""
        x_BPD = self.patches(images_BCHW).flatten(2).mT
        if self.class_vector is None:
            pooled_BD = self.run(x_BPD).mean(dim=1)
        else:
            x_BTD = torch.cat((self.class_vector.expand(len(x_BPD), 1, -1), x_BPD), dim=1)
            pooled_BD = self.run(x_BTD)[:, 0]
        return self.head(pooled_BD)  # type: ignore[no-any-return]
