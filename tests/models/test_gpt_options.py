"""Mistakes in a gpt model's sizes are found before anything is built, each with a value that works."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from specrun.models.gpt.build import build
from specrun.models.gpt.layers import Layers
from specrun.models.gpt.options import Options
from specrun.spec.section import Problem


def problems(sequence_length: int = 64, **values: Any) -> list[Problem]:
    spec: Any = SimpleNamespace(data=SimpleNamespace(sequence_length=sequence_length))
    return list(Options(kind="gpt", **values).problems(spec, ("model",)))


@pytest.mark.parametrize(
    ("values", "code", "place", "remedy"),
    [
        ({"width": 250, "num_heads": 8}, "heads-do-not-divide-width", "model.num_heads", "use width 248 or 256"),
        ({"width": 24, "num_heads": 8, "architecture": "llama"}, "odd-head-size", "model.num_heads", "use width 16"),
        ({"width": 24, "num_heads": 8, "layers": {"positions": "rotary"}}, "odd-head-size", "model.num_heads", "use width 16"),
        ({"width": 64, "num_heads": 4, "num_kv_heads": 3}, "kv-heads-do-not-divide-heads", "model.num_kv_heads", "use one of 1, 2, 4"),
        (
            {"width": 64, "num_heads": 4, "num_kv_heads": 3, "architecture": "llama"},
            "kv-heads-do-not-divide-heads", "model.num_kv_heads", "use one of 1, 2, 4",
        ),
        ({"width": 64, "num_heads": 4, "architecture": "llama", "bias": False}, "option-without-effect", "model.bias", "remove bias"),
        ({"width": 64, "num_heads": 4, "max_positions": 32}, "sequence-exceeds-positions", "data.sequence_length", "sequence_length 32 or"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code_its_place_and_a_value_that_works(values: dict[str, Any], code: str, place: str, remedy: str) -> None:
    (found,) = problems(**values)
    assert (found.code, ".".join(map(str, found.path))) == (code, place)
    assert remedy in str(found.hint)


@given(
    architecture=st.sampled_from(["gpt2", "llama"]), width=st.integers(4, 96), heads=st.integers(1, 12), kv=st.none() | st.integers(1, 12)
)
def test_sizes_without_a_problem_build_and_run(architecture: Any, width: int, heads: int, kv: int | None) -> None:
    import torch

    values: dict[str, Any] = {"architecture": architecture, "width": width, "num_heads": heads, "num_kv_heads": kv, "num_layers": 1}
    assume(not problems(sequence_length=4, **values))
    model = build(Options(kind="gpt", **values), vocab_size=7, sequence_length=4)
    assert model(torch.zeros(1, 4, dtype=torch.long)).shape == (1, 4, 7)


def test_learned_positions_take_any_head_size() -> None:
    assert problems(width=24, num_heads=8, architecture="llama", layers={"positions": "learned"}) == []


def test_the_default_mlp_is_four_times_the_width_or_eight_thirds_rounded_up() -> None:
    assert Options(kind="gpt", width=256).mlp_size == 1024
    assert Options(kind="gpt", width=256, architecture="llama").mlp_size == 704
    assert Options(kind="gpt", width=256, mlp_width=5).mlp_size == 5
    assert Options(kind="gpt", width=256, layers=Layers(activation="swiglu")).mlp_size == 704
    assert Options(kind="gpt", width=256, architecture="llama", layers=Layers(activation="relu2")).mlp_size == 1024


def test_what_is_left_out_comes_to_what_the_architecture_gives() -> None:
    spec: Any = SimpleNamespace(data=SimpleNamespace(sequence_length=64))
    found = Options(kind="gpt", architecture="llama", layers=Layers(norm="layer")).derived(spec)
    assert {name: value for name, value in found.items() if name.startswith("layers.")} == {
        "layers.positions": "rotary", "layers.activation": "swiglu", "layers.qk_norm": False,
    }  # fmt: skip


def test_the_models_own_vocabulary_comes_before_the_tokenizers() -> None:
    options = Options(kind="gpt", num_layers=1, width=8, num_heads=2, vocab_size=64)
    assert build(options, vocab_size=50, sequence_length=4).head_VC.shape[0] == 64


def test_ten_million_parameters_cost_what_they_should() -> None:
    cost = Options(kind="gpt", num_layers=8, width=256, num_heads=8).cost(vocab_size=8192, sequence_length=512)
    assert cost.parameters == 8 * (12 * 256**2 + 13 * 256) + (8192 + 512 + 2) * 256
    assert cost.flops_per_token == pytest.approx(6 * (8 * 12 * 256**2 + 8192 * 256) + 12 * 8 * 256 * 512)
    assert cost.activation_bytes_per_token > 0


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"])
@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize(("dropout", "kv_heads"), [(0.0, None), (0.0, 1), (0.1, None)])
def test_predicted_activations_are_what_autograd_keeps(
    norm: Any, positions: Any, activation: Any, qk_norm: bool, dropout: float, kv_heads: int | None
) -> None:
    length, batch = 64, 2
    layers: Any = {"norm": norm, "positions": positions, "activation": activation, "qk_norm": qk_norm}
    options = Options(kind="gpt", num_layers=3, width=64, num_heads=4, dropout=dropout, num_kv_heads=kv_heads, layers=layers)
    model = build(options, vocab_size=50, sequence_length=length).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.hidden(torch.randint(0, 50, (batch, length)))
    found = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)
    predicted = options.cost(vocab_size=50, sequence_length=length).activation_bytes_per_token * batch * length
    assert predicted == pytest.approx(found, rel=0.08)
