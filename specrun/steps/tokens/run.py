"""Runs the `tokens` step: every split as token ids in a file to map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun.errors import DataError
from specrun.events import Alert, Emit, Progress
from specrun.sources.document_file import Piece, read_pieces
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.tokenizers.contract import Encoder, UnknownCharacter, load_tokenizer, make_encoder, unknown_share
from specrun.training.token_file import Encoded, TokenInfo, write_tokens

_BATCH_CHARACTERS = 1 << 20
"""Text encoded at once; the library needs some 100 bytes a token while it works."""
_FEWEST_TOKENS = 2
"""The first token of a stream is given, so the second is the first that can be predicted."""


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Encode and write. values: vocab_size, splits (TokenInfo of each). Raises DataError for a split that predicts nothing."""
    data, tokenizer = inputs["data"], inputs["tokenizer"]
    encoder = make_encoder(load_tokenizer(tokenizer.folder), spec.data.tokenizer)
    infos: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    for split, facts in data.values["splits"].items():
        reader = _SplitReader(data.folder / f"{split}.parquet", split, facts["documents"], encoder, context.emit)
        info = _write(context.folder, reader, tokenizer.values)
        _check_predicts(split, info)
        infos[split] = asdict(info)
        if (warning := unknown_share(split, reader.unknown, info.count)) is not None:
            context.emit(Alert("warning", "unknown-tokens", warning))
            warnings.append(warning)
    artifacts = {f"{split}{suffix}": "tokens" for split in infos for suffix in (".bin", ".offsets.bin", ".json")}
    return StepOutput({"vocab_size": tokenizer.values["vocab_size"], "splits": infos}, artifacts, tuple(warnings))


def _check_predicts(split: str, info: TokenInfo) -> None:
    if split == "train" and info.count <= (info.documents + 1 if info.leading_end_of_text else 0):
        raise DataError("the train split has no tokens", code="empty-corpus", hint="give data.source more text")
    if info.count < _FEWEST_TOKENS:
        raise DataError(
            f"the {split} split has {info.count} token{'' if info.count == 1 else 's'}; predicting the next one needs {_FEWEST_TOKENS}",
            code="split-too-short",
            hint=f"raise data.split.{split}, give data.source more text, or set data.tokenizer.end_of_text: true",
        )


def _write(folder: Path, reader: _SplitReader, tokenizer: Mapping[str, Any]) -> TokenInfo:
    end = tokenizer["end_of_text_id"]
    unpredicted = None if end is not None else reader.text_of_first_token
    return write_tokens(
        folder, reader.split, reader.pieces(), vocab_size=tokenizer["vocab_size"], end_of_text_id=end, unpredicted=unpredicted
    )


class _SplitReader:
    """Reads and encodes a split, and remembers the text it gave last."""

    def __init__(self, path: Path, split: str, documents: int, encoder: Encoder, emit: Emit) -> None:
        self.path, self.split, self.documents = path, split, documents
        self.encoder, self.emit = encoder, emit
        self.text = ""
        self.unknown = 0

    def pieces(self) -> Iterator[Encoded]:
        done = 0
        for group in read_pieces(self.path):
            for batch in _batches(group):
                try:
                    ids = self.encoder.encode([piece.text for piece in batch])
                except UnknownCharacter as unknown:
                    raise self._unknown(unknown, batch, done) from None
                for piece, of_piece in zip(batch, ids, strict=True):
                    self.text = piece.text
                    self.unknown += 0 if self.encoder.unknown_id is None else int((of_piece == self.encoder.unknown_id).sum())
                    # What a token of a text that is not covered stands for has no size, and is no share of a word of the text.
                    size = (len(piece.text.encode()), len(piece.text.split())) if self.encoder.covers_text else (0, 0)
                    yield Encoded(of_piece, *size, piece.part > 0)
                done += sum(piece.part == 0 for piece in batch)
                self.emit(Progress("tokens", done, self.documents, f"{self.split} document"))

    def text_of_first_token(self, first_id: int) -> tuple[int, int]:
        """Of the text given last: bytes of its first token, and the words that are in no part after it."""
        if not self.encoder.covers_text:
            return 0, 0
        size = self.encoder.first_token_bytes(first_id, self.text)
        # So many characters hold the token and the one after it, which says whether a word ends with the token.
        beginning = self.text[: size + 1]
        rest = beginning.encode()[size:].decode("utf-8", "ignore")
        return size, len(beginning.split()) - len(rest.split())

    def _unknown(self, unknown: UnknownCharacter, batch: Sequence[Piece], done: int) -> DataError:
        document = done + sum(piece.part == 0 for piece in batch[: unknown.text + 1])
        part = batch[unknown.text].part
        before = 0
        if part:
            before = sum(len(piece.text) for piece in _document(self.path, document)[:part])
        message = (
            f"split {self.split}, document {document:,}, character {before + unknown.offset:,}: "
            f"{unknown} does not occur in the train split, so the char tokenizer has no token for it"
        )
        return DataError(message, code="unknown-character", hint="set data.tokenizer.unknown: token, or use kind: byte or bpe")


def _batches(group: Sequence[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for piece in group:
        batch.append(piece)
        size += len(piece.text)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _document(path: Path, number: int) -> list[Piece]:
    """The pieces of the number-th document, counted from 1."""
    seen = 0
    found: list[Piece] = []
    for group in read_pieces(path):
        for piece in group:
            seen += piece.part == 0
            if seen == number:
                found.append(piece)
    return found
