"""Generation: the cache changes no token, the same seed writes the same text, and nothing outside the vocabulary is drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options
from specrun.runtime.device import Device
from specrun.training.generation import Sampling, draw, generate

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)


def model(architecture: str = "gpt2") -> GPT:
    torch.manual_seed(4)
    network = build(Options(kind="gpt", architecture=architecture, num_layers=2, width=16, num_heads=2), vocab_size=30, sequence_length=10)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return network


def write(prompt: list[int], tokens: int = 25, *, architecture: str = "gpt2", seed: int = 0, **more: Any) -> list[int]:
    sampling = Sampling(temperature=more.pop("temperature", 0.8), top_k=more.pop("top_k", 5), seed=seed)
    return list(generate(model(architecture), prompt, tokens=tokens, sampling=sampling, device=DEVICE, **more))


@settings(max_examples=10)
@given(
    prompt=st.lists(st.integers(0, 29), min_size=1, max_size=15), architecture=st.sampled_from(["gpt2", "llama"]), seed=st.integers(0, 9)
)
def test_the_cache_changes_no_token_even_beyond_the_models_positions(prompt: list[int], architecture: str, seed: int) -> None:
    expected = write(prompt, architecture=architecture, seed=seed, use_cache=False)
    assert write(prompt, architecture=architecture, seed=seed) == expected
    assert len(expected) == 25


def test_the_same_seed_writes_the_same_and_another_something_else() -> None:
    assert write([1], seed=3) == write([1], seed=3)
    assert write([1], seed=3) != write([1], seed=4)


def test_temperature_zero_takes_the_likeliest_whatever_the_seed() -> None:
    assert write([1, 2], temperature=0.0, seed=1) == write([1, 2], temperature=0.0, seed=2)
    assert write([1, 2], top_k=1, seed=5) == write([1, 2], temperature=0.0)


def test_it_ends_before_the_stop_token() -> None:
    free = write([7])
    stop = free[4]
    assert write([7], stop_id=stop) == free[: free.index(stop)]


def test_ids_that_only_pad_the_embedding_are_never_drawn() -> None:
    assert max(write([1], tokens=60, temperature=50.0, top_k=None, vocab_size=6)) < 6


def test_generation_neither_touches_the_global_generator_nor_the_training_mode() -> None:
    torch.manual_seed(8)
    expected = torch.rand(3)
    network = model().train()
    torch.manual_seed(8)
    list(generate(network, [1], tokens=3, sampling=Sampling(), device=DEVICE))
    assert torch.equal(torch.rand(3), expected)
    assert network.training


def test_draws_follow_the_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    counts = torch.bincount(torch.tensor([draw(logits, Sampling(temperature=1.0, top_k=3), generator) for _ in range(4000)]), minlength=4)
    expected = torch.softmax(torch.tensor([0.0, 1.0, 2.0]), 0) * 4000
    assert counts[3] == 0
    assert (counts[:3] - expected).abs().max() < 120


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_text_ends_where_the_scores_are_not_finite(bad: float, temperature: float) -> None:
    sampling, generator = Sampling(temperature=temperature), torch.Generator().manual_seed(0)
    assert draw(torch.tensor([0.0, bad, 1.0]), sampling, generator) is None
    assert draw(torch.tensor([-torch.inf, -torch.inf, 1.0]), sampling, generator) == 2
    network = model()
    network.final_norm.weight.data[0] = bad
    assert list(generate(network, [1], tokens=5, sampling=sampling, device=DEVICE)) == []


def test_what_is_called_before_each_token_may_end_the_text_and_leaves_the_model_as_it_was() -> None:
    network, calls = model().train(), []

    def between() -> None:
        calls.append(network.training)
        if len(calls) == 4:
            raise KeyError

    written = generate(network, [1], tokens=9, sampling=Sampling(), device=DEVICE, between=between)
    assert len([next(written), next(written), next(written)]) == 3
    with pytest.raises(KeyError):
        next(written)
    assert (calls, network.training) == ([False] * 4, True)


def test_an_empty_prompt_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="one token at least"):
        write([])
