"""Options of the `cnn` model: stages of convolutions, the image halved between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.models.cnn.layers import layers
from specrun.models.layer_costs import Shape, model_cost, parameter_shapes
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Width = Annotated[int, Field(ge=1, le=8192)]


class Options(ModelOptions):
    """A plain convolutional network (as VGG, Simonyan & Zisserman 2015, with norms and a mean over the image before the output)."""

    factory: ClassVar[str] = "specrun.models.cnn.build:build"
    serves: ClassVar[tuple[str, ...]] = ("image_classifier",)

    kind: Literal["cnn"] = option(impact="weights", description="Convolutions, norms and activations, in stages.")
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=10)] = option(
        (32, 64, 128), impact="weights", description="Channels of each stage; between two stages height and width are halved by a maximum."
    )
    convolutions: int = option(2, impact="weights", description="Convolutions in each stage.", ge=1, le=32)
    kernel_size: int = option(3, impact="weights", description="Side of a convolution's window in pixels, odd.", ge=1, le=15)
    activation: Literal["relu", "gelu", "silu"] = option("relu", impact="weights", description="After each norm.")
    norm: Literal["batch", "group", "none"] = option(
        "batch",
        impact="weights",
        description="After each convolution. batch: over the images of a micro-batch, so that its size is part of what is trained; group: "
        "over groups of channels of one image; none: a bias instead.",
    )
    groups: int = option(8, impact="weights", description="Groups of channels that norm: group divides a width into.", ge=1, le=1024)
    dropout: float = option(0.0, impact="weights", description="Dropout rate before the output layer, 0 to 1.", ge=0, lt=1)

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers."""
        return self.dropout > 0

    @property
    def depends_on_micro_batch(self) -> bool:
        """Whether what is computed for a sample depends on those that are computed with it."""
        return self.norm == "batch"

    @property
    def computed_with(self) -> Mapping[str, str]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"activation": self.activation, "norm": self.norm} | ({"groups": str(self.groups)} if self.norm == "group" else {})

    @property
    def parameter_names(self) -> list[str]:
        """Names of all parameters, which depend on no size that the data decides."""
        side = 2 ** len(self.widths)
        return list(self.parameter_shapes(channels=1, height=side, width=side, num_classes=2))

    @property
    def linear_layers(self) -> list[str]:
        """None but the output layer: adapters have nothing to be put on."""
        return []

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._kernel_problems(path), self._group_problems(path))

    def _kernel_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.kernel_size % 2 == 0:
            yield Problem((*path, "kernel_size"), "even-kernel", f"a window of {self.kernel_size} pixels has no middle",
                          f"use kernel_size {self.kernel_size - 1} or {self.kernel_size + 1}")  # fmt: skip

    def _group_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.norm != "group":
            if "groups" in self.model_fields_set:
                yield Problem((*path, "groups"), "option-without-effect", f"norm {self.norm} has no groups",
                              "remove groups, or set norm: group", "warning")  # fmt: skip
            return
        for place, width in enumerate(self.widths):
            if width % self.groups:
                yield Problem((*path, "widths", place), "groups-do-not-divide-width",
                              f"a width of {width} is not a multiple of groups {self.groups}",
                              f"use a width of {max(1, round(width / self.groups)) * self.groups}, or groups: 1")  # fmt: skip

    def parameter_shapes(self, *, channels: int, height: int, width: int, num_classes: int) -> Mapping[str, Shape]:
        """Every parameter by name."""
        return parameter_shapes(layers(self, channels=channels, height=height, width=width, num_classes=num_classes))

    def cost(self, *, channels: int, height: int, width: int, num_classes: int) -> ModelCost:
        """Of one image of that size, in closed form."""
        found = layers(self, channels=channels, height=height, width=width, num_classes=num_classes)
        return model_cost(found, num_classes=num_classes, height=height, width=width)
