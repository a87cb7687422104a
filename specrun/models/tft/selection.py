"""Variable selection (Lim et al. 2021, section 4.2): a gated residual network for each variable, and weights that choose among them.

A number enters as a vector times itself plus a vector, a category as a row of a table. The first linear maps that meet them, of each
variable's network and of the weights', are multiplied into these before any data is seen: the same function, and for a position V numbers
where it would be V x C. Shapes: V variables, of which R numbers, then G categories; C width, N positions, B samples, K rows of a table.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.columns import Columns, fusable
from specrun.models.tft.gating import GatedNorm, add_context
from specrun.models.tft.noise import Noise
from specrun.models.tft.variable_networks import Entering, combined, combined_fused


class Values(NamedTuple):
    """Values of variables at positions, and the vectors that they stand for. slope, offset: of the vector of a number; tables: of each
    category (K, C)."""

    numbers_RN: Tensor
    categories_GN: Tensor
    slope_RC1: Tensor
    offset_RC1: Tensor
    tables: tuple[Tensor, ...]


class Embeddings(nn.Module):
    """A vector for each value of each variable. categories: cardinality of each."""

    def __init__(self, numbers: int, categories: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.width = width
        self.slope = nn.Parameter(torch.empty(numbers * width).normal_()) if numbers else None
        self.offset = nn.Parameter(torch.zeros(numbers * width)) if numbers else None
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for rows in categories)

    def forward(self, numbers_RN: Tensor, categories_GN: Tensor) -> Values:
        """Of all categories, and of the last R numbers."""
        count, width = len(numbers_RN), self.width
        none = numbers_RN.new_empty(0, width, 1)
        slope, offset = (none if own is None else own.view(-1, width, 1)[-count:] if count else none for own in (self.slope, self.offset))
        return Values(numbers_RN, categories_GN, slope, offset, tuple(table.get_parameter("weight") for table in self.tables))


class Selection(nn.Module):
    """Selection among `variables` variables. context: whether the choice depends on what is known of the series."""

    def __init__(self, variables: int, width: int, *, context: bool = False) -> None:
        super().__init__()
        self.first = Columns(width, width, maps=variables)
        self.second = Columns(width, width, maps=variables)
        self.gated = GatedNorm(width, width, maps=variables)
        self.choice = Choice(variables, width, context=context) if variables > 1 else None

    def forward(self, values: Values, noise: Noise | None, context_CB: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The sum (C, N) and its weights (V, N)."""
        weight_VCC, bias_VC1, count = self.first.weight_VOI, self.first.bias_VO1, len(values.numbers_RN)
        first_slope_RC1 = weight_VCC[:count] @ values.slope_RC1
        first_offset_RC1 = weight_VCC[:count] @ values.offset_RC1 + bias_VC1[:count]
        rows_GEN = _rows(values, weight_VCC[count:], bias_VC1[count:])
        shares_VN = self.choice(values, noise, context_CB) if self.choice else rows_GEN.new_ones(1, rows_GEN.shape[2])
        entering = Entering(
            values.numbers_RN, rows_GEN, shares_VN, values.slope_RC1, values.offset_RC1, first_slope_RC1, first_offset_RC1,
            self.second.weight_VOI, self.second.bias_VO1, self.gated.gate.weight_VOI, self.gated.gate.bias_VO1,
            self.gated.norm_weight.view(self.gated.shape), self.gated.norm_bias.view(self.gated.shape),
        )  # fmt: skip
        if fusable(values.numbers_RN):
            return combined_fused(entering, noise, self.second.multiply), shares_VN
        return combined(entering, noise), shares_VN


def _rows(values: Values, weight_GCC: Tensor, bias_GC1: Tensor) -> Tensor:
    """(G, 2 C, N): the vector of each category, and what the first linear map makes of it."""
    if not values.tables:
        return values.numbers_RN.new_empty(0, 2 * weight_GCC.shape[-1], values.numbers_RN.shape[1])
    found = []
    for ids_N, table_KC, weight_CC, bias_C1 in zip(values.categories_GN, values.tables, weight_GCC, bias_GC1, strict=True):
        found.append(F.embedding(ids_N, torch.cat((table_KC, F.linear(table_KC, weight_CC, bias_C1[:, 0])), 1)).t())
    return torch.stack(found)


class Choice(nn.Module):
    """Weights of variables: softmax of a gated residual network of all their vectors."""

    def __init__(self, variables: int, width: int, *, context: bool) -> None:
        super().__init__()
        self.width = width
        # The first linear map of the network, and that of its skip connection.
        self.enter = Columns(variables * width, width + variables, parts=(width, variables))
        self.context = Columns(width, width, bias=False) if context else None
        self.second = Columns(width, width)
        self.gated = GatedNorm(width, variables)

    def forward(self, values: Values, noise: Noise | None, context_CB: Tensor | None) -> Tensor:
        """(V, N), sums of 1."""
        weight_VOC = self.enter.weight.view(len(self.enter.weight), -1, self.width).transpose(0, 1)
        count = len(values.numbers_RN)
        offset_O1 = self.enter.bias_VO1 + (weight_VOC[:count] @ values.offset_RC1).sum(0)
        entered_ON = torch.addmm(offset_O1, (weight_VOC[:count] @ values.slope_RC1)[..., 0].t(), values.numbers_RN)
        for ids_N, table_KC, weight_OC in zip(values.categories_GN, values.tables, weight_VOC[count:], strict=True):
            entered_ON = entered_ON + F.embedding(ids_N, F.linear(table_KC, weight_OC)).t()
        hidden_CN, skip_VN = entered_ON[: self.width], entered_ON[self.width :]
        if self.context is not None and context_CB is not None:
            hidden_CN = add_context(hidden_CN, self.context(context_CB))
        return self.gated(self.second(F.elu(hidden_CN)), skip_VN, noise).softmax(0)  # type: ignore[no-any-return]
