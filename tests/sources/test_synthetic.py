"""The synthetic source: its entropy is what it says, and the same options give the same text."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.sources.contract import WHOLE, LoadedText, SourceRequest, load_text
from specrun.sources.synthetic import build
from specrun.sources.synthetic.build import ALPHABET, entropy_rate, stationary, transitions
from specrun.sources.synthetic.options import Options


def load(**options: Any) -> LoadedText:
    return load_text(Options(kind="synthetic", **options), SourceRequest(Path(), lambda _: None))


def documents(**options: Any) -> list[str]:
    return list(load(**options).splits[WHOLE])


def conditional_entropy(texts: list[str]) -> float:
    pairs = Counter(text[i : i + 2] for text in texts for i in range(len(text) - 1))
    firsts = Counter(text[i] for text in texts for i in range(len(text) - 1))
    total = sum(pairs.values())
    return -sum(count / total * math.log(count / firsts[pair[0]]) for pair, count in pairs.items())


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_entropy_of_two_states_is_the_closed_form(leave: float, back: float) -> None:
    chain = np.array([[1 - leave, leave], [back, 1 - back]])

    def binary(p: float) -> float:
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    weights = np.array([back, leave]) / (leave + back)
    assert stationary(chain) == pytest.approx(weights, abs=1e-9)
    assert entropy_rate(chain) == pytest.approx(weights[0] * binary(leave) + weights[1] * binary(back), rel=1e-9)


def test_a_chain_without_memory_has_the_entropy_of_its_letters() -> None:
    assert entropy_rate(np.full((8, 8), 1 / 8)) == pytest.approx(math.log(8))


@given(st.integers(2, 64), st.floats(1e-3, 100), st.integers(0, 2**63 - 1))
def test_every_row_is_a_distribution_that_reaches_every_state(states: int, concentration: float, seed: int) -> None:
    chain = transitions(Options(kind="synthetic", states=states, concentration=concentration, seed=seed))
    assert chain.sum(axis=1) == pytest.approx(np.ones(states))
    assert chain.min() > 0
    assert stationary(chain) @ chain == pytest.approx(stationary(chain), abs=1e-8)
    assert 0 < entropy_rate(chain) <= math.log(states) + 1e-9


@pytest.mark.parametrize(("states", "concentration"), [(2, 1.0), (8, 0.2), (16, 1.0)])
def test_the_text_has_the_entropy_that_is_said_of_it(states: int, concentration: float) -> None:
    loaded = load(states=states, concentration=concentration, characters=400_000, seed=3)
    assert conditional_entropy(list(loaded.splits[WHOLE])) == pytest.approx(loaded.facts["entropy_rate_nats"], rel=0.01)


def test_the_mean_over_the_corpus_counts_the_first_characters() -> None:
    facts = load(characters=1000, document_characters=10).facts
    expected = (100 * facts["first_character_entropy_nats"] + 900 * facts["entropy_rate_nats"]) / 1000
    assert facts["entropy_nats_per_character"] == pytest.approx(expected)


@pytest.mark.parametrize(("characters", "length", "sizes"), [(250, 100, [100, 100, 50]), (100, 1000, [100]), (300, 100, [100] * 3)])
def test_documents_have_the_length_asked_for_and_add_up(characters: int, length: int, sizes: list[int]) -> None:
    assert [len(text) for text in documents(characters=characters, document_characters=length)] == sizes


def test_the_same_options_give_the_same_text_and_another_seed_another() -> None:
    assert documents(characters=2000) == documents(characters=2000)
    assert documents(characters=2000) != documents(characters=2000, seed=1)


def test_blocks_have_random_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_BLOCK_CHARACTERS", 200)
    texts = documents(characters=2000, document_characters=100)
    assert len(texts) == len(set(texts)) == 20


def test_letters_are_as_many_as_states_and_distinct() -> None:
    assert len(set(ALPHABET)) == 64
    assert set("".join(documents(states=64, concentration=10.0))) == set(ALPHABET)
