"""Options of the `resnet` model: residual networks, as they are for small images and for large ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from specrun.models.layer_costs import Shape, model_cost, parameter_shapes
from specrun.models.resnet.layers import layers
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

BlockKind = Literal["basic", "bottleneck"]
LARGE_PIXELS = 96
"""Images of that height on have the stem of large ones where none is chosen."""


class Form(NamedTuple):
    """What a depth is: its kind of block, how many in each stage, channels of the first stage."""

    block: BlockKind
    blocks: tuple[int, ...]
    width: int


FORMS: Mapping[int, Form] = {
    18: Form("basic", (2, 2, 2, 2), 64),
    34: Form("basic", (3, 4, 6, 3), 64),
    50: Form("bottleneck", (3, 4, 6, 3), 64),
    101: Form("bottleneck", (3, 4, 23, 3), 64),
    152: Form("bottleneck", (3, 8, 36, 3), 64),
    **{6 * n + 2: Form("basic", (n, n, n), 16) for n in (3, 5, 7, 9, 18)},
}
"""He et al. 2016: table 1, for ImageNet, and section 4.2, for CIFAR-10."""
Depth = Literal[18, 20, 32, 34, 44, 50, 56, 101, 110, 152]
Blocks = Annotated[int, Field(ge=1, le=256)]


class Options(ModelOptions):
    """Residual networks (He et al. 2016), the stride of a bottleneck in its 3x3 convolution; a projection wherever shapes change."""

    factory: ClassVar[str] = "specrun.models.resnet.build:build"
    serves: ClassVar[tuple[str, ...]] = ("image_classifier",)

    kind: Literal["resnet"] = option(impact="weights", description="A residual network of convolutions.")
    depth: Depth = option(
        18,
        impact="weights",
        description="Layers with weights: 18, 34, 50, 101, 152 as published for ImageNet; 20, 32, 44, 56, 110 as for CIFAR-10.",
    )
    block: BlockKind | None = option(None, impact="weights", description="Kind of block; absent means that of depth.")
    blocks: Annotated[tuple[Blocks, ...], Field(min_length=1, max_length=8)] | None = option(
        None,
        impact="weights",
        description="Blocks of each stage; channels double and the image is halved between two. Absent means those of depth.",
    )
    width: int | None = option(
        None, impact="weights", description="Channels of the first stage; absent means those of depth.", ge=1, le=4096
    )
    stem: Literal["small", "large"] | None = option(
        None,
        impact="weights",
        description="small: a 3x3 convolution. large: a 7x7 one and a pool, both of stride 2. Absent means large from a height of 96 "
        "pixels on.",
    )
    norm: Literal["batch", "group"] = option(
        "batch",
        impact="weights",
        description="batch: over the images of a micro-batch, so that its size is part of what is trained; group: over groups of channels "
        "of one image.",
    )
    groups: int = option(8, impact="weights", description="Groups of channels that norm: group divides a width into.", ge=1, le=1024)

    @property
    def form(self) -> Form:
        """What the network is made of, defaults filled in."""
        of_depth = FORMS[self.depth]
        return Form(self.block or of_depth.block, self.blocks or of_depth.blocks, self.width or of_depth.width)

    def has_large_stem(self, height: int) -> bool:
        """Whether images of that height are reduced at once to a quarter."""
        return self.stem == "large" or (self.stem is None and height >= LARGE_PIXELS)

    @property
    def draws_in_training(self) -> bool:
        """It has no dropout."""
        return False

    @property
    def depends_on_micro_batch(self) -> bool:
        """Whether what is computed for a sample depends on those that are computed with it."""
        return self.norm == "batch"

    @property
    def computed_with(self) -> Mapping[str, str]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"stem": str(self.stem), "norm": self.norm} | ({"groups": str(self.groups)} if self.norm == "group" else {})

    @property
    def parameter_names(self) -> list[str]:
        """Names of all parameters, which depend on no size that the data decides."""
        return list(self.parameter_shapes(channels=1, height=1, width=1, num_classes=2))

    @property
    def linear_layers(self) -> list[str]:
        """None but the output layer: adapters have nothing to be put on."""
        return []

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        form = self.form
        come_to: dict[str, int | str] = {
            "block": form.block, "blocks": str(list(form.blocks)), "width": form.width,
            "stem": f"large from a height of {LARGE_PIXELS} pixels on, else small",
        }  # fmt: skip
        return {name: value for name, value in come_to.items() if getattr(self, name) is None}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._depth_problems(path), self._group_problems(path))

    def _depth_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if "depth" in self.model_fields_set and None not in (self.block, self.blocks, self.width):
            yield Problem((*path, "depth"), "option-without-effect", "block, blocks and width say all that depth would", "remove depth",
                          "warning")  # fmt: skip

    def _group_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        width = self.form.width
        if self.norm == "group" and width % self.groups:
            at = (*path, "groups" if "groups" in self.model_fields_set else "norm")
            yield Problem(at, "groups-do-not-divide-width", f"a width of {width} is not a multiple of groups {self.groups}",
                          f"use a width of {max(1, round(width / self.groups)) * self.groups}, or groups: 1")  # fmt: skip
        elif self.norm != "group" and "groups" in self.model_fields_set:
            yield Problem((*path, "groups"), "option-without-effect", f"norm {self.norm} has no groups",
                          "remove groups, or set norm: group", "warning")  # fmt: skip

    def parameter_shapes(self, *, channels: int, height: int, width: int, num_classes: int) -> Mapping[str, Shape]:
        """Every parameter by name."""
        return parameter_shapes(layers(self, channels=channels, height=height, width=width, num_classes=num_classes))

    def cost(self, *, channels: int, height: int, width: int, num_classes: int) -> ModelCost:
        """Of one image of that size, in closed form."""
        found = layers(self, channels=channels, height=height, width=width, num_classes=num_classes)
        return model_cost(found, num_classes=num_classes, height=height, width=width)
