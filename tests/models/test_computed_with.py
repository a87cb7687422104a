"""What a gpt's options tell of how its weights are computed with: all that makes the same weights another function, and nothing else."""

from __future__ import annotations

import pytest
import torch

from specrun.models.gpt.build import build
from specrun.models.gpt.layers import Layers
from specrun.models.gpt.options import Options

BASE = {"kind": "gpt", "num_layers": 2, "width": 16, "num_heads": 2, "mlp_width": 48, "bias": False}
VARIANTS = {
    "num_heads": {"num_heads": 4}, "num_kv_heads": {"num_kv_heads": 2}, "activation": {"layers": Layers(activation="relu")},
    "the activation that it is": {"layers": Layers(activation="gelu_tanh")}, "norm": {"layers": Layers(norm="rms")},
    "dropout": {"dropout": 0.5}, "max_positions": {"max_positions": 8}, "vocab_size": {"vocab_size": 11},
}  # fmt: skip
ROTARY = {**BASE, "layers": Layers(positions="rotary")}


@pytest.mark.parametrize("base", [BASE, ROTARY], ids=["learned", "rotary"])
@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_weights_are_the_same_function_where_it_is_equal_and_another_where_not(base: dict, name: str) -> None:
    change = VARIANTS[name]
    if "layers" in change:
        change = {"layers": change["layers"].model_copy(update={"positions": base.get("layers", Layers()).positions})}
    one, other = Options(**base), Options(**(base | change))
    told = [options.parameter_shapes(vocab_size=11, sequence_length=8) for options in (one, other)]
    assert told[0] == told[1], "else there is nothing to tell"
    torch.manual_seed(0)
    first, second = (build(options, vocab_size=11, sequence_length=8).eval() for options in (one, other))
    for parameter in first.parameters():
        torch.nn.init.normal_(parameter)
    second.load_state_dict(first.state_dict())
    ids = torch.arange(8)[None]
    assert torch.allclose(first(ids), second(ids)) == (one.computed_with == other.computed_with)


def test_every_option_that_leaves_the_shapes_as_they_are_is_tried_here() -> None:
    tried = {"num_heads", "num_kv_heads", "layers", "dropout", "max_positions", "vocab_size"}
    in_names_or_shapes = {"architecture", "num_layers", "width", "mlp_width", "bias", "tie_embeddings"}
    assert tried | in_names_or_shapes | {"kind"} == set(Options.model_fields)
