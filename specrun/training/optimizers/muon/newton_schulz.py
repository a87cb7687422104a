"""Matrices made nearly orthogonal, many of one shape at once: the Newton-Schulz iteration of Muon.

Source: Keller Jordan 2024, https://kellerjordan.github.io/posts/muon/. Shapes: N matrices, R rows, C >= R columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic polynomial: steepest at 0, so that few steps do; singular values end between about 0.7 and 1.2."""
EPSILON = 1e-7
_GRAM_PAYS = 1.5
"""From this ratio of columns to rows the iteration on (R, R) matrices multiplies less than that on (R, C)."""


def orthogonalize(x_NRC: Tensor, steps: int, *, exactly: bool = True) -> Tensor:
    """The matrices with their singular values near 1. x_NRC: float32 or bfloat16, which is computed in; not changed. steps: >= 1.
    exactly: whether products of float32 are computed in float32, not in TF32."""
    assert 1 <= x_NRC.shape[1] <= x_NRC.shape[2]
    assert steps >= 1
    x_NRC = x_NRC / torch.linalg.vector_norm(x_NRC, dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    wide = x_NRC.shape[2] > _GRAM_PAYS * x_NRC.shape[1]
    return _by_gram(x_NRC, steps) if wide and exactly and x_NRC.dtype is torch.float32 else _by_matrix(x_NRC, steps)


def _by_matrix(x_NRC: Tensor, steps: int) -> Tensor:
    """X <- (a + b G + c G^2) X with G = X X^T, as published."""
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram_NRR = torch.bmm(x_NRC, x_NRC.mT)
        polynomial_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
        x_NRC = torch.baddbmm(x_NRC, polynomial_NRR, x_NRC, beta=a)
    return x_NRC


def _by_gram(x_NRC: Tensor, steps: int) -> Tensor:
    """The same product of polynomials P, gathered before it meets X: all of them are polynomials in the first G, so that G <- P G P.

    Equal in exact arithmetic. Rounding acts on G, where squares of small singular values drown: for exact float32 products alone.
    """
    a, b, c = COEFFICIENTS
    gram_NRR = torch.bmm(x_NRC, x_NRC.mT)
    product_NRR = None
    for step in range(steps):
        polynomial_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
        polynomial_NRR.diagonal(dim1=1, dim2=2).add_(a)
        product_NRR = polynomial_NRR if product_NRR is None else torch.bmm(polynomial_NRR, product_NRR)
        if step < steps - 1:
            gram_NRR = torch.bmm(polynomial_NRR, torch.bmm(gram_NRR, polynomial_NRR))
    assert product_NRR is not None
    return torch.bmm(product_NRR, x_NRC)
