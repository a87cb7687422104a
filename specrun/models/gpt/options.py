"""Options of the `gpt` model: a decoder-only transformer, in the form of GPT-2, of Llama, or of choices in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.models.design import Design, Form, usual_mlp_size
from specrun.models.gpt.cost import model_cost
from specrun.models.gpt.layers import FORMS, Layers
from specrun.models.gpt.parameters import parameter_shapes
from specrun.models.size_problems import head_problems, kv_head_problems, length_problems, rotary_problems
from specrun.models.transformer_parameters import Shape, linear_layers
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """Sizes of the network. The number of positions is `data.sequence_length` unless `max_positions` says more."""

    factory: ClassVar[str] = "specrun.models.gpt.build:build"
    serves: ClassVar[tuple[str, ...]] = ("language_model",)
    any_sizes: ClassVar[Mapping[str, Any] | None] = {"vocab_size": 1, "sequence_length": 1}

    kind: Literal["gpt"] = option(impact="weights", description="A decoder-only transformer.")
    architecture: Literal["gpt2", "llama"] = option(
        "gpt2", impact="weights",
        description="gpt2: learned positions, LayerNorm, GELU. llama: rotary positions, RMSNorm, SwiGLU, no biases. `layers` overrides.",
    )  # fmt: skip
    layers: Layers = option(Layers(), impact="weights", description="What the layers are made of, where not as `architecture` says.")
    num_layers: int = option(6, impact="weights", description="Transformer blocks.", ge=1, le=512)
    width: int = option(256, impact="weights", description="Size of the residual stream.", ge=4, le=65_536)
    num_heads: int = option(8, impact="weights", description="Attention heads of the queries.", ge=1, le=1024)
    num_kv_heads: int | None = option(
        None,
        impact="weights",
        description="Heads of keys and values, each shared by a group of queries' heads; absent means as many as num_heads.",
        ge=1,
        le=1024,
    )
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
    vocab_size: int | None = option(
        None, impact="weights", description="Rows of the embedding; absent means the tokenizer's vocabulary.", ge=2, le=10_000_000
    )
    dropout: float = option(0.0, impact="weights", description="Dropout rate of embeddings, attention and residuals, 0 to 1.", ge=0, lt=1)
    bias: bool = option(
        True,
        impact="weights",
        description="Whether linear and norm layers have biases; those of architecture llama have none, whatever `layers` says.",
    )
    tie_embeddings: bool = option(True, impact="weights", description="Whether the output layer shares the embedding's weights.")

    @property
    def mlp_size(self) -> int:
        """Hidden size of the MLP, default filled in."""
        return usual_mlp_size(self.width, gated=self.form.activation == "swiglu") if self.mlp_width is None else self.mlp_width

    @property
    def form(self) -> Form:
        """What the layers are made of, defaults filled in."""
        return self.layers.over(FORMS[self.architecture])

    @property
    def design(self) -> Design:
        """What the layers are built by."""
        return Design(
            num_layers=self.num_layers, width=self.width, heads=self.num_heads, kv_heads=self.kv_heads, mlp_size=self.mlp_size,
            form=self.form, bias=self.uses_bias, dropout=self.dropout, causal=True,
        )  # fmt: skip

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values, default filled in."""
        return self.num_kv_heads or self.num_heads

    def positions(self, sequence_length: int) -> int:
        """Longest sequence in tokens, default filled in."""
        return self.max_positions or sequence_length

    @property
    def uses_bias(self) -> bool:
        """Whether linear layers and LayerNorms have biases: llama's never do."""
        return self.bias and self.architecture == "gpt2"

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers, so that its result depends on how samples are grouped."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int | str | bool]:
        """What the same weights can be computed with in more ways than one, by field: weights that were trained in one mean nothing in
        another."""
        return {"num_heads": self.num_heads, "num_kv_heads": self.kv_heads} | {
            f"layers.{name}": value for name, value in self.form._asdict().items()
        }

    def embedding_rows(self, vocab_size: int) -> int:
        """Rows of the embedding for a tokenizer of `vocab_size` tokens."""
        return self.vocab_size or vocab_size

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
        return linear_layers(self.design)

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        come_to: dict[str, int | str] = {
            **{f"layers.{name}": value for name, value in self.form._asdict().items() if getattr(self.layers, name) is None},
            "num_kv_heads": self.kv_heads,
            "mlp_width": self.mlp_size,
            "max_positions": self.positions(spec.data.sequence_length),
            "vocab_size": "the size of the tokenizer's vocabulary",
        }
        return {name: value for name, value in come_to.items() if "." in name or getattr(self, name) is None}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._head_problems(path), self._kv_head_problems(path), self._bias_problems(path), self._length_problems(spec))

    def _head_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        sizes = {"width": self.width, "heads": self.num_heads}
        yield from head_problems(path, **sizes, written=self.model_fields_set)
        if self.form.positions == "rotary":
            yield from rotary_problems(path, **sizes, written=self.model_fields_set)

    def _kv_head_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from kv_head_problems(path, heads=self.num_heads, kv_heads=self.kv_heads)

    def _bias_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.architecture == "llama" and "bias" in self.model_fields_set:
            yield Problem((*path, "bias"), "option-without-effect", "architecture llama has no biases, whatever model.layers says",
                          "remove bias, or set model.architecture: gpt2 and the rest in model.layers")  # fmt: skip

    def _length_problems(self, spec: Spec) -> Iterator[Problem]:
        yield from length_problems(self.max_positions, spec.data.sequence_length)

    def cost(self, *, vocab_size: int, sequence_length: int) -> ModelCost:
        """Parameters, FLOPs and activations in closed form; a test holds the parameters against the built model.

        vocab_size: of the tokenizer; the model's own, where it is set, comes first.
        """
        return model_cost(self, vocab_size=vocab_size, sequence_length=sequence_length)
