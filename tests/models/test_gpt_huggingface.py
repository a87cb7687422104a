"""Weights map one to one onto transformers' GPT-2 and Llama: both ways, the same logits."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from specrun.errors import SpecrunError
from specrun.models.gpt.build import build
from specrun.models.gpt.huggingface import from_transformers, to_transformers, transformers_config
from specrun.models.gpt.options import Options

VOCAB, LENGTH = 61, 24
CASES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gpt2-untied": {"tie_embeddings": False},
    "gpt2-without-bias": {"bias": False},
    "gpt2-narrow-mlp": {"mlp_width": 20, "max_positions": 32},
    "gpt2-exact-gelu": {"layers": {"activation": "gelu"}},
    "gpt2-relu": {"layers": {"activation": "relu"}},
    "gpt2-squared-relu": {"layers": {"activation": "relu2"}},
    "gpt2-silu": {"layers": {"activation": "silu"}},
    "llama": {"architecture": "llama", "bias": False},
    "llama-grouped": {"architecture": "llama", "bias": False, "num_kv_heads": 2, "mlp_width": 40},
    "llama-one-kv-head-untied": {"architecture": "llama", "bias": False, "num_kv_heads": 1, "tie_embeddings": False},
}


def options_of(case: str) -> Options:
    return Options(kind="gpt", **({"num_layers": 3, "width": 32, "num_heads": 4} | CASES[case]))


def theirs(options: Options) -> torch.nn.Module:
    """An untrained transformers model of the same shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

        config = transformers_config(options, vocab_size=VOCAB, max_positions=options.positions(LENGTH))
        kinds = {"gpt2": (GPT2Config, GPT2LMHeadModel), "llama": (LlamaConfig, LlamaForCausalLM)}
        config_class, model_class = kinds[config.pop("model_type")]
        model: torch.nn.Module = model_class(config_class(**config)).eval()
        return model


def randomize(model: torch.nn.Module) -> None:
    """Weights that make every part matter, biases and norms too."""
    torch.manual_seed(3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.dim() == 1 and len(parameter) == 32 else 0.0, std=0.2)


@pytest.mark.parametrize("case", CASES)
def test_our_weights_give_the_same_logits_in_transformers(case: str) -> None:
    options = options_of(case)
    ours, other = build(options, vocab_size=VOCAB, sequence_length=LENGTH).eval(), theirs(options)
    randomize(ours)
    missing, unexpected = other.load_state_dict(to_transformers(options, ours.state_dict()), strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    other.tie_weights()  # type: ignore[operator]
    ids = torch.randint(VOCAB, (2, LENGTH))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), other(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_their_weights_give_the_same_logits_here(case: str) -> None:
    options = options_of(case)
    ours, other = build(options, vocab_size=VOCAB, sequence_length=LENGTH).eval(), theirs(options)
    randomize(other)
    if case == "gpt2-without-bias":
        for name, parameter in other.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.zeros_(parameter)
    ours.load_state_dict(from_transformers(options, other.state_dict()))
    ids = torch.randint(VOCAB, (2, LENGTH))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), other(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_changes_no_weight(case: str) -> None:
    options = options_of(case)
    model = build(options, vocab_size=VOCAB, sequence_length=LENGTH)
    randomize(model)
    before = model.state_dict()
    after = from_transformers(options, to_transformers(options, before))
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_biases_that_would_be_dropped_are_an_error() -> None:
    options = options_of("gpt2-without-bias")
    other = theirs(options)
    randomize(other)
    with pytest.raises(SpecrunError, match="bias-has-no-place"):
        from_transformers(options, other.state_dict())


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"num_kv_heads": 2}, "model.num_kv_heads 2 .* GPT-2.*num_kv_heads 4"),
        ({"layers": {"norm": "rms"}}, "model.layers.norm rms .*norm layer"),
        ({"layers": {"positions": "rotary"}}, "model.layers.positions rotary"),
        ({"layers": {"activation": "swiglu"}}, "model.layers.activation swiglu .* gelu_tanh or gelu or relu"),
        ({"layers": {"qk_norm": True}}, "model.layers.qk_norm true .*qk_norm false"),
        ({"architecture": "llama", "layers": {"qk_norm": True}}, "model.layers.qk_norm true .* Llama"),
        ({"architecture": "llama", "layers": {"activation": "gelu"}}, "model.layers.activation gelu .*activation swiglu"),
        ({"architecture": "llama", "layers": {"positions": "learned"}}, "model.layers.positions learned"),
    ],
)
def test_layers_that_transformers_does_not_have_are_refused_by_name(values: dict[str, Any], setting: str) -> None:
    options = Options(kind="gpt", **({"num_layers": 1, "width": 32, "num_heads": 4} | values))
    state = build(options, vocab_size=VOCAB, sequence_length=LENGTH).state_dict()
    for convert in (to_transformers, from_transformers):
        with pytest.raises(SpecrunError, match=f"(?s)no-transformers-counterpart.*{setting}"):
            convert(options, state)
    with pytest.raises(SpecrunError, match="no-transformers-counterpart"):
        transformers_config(options, vocab_size=VOCAB, max_positions=LENGTH)
