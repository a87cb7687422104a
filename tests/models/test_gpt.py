"""The gpt model: its size is predicted exactly, it never looks ahead, and its cache changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options
from specrun.models.gpt.parameters import parameter_shapes
from specrun.models.transformer_layers import ACTIVATIONS

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {"architecture": "llama", "bias": False},
    "llama-grouped": {"architecture": "llama", "bias": False, "num_kv_heads": 2},
    "gpt2-grouped": {"num_kv_heads": 2},
    "modern": {"bias": False, "layers": {"norm": "rms", "positions": "rotary", "activation": "relu2", "qk_norm": True}},
    "mixed": {"architecture": "llama", "num_kv_heads": 1, "layers": {"norm": "layer", "positions": "learned", "qk_norm": True}},
}

CHOICES: dict[str, list[Any]] = {
    "norm": ["layer", "rms"], "positions": ["learned", "rotary"], "qk_norm": [False, True],
    "activation": ["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"],
}  # fmt: skip


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
    layers = {name: draw(st.none() | st.sampled_from(choices)) for name, choices in CHOICES.items()}
    heads = draw(st.integers(1, 4))
    width = 2 * heads * draw(st.integers(1, 5))
    kv = draw(st.sampled_from([k for k in range(1, heads + 1) if heads % k == 0]))
    values: dict[str, Any] = {
        "architecture": architecture, "num_layers": draw(st.integers(1, 3)), "width": max(4, width if width >= 4 else 4 * heads),
        "num_heads": heads, "num_kv_heads": kv, "layers": layers,
        "mlp_width": draw(st.none() | st.integers(4, 50)), "max_positions": draw(st.none() | st.integers(12, 30)),
        "vocab_size": draw(st.none() | st.integers(40, 60)), "bias": draw(st.booleans()), "tie_embeddings": draw(st.booleans()),
    }  # fmt: skip
    return Options(kind="gpt", **values)


@settings(max_examples=150)
@given(options=valid_options(), vocab_size=st.integers(2, 40), length=st.integers(2, 12))
def test_the_predicted_parameters_are_the_models(options: Options, vocab_size: int, length: int) -> None:
    model = build(options, vocab_size=vocab_size, sequence_length=length)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert parameter_shapes(options, vocab_size=vocab_size, sequence_length=length) == shapes
    assert sum(p.numel() for p in model.parameters()) == options.cost(vocab_size=vocab_size, sequence_length=length).parameters


@settings(max_examples=40)
@given(options=valid_options())
def test_every_combination_of_layers_learns_each_of_its_parameters(options: Options) -> None:
    model = build(options, vocab_size=20, sequence_length=12).train()
    model(torch.arange(12)[None] % 20).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_gpt2_with_exact_gelu_and_without_biases_is_the_plain_transformer() -> None:
    """Written out once more, with nothing of ours: nanoGPT's recipe, as a bare training loop would have it."""
    model = tiny("gpt2", bias=False, layers={"activation": "gelu"})
    w, ids = model.state_dict(), torch.randint(50, (2, 16))
    x = w["token_embedding.weight"][ids] + w["position_embedding.weight"]
    for block in ("blocks.0", "blocks.1"):
        q, k, v = F.linear(F.layer_norm(x, (32,), w[f"{block}.attention_norm.weight"]), w[f"{block}.attention.qkv.weight"]).chunk(3, dim=-1)
        q, k, v = (part.view(2, 16, 4, 8).transpose(1, 2) for part in (q, k, v))
        scores = (q @ k.mT / 8**0.5).masked_fill(torch.ones(16, 16).triu(1).bool(), -torch.inf).softmax(-1)
        x = x + F.linear((scores @ v).transpose(1, 2).reshape(2, 16, 32), w[f"{block}.attention.out.weight"])
        hidden = F.linear(F.layer_norm(x, (32,), w[f"{block}.mlp_norm.weight"]), w[f"{block}.mlp.up.weight"])
        x = x + F.linear(hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5)), w[f"{block}.mlp.out.weight"])
    logits = F.linear(F.layer_norm(x, (32,), w["final_norm.weight"]), w["token_embedding.weight"])
    torch.testing.assert_close(model(ids), logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("gelu", lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5))),
        ("gelu_tanh", lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))),
        ("relu", lambda x: x.clamp(min=0)),
        ("relu2", lambda x: x.clamp(min=0) ** 2),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
    ],
)
def test_activations_are_their_definitions(name: str, reference: Any) -> None:
    x = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(ACTIVATIONS[name](x), reference(x), atol=1e-5, rtol=1e-5)


def test_normed_queries_and_keys_have_one_length_whatever_the_projection() -> None:
    model = tiny("modern")
    ids = torch.randint(50, (1, 8))
    before = model(ids)
    with torch.no_grad():
        for number in range(2):
            model.get_parameter(f"blocks.{number}.attention.qkv.weight")[:64] *= 7  # queries and keys, not values
    torch.testing.assert_close(model(ids), before, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["gpt2", "llama", "modern"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_checkpointed_activations_change_no_bit_of_loss_and_gradients(name: str, dropout: float, precision: torch.dtype) -> None:
    ids = torch.arange(32).view(2, 16) % 50

    def gradients(*, enabled: bool) -> list[torch.Tensor]:
        model = tiny(name, dropout=dropout).train()
        model.checkpoint_activations(enabled=enabled)
        torch.manual_seed(5)
        with torch.autocast("cpu", dtype=precision, enabled=precision is not torch.float32):
            loss = model(ids).float().square().mean()
        loss.backward()
        return [loss.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None), torch.rand(3)]

    assert all(torch.equal(*pair) for pair in zip(gradients(enabled=True), gradients(enabled=False), strict=True))


def test_checkpointing_keeps_little_of_a_block_and_nothing_changes_outside_training() -> None:
    def kept(*, enabled: bool) -> int:
        model = tiny("gpt2").train()
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        model.checkpoint_activations(enabled=enabled)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.hidden(torch.zeros(4, 16, dtype=torch.long))
        return sum(sizes.values())

    assert kept(enabled=True) < kept(enabled=False) / 3
    model = tiny("gpt2")
    model.checkpoint_activations(enabled=True)
    assert torch.equal(model(torch.arange(4)[None]), tiny("gpt2")(torch.arange(4)[None]))


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
