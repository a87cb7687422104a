"""Which weights of a model decay, and which of them are matrices between hidden states. One answer for every optimizer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Weights:
    """Trainable weights in two parts, each in the model's order. plain: those that do not decay."""

    decayed: list[nn.Parameter]
    plain: list[nn.Parameter]


def by_decay(model: nn.Module) -> Weights:
    """Trainable weights of two and more dimensions decay, embeddings of tokens and output layers among them; norms and biases do not.

    Nor do those that a model names by `undecayed`, as the gpt names its embedding of positions.
    """
    weights, named = Weights([], []), dict(model.named_parameters())
    undecayed: Collection[str] = getattr(model, "undecayed", ())
    assert named.keys() >= set(undecayed), f"undecayed names no parameter by {sorted(set(undecayed) - named.keys())}"
    for name, parameter in named.items():
        if parameter.requires_grad:
            decays = parameter.dim() >= 2 and name not in undecayed
            (weights.decayed if decays else weights.plain).append(parameter)
    return weights


def groups(weights: Weights, weight_decay: float, **more: Any) -> list[dict[str, Any]]:
    """Parameter groups as torch's optimizers take them; empty ones are left out. more: further entries of each."""
    both = ((weights.decayed, weight_decay), (weights.plain, 0.0))
    return [{"params": part, "weight_decay": decay, **more} for part, decay in both if part]


def hidden_matrices(model: nn.Module) -> dict[Tensor, tuple[int, ...]]:
    """Trainable matrices that turn a hidden state into another, each with the rows of the projections that it holds.

    Embeddings and the output layer (`head_VC`) are none. A model that keeps several projections in one weight, one below the
    other, says so by `fused_rows`: the name of the weight, and the rows of each.
    """
    outside = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)} | {id(getattr(model, "head_VC", None))}
    fused: Mapping[str, tuple[int, ...]] = getattr(model, "fused_rows", {})
    return {
        parameter: fused.get(name, (parameter.shape[0],))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.dim() == 2 and id(parameter) not in outside
    }


def without(weights: Weights, taken: Iterable[Tensor]) -> Weights:
    """The weights that are not among those taken."""
    gone = {id(parameter) for parameter in taken}
    return Weights([p for p in weights.decayed if id(p) not in gone], [p for p in weights.plain if id(p) not in gone])
