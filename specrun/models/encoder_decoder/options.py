"""Options of the `encoder_decoder` model: a transformer that reads one sequence and writes another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.models.design import Design, usual_mlp_size
from specrun.models.encoder_decoder.cost import model_cost
from specrun.models.encoder_decoder.parameters import parameter_shapes
from specrun.models.layer_options import TransformerLayers
from specrun.models.size_problems import head_problems, length_problems, rotary_problems
from specrun.models.transformer_parameters import Shape, linear_layers
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """Sizes of the network, of both sides alike. The number of positions is `data.sequence_length` unless `max_positions` says more."""

    factory: ClassVar[str] = "specrun.models.encoder_decoder.build:build"
    serves: ClassVar[tuple[str, ...]] = ("seq2seq",)
    any_sizes: ClassVar[Mapping[str, Any] | None] = {"vocab_size": 1, "sequence_length": 1}

    kind: Literal["encoder_decoder"] = option(impact="weights", description="A transformer that reads a sequence and writes another.")
    layers: TransformerLayers = option(TransformerLayers(), impact="weights", description="What the layers are made of.")
    num_encoder_layers: int = option(4, impact="weights", description="Blocks that read the source.", ge=1, le=512)
    num_decoder_layers: int = option(4, impact="weights", description="Blocks that write the target.", ge=1, le=512)
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
        description="Longest sequence of either side, in tokens; absent means data.sequence_length.",
        ge=2,
        le=1_048_576,
    )
    dropout: float = option(0.1, impact="weights", description="Dropout rate of embeddings, attention and residuals, 0 to 1.", ge=0, lt=1)
    tie_embeddings: bool = option(
        True, impact="weights", description="Whether the output layer shares the weights of the embedding, which both sides share anyway."
    )

    @property
    def mlp_size(self) -> int:
        """Hidden size of the MLP, default filled in."""
        return usual_mlp_size(self.width, gated=self.layers.activation == "swiglu") if self.mlp_width is None else self.mlp_width

    @property
    def encoder(self) -> Design:
        """What the side that reads is built by."""
        return self._side(self.num_encoder_layers, writes=False)

    @property
    def decoder(self) -> Design:
        """What the side that writes is built by."""
        return self._side(self.num_decoder_layers, writes=True)

    def _side(self, num_layers: int, *, writes: bool) -> Design:
        return Design(
            num_layers=num_layers, width=self.width, heads=self.num_heads, kv_heads=self.num_heads, mlp_size=self.mlp_size,
            form=self.layers.form, bias=True, dropout=self.dropout, causal=writes, cross=writes,
            norm_after=self.layers.norm_place == "after",
        )  # fmt: skip

    def positions(self, sequence_length: int) -> int:
        """Longest sequence of either side in tokens, default filled in."""
        return self.max_positions or sequence_length

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers, so that its result depends on how samples are grouped."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int | str | bool]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"num_heads": self.num_heads} | {f"layers.{name}": getattr(self.layers, name) for name in type(self.layers).model_fields}

    def parameter_shapes(self, *, vocab_size: int, sequence_length: int) -> Mapping[str, Shape]:
        """Every parameter by name, shared ones once. vocab_size: of the tokenizer."""
        return parameter_shapes(self, vocab_size=vocab_size, sequence_length=sequence_length)

    @property
    def parameter_names(self) -> list[str]:
        """Names of all parameters, which depend on no size that the data decides."""
        return list(parameter_shapes(self, vocab_size=1, sequence_length=1))

    @property
    def linear_layers(self) -> list[str]:
        """Names of the linear layers but the output layer, which is a weight to the loss."""
        sides = {"encoder": self.encoder, "decoder": self.decoder}
        return [f"{side}.{name}" for side, design in sides.items() for name in linear_layers(design)]

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        come_to: dict[str, int | str] = {"mlp_width": self.mlp_size, "max_positions": self.positions(spec.data.sequence_length)}
        return {name: value for name, value in come_to.items() if getattr(self, name) is None}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._head_problems(path), self._length_problems(spec))

    def _head_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        sizes = {"width": self.width, "heads": self.num_heads}
        yield from head_problems(path, **sizes, written=self.model_fields_set)
        if self.layers.positions == "rotary":
            yield from rotary_problems(path, **sizes, written=self.model_fields_set)

    def _length_problems(self, spec: Spec) -> Iterator[Problem]:
        yield from length_problems(self.max_positions, spec.data.sequence_length)

    def cost(self, *, vocab_size: int, sequence_length: int) -> ModelCost:
        """Parameters, FLOPs and activations in closed form; a test holds the parameters against the built model. A position is one of
        either side: the mean of what both cost."""
        return model_cost(self, vocab_size=vocab_size, sequence_length=sequence_length)
