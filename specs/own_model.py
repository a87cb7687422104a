"""A model of one's own for specs/own_model.yaml: residual blocks over numbers and embedded categories.

Parameters of the constructor that are no sizes of the task's interface (numbers, categories, edges, outputs) are keys of the spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn


class ResidualTable(nn.Module):
    """Residual blocks over a table's numbers and categories."""

    depends_on_micro_batch = False  # no batch norm: a row is predicted alike whatever is beside it

    def __init__(
        self,
        *,
        numbers: int,
        categories: Sequence[int],
        outputs: int,
        hidden: Annotated[int, Field(ge=1, le=4096)] = 64,
        blocks: Annotated[int, Field(ge=0, le=64)] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(rows, 8) for rows in categories)
        self.first = nn.Linear(numbers + 8 * len(categories), hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * hidden, hidden)
            )
            for _ in range(blocks)
        )
        self.last = nn.Linear(hidden, outputs)

    def forward(self, numbers_BN: Tensor, categories_BG: Tensor) -> Tensor:
        """Outputs (B, O) of standardised numbers and rows of categories."""
        embedded = [embedding(categories_BG[:, place]) for place, embedding in enumerate(self.embeddings)]
        x_BC = self.first(torch.cat([numbers_BN, *embedded], dim=1))
        for block in self.blocks:
            x_BC = x_BC + block(x_BC)
        found: Tensor = self.last(x_BC)
        return found
