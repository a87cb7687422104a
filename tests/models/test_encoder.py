"""The encoder: its size is told exactly, it is torch's and transformers' own, and padding changes nothing."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.encoder.build import Encoder, build
from specrun.models.encoder.options import Options
from specrun.models.transformer_layers import sinusoids
from tests.models.made import randomized, saved_bytes

FORMS: dict[str, dict[str, Any]] = {
    "plain": {}, "after": {"norm_place": "after"}, "sinusoidal": {"positions": "sinusoidal"},
    "modern": {"norm": "rms", "positions": "rotary", "activation": "swiglu", "qk_norm": True},
}  # fmt: skip


def tiny(form: str = "plain", *, classes: int | None = None, **more: Any) -> Encoder:
    options = Options(kind="encoder", num_layers=2, width=32, num_heads=4, layers=FORMS[form], **({"dropout": 0.0} | more))
    return randomized(build(options, vocab_size=50, sequence_length=16, num_classes=classes)).eval()


@st.composite
def valid_options(draw: st.DrawFn) -> Options:
    heads = draw(st.integers(1, 4))
    layers = {
        "norm": draw(st.sampled_from(["layer", "rms"])), "norm_place": draw(st.sampled_from(["before", "after"])),
        "positions": draw(st.sampled_from(["learned", "rotary", "sinusoidal"])), "qk_norm": draw(st.booleans()),
        "activation": draw(st.sampled_from(["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"])),
    }  # fmt: skip
    return Options(
        kind="encoder", layers=layers, num_layers=draw(st.integers(1, 3)), width=4 * heads * draw(st.integers(1, 3)), num_heads=heads,
        mlp_width=draw(st.none() | st.integers(4, 50)), max_positions=draw(st.none() | st.integers(12, 30)),
        pooling=draw(st.sampled_from([None, "mean", "cls"])), tie_embeddings=draw(st.none() | st.booleans()),
    )  # fmt: skip


@settings(max_examples=40)
@given(options=valid_options(), vocab_size=st.integers(2, 40), length=st.integers(2, 12), classes=st.none() | st.integers(2, 5))
def test_the_parameters_told_are_the_models_and_each_learns(options: Options, vocab_size: int, length: int, classes: int | None) -> None:
    sizes: dict[str, Any] = {"vocab_size": vocab_size, "sequence_length": length, "num_classes": classes}
    model = build(options, **sizes)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert options.parameter_shapes(**sizes) == shapes
    assert shapes.keys() <= set(options.parameter_names)
    assert sum(p.numel() for p in model.parameters()) == options.cost(**sizes).parameters
    assert {f"{name}.weight" for name in options.linear_layers} <= shapes.keys()
    assert set(model.undecayed) | set(model.fused_rows) <= shapes.keys()
    model(torch.arange(length)[None] % vocab_size, torch.tensor([length])).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("form", ["plain", "after"])
def test_it_is_torchs_own_encoder(form: str) -> None:
    ours = tiny(form)
    layer = nn.TransformerEncoderLayer(32, 4, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=form == "plain")
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    w = ours.state_dict()
    names = {"attention.qkv": "self_attn.in_proj_", "attention.out": "self_attn.out_proj.", "attention_norm": "norm1.",
             "mlp_norm": "norm2.",
             "mlp.up": "linear1.", "mlp.out": "linear2."}  # fmt: skip
    theirs.load_state_dict({
        f"layers.{number}.{their}{kind}": w[f"blocks.{number}.{our}.{kind}"]
        for number in range(2) for our, their in names.items() for kind in ("weight", "bias")
    })  # fmt: skip
    ids, lengths = torch.randint(50, (3, 16)), torch.tensor([16, 5, 1])
    kept = torch.arange(16) < lengths[:, None]
    x = w["token_embedding.weight"][ids] + w["position_embedding.weight"]
    if form == "after":
        x = F.layer_norm(x, (32,), w["embedding_norm.weight"], w["embedding_norm.bias"])
    expected = theirs(x, src_key_padding_mask=~kept)
    if form == "plain":
        expected = F.layer_norm(expected, (32,), w["final_norm.weight"], w["final_norm.bias"])
    torch.testing.assert_close(ours.hidden(ids, lengths)[kept], expected[kept], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_with_norms_after_it_is_transformers_bert() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import BertConfig, BertModel

        theirs = BertModel(BertConfig(
            vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, max_position_embeddings=16,
            layer_norm_eps=1e-5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        ), add_pooling_layer=False).eval()  # fmt: skip
    ours = tiny("after")
    w = ours.state_dict()
    state = {"embeddings.word_embeddings.weight": w["token_embedding.weight"],
             "embeddings.position_embeddings.weight": w["position_embedding.weight"],
             "embeddings.token_type_embeddings.weight": torch.zeros(2, 32)}  # fmt: skip
    for kind in ("weight", "bias"):
        state[f"embeddings.LayerNorm.{kind}"] = w[f"embedding_norm.{kind}"]
        for number in range(2):
            block, layer = f"blocks.{number}", f"encoder.layer.{number}"
            for name, part in zip(("query", "key", "value"), w[f"{block}.attention.qkv.{kind}"].chunk(3), strict=True):
                state[f"{layer}.attention.self.{name}.{kind}"] = part
            for our, their in (("attention.out", "attention.output.dense"),
                               ("attention_norm", "attention.output.LayerNorm"),
                               ("mlp.up", "intermediate.dense"), ("mlp.out", "output.dense"),
                               ("mlp_norm", "output.LayerNorm")):  # fmt: skip
                state[f"{layer}.{their}.{kind}"] = w[f"{block}.{our}.{kind}"]
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert all("position_ids" in name or "token_type_ids" in name for name in missing)
    ids, lengths = torch.randint(50, (2, 16)), torch.tensor([16, 7])
    kept = torch.arange(16) < lengths[:, None]
    expected = theirs(input_ids=ids, attention_mask=kept.long()).last_hidden_state
    torch.testing.assert_close(ours.hidden(ids, lengths)[kept], expected[kept], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_changes_no_result(form: str, pooling: str) -> None:
    model, filler = tiny(form, classes=3, pooling=pooling), tiny(form)
    ids = torch.randint(1, 50, (4, 9))
    lengths = torch.tensor([9, 4, 1, 0])
    for padding in (0, 49):
        wide = torch.full((4, 16), padding)
        for row, length in enumerate(lengths.tolist()):
            wide[row, :length] = ids[row, :length]
            alone = ids[row : row + 1, :length]
            if length:
                torch.testing.assert_close(model(alone, lengths[row : row + 1]), model(wide, lengths)[row : row + 1])
                torch.testing.assert_close(filler.hidden(alone)[0], filler.hidden(wide, lengths)[row, :length])
    assert model(wide, lengths).isfinite().all()


def test_mean_pooling_is_the_mean_of_the_hidden_states() -> None:
    model = tiny(classes=3)
    ids = torch.randint(50, (1, 7))
    expected = F.linear(model.hidden(ids).mean(1), model.get_parameter("classifier.weight"), model.get_parameter("classifier.bias"))
    torch.testing.assert_close(model(ids, torch.tensor([7])), expected)


def test_every_position_sees_every_other() -> None:
    model = tiny()
    ids = torch.randint(50, (1, 8))
    changed = ids.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 50
    assert not torch.isclose(model.hidden(ids), model.hidden(changed)).all(-1).any()


def test_sinusoids_are_their_definition() -> None:
    table = sinusoids(20, 6)
    for position in (0, 3, 19):
        for pair in range(3):
            angle = torch.tensor(position / 10_000 ** (2 * pair / 6))
            torch.testing.assert_close(
                table[position, 2 * pair : 2 * pair + 2], torch.stack((angle.sin(), angle.cos())), atol=1e-5, rtol=1e-4
            )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointed_activations_change_no_bit_of_loss_and_gradients(dropout: float) -> None:
    def gradients(*, enabled: bool) -> list[torch.Tensor]:
        model = tiny(classes=3, dropout=dropout).train()
        model.checkpoint_activations(enabled=enabled)
        torch.manual_seed(5)
        loss = model(torch.arange(32).view(2, 16), torch.tensor([16, 9])).square().mean()
        loss.backward()
        return [loss.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]

    assert all(torch.equal(*pair) for pair in zip(gradients(enabled=True), gradients(enabled=False), strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_predicted_activations_are_what_autograd_keeps(form: str, dropout: float) -> None:
    length, batch = 64, 2
    options = Options(kind="encoder", num_layers=3, width=64, num_heads=4, dropout=dropout, layers=FORMS[form])
    model = build(options, vocab_size=50, sequence_length=length).train()
    ids, lengths = torch.randint(0, 50, (batch, length)), torch.tensor([64, 60])
    found = saved_bytes(model, lambda: model.hidden(ids, lengths))
    predicted = options.cost(vocab_size=50, sequence_length=length).activation_bytes_per_token * batch * length
    assert predicted == pytest.approx(found, rel=0.08)


@pytest.mark.parametrize(
    ("values", "task", "code", "place"),
    [
        ({"width": 250, "num_heads": 8}, "text_classifier", "heads-do-not-divide-width", "model.num_heads"),
        ({"width": 24, "num_heads": 8, "layers": {"positions": "rotary"}}, "text_classifier", "odd-head-size", "model.num_heads"),
        ({"max_positions": 32}, "text_classifier", "sequence-exceeds-positions", "data.sequence_length"),
        ({"tie_embeddings": True}, "text_classifier", "option-without-effect", "model.tie_embeddings"),
        ({"pooling": "mean"}, "masked_language_model", "option-without-effect", "model.pooling"),
    ],
)
def test_each_mistake_has_its_code_and_its_place(values: dict[str, Any], task: str, code: str, place: str) -> None:
    spec: Any = SimpleNamespace(data=SimpleNamespace(sequence_length=64), task=SimpleNamespace(interface=task))
    (found,) = Options(kind="encoder", **values).problems(spec, ("model",))
    assert (found.code, ".".join(map(str, found.path))) == (code, place)
    assert found.hint
