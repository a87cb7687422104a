"""Options of the `vit` model: a transformer over the patches of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.models.design import Design, Form, usual_mlp_size
from specrun.models.size_problems import head_problems
from specrun.models.transformer_parameters import Shape, linear_layers
from specrun.models.vit.cost import model_cost, parameter_shapes
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

FORM = Form("layer", "learned", "gelu", qk_norm=False)
"""What the layers of a vision transformer are made of."""


class Options(ModelOptions):
    """A vision transformer (Dosovitskiy et al. 2021). Its sequence is as long as an image has patches."""

    factory: ClassVar[str] = "specrun.models.vit.build:build"
    serves: ClassVar[tuple[str, ...]] = ("image_classifier",)

    kind: Literal["vit"] = option(impact="weights", description="A transformer over patches of an image.")
    patch_size: int = option(
        4, impact="weights", description="Side of a patch in pixels; it divides the height and the width.", ge=1, le=256
    )
    num_layers: int = option(6, impact="weights", description="Transformer blocks.", ge=1, le=512)
    width: int = option(192, impact="weights", description="Size of the residual stream.", ge=4, le=65_536)
    num_heads: int = option(3, impact="weights", description="Attention heads.", ge=1, le=1024)
    mlp_width: int | None = option(
        None, impact="weights", description="Hidden size of the MLP; absent means 4 x width.", ge=4, le=1_048_576
    )
    dropout: float = option(0.0, impact="weights", description="Dropout rate of embeddings, attention and residuals, 0 to 1.", ge=0, lt=1)
    pooling: Literal["mean", "cls"] = option(
        "mean",
        impact="weights",
        description="What a class is told from. mean: the mean of the patches. cls: a learned vector put before them.",
    )

    @property
    def mlp_size(self) -> int:
        """Hidden size of the MLP, default filled in."""
        return usual_mlp_size(self.width, gated=False) if self.mlp_width is None else self.mlp_width

    @property
    def design(self) -> Design:
        """What the layers are built by."""
        return Design(
            num_layers=self.num_layers, width=self.width, heads=self.num_heads, kv_heads=self.num_heads, mlp_size=self.mlp_size,
            form=FORM, bias=True, dropout=self.dropout, causal=False,
        )  # fmt: skip

    @property
    def pools_first(self) -> bool:
        """Whether a learned vector stands before the patches."""
        return self.pooling == "cls"

    def positions(self, height: int, width: int) -> int:
        """Length of the sequence that an image is; what is left over at an edge is in no patch."""
        return (height // self.patch_size) * (width // self.patch_size) + self.pools_first

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"num_heads": self.num_heads}

    @property
    def parameter_names(self) -> list[str]:
        """Names of all parameters, which depend on no size that the data decides."""
        return list(self.parameter_shapes(channels=1, height=self.patch_size, width=self.patch_size, num_classes=2))

    @property
    def linear_layers(self) -> list[str]:
        """Names of the linear layers of the blocks."""
        return linear_layers(self.design)

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        return {"mlp_width": self.mlp_size} if self.mlp_width is None else {}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from head_problems(path, width=self.width, heads=self.num_heads, written=self.model_fields_set)

    def parameter_shapes(self, *, channels: int, height: int, width: int, num_classes: int) -> Mapping[str, Shape]:
        """Every parameter by name."""
        return parameter_shapes(self, channels=channels, height=height, width=width, num_classes=num_classes)

    def cost(self, *, channels: int, height: int, width: int, num_classes: int) -> ModelCost:
        """Of one image of that size, in closed form."""
        return model_cost(self, channels=channels, height=height, width=width, num_classes=num_classes)
