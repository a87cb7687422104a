"""What a `vit` costs an image, in closed form, and its parameters by name. Tests hold both against the model itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specrun.models.transformer_cost import kept_floats, layer_floats, outer_floats, stack_flops
from specrun.models.transformer_parameters import Shape, stack_shapes
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.vit.options import Options


def parameter_shapes(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> dict[str, Shape]:
    """Every parameter by name."""
    side = options.patch_size
    return {
        **({"class_vector": (options.width,)} if options.pools_first else {}),
        "patches.weight": (options.width, channels, side, side),
        "patches.bias": (options.width,),
        **stack_shapes(options.design, max_positions=options.positions(height, width)),
        "head.weight": (num_classes, options.width),
        "head.bias": (num_classes,),
    }


def model_cost(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> ModelCost:
    """Of one image, which is one position to a plan."""
    design, length = options.design, options.positions(height, width)
    shapes = parameter_shapes(options, channels=channels, height=height, width=width, num_classes=num_classes)
    patches = channels * options.patch_size**2
    kept, layer, outer = kept_floats(design, sequence_length=length), layer_floats(design), outer_floats(design) + patches
    return ModelCost(
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        flops_per_token=length * (stack_flops(design, sequence_length=length) + 6 * patches * design.width)
        + 6 * design.width * num_classes,
        activation_bytes_per_token=4 * length * (design.num_layers * kept + outer),
        layer_bytes_per_token=4 * length * layer,
        vocabulary_rows=num_classes,
        # Each block's input, and one block at a time.
        checkpointed_bytes_per_token=4 * length * (design.num_layers * design.width + kept + outer),
        image_size=(height, width),
    )
