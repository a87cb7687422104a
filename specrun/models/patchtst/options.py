"""Options of the `patchtst` model: a transformer over patches of each target's past (Nie et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from specrun.models.design import Design, Form
from specrun.models.forecast_sizes import ForecastSizes, Shape, cost_of, targets_alone_problems
from specrun.models.size_problems import head_problems
from specrun.models.transformer_cost import kept_floats, layer_floats, outer_floats, stack_flops
from specrun.models.transformer_parameters import linear_shapes, stack_shapes
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """Sizes of the network and of the patches."""

    factory: ClassVar[str] = "specrun.models.patchtst.build:build"
    serves: ClassVar[tuple[str, ...]] = ("forecaster",)

    kind: Literal["patchtst"] = option(impact="weights", description="A transformer over patches, of the targets' past alone.")
    patch_length: int = option(16, impact="weights", description="Steps in a patch.", ge=1, le=10_000)
    patch_stride: int = option(8, impact="weights", description="Steps from a patch's start to the next one's.", ge=1, le=10_000)
    num_layers: int = option(3, impact="weights", description="Transformer blocks.", ge=1, le=128)
    width: int = option(64, impact="weights", description="Size of the residual stream.", ge=4, le=16_384)
    num_heads: int = option(4, impact="weights", description="Attention heads.", ge=1, le=1024)
    mlp_width: int | None = option(
        None, impact="weights", description="Hidden size of the MLP; absent means 2 x width.", ge=4, le=1_048_576
    )
    dropout: float = option(0.2, impact="weights", description="Dropout rate of embeddings, attention and residuals, 0 to 1.", ge=0, lt=1)

    @property
    def design(self) -> Design:
        """How the blocks are made. Layer norm where Nie et al. have batch norm: a forecast then depends on no other sample, and the
        loss not on the micro-batch."""
        return Design(
            num_layers=self.num_layers, width=self.width, heads=self.num_heads, kv_heads=self.num_heads,
            mlp_size=self.mlp_width or 2 * self.width, form=Form("layer", "learned", "gelu", qk_norm=False), bias=True,
            dropout=self.dropout, causal=False,
        )  # fmt: skip

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers, so that its result depends on how samples are grouped."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"patch_stride": self.patch_stride, "num_heads": self.num_heads}

    def patches(self, context: int) -> int:
        """Of a context whose last step is repeated for a stride, so that none of its steps is left out."""
        return (context + self.patch_stride - self.patch_length) // self.patch_stride + 1

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        return {} if self.mlp_width else {"mlp_width": 2 * self.width}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(
            head_problems(path, width=self.width, heads=self.num_heads, written=self.model_fields_set),
            self._patch_problems(spec, path),
            targets_alone_problems(self.kind, spec),
        )

    def _patch_problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        context = getattr(spec.task, "context", None)
        if context is not None and context < self.patch_length:
            yield Problem((*path, "patch_length"), "patch-exceeds-context",
                          f"patch_length {self.patch_length} is more than the context of {context} steps",
                          f"use patch_length {context} or task.context {self.patch_length}")  # fmt: skip
        if self.patch_stride > self.patch_length:
            yield Problem((*path, "patch_stride"), "patches-leave-gaps",
                          f"patch_stride {self.patch_stride} is more than patch_length {self.patch_length}: steps between are never seen",
                          f"use patch_stride {self.patch_length}")  # fmt: skip

    def parameter_shapes(self, **sizes: Unpack[ForecastSizes]) -> Mapping[str, Shape]:
        """Every parameter by name."""
        patches, outputs = self.patches(sizes["context"]), sizes["horizon"] * sizes["quantiles"]
        stack = {f"stack.{name}": shape for name, shape in stack_shapes(self.design, max_positions=patches).items()}
        return (
            dict(linear_shapes("embedding", self.width, self.patch_length, bias=True)) | stack
            | dict(linear_shapes("head", outputs, patches * self.width, bias=True))
        )  # fmt: skip

    def cost(self, **sizes: Unpack[ForecastSizes]) -> ModelCost:
        """Of a step of context or horizon, in closed form."""
        patches, outputs, design = self.patches(sizes["context"]), sizes["horizon"] * sizes["quantiles"], self.design
        rows = sizes["targets"] * patches
        products = rows * (stack_flops(design, sequence_length=patches) / 6 + self.width * (self.patch_length + outputs))
        kept = rows * (design.num_layers * kept_floats(design, sequence_length=patches) + outer_floats(design) + self.patch_length)
        return cost_of(self.parameter_shapes(**sizes), sizes, products=products, kept=kept, made=rows * layer_floats(design))
