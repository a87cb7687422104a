"""What a training of a model costs, by what of it is trained and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specrun.plan.cost import ModelCost
from specrun.spec.document import Spec
from specrun.spec.patterns import matched


def as_trained(cost: ModelCost, spec: Spec, *, sizes: Mapping[str, Any]) -> ModelCost:
    """A model's cost under `schedule.parameters`, the optimizer and `hardware`. sizes: what the model is built with.

    A model that does not tell its parameters by name is taken to train them all.
    """
    if spec.hardware.activation_checkpointing and cost.checkpointed_bytes_per_token is not None:
        cost = replace(cost, activation_bytes_per_token=cost.checkpointed_bytes_per_token)
    options, model = spec.schedule.parameters, spec.model
    cost = replace(cost, moments=getattr(spec.schedule.optimizer, "moments", cost.moments) + (options.average is not None))
    if options.lora is None and not options.frozen:
        return cost
    tell: Any = getattr(model, "parameter_shapes", None)
    if tell is None:
        return cost
    shapes: Mapping[str, tuple[int, ...]] = tell(**sizes)
    if options.lora is not None:
        layers = matched(options.lora.targets, getattr(model, "linear_layers", ()))
        adapters = sum(options.lora.rank * sum(shapes[f"{layer}.weight"]) for layer in layers)
        return replace(cost, parameters=cost.parameters + adapters, frozen_parameters=cost.parameters)
    return replace(cost, frozen_parameters=sum(math.prod(shapes[name]) for name in matched(options.frozen, list(shapes))))
