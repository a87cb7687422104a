"""Runs the `tokenizer` step: trains on the train split alone and saves in the Hub's form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from specrun.events import Alert, Progress
from specrun.sources.document_file import read_pieces
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.tokenizers.contract import END_OF_TEXT, TOKENIZER_FILE, save_tokenizer, train_tokenizer


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Train and save. values: kind, vocab_size (actual), end_of_text_id, sha256."""
    options = spec.data.tokenizer
    context.emit(Progress("tokenizer", 0, None, "document"))
    # In a smoke run the train split is cut short and may lack characters that the whole one has.
    splits = tuple(inputs["data"].values["splits"]) if context.smoke else ("train",)
    tokenizer = train_tokenizer(options, _texts(inputs["data"].folder, splits), context.emit)
    digest = save_tokenizer(tokenizer, context.folder)
    vocab_size = tokenizer.get_vocab_size(with_added_tokens=True)
    warnings = []
    asked = getattr(options, "vocab_size", vocab_size)
    if vocab_size < asked:
        warning = (
            f"the train split yields {vocab_size:,} tokens, not the {asked:,} asked for: no further pair occurs "
            f"{getattr(options, 'min_frequency', 2)} times; set data.tokenizer.vocab_size: {vocab_size} to say so"
        )
        context.emit(Alert("warning", "smaller-vocabulary", warning))
        warnings.append(warning)
    values = {
        "kind": options.kind,
        "vocab_size": vocab_size,
        "end_of_text_id": tokenizer.token_to_id(END_OF_TEXT) if getattr(options, "end_of_text", False) else None,
        "sha256": digest,
    }
    artifacts = {TOKENIZER_FILE: "tokenizer", "tokenizer_config.json": "tokenizer configuration"}
    return StepOutput(values, artifacts, tuple(warnings))


def _texts(folder: Path, splits: tuple[str, ...]) -> Iterator[str]:
    """Pieces stand for documents: they are cut where no tokenizer sees across."""
    return (piece.text for split in splits for group in read_pieces(folder / f"{split}.parquet") for piece in group)
