"""The gpt model: its size is predicted exactly, it never looks ahead, and its cache changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {"architecture": "llama", "bias": False},
    "llama-grouped": {"architecture": "llama", "bias": False, "num_kv_heads": 2},
}


def tiny(name: str, **more: Any) -> GPT:
    torch.manual_seed(0)
    options = Options(kind="gpt", num_layers=2, width=32, num_heads=4, **ARCHITECTURES[name], **more)
    model = build(options, vocab_size=50, sequence_length=16).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@st.composite
def valid_options(draw: st.DrawFn) -> Options:
    """Sizes that the model accepts, over every switch."""
    architecture = draw(st.sampled_from(["gpt2", "llama"]))
    heads = draw(st.integers(1, 4))
    width = 2 * heads * draw(st.integers(1, 5))
    kv = draw(st.sampled_from([k for k in range(1, heads + 1) if heads % k == 0]))
    return Options(
        kind="gpt", architecture=architecture, num_layers=draw(st.integers(1, 3)), width=max(4, width if width >= 4 else 4 * heads),
        num_heads=heads, num_kv_heads=kv if architecture == "llama" else None,
        mlp_width=draw(st.none() | st.integers(4, 50)), max_positions=draw(st.none() | st.integers(12, 30)),
        vocab_size=draw(st.none() | st.integers(40, 60)), bias=draw(st.booleans()), tie_embeddings=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=80)
@given(options=valid_options(), vocab_size=st.integers(2, 40), length=st.integers(2, 12))
def test_the_predicted_parameter_count_is_the_models(options: Options, vocab_size: int, length: int) -> None:
    model = build(options, vocab_size=vocab_size, sequence_length=length)
    assert sum(p.numel() for p in model.parameters()) == options.cost(vocab_size=vocab_size, sequence_length=length).parameters


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_later_token_changes_no_earlier_logits(name: str) -> None:
    model = tiny(name)
    ids = torch.randint(50, (1, 16))
    changed = ids.clone()
    changed[0, 9] = (changed[0, 9] + 1) % 50
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9], after[:, 9])


@pytest.mark.parametrize("name", ARCHITECTURES)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_reading_with_a_cache_in_any_pieces_equals_reading_at_once(name: str, cuts: list[int]) -> None:
    model = tiny(name)
    total = min(16, sum(cuts))
    ids = torch.randint(50, (2, total))
    cache, pieces, start = model.new_cache(), [], 0
    with torch.no_grad():
        for cut in cuts:
            if start < total:
                pieces.append(model.hidden(ids[:, start : min(start + cut, total)], cache))
                start = cache.length
        torch.testing.assert_close(torch.cat(pieces, dim=1), model.hidden(ids), atol=2e-5, rtol=1e-4)


def test_a_rotary_model_depends_on_the_order_of_tokens() -> None:
    model = tiny("llama")
    ids = torch.tensor([[1, 2, 3, 4]])
    swapped = torch.tensor([[2, 1, 3, 4]])
    assert not torch.allclose(model(ids)[:, -1], model(swapped)[:, -1], atol=1e-4)


def test_more_positions_than_the_model_has_are_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="17 positions, the model has 16"):
        tiny("gpt2").hidden(torch.zeros(1, 17, dtype=torch.long))


def test_initial_weights_follow_gpt2s_recipe() -> None:
    torch.manual_seed(1)
    model = build(Options(kind="gpt", num_layers=8, width=128, num_heads=4), vocab_size=300, sequence_length=64)
    state = model.state_dict()
    assert state["token_embedding.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert state["blocks.0.attention.qkv.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    for name in ("attention.out", "mlp.out"):
        assert state[f"blocks.3.{name}.weight"].std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert not state["blocks.0.attention.qkv.bias"].any()
    assert torch.equal(state["final_norm.weight"], torch.ones(128))


def test_the_same_seed_builds_the_same_weights() -> None:
    options = Options(kind="gpt", num_layers=1, width=16, num_heads=2)
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build(options, vocab_size=20, sequence_length=8).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_dropout_acts_in_training_only() -> None:
    model = tiny("gpt2", dropout=0.5)
    ids = torch.randint(50, (1, 8))
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


def test_untied_models_have_a_head_of_their_own() -> None:
    tied, untied = tiny("gpt2"), tiny("gpt2", tie_embeddings=False)
    assert tied.head_VC is tied.token_embedding.weight
    assert untied.head_VC is not untied.token_embedding.weight
