"""The `data` section: where examples come from and how they become sequences of token ids."""

from __future__ import annotations

from typing import Annotated, Literal

from specrun.spec.section import Part, Section, Slot, option


class Columns(Section):
    """Which column of the source plays which role."""

    text: str = option("text", impact="weights", description="Column that holds a document's text.", min_length=1)


class Data(Section):
    """What is trained on."""

    source: Annotated[Part, Slot("source")] = option(impact="weights", description="Where the examples come from.")
    fallback: Annotated[Part, Slot("source")] | None = option(
        None,
        impact="weights",
        description="A source to use where the first one cannot be reached; the run is then marked not comparable.",
    )
    columns: Columns = option(Columns(), impact="weights", description="Which column plays which role.")
    split: Annotated[Part, Slot("split")] = option(
        {"kind": "given"}, impact="weights", description="How train, validation and test examples are told apart."
    )
    tokenizer: Annotated[Part, Slot("tokenizer")] = option(
        {"kind": "bpe"}, impact="weights", description="How text becomes token ids; trained on the train split only."
    )
    sequence_length: int = option(256, impact="weights", description="Tokens in one training sequence.", ge=2, le=1_048_576)
    packing: Literal["stream", "documents"] = option(
        "stream",
        impact="weights",
        description="What a sample is: a window of all documents one after the other (stream), or one document, cut into pieces where it "
        "is longer than a sequence (documents).",
    )
    group_by_length: bool = option(
        False,
        impact="weights",
        description="Make batches of documents of like lengths, so that less of them is padding; with packing: documents.",
    )
    limit: int | None = option(
        None,
        impact="weights",
        description="Use at most this many documents of each split, the first ones; absent means all.",
        ge=1,
        le=10**12,
    )

    @property
    def few_shapes(self) -> bool:
        """Whether batches are of a few shapes, whatever the texts."""
        return self.packing == "stream"
