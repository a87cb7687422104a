"""The bag of n-grams: the mean of what is in a text, whatever pads it, and its size is told exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.models.bag_of_ngrams.build import BagOfNgrams, build
from specrun.models.bag_of_ngrams.options import Options
from tests.models.made import randomized


def tiny(**values: Any) -> BagOfNgrams:
    return randomized(build(Options(kind="bag_of_ngrams", width=6, **values), vocab_size=30, sequence_length=12, num_classes=3)).eval()


@given(ngrams=st.integers(1, 5), buckets=st.none() | st.integers(1, 50), width=st.integers(1, 5), classes=st.integers(2, 4))
@settings(max_examples=20)
def test_the_parameters_told_are_the_models(ngrams: int, buckets: int | None, width: int, classes: int) -> None:
    options = Options(kind="bag_of_ngrams", ngrams=ngrams, buckets=buckets, width=width)
    sizes: dict[str, Any] = {"vocab_size": 7, "sequence_length": 9, "num_classes": classes}
    model = build(options, **sizes)
    assert options.parameter_shapes(**sizes) == {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert options.cost(**sizes).parameters == sum(parameter.numel() for parameter in model.parameters())


def test_tokens_alone_are_their_mean() -> None:
    model = tiny(ngrams=1)
    ids = torch.tensor([[4, 9, 4]])
    expected = model.classifier(model.embedding.weight[ids[0] + 1].mean(0))
    torch.testing.assert_close(model(ids, torch.tensor([3]))[0], expected)


@pytest.mark.parametrize("ngrams", [1, 2, 3, 5])
def test_padding_changes_no_result(ngrams: int) -> None:
    model = tiny(ngrams=ngrams, buckets=1000)
    ids, lengths = torch.randint(30, (4, 12)), torch.tensor([12, 5, 1, 0])
    together = model(ids, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = model(ids[row : row + 1, : max(1, length)], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])
    torch.testing.assert_close(together[3], model.classifier.bias)


def test_runs_tell_the_order_and_tokens_alone_do_not() -> None:
    ids, swapped, lengths = torch.tensor([[3, 7, 1]]), torch.tensor([[7, 3, 1]]), torch.tensor([3])
    torch.testing.assert_close(tiny(ngrams=1)(ids, lengths), tiny(ngrams=1)(swapped, lengths))
    assert not torch.allclose(tiny(buckets=1000)(ids, lengths), tiny(buckets=1000)(swapped, lengths))


def test_runs_are_spread_over_all_buckets() -> None:
    model, size = tiny(ngrams=2, buckets=64), 30
    first, second = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pairs = torch.stack((first.flatten(), second.flatten()), dim=1)
    rows = model._rows(pairs, torch.ones_like(pairs, dtype=torch.bool))[:, 2]
    counts = torch.bincount(rows - 1 - size, minlength=64)
    assert len(counts) == 64
    # Of 900 pairs, 14 a bucket: as thrown at random, whose largest deviation of 64 is around 2.5 times the root.
    assert (counts - 900 / 64).abs().max() < 4 * (900 / 64) ** 0.5


def test_tokens_are_left_out_in_training_alone_with_the_runs_they_are_in() -> None:
    model = tiny(token_dropout=0.5, buckets=1000)
    ids, lengths = torch.randint(30, (1, 12)), torch.tensor([12])
    assert torch.equal(model(ids, lengths), model(ids, lengths))
    kept = torch.tensor([[True, True, False, True]])
    assert (model._rows(torch.tensor([[1, 2, 3, 4]]), kept) != 0).tolist() == [[True, True, False, True, True, False, False]]
    model.train()
    torch.manual_seed(0)
    assert not torch.equal(model(ids, lengths), model(ids, lengths))


def test_buckets_without_runs_have_no_effect() -> None:
    spec: Any = None
    (found,) = Options(kind="bag_of_ngrams", ngrams=1, buckets=10).problems(spec, ("model",))
    assert (found.code, found.path, found.severity) == ("option-without-effect", ("model", "buckets"), "warning")
