"""The same weights under transformers' names: GPT2LMHeadModel for gpt2, LlamaForCausalLM for llama.

One to one in both directions. Two notes: transformers' GPT-2 always has biases, so a gpt2 model without them gets zeros
(and only zeros can be taken back); its linear layers are stored transposed. Layers that no such model has are refused, by the
setting. No torch import: tensors come as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from specrun.errors import SpecrunError
from specrun.models.design import NORM_EPSILON, ROPE_THETA
from specrun.models.gpt.options import Options

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]


def transformers_config(options: Options, *, vocab_size: int, max_positions: int, end_of_text_id: int | None = None) -> dict[str, Any]:
    """What `config.json` holds. vocab_size: rows of the embedding; max_positions: longest sequence in tokens.

    Raises: SpecrunError for a model that transformers does not have.
    """
    _check_counterpart(options)
    shared = {
        "vocab_size": vocab_size,
        "tie_word_embeddings": options.tie_embeddings,
        "bos_token_id": end_of_text_id,
        "eos_token_id": end_of_text_id,
        "initializer_range": 0.02,
    }
    if options.architecture == "gpt2":
        return shared | {
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "n_embd": options.width,
            "n_layer": options.num_layers,
            "n_head": options.num_heads,
            "n_inner": options.mlp_size,
            "n_positions": max_positions,
            "activation_function": _GPT2_ACTIVATIONS[options.form.activation],
            "layer_norm_epsilon": NORM_EPSILON,
            "embd_pdrop": options.dropout,
            "attn_pdrop": options.dropout,
            "resid_pdrop": options.dropout,
        }
    return shared | {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": options.width,
        "num_hidden_layers": options.num_layers,
        "num_attention_heads": options.num_heads,
        "num_key_value_heads": options.kv_heads,
        "intermediate_size": options.mlp_size,
        "max_position_embeddings": max_positions,
        "hidden_act": "silu",
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "attention_bias": False,
        "mlp_bias": False,
    }


def to_transformers(options: Options, state: Mapping[str, Tensor]) -> State:
    """Our state dict under transformers' names. A tied output layer is left out: transformers ties it itself.

    Raises: SpecrunError for a model that transformers does not have.
    """
    _check_counterpart(options)
    return _gpt2_out(options, state) if options.architecture == "gpt2" else _llama_out(options, state)


def from_transformers(options: Options, state: Mapping[str, Tensor]) -> State:
    """transformers' state dict under our names.

    Raises: SpecrunError for a model that transformers does not have, and for biases that ours has no place for.
    """
    _check_counterpart(options)
    return _gpt2_in(options, state) if options.architecture == "gpt2" else _llama_in(options, state)


_GPT2_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu", "relu2": "relu2", "silu": "silu"}
_COUNTERPARTS: dict[str, tuple[str, dict[str, Collection[Any]]]] = {
    "gpt2": ("GPT-2", {"norm": ("layer",), "positions": ("learned",), "activation": tuple(_GPT2_ACTIVATIONS), "qk_norm": (False,)}),
    "llama": ("Llama", {"norm": ("rms",), "positions": ("rotary",), "activation": ("swiglu",), "qk_norm": (False,)}),
}
"""What transformers calls each architecture, and what its layers can be."""


def _check_counterpart(options: Options) -> None:
    """Raises: SpecrunError that names the first setting which the model of that name does not have in transformers."""
    theirs, possible = _COUNTERPARTS[options.architecture]
    kv_heads = options.num_heads if options.architecture == "gpt2" else options.kv_heads
    settings: dict[str, tuple[Any, Collection[Any]]] = {"num_kv_heads": (options.kv_heads, (kv_heads,))}
    settings |= {f"layers.{name}": (value, possible[name]) for name, value in options.form._asdict().items()}
    for name, (value, allowed) in settings.items():
        if value not in allowed:
            raise SpecrunError(
                f"model.{name} {str(value).lower()} has no counterpart in transformers' {theirs}",
                code="no-transformers-counterpart",
                hint=f"train with model.{name} {' or '.join(str(one).lower() for one in allowed)}, or export to another format",
            )


_GPT2_BLOCK = {"attention_norm": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
               "mlp_norm": "ln_2", "mlp.up": "mlp.c_fc", "mlp.out": "mlp.c_proj"}  # fmt: skip
_LLAMA_BLOCK = {"attention_norm": "input_layernorm", "attention.out": "self_attn.o_proj",
                "mlp_norm": "post_attention_layernorm", "mlp.out": "mlp.down_proj"}  # fmt: skip


def _gpt2_layers(options: Options) -> Iterator[tuple[str, str, bool]]:
    """(our layer, theirs, whether theirs is stored transposed) for every layer that may have a bias."""
    for number in range(options.num_layers):
        for ours, theirs in _GPT2_BLOCK.items():
            yield f"blocks.{number}.{ours}", f"transformer.h.{number}.{theirs}", "norm" not in ours
    yield "final_norm", "transformer.ln_f", False


def _gpt2_out(options: Options, state: Mapping[str, Tensor]) -> State:
    found = {"transformer.wte.weight": state["token_embedding.weight"], "transformer.wpe.weight": state["position_embedding.weight"]}
    for ours, theirs, transposed in _gpt2_layers(options):
        weight = state[f"{ours}.weight"]
        found[f"{theirs}.weight"] = weight.t().contiguous() if transposed else weight
        bias = state.get(f"{ours}.bias")
        found[f"{theirs}.bias"] = weight.new_zeros(weight.shape[0]) if bias is None else bias
    if not options.tie_embeddings:
        found["lm_head.weight"] = state["head.weight"]
    return found


def _gpt2_in(options: Options, state: Mapping[str, Tensor]) -> State:
    found = {"token_embedding.weight": state["transformer.wte.weight"], "position_embedding.weight": state["transformer.wpe.weight"]}
    for ours, theirs, transposed in _gpt2_layers(options):
        weight, bias = state[f"{theirs}.weight"], state[f"{theirs}.bias"]
        found[f"{ours}.weight"] = weight.t().contiguous() if transposed else weight
        if options.bias:
            found[f"{ours}.bias"] = bias
        elif bool((bias != 0).any()):
            raise SpecrunError(
                f"{theirs}.bias is not zero, and a gpt2 model with bias: false has no place for it",
                code="bias-has-no-place",
                hint="set model.bias: true",
            )
    if not options.tie_embeddings:
        found["head.weight"] = state["lm_head.weight"]
    return found


def _llama_out(options: Options, state: Mapping[str, Tensor]) -> State:
    head_size = options.width // options.num_heads
    kv_rows = options.kv_heads * head_size
    found = {"model.embed_tokens.weight": state["token_embedding.weight"], "model.norm.weight": state["final_norm.weight"]}
    for number in range(options.num_layers):
        ours, theirs = f"blocks.{number}", f"model.layers.{number}"
        for our_name, their_name in _LLAMA_BLOCK.items():
            found[f"{theirs}.{their_name}.weight"] = state[f"{ours}.{our_name}.weight"]
        whole, ends = state[f"{ours}.attention.qkv.weight"], (options.width, options.width + kv_rows, options.width + 2 * kv_rows)
        parts = (whole[: ends[0]], whole[ends[0] : ends[1]], whole[ends[1] : ends[2]])
        for letter, part in zip("qkv", parts, strict=True):
            found[f"{theirs}.self_attn.{letter}_proj.weight"] = part.clone()
        for name, part in zip(("gate", "up"), state[f"{ours}.mlp.gate_up.weight"].chunk(2), strict=True):
            found[f"{theirs}.mlp.{name}_proj.weight"] = part.clone()
    if not options.tie_embeddings:
        found["lm_head.weight"] = state["head.weight"]
    return found


def _llama_in(options: Options, state: Mapping[str, Tensor]) -> State:
    found = {"token_embedding.weight": state["model.embed_tokens.weight"], "final_norm.weight": state["model.norm.weight"]}
    for number in range(options.num_layers):
        ours, theirs = f"blocks.{number}", f"model.layers.{number}"
        for our_name, their_name in _LLAMA_BLOCK.items():
            found[f"{ours}.{our_name}.weight"] = state[f"{theirs}.{their_name}.weight"]
        found[f"{ours}.attention.qkv.weight"] = _stack([state[f"{theirs}.self_attn.{letter}_proj.weight"] for letter in "qkv"])
        found[f"{ours}.mlp.gate_up.weight"] = _stack([state[f"{theirs}.mlp.{name}_proj.weight"] for name in ("gate", "up")])
    if not options.tie_embeddings:
        found["head.weight"] = state["lm_head.weight"]
    return found


def _stack(parts: list[Tensor]) -> Tensor:
    """Matrices one above the other."""
    whole = parts[0].new_empty(sum(len(part) for part in parts), parts[0].shape[1])
    start = 0
    for part in parts:
        whole[start : start + len(part)] = part
        start += len(part)
    return whole
