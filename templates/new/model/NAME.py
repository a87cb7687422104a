"""A model of your own: CLASS, for tables of numbers and categories (task tabular).

What the constructor takes beside the sizes of the task's interface (numbers, categories, edges, outputs: take those that you need) is a
key of the spec, by its annotation and default. Other tasks have other sizes: docs/own-code.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn


class CLASS(nn.Module):
    """Embedded categories beside the numbers, and a hidden layer."""

    depends_on_micro_batch = False  # remove it where a sample's prediction depends on the others beside it, as with batch norm

    def __init__(
        self,
        *,
        numbers: int,
        categories: Sequence[int],
        outputs: int,
        hidden: Annotated[int, Field(ge=1, le=4096)] = 64,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(rows, 8) for rows in categories)
        self.layers = nn.Sequential(
            nn.Linear(numbers + 8 * len(categories), hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )

    def forward(self, numbers_BN: Tensor, categories_BG: Tensor) -> Tensor:
        """Outputs (B, O). B: rows, N: numbers, G: categories."""
        embedded = [embedding(categories_BG[:, place]) for place, embedding in enumerate(self.embeddings)]
        return self.layers(torch.cat([numbers_BN, *embedded], dim=1))
