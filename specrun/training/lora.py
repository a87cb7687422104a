"""Low-rank adapters on linear layers (Hu et al. 2021): y = W x + (alpha / rank) B A x, with W frozen.

The layer keeps the names of its weights, and the adapter's stand beside them: `blocks.0.mlp.out.weight`, `….lora_A`, `….lora_B`. So
weights that were saved without adapters fit a model that has them, and the other way round once they are merged.
Shapes: R rank, I inputs, O outputs of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import SpecrunError
from specrun.runtime.products import Multiplies
from specrun.spec.patterns import idle, matched, remedy
from specrun.spec.sections.parameters import Lora

_A, _B = ".lora_A", ".lora_B"


class LoraLinear(Multiplies, nn.Linear):
    """A linear layer with an adapter, which changes nothing before its first update: B starts at zero."""

    def __init__(self, base: nn.Linear, options: Lora) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self.lora_A = nn.Parameter(base.weight.new_empty(options.rank, base.in_features))
        self.lora_B = nn.Parameter(base.weight.new_zeros(base.out_features, options.rank))
        self.lora_dropout = nn.Dropout(options.dropout) if options.dropout else nn.Identity()
        self.scale = scale(options)
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # as nn.Linear draws its own

    def forward(self, input: Tensor) -> Tensor:
        down = F.linear(self.lora_dropout(input), self.lora_A)
        return self.multiply(input, self.weight, self.bias) + self.scale * F.linear(down, self.lora_B)


def scale(options: Lora) -> float:
    """What an adapter's product is multiplied by."""
    return options.alpha / options.rank


def add_adapters(model: nn.Module, options: Lora) -> None:
    """Put adapters on the layers that the targets name, and freeze everything else, in place. A is drawn from torch's generator.

    Raises: SpecrunError for a target that no layer matches.
    """
    layers = dict(_linear_layers(model))
    names = list(layers)
    for place in idle(options.targets, names):
        pattern = options.targets[place]
        raise SpecrunError(f"schedule.parameters.lora.targets: no linear layer of the model matches {pattern}",
                           code="pattern-matches-nothing", hint=remedy(pattern, names))  # fmt: skip
    model.requires_grad_(False)
    for name in matched(options.targets, names):
        model.set_submodule(name, LoraLinear(layers[name], options))


def merged(tensors: Mapping[str, Tensor], *, scale: float) -> dict[str, Tensor]:
    """Weights with each adapter added to the weight that it belongs to. scale: as `scale` gives it, of the adapters that were trained."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith((_A, _B))}
    for name in [name for name in tensors if name.endswith(_A)]:
        weight = f"{name.removesuffix(_A)}.weight"
        product_OI = tensors[f"{name.removesuffix(_A)}{_B}"].double() @ tensors[name].double()
        found[weight] = (found[weight].double() + scale * product_OI).to(found[weight].dtype)
    return found


def _linear_layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Layers that are called as such: the output layer of a language model is only a weight to its loss."""
    head: Any = getattr(model, "head_VC", None)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.weight is not head:
            yield name, module
