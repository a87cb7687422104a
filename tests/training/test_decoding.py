"""Decoding: greedy and beam search, against enumerating all targets there are."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from specrun.runtime.device import Device
from specrun.training.decoding import Search, search

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
V, START, END = 3, 0, 1


class Memory:
    """What each row has written so far."""

    def __init__(self) -> None:
        self.written: Tensor | None = None

    def reorder(self, rows: Tensor) -> None:
        assert self.written is not None
        self.written = self.written[rows]


class Table:
    """A model whose scores are random numbers of the source and of all that has been written: nothing can be learned from one prefix for
    another. Its width is the vocabulary's, so that hidden states are scores."""

    max_positions = 8
    training = False
    head_VC = torch.eye(V)  # noqa: N815 - tensors carry their shape

    def __init__(self, seed: int, *, sharpness: float = 2.0) -> None:
        self.seed, self.sharpness, self.rows = seed, sharpness, 0
        self.known: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        return ids[:, :1, None].float()

    def decode(self, ids: Tensor, memory: Tensor, lengths: Tensor, cache: Any = None) -> Tensor:
        cache.written = ids if cache.written is None else torch.cat((cache.written, ids), dim=1)
        self.rows += len(ids)
        scores = [self.scores(int(source), tuple(row)) for source, row in zip(memory[:, 0, 0], cache.written.tolist(), strict=True)]
        return torch.stack(scores)[:, None]

    def scores(self, source: int, written: tuple[int, ...]) -> Tensor:
        if (source, written) not in self.known:
            self.known[source, written] = self.drawn(source, written)
        return self.known[source, written]

    def drawn(self, source: int, written: tuple[int, ...]) -> Tensor:
        rng = np.random.default_rng([self.seed, source, *written])
        return torch.tensor(rng.normal(size=V) * self.sharpness, dtype=torch.float32)

    def new_cache(self) -> Memory:
        return Memory()

    def train(self, mode: bool = True) -> None: ...


def found(model: Table, limits: list[int], *, beams: int, penalty: float) -> list[list[int]]:
    sources = torch.arange(len(limits))[:, None]
    return search(
        model, sources, torch.ones(len(limits), dtype=torch.int64), torch.tensor(limits), how=Search(beams, penalty),
        longest=max(limits), start_id=START, end_id=END, vocab_size=V, device=DEVICE,
    )  # fmt: skip


def best(model: Table, source: int, limit: int, penalty: float) -> list[int]:
    """By writing down every target: those that end, and those that are cut at the limit."""
    ranked = []
    for length in range(1, limit + 1):
        for tokens in itertools.product(range(V), repeat=length):
            if END in tokens[:-1] or (tokens[-1] != END and length < limit):
                continue
            likelihood = sum(
                float(model.scores(source, (START, *tokens[:place])).log_softmax(-1)[token]) for place, token in enumerate(tokens)
            )
            ranked.append((likelihood / length**penalty, [token for token in tokens if token != END]))
    return max(ranked)[1]


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]))
def test_with_as_many_beams_as_targets_the_search_is_exhaustive(seed: int, penalty: float) -> None:
    limits = [3, 1, 2]
    model = Table(seed)
    assert found(model, limits, beams=V**3, penalty=penalty) == [best(model, n, limit, penalty) for n, limit in enumerate(limits)]


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_one_beam_takes_the_likeliest_token_each_time(seed: int) -> None:
    model, limits = Table(seed), [7, 3, 1, 8]
    greedy = []
    for source, limit in enumerate(limits):
        written: list[int] = []
        while len(written) < limit and (token := int(model.scores(source, (START, *written)).argmax())) != END:
            written.append(token)
        greedy.append(written)
    assert found(model, limits, beams=1, penalty=1.0) == greedy


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), beams=st.integers(1, 4))
def test_what_is_found_for_a_sentence_does_not_depend_on_those_beside_it(seed: int, beams: int) -> None:
    model, limits = Table(seed), [8, 2, 5]
    together = found(model, limits, beams=beams, penalty=1.0)
    for number, limit in enumerate(limits):
        sources = torch.tensor([[number]])
        alone = search(model, sources, torch.ones(1, dtype=torch.int64), torch.tensor([limit]), how=Search(beams, 1.0), longest=limit,
                       start_id=START, end_id=END, vocab_size=V, device=DEVICE)  # fmt: skip
        assert alone == [together[number]]


def test_finished_sentences_are_no_longer_computed() -> None:
    class Endings(Table):
        """Ends at once for all sources but the last."""

        def scores(self, source: int, written: tuple[int, ...]) -> Tensor:
            return torch.tensor([0.0, 9.0 if source < 9 else -9.0, 0.0])

    model = Endings(0)
    assert [len(row) for row in found(model, [8] * 10, beams=1, penalty=1.0)] == [0] * 9 + [8]
    assert model.rows == 4 * 10 + 4 * 1


def test_a_higher_penalty_never_gives_shorter_targets() -> None:
    for seed in range(5):
        lengths = [len(found(Table(seed), [3], beams=27, penalty=penalty)[0]) for penalty in (0.0, 1.0, 3.0)]
        assert lengths == sorted(lengths)


@pytest.mark.parametrize("beams", [1, 3])
def test_scores_that_are_no_numbers_end_the_search(beams: int) -> None:
    class Broken(Table):
        def scores(self, source: int, written: tuple[int, ...]) -> Tensor:
            return torch.full((V,), float("nan"))

    assert found(Broken(0), [5, 2], beams=beams, penalty=1.0) == [[], []]
