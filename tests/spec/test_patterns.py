"""Patterns over names: what they match, and what is told of one that matches nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.patterns import idle, matched, remedy

NAMES = ["token_embedding.weight", "blocks.0.attention.qkv.weight", "blocks.0.mlp.out.bias", "blocks.1.mlp.out.bias", "final_norm.weight"]


def test_names_are_matched_in_their_order_and_once() -> None:
    assert matched(["*.bias", "blocks.?.mlp.*", "token*"], NAMES) == [NAMES[0], NAMES[2], NAMES[3]]
    assert matched([], NAMES) == []
    assert idle(["*.bias", "nothing", "blocks.2.*"], NAMES) == [1, 2]


@given(st.lists(st.sampled_from(NAMES), unique=True))
def test_a_name_is_a_pattern_of_itself_alone(names: list[str]) -> None:
    assert sorted(matched(names, NAMES)) == sorted(names)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("block.*", "blocks.*"),
        ("token_embeding.weight", "token_embedding.weight"),
        ("token_embedding.weights", "token_embedding.weight"),
        ("*.atention.*", "*.attention.*"),
        ("blocks.*.mlp.out.biases", "blocks.*.mlp.out.bias"),
        ("blocks.*.attn.*", "blocks.*.attention.*"),
        ("blocks.*.attn", "blocks.*.attention.*"),
        ("attn", "*.attention.*"),
        ("*attn*", "*attention*"),
        ("blocks.*.attention.q_proj", "blocks.*.attention.*"),
        ("tok_emb.*", "token_embedding.*"),
    ],
)
def test_a_pattern_that_matches_nothing_is_told_one_near_that_does(written: str, meant: str) -> None:
    assert remedy(written, NAMES) == f"did you mean {meant}?"
    assert matched([meant], NAMES)


@given(st.text(alphabet="abcdeknoqstvw.*0", min_size=1, max_size=25))
def test_what_is_meant_matches_something(written: str) -> None:
    found = remedy(written, NAMES)
    if found.startswith("did you mean "):
        assert matched([found.removeprefix("did you mean ").removesuffix("?")], NAMES)


@pytest.mark.parametrize("written", ["*.ffn.*", "blocks.7.*", "transformer.h.0.*", "wte.weight", "*.c_proj", "norms.0"])
def test_a_layer_that_is_called_otherwise_is_not_told_to_be_one_that_is_spelt_alike(written: str) -> None:
    assert remedy(written, NAMES) == (
        "there are token_embedding.weight, blocks.*.attention.qkv.weight, blocks.*.mlp.out.bias and final_norm.weight"
    )


def test_without_a_near_one_there_are_examples() -> None:
    assert remedy("zzzzzzzzzzzzzzz", NAMES).startswith("there are token_embedding.weight, ")
    assert remedy("x", []) == "there are none"
