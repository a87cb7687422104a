"""The encoder-decoder: its size is told exactly, it is torch's own, and neither padding, cache nor beams change a result."""

from __future__ import annotations

from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.encoder_decoder.build import EncoderDecoder, build
from specrun.models.encoder_decoder.options import Options
from tests.models.made import randomized, saved_bytes

FORMS: dict[str, dict[str, Any]] = {
    "plain": {}, "after": {"norm_place": "after"}, "sinusoidal": {"positions": "sinusoidal"},
    "modern": {"norm": "rms", "positions": "rotary", "activation": "swiglu", "qk_norm": True},
}  # fmt: skip


def tiny(form: str = "plain", **more: Any) -> EncoderDecoder:
    given = {"num_encoder_layers": 2, "num_decoder_layers": 3, "width": 32, "num_heads": 4, "dropout": 0.0} | more
    return randomized(build(Options(kind="encoder_decoder", layers=FORMS[form], **given), vocab_size=50, sequence_length=16)).eval()


@st.composite
def valid_options(draw: st.DrawFn) -> Options:
    heads = draw(st.integers(1, 4))
    layers = {
        "norm": draw(st.sampled_from(["layer", "rms"])), "norm_place": draw(st.sampled_from(["before", "after"])),
        "positions": draw(st.sampled_from(["learned", "rotary", "sinusoidal"])), "qk_norm": draw(st.booleans()),
        "activation": draw(st.sampled_from(["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"])),
    }  # fmt: skip
    return Options(
        kind="encoder_decoder", layers=layers, num_encoder_layers=draw(st.integers(1, 3)), num_decoder_layers=draw(st.integers(1, 3)),
        width=4 * heads * draw(st.integers(1, 3)), num_heads=heads, mlp_width=draw(st.none() | st.integers(4, 50)),
        max_positions=draw(st.none() | st.integers(12, 30)), tie_embeddings=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=30)
@given(options=valid_options(), vocab_size=st.integers(2, 40), length=st.integers(2, 12))
def test_the_parameters_told_are_the_models_and_each_learns(options: Options, vocab_size: int, length: int) -> None:
    sizes = {"vocab_size": vocab_size, "sequence_length": length}
    model = build(options, **sizes)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert options.parameter_shapes(**sizes) == shapes
    assert set(options.parameter_names) == shapes.keys()
    assert sum(p.numel() for p in model.parameters()) == options.cost(**sizes).parameters
    assert {f"{name}.weight" for name in options.linear_layers} <= shapes.keys()
    assert set(model.undecayed) | set(model.fused_rows) <= shapes.keys()
    ids = torch.arange(length)[None] % vocab_size
    model(ids, torch.tensor([length]), ids).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("form", ["plain", "after"])
