"""Runs the `tokenizer` step: trains on the train split alone, adds what the task needs, and saves in the Hub's form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from specrun.events import Alert, Progress
from specrun.sources.contract import Documents
from specrun.sources.document_file import read_pieces
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.tokenizers.contract import TOKENIZER_FILE, save_tokenizer, special_token, train_tokenizer, vocabulary_size

_ROWS_AT_ONCE = 8192


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Train and save. values: kind, vocab_size (rows that its ids need), end_of_text_id, sha256."""
    options = spec.data.tokenizer
    context.emit(Progress("tokenizer", 0, None, "document"))
    # In a smoke run the train split is cut short and may lack characters that the whole one has.
    splits = tuple(inputs["data"].values["splits"]) if context.smoke else ("train",)
    tokenizer = train_tokenizer(
        options, Documents(lambda: _texts(spec, inputs["data"].folder, splits)), context.emit, special=spec.task.special_tokens,
        base_folder=context.base_folder("data.tokenizer.path"), data_root=context.data_root,
    )  # fmt: skip
    digest = save_tokenizer(tokenizer, context.folder)
    vocab_size = vocabulary_size(tokenizer)
    warnings = []
    if vocab_size < getattr(options, "vocab_size", 0):
        warnings.append(_smaller(options, vocab_size))
        context.emit(Alert("warning", "smaller-vocabulary", warnings[0]))
    end = special_token(tokenizer, "end") if getattr(options, "end_of_text", False) else None
    values = {
        "kind": options.kind,
        "vocab_size": vocab_size,
        "end_of_text_id": None if end is None else end[1],
        "sha256": digest,
    }
    artifacts = {TOKENIZER_FILE: "tokenizer", "tokenizer_config.json": "tokenizer configuration"}
    return StepOutput(values, artifacts, tuple(warnings))


def _smaller(options: Any, vocab_size: int) -> str:
    rare = getattr(options, "min_frequency", None)
    why = "no further piece is worth a token" if rare is None else f"no further pair occurs {rare} times"
    return (
        f"the train split yields {vocab_size:,} tokens, not the {options.vocab_size:,} asked for: {why}; "
        f"set data.tokenizer.vocab_size: {vocab_size} to say so"
    )


def _texts(spec: Spec, folder: Path, splits: tuple[str, ...]) -> Iterator[str]:
    """Of documents their pieces, which are cut where no tokenizer sees across; of a table the columns of the task's texts."""
    for split in splits:
        path = folder / f"{split}.parquet"
        if spec.task.data_form == "documents":
            yield from (piece.text for group in read_pieces(path) for piece in group)
        else:
            yield from _cells(path, [getattr(spec.data.columns, role) for role in spec.task.text_roles])


def _cells(path: Path, columns: Sequence[str]) -> Iterator[str]:
    """The texts of a table's columns, a batch of rows after the other; what is missing or empty is left out."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns)):
            for column in columns:
                yield from filter(None, batch[column].to_pylist())
