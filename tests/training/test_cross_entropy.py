"""The chunked loss is torch's own, values and gradients, whatever the size of its chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - the field's own name for it
from torch.utils._python_dispatch import TorchDispatchMode

from specrun.runtime.products import Multiply, onednn_linear
from specrun.training.cross_entropy import linear_cross_entropy_sum, linear_scores


def problem(tokens: int, vocab: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, 6, generator=generator, requires_grad=True)
    head = torch.randn(vocab, 6, generator=generator, requires_grad=True)
    return hidden, head, torch.randint(vocab, (tokens,), generator=generator)


def backward(loss: torch.Tensor, **more: Any) -> None:
    loss.backward(**more)  # type: ignore[no-untyped-call]


@settings(max_examples=50)
@given(
    tokens=st.integers(1, 40), vocab=st.integers(2, 30), chunk=st.integers(1, 900), scale=st.floats(0.01, 10),
    smoothing=st.just(0.0) | st.floats(0, 0.99), multiply=st.sampled_from([F.linear, onednn_linear]),
)  # fmt: skip
def test_any_chunk_size_gives_torchs_loss_and_gradients(
    tokens: int, vocab: int, chunk: int, scale: float, smoothing: float, multiply: Multiply
) -> None:
    hidden, head, labels = problem(tokens, vocab)
    expected = F.cross_entropy(F.linear(hidden, head), labels, reduction="sum", label_smoothing=smoothing)
    expected_gradients = torch.autograd.grad(expected * scale, (hidden, head))
    loss = linear_cross_entropy_sum(hidden, head, labels, chunk_elements=chunk, label_smoothing=smoothing, multiply=multiply)
    gradients = torch.autograd.grad(loss * scale, (hidden, head))
    torch.testing.assert_close(loss, expected)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5 * max(1.0, scale), rtol=1e-4)


@pytest.mark.parametrize("frozen", ["hidden", "head"])
@pytest.mark.parametrize("chunk", [90, 10_000])
def test_what_is_frozen_gets_no_gradient_and_changes_none(frozen: str, chunk: int) -> None:
    hidden, head, labels = problem(40, 30)
    expected = torch.autograd.grad(F.cross_entropy(F.linear(hidden, head), labels, reduction="sum"), (hidden, head))
    still, moving = (hidden, head) if frozen == "hidden" else (head, hidden)
    still.requires_grad_(False)
    backward(linear_cross_entropy_sum(hidden, head, labels, chunk_elements=chunk))
    assert still.grad is None
    torch.testing.assert_close(moving.grad, expected[0 if frozen == "head" else 1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("chunk", [90, 10_000])
def test_an_embedding_that_is_the_head_too_gets_both_gradients(chunk: int) -> None:
    _, weight, labels = problem(40, 30)
    ids = labels.roll(1)

    def gradient(*, chunked: bool) -> torch.Tensor:
        hidden = torch.tanh(F.embedding(ids, weight))
        loss = (
            linear_cross_entropy_sum(hidden, weight, labels, chunk_elements=chunk)
            if chunked
            else F.cross_entropy(F.linear(hidden, weight), labels, reduction="sum")
        )
        return torch.autograd.grad(loss, weight)[0]

    torch.testing.assert_close(gradient(chunked=True), gradient(chunked=False), atol=1e-5, rtol=1e-4)


def test_gradients_accumulate_over_micro_batches() -> None:
    hidden, head, labels = problem(40, 30)
    expected = torch.autograd.grad(F.cross_entropy(F.linear(hidden, head), labels, reduction="sum"), (hidden, head))
    for part in (slice(0, 13), slice(13, 40)):
        backward(linear_cross_entropy_sum(hidden[part], head, labels[part], chunk_elements=90) * 0.5)
    assert hidden.grad is not None
    assert head.grad is not None
    torch.testing.assert_close(hidden.grad, expected[0] * 0.5, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(head.grad, expected[1] * 0.5, atol=1e-5, rtol=1e-4)


def test_a_second_backward_pass_is_refused_and_not_wrong() -> None:
    hidden, head, labels = problem(40, 30)
    loss = linear_cross_entropy_sum(hidden, head, labels, chunk_elements=90)
    backward(loss, retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        backward(loss)


class Sizes(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return result


@pytest.mark.parametrize("autocast", [False, True])
def test_logits_of_a_large_vocabulary_are_never_there_all_at_once(autocast: bool) -> None:
    tokens, vocab, limit = 60, 50_257, 2**20
    hidden, head, labels = problem(tokens, vocab)
    with Sizes() as sizes, torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        backward(linear_cross_entropy_sum(hidden, head, labels, label_smoothing=0.1, chunk_elements=limit))
        linear_scores(hidden.detach(), head.detach(), labels, chunk_elements=limit)
    assert limit * 0.9 < sizes.largest <= limit < tokens * vocab


def test_logits_that_were_all_there_would_be_noticed() -> None:
    hidden, head, labels = problem(40, 30)
    with Sizes() as sizes:
        backward(F.cross_entropy(F.linear(hidden, head), labels))
    assert sizes.largest == 40 * 30


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
    backward(loss)
    assert loss.dtype is torch.float32
    assert head.grad is not None
    assert head.grad.dtype is torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    torch.testing.assert_close(hidden.grad, torch.autograd.grad(exact, hidden)[0], atol=0.06, rtol=0.1)
