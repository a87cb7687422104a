"""PatchTST (Nie et al. 2023): patches of each target's past as the tokens of a transformer that all targets share.

Shapes: B samples, L steps of the context, H of the horizon, Y targets, Q quantiles of each, T patches, P steps in one, C width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.forecast_sizes import ForecastSizes
from specrun.models.patchtst.options import Options
from specrun.models.quantiles import ascending
from specrun.models.transformer import Transformer, fused_rows, initialize
from specrun.runtime.interfaces import ForecastInputs

EPSILON = 1e-5
"""Added to the variance of a context."""


def build(options: Options, **sizes: Unpack[ForecastSizes]) -> PatchTST:
    """The network with random weights from torch's generator."""
    return PatchTST(options, sizes)


class PatchTST(nn.Module):
    """Forecasts of each target from its own past, which is brought to mean 0 and variance 1 and its forecast back (Kim et al. 2022)."""

    def __init__(self, options: Options, sizes: ForecastSizes) -> None:
        super().__init__()
        self.patch_length, self.patch_stride = options.patch_length, options.patch_stride
        self.outputs, self.targets = (sizes["horizon"], sizes["quantiles"]), sizes["targets"]
        patches = options.patches(sizes["context"])
        self.embedding = nn.Linear(self.patch_length, options.width)
        self.stack = Transformer(options.design, max_positions=patches, vocab_size=None)
        self.head = nn.Linear(patches * options.width, sizes["horizon"] * sizes["quantiles"])
        initialize(self, options.design)
        # Of 16 numbers near 1 and not of a width of them: with a std of 0.02 the positions would outweigh the values.
        for layer in (self.embedding, self.head):
            nn.init.xavier_uniform_(layer.weight)

    @property
    def undecayed(self) -> tuple[str, ...]:
        """Weights of two dimensions that optimizers do not decay all the same: the embedding of positions."""
        return tuple(f"stack.{name}" for name in self.stack.undecayed)

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """Weights of several projections, one below the other, with the rows of each."""
        return fused_rows(self)

    def compiled_blocks(self) -> Iterable[nn.Module]:
        """What is compiled, each for itself."""
        return self.stack.blocks

    def forward(self, inputs: ForecastInputs) -> Tensor:
        """Predictions (B, H, Y, Q), quantiles ascending."""
        past_BYL = inputs.past[..., : self.targets].transpose(1, 2)
        mean_BY1 = past_BYL.mean(-1, keepdim=True)
        scale_BY1 = (past_BYL.var(-1, correction=0, keepdim=True) + EPSILON).sqrt()
        past_BYL = F.pad((past_BYL - mean_BY1) / scale_BY1, (0, self.patch_stride), mode="replicate")
        patches_MTP = past_BYL.flatten(0, 1).unfold(-1, self.patch_length, self.patch_stride)
        states_MTC = self.stack.run(self.embedding(patches_MTP))
        ahead_BYO = self.head(states_MTC.flatten(1)).view(len(past_BYL), self.targets, -1) * scale_BY1 + mean_BY1
        return ascending(ahead_BYO.unflatten(-1, self.outputs).transpose(1, 2))
