"""Options of the `bag_of_ngrams` model: a text as the mean of its words and of the runs of words in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """Sizes of the network (Joulin et al. 2016)."""

    factory: ClassVar[str] = "specrun.models.bag_of_ngrams.build:build"
    serves: ClassVar[tuple[str, ...]] = ("text_classifier",)
    any_sizes: ClassVar[Mapping[str, Any] | None] = {"vocab_size": 1, "sequence_length": 1, "num_classes": 2}

    kind: Literal["bag_of_ngrams"] = option(impact="weights", description="The mean of a text's tokens and of the runs of tokens in it.")
    ngrams: int = option(2, impact="weights", description="Tokens in the longest run; 1 means tokens alone.", ge=1, le=5)
    buckets: int | None = option(
        None,
        impact="weights",
        description="Rows that runs of two tokens and more share, by a hash; absent means 65,536.",
        ge=1,
        le=100_000_000,
    )
    width: int = option(32, impact="weights", description="Size of the vector of a token or run.", ge=1, le=65_536)
    token_dropout: float = option(
        0.0,
        impact="weights",
        description="Share of a text's tokens that are left out in training, with every run that they are in, 0 to 1.",
        ge=0,
        lt=1,
    )
    dropout: float = option(0.0, impact="weights", description="Dropout rate of the mean, 0 to 1.", ge=0, lt=1)

    @property
    def hashed_rows(self) -> int:
        """Rows of the embedding that runs share."""
        return 0 if self.ngrams == 1 else self.buckets or 65_536

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers, so that its result depends on how samples are grouped."""
        return self.dropout > 0 or self.token_dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"ngrams": self.ngrams, "buckets": self.hashed_rows}

    def parameter_shapes(self, *, vocab_size: int, sequence_length: int, num_classes: int) -> Mapping[str, tuple[int, ...]]:
        """Every parameter by name."""
        return {
            "embedding.weight": (1 + vocab_size + self.hashed_rows, self.width),
            "classifier.weight": (num_classes, self.width),
            "classifier.bias": (num_classes,),
        }

    @property
    def parameter_names(self) -> list[str]:
        """Names of all parameters."""
        return list(self.parameter_shapes(vocab_size=1, sequence_length=1, num_classes=2))

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        return {"buckets": self.hashed_rows} if self.buckets is None else {}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.ngrams == 1 and self.buckets is not None:
            yield Problem((*path, "buckets"), "option-without-effect", "there are no runs of tokens where ngrams is 1",
                          "remove buckets, or use ngrams: 2", severity="warning")  # fmt: skip

    def cost(self, *, vocab_size: int, sequence_length: int, num_classes: int) -> ModelCost:
        """Parameters exactly; a token and the runs that end with it add a vector each to the mean, and to the gradients of their rows."""
        shapes = self.parameter_shapes(vocab_size=vocab_size, sequence_length=sequence_length, num_classes=num_classes)
        (rows, width), classifier = shapes["embedding.weight"], num_classes * self.width
        return ModelCost(
            parameters=rows * width + classifier + num_classes,
            flops_per_token=2 * self.ngrams * self.width + 6 * classifier // sequence_length,
            # Number and place of each token and run, eight bytes each.
            activation_bytes_per_token=16 * self.ngrams + 8 * self.width // sequence_length,
            layer_bytes_per_token=24 * self.ngrams,
            vocabulary_rows=0,
        )
