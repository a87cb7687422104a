"""The `data` section: where examples come from and how they become sequences of token ids."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specrun.spec.section import Part, Section, Slot, option
from specrun.spec.sections.checks import Checks
from specrun.spec.units import Quantity, Units

Column = Annotated[str, Field(min_length=1, max_length=200)]
Several = Annotated[tuple[Column, ...], Field(max_length=10_000)]


class Columns(Section):
    """Which column of the source plays which role. The task says which roles there are; one that it does not read has no effect."""

    text: Column = option("text", impact="weights", description="Column that holds a document's text.")
    label: Column = option("label", impact="weights", description="Column of the class, a word or a number.")
    source: Column | None = option(None, impact="weights", description="Column of the text that is translated.")
    target: Column | Several | None = option(
        None, impact="weights", description="Column, or columns, of what is predicted: a number, a class, or the translated text."
    )
    image: Column = option("image", impact="weights", description="Column of the image, encoded as PNG, JPEG and the like.")
    time: Column | None = option(None, impact="weights", description="Column of the time stamp of a row.")
    group: Column | Several | None = option(
        None, impact="weights", description="Column, or columns, that say which series, person or thing a row is of."
    )
    known: Several = option((), impact="weights", description="Columns whose future is known when a forecast is made, such as a price.")
    observed: Several = option((), impact="weights", description="Columns that are known up to the moment of the forecast only.")
    static: Several = option((), impact="weights", description="Columns that are the same in all rows of a group.")
    numbers: Several | None = option(
        None, impact="weights", description="Columns that are read as numbers; absent means all numeric ones without another role."
    )
    categories: Several | None = option(
        None, impact="weights", description="Columns that are read as categories; absent means all others of text or truth values."
    )


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
        description="Use at most this many documents or rows of each split, the first ones; absent means all.",
        ge=1,
        le=10**12,
    )
    sample: Annotated[Quantity, Units("percent")] | None = option(
        None,
        impact="weights",
        description="Share of the documents or rows that is used, chosen by a hash of their position before the split; absent means all.",
        examples=["10%"],
    )
    deduplicate: bool = option(
        False,
        impact="weights",
        description="Leave out documents or rows that are equal to an earlier one of the same split of the source.",
    )
    checks: Checks = option(Checks(), impact="weights", description="What must hold of the data before training.")
