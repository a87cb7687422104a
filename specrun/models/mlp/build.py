"""A multilayer perceptron on embedded numbers and categories.

Shapes: B rows, N numbers, T bins of a number, D size of its embedding, G categories, E size of theirs, C width, O outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.mlp.layers import Edges, most_bins, thinned
from specrun.models.mlp.options import Options

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


def build(options: Options, *, numbers: int, categories: Sequence[int], edges: Edges, outputs: int) -> MLP:
    """The network with random weights from torch's generator. numbers: how many; categories: cardinality of each; edges: of each number
    its quantiles in training, strictly ascending."""
    assert len(edges) == numbers, f"edges of {len(edges)} numbers for {numbers}"
    return MLP(options, numbers=numbers, categories=categories, edges=edges, outputs=outputs)


class PiecewiseLinear(nn.Module):
    """Each number as a function that is linear between its edges, and beyond the outermost as in the bin beside them: its share of each
    bin times a vector of the bin's own (Gorishniy et al. 2022, PLE with a linear layer and ReLU)."""

    def __init__(self, edges: Edges, *, bins: int, width: int) -> None:
        super().__init__()
        most = most_bins(edges, bins)
        start_NT, size_NT, low_NT, high_NT = (torch.zeros(len(edges), most) for _ in range(4))
        size_NT += 1.0
        for place, of in enumerate(thinned(one, bins) for one in edges):
            count = len(of) - 1
            start_NT[place, :count] = torch.tensor(of[:-1])
            size_NT[place, :count] = torch.tensor([high - low for low, high in itertools.pairwise(of)])
            # Bins that this number has not stay at 0 from both sides.
            high_NT[place, :count] = 1.0
            low_NT[place, 0], high_NT[place, count - 1] = -torch.inf, torch.inf
        for name, buffer in (("start_NT", start_NT), ("size_NT", size_NT), ("low_NT", low_NT), ("high_NT", high_NT)):
            self.register_buffer(name, buffer, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(edges), most, width).uniform_(-1, 1) * most**-0.5)
        self.bias = nn.Parameter(torch.empty(len(edges), width).uniform_(-1, 1) * most**-0.5)

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """Embeddings side by side, (B, N x D)."""
        share_BNT = (numbers_BN[..., None] - self.get_buffer("start_NT")) / self.get_buffer("size_NT")
        share_BNT = share_BNT.clamp(self.get_buffer("low_NT"), self.get_buffer("high_NT"))
        embedded_NBD = torch.baddbmm(self.bias[:, None], share_BNT.transpose(0, 1), self.weight)
        return F.relu(embedded_NBD.transpose(0, 1).flatten(1))


class Block(nn.Module):
    """A hidden layer."""

    def __init__(self, options: Options, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, options.width)
        self.activation = ACTIVATIONS[options.activation]
        self.dropout = nn.Dropout(options.dropout) if options.dropout else nn.Identity()

    def forward(self, x_BC: Tensor) -> Tensor:
        return self.dropout(self.activation(self.linear(x_BC)))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """Numbers and categories to outputs. Row 0 of each category, what training has not seen, is zero and stays so."""

    def __init__(self, options: Options, *, numbers: int, categories: Sequence[int], edges: Edges, outputs: int) -> None:
        super().__init__()
        self.numbers = PiecewiseLinear(edges, bins=options.bins, width=options.number_width) if numbers and options.embeds_numbers else None
        self.category_embedding = nn.Embedding(sum(categories), options.category_width) if categories else None
        first_G = torch.tensor([0, *itertools.accumulate(categories)][:-1] if categories else [], dtype=torch.int64)
        self.register_buffer("first_G", first_G, persistent=False)
        if self.category_embedding is not None:
            with torch.no_grad():
                self.category_embedding.weight.uniform_(-1, 1).mul_(options.category_width**-0.5)
                self.category_embedding.weight[first_G] = 0.0
        size = numbers if self.numbers is None else numbers * options.number_width
        sizes = [size + len(categories) * options.category_width, *(options.width for _ in range(options.num_layers))]
        self.blocks = nn.ModuleList(Block(options, inputs) for inputs in sizes[:-1])
        self.head = nn.Linear(sizes[-1], outputs)

    @property
    def undecayed(self) -> tuple[str, ...]:
        """Weights of two dimensions that optimizers do not decay all the same: the constants of embedded numbers."""
        return () if self.numbers is None else ("numbers.bias",)

    def forward(self, numbers_BN: Tensor, categories_BG: Tensor) -> Tensor:
        """Outputs (B, O)."""
        parts = [numbers_BN if self.numbers is None else self.numbers(numbers_BN)]
        if self.category_embedding is not None:
            parts.append(self.category_embedding(categories_BG + self.get_buffer("first_G")).flatten(1))
        x_BC = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        for block in self.blocks:
            x_BC = block(x_BC)
        return self.head(x_BC)  # type: ignore[no-any-return]
