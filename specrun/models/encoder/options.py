"""Options of the `encoder` model: a transformer whose positions see one another both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.models.design import Design, usual_mlp_size
from specrun.models.encoder.cost import model_cost
from specrun.models.encoder.parameters import parameter_shapes
from specrun.models.layer_options import TransformerLayers
from specrun.models.size_problems import head_problems, length_problems, rotary_problems
from specrun.models.transformer_parameters import Shape, linear_layers
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

CLASSIFIES, FILLS_IN = "text_classifier", "masked_language_model"


class Options(ModelOptions):
    """Sizes of the network. The number of positions is `data.sequence_length` unless `max_positions` says more."""

    factory: ClassVar[str] = "specrun.models.encoder.build:build"
    serves: ClassVar[tuple[str, ...]] = (FILLS_IN, CLASSIFIES)
    any_sizes: ClassVar[Mapping[str, Any] | None] = {"vocab_size": 1, "sequence_length": 1}

    kind: Literal["encoder"] = option(impact="weights", description="A bidirectional transformer.")
    layers: TransformerLayers = option(TransformerLayers(), impact="weights", description="What the layers are made of.")
    num_layers: int = option(4, impact="weights", description="Transformer blocks.", ge=1, le=512)
    width: int = option(256, impact="weights", description="Size of the residual stream.", ge=4, le=65_536)
    num_heads: int = option(8, impact="weights", description="Attention heads.", ge=1, le=1024)
    mlp_width: int | None = option(
        None,
        impact="weights",
        description="Hidden size of the MLP; absent means 4 x width, or 8/3 x width rounded up to 64 for swiglu.",
        ge=4,
        le=1_048_576,
    )
    max_positions: int | None = option(
        None,
        impact="weights",
        description="Longest sequence the model accepts, in tokens; absent means data.sequence_length.",
        ge=2,
        le=1_048_576,
    )
    dropout: float = option(0.1, impact="weights", description="Dropout rate of embeddings, attention and residuals, 0 to 1.", ge=0, lt=1)
    pooling: Literal["mean", "cls"] | None = option(
        None,
        impact="weights",
        description="What of a text a class is told from. mean: the mean of its positions. cls: a learned vector put before it. "
        "Absent means mean; to fill in words nothing is pooled.",
    )
    tie_embeddings: bool | None = option(
        None,
        impact="weights",
        description="Whether the layer that fills in words shares the embedding's weights. Absent means that it does.",
    )

    @property
    def mlp_size(self) -> int:
        """Hidden size of the MLP, default filled in."""
        return usual_mlp_size(self.width, gated=self.layers.activation == "swiglu") if self.mlp_width is None else self.mlp_width

    @property
    def design(self) -> Design:
        """What the layers are built by."""
        return Design(
            num_layers=self.num_layers, width=self.width, heads=self.num_heads, kv_heads=self.num_heads, mlp_size=self.mlp_size,
            form=self.layers.form, bias=True, dropout=self.dropout, causal=False, norm_after=self.layers.norm_place == "after",
        )  # fmt: skip

    @property
    def pools_first(self) -> bool:
        """Whether a learned vector stands before a text that is classified."""
        return self.pooling == "cls"

    @property
    def ties(self) -> bool:
        """Whether a layer that fills in words shares the embedding's weights."""
        return self.tie_embeddings is not False

    def positions(self, sequence_length: int) -> int:
        """Longest sequence in tokens, default filled in."""
        return self.max_positions or sequence_length

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers, so that its result depends on how samples are grouped."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int | str | bool]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"num_heads": self.num_heads} | {f"layers.{name}": getattr(self.layers, name) for name in type(self.layers).model_fields}

    def parameter_shapes(self, *, vocab_size: int, sequence_length: int, num_classes: int | None = None) -> Mapping[str, Shape]:
        """Every parameter by name, shared ones once. num_classes: None for a model that fills in words."""
        return parameter_shapes(self, vocab_size=vocab_size, sequence_length=sequence_length, num_classes=num_classes)

    @property
    def parameter_names(self) -> list[str]:
        """Names of all parameters that it has for one task or another, which depend on no size that the data decides."""
        uses = (parameter_shapes(self, vocab_size=1, sequence_length=1, num_classes=classes) for classes in (None, 2))
        return list(dict.fromkeys(name for use in uses for name in use))

    @property
    def linear_layers(self) -> list[str]:
        """Names of the linear layers of the blocks."""
        return linear_layers(self.design)

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        come_to: dict[str, int | str] = {"mlp_width": self.mlp_size, "max_positions": self.positions(spec.data.sequence_length)}
        come_to |= {"pooling": "mean"} if spec.task.interface == CLASSIFIES else {"tie_embeddings": True}
        return {name: value for name, value in come_to.items() if getattr(self, name) is None}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._head_problems(path), self._length_problems(spec), self._idle(spec, path))

    def _head_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        sizes = {"width": self.width, "heads": self.num_heads}
        yield from head_problems(path, **sizes, written=self.model_fields_set)
        if self.layers.positions == "rotary":
            yield from rotary_problems(path, **sizes, written=self.model_fields_set)

    def _length_problems(self, spec: Spec) -> Iterator[Problem]:
        yield from length_problems(self.max_positions, spec.data.sequence_length)

    def _idle(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """What is set for another task than this one."""
        classifies = spec.task.interface == CLASSIFIES
        if classifies and self.tie_embeddings is not None:
            yield Problem((*path, "tie_embeddings"), "option-without-effect", "a classifier fills in no words, so that no layer for that "
                          "shares the embedding's weights", "remove tie_embeddings", severity="warning")  # fmt: skip
        if not classifies and self.pooling is not None:
            yield Problem((*path, "pooling"), "option-without-effect", "nothing is pooled to fill in words", "remove pooling",
                          severity="warning")  # fmt: skip

    def cost(self, *, vocab_size: int, sequence_length: int, num_classes: int | None = None) -> ModelCost:
        """Parameters, FLOPs and activations in closed form; a test holds the parameters against the built model. To fill in words, FLOPs
        are those of a model that is asked at every position."""
        return model_cost(self, vocab_size=vocab_size, sequence_length=sequence_length, num_classes=num_classes)
