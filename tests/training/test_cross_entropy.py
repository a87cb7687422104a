"""The chunked loss is torch's own, values and gradients, whatever the size of its chunks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.training.cross_entropy import linear_cross_entropy_sum, linear_scores


def problem(tokens: int, vocab: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, 6, generator=generator, requires_grad=True)
    head = torch.randn(vocab, 6, generator=generator, requires_grad=True)
    return hidden, head, torch.randint(vocab, (tokens,), generator=generator)


@settings(max_examples=50)
@given(tokens=st.integers(1, 40), vocab=st.integers(2, 30), chunk=st.integers(1, 900), scale=st.floats(0.01, 10))
def test_any_chunk_size_gives_torchs_loss_and_gradients(tokens: int, vocab: int, chunk: int, scale: float) -> None:
    hidden, head, labels = problem(tokens, vocab)
    expected = F.cross_entropy(F.linear(hidden, head), labels, reduction="sum")
    expected_gradients = torch.autograd.grad(expected * scale, (hidden, head))
    loss = linear_cross_entropy_sum(hidden, head, labels, chunk_elements=chunk)
    gradients = torch.autograd.grad(loss * scale, (hidden, head))
    torch.testing.assert_close(loss, expected)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5 * max(1.0, scale), rtol=1e-4)


@given(tokens=st.integers(1, 40), chunk=st.integers(1, 900))
def test_scores_sum_losses_and_first_ranks(tokens: int, chunk: int) -> None:
    hidden, head, labels = problem(tokens, 11)
    logits = F.linear(hidden, head)
    nll, correct = linear_scores(hidden.detach(), head.detach(), labels, chunk_elements=chunk)
    assert nll.item() == pytest.approx(F.cross_entropy(logits, labels, reduction="sum").item(), rel=1e-5)
    assert correct.item() == (logits.argmax(-1) == labels).sum().item()


def test_a_chunked_loss_under_bfloat16_is_close_to_the_exact_one() -> None:
    hidden, head, labels = problem(64, 50)
    exact = F.cross_entropy(F.linear(hidden, head), labels, reduction="sum")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy_sum(hidden, head, labels, chunk_elements=200)
    loss.backward()
    assert loss.dtype is torch.float32
    assert head.grad is not None
    assert head.grad.dtype is torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    torch.testing.assert_close(hidden.grad, torch.autograd.grad(exact, hidden)[0], atol=0.06, rtol=0.1)