def test_it_is_torchs_own_transformer(form: str) -> None:
    ours = tiny(form)
    theirs = nn.Transformer(32, 4, 2, 3, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=form == "plain")
    if form == "after":
        theirs.encoder.norm = theirs.decoder.norm = None
    theirs.eval()
    w = ours.state_dict()
    names = {
        "encoder": {"attention.qkv.": "self_attn.in_proj_", "attention.out.": "self_attn.out_proj.", "attention_norm.": "norm1.",
                    "mlp_norm.": "norm2."},
        "decoder": {"attention.qkv.": "self_attn.in_proj_", "attention.out.": "self_attn.out_proj.", "attention_norm.": "norm1.",
                    "cross_attention.out.": "multihead_attn.out_proj.", "cross_norm.": "norm2.", "mlp_norm.": "norm3."},
    }  # fmt: skip
    state = {}
    for side, count in (("encoder", 2), ("decoder", 3)):
        for kind in ("weight", "bias"):
            if form == "plain":
                state[f"{side}.norm.{kind}"] = w[f"{side}.final_norm.{kind}"]
            for number in range(count):
                block, layer = f"{side}.blocks.{number}", f"{side}.layers.{number}"
                for our, their in (names[side] | {"mlp.up.": "linear1.", "mlp.out.": "linear2."}).items():
                    state[f"{layer}.{their}{kind}"] = w[f"{block}.{our}{kind}"]
                if side == "decoder":
                    parts = w[f"{block}.cross_attention.q.{kind}"], w[f"{block}.cross_attention.kv.{kind}"]
                    state[f"{layer}.multihead_attn.in_proj_{kind}"] = torch.cat(parts)
    theirs.load_state_dict(state)

    def embedded(ids: torch.Tensor, side: str) -> torch.Tensor:
        x = w["token_embedding.weight"][ids] + w[f"{side}.position_embedding.weight"][: ids.shape[1]]
        return F.layer_norm(x, (32,), w[f"{side}.embedding_norm.weight"], w[f"{side}.embedding_norm.bias"]) if form == "after" else x

    source, target, lengths = torch.randint(50, (3, 16)), torch.randint(50, (3, 9)), torch.tensor([16, 5, 1])
    hidden = theirs(
        embedded(source, "encoder"), embedded(target, "decoder"), tgt_mask=torch.ones(9, 9).triu(1).bool(),
        src_key_padding_mask=(padding := torch.arange(16) >= lengths[:, None]), memory_key_padding_mask=padding,
    )  # fmt: skip
    torch.testing.assert_close(ours(source, lengths, target), F.linear(hidden, w["token_embedding.weight"]), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_padding_of_the_source_changes_no_result(form: str) -> None:
    model = tiny(form)
    source, target, lengths = torch.randint(50, (3, 16)), torch.randint(50, (3, 6)), torch.tensor([16, 5, 0])
    together = model(source, lengths, target)
    assert together.isfinite().all()
    for row, length in enumerate(lengths.tolist()[:2]):
        torch.testing.assert_close(model(source[row : row + 1, :length], lengths[row : row + 1], target[row : row + 1])[0], together[row])


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_writing_with_a_cache_in_any_pieces_equals_reading_at_once(form: str, cuts: list[int]) -> None:
    model = tiny(form)
    source, target, lengths = torch.randint(50, (2, 9)), torch.randint(50, (2, min(16, sum(cuts)))), torch.tensor([9, 4])
    memory, cache = model.encode(source, lengths), model.new_cache()
    with torch.no_grad():
        pieces = [model.decode(part, memory, lengths, cache) for part in target.split_with_sizes(_lengths(cuts), dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), model.decode(target, memory, lengths), atol=5e-5, rtol=1e-4)


def _lengths(cuts: list[int]) -> list[int]:
    """As many of the cuts as 16 positions have room for, the last one cut short."""
    ends = [min(16, end) for end in accumulate(cuts)]
    return [end - start for start, end in pairwise([0, *ends])]


def test_a_reordered_cache_is_that_of_the_rows_named() -> None:
    model = tiny()
    source, target, lengths = torch.randint(50, (3, 9)), torch.randint(50, (3, 5)), torch.tensor([9, 4, 6])
    rows, after = torch.tensor([2, 0, 0, 1, 2]), torch.randint(50, (5, 2))
    memory, cache = model.encode(source, lengths), model.new_cache()
    with torch.no_grad():
        model.decode(target, memory, lengths, cache)
        cache.reorder(rows)
        found = model.decode(after, memory[rows], lengths[rows], cache)
        whole = model.decode(torch.cat((target[rows], after), dim=1), memory[rows], lengths[rows])
    torch.testing.assert_close(found, whole[:, 5:], atol=5e-5, rtol=1e-4)


def test_keys_and_values_of_the_source_are_computed_once() -> None:
    model, calls = tiny(), []
    for block in model.decoder.blocks:
        block.get_submodule("cross_attention.kv").register_forward_hook(lambda *_: calls.append(1))
    memory, lengths, cache = torch.randn(1, 4, 32), torch.tensor([4]), model.new_cache()
    for _ in range(5):
        model.decode(torch.tensor([[3]]), memory, lengths, cache)
    assert len(calls) == 3


def test_a_later_token_changes_no_earlier_logits_but_any_of_the_source_does() -> None:
    model, lengths = tiny(), torch.tensor([8])
    source, target = torch.randint(50, (1, 8)), torch.randint(50, (1, 8))
    before = model(source, lengths, target)
    later, other = target.clone(), source.clone()
    later[0, 5], other[0, 7] = (later[0, 5] + 1) % 50, (other[0, 7] + 1) % 50
    torch.testing.assert_close(model(source, lengths, later)[:, :5], before[:, :5])
    assert not torch.isclose(model(other, lengths, target), before).all(-1).any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_predicted_activations_are_what_autograd_keeps(form: str, dropout: float) -> None:
    length, batch = 64, 2
    options = Options(
        kind="encoder_decoder", num_encoder_layers=2, num_decoder_layers=4, width=64, num_heads=4, dropout=dropout, layers=FORMS[form]
    )
    model = build(options, vocab_size=50, sequence_length=length).train()
    ids, lengths = torch.randint(0, 50, (batch, length)), torch.tensor([64, 60])
    found = saved_bytes(model, lambda: model.decode(ids, model.encode(ids, lengths), lengths))
    predicted = options.cost(vocab_size=50, sequence_length=length).activation_bytes_per_token * 2 * batch * length
    assert predicted == pytest.approx(found, rel=0.08)


@pytest.mark.parametrize(
    ("values", "code", "place"),
    [
        ({"width": 250, "num_heads": 8}, "heads-do-not-divide-width", "model.num_heads"),
        ({"width": 24, "num_heads": 8, "layers": {"positions": "rotary"}}, "odd-head-size", "model.num_heads"),
        ({"max_positions": 32}, "sequence-exceeds-positions", "data.sequence_length"),
    ],
)
def test_each_mistake_has_its_code_and_its_place(values: dict[str, Any], code: str, place: str) -> None:
    spec: Any = SimpleNamespace(data=SimpleNamespace(sequence_length=64))
    (found,) = Options(kind="encoder_decoder", **values).problems(spec, ("model",))
    assert (found.code, ".".join(map(str, found.path))) == (code, place)
    assert found.hint
