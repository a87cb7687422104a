"""Prepares texts for the `text_classification` task: every split encoded once, its first tokens in a file that is mapped into memory.

<split>.bin, .offsets.bin, .json   a token file, a document a text, none longer than data.sequence_length
<split>.labels.npy   int64 (rows,)    number of the class
<split>.rows.npy     int64 (rows,)    where each is in the source
samples.json         some texts of the validation split as they are in the source
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.events import Emit, Progress
from specrun.plan.figures import plural
from specrun.spec.nearest import listed
from specrun.tasks.class_labels import Classes, Labels, absent, classes_of
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.text_classification.baselines import judged
from specrun.tasks.text_classification.options import Options
from specrun.tasks.text_classification.texts import TextTable, open_table
from specrun.tokenizers.contract import Encoder, UnknownCharacter, load_tokenizer, make_encoder, unknown_share
from specrun.training.token_file import Encoded, TokenInfo, write_tokens

SPLITS = ("train", "validation", "test")
SAMPLES = 64
_SMOKE_ROWS = 512
_SHOWN_CHARACTERS = 240
_SHOWN_CLASSES = 10


@dataclass(slots=True)
class _Reader:
    """Reads and encodes a split, and counts what a person should know of it. samples: evenly spread texts as they are."""

    table: TextTable
    encoder: Encoder
    most_tokens: int
    emit: Emit
    labels: Labels
    truncated: int = 0
    empty: int = 0
    unknown: int = 0
    longest: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)

    def encoded(self) -> Iterator[Encoded]:
        """The first tokens of each text. Raises: DataError with the row of what is wrong."""
        done, rows = 0, self.table.rows
        wanted = {place * rows // SAMPLES for place in range(SAMPLES)}
        for batch in self.table.batches():
            self.emit(Progress("examples", done, rows, f"{self.table.split} text"))
            for label, row in zip(batch.labels, batch.rows, strict=True):
                self.labels.add(label, row)
            try:
                ids = self.encoder.encode(batch.texts)
            except UnknownCharacter as unknown:
                raise self._unknown(unknown, batch.rows[unknown.text]) from None
            for text, row, of_text in zip(batch.texts, batch.rows, ids, strict=True):
                if done in wanted:
                    self.samples.append({"place": done, "row": row, "input": _short(text)})
                yield self._cut(of_text)
                done += 1

    def _cut(self, ids: npt.NDArray[np.integer[Any]]) -> Encoded:
        self.truncated += len(ids) > self.most_tokens
        self.empty += not len(ids)
        self.longest = max(self.longest, len(ids))
        self.unknown += 0 if self.encoder.unknown_id is None else int((ids[: self.most_tokens] == self.encoder.unknown_id).sum())
        return Encoded(ids[: self.most_tokens], 0, 0)

    def _unknown(self, unknown: UnknownCharacter, row: int) -> DataError:
        return DataError(
            f"{self.table.text} in row {row} of {self.table.split}, character {unknown.offset:,}: {unknown} does not occur in the train "
            "split, so the tokenizer has no token for it",
            code="unknown-character", hint="set data.tokenizer.unknown: token, or use kind: byte or bpe",
        )  # fmt: skip

    def warnings(self, tokens: int) -> Iterator[tuple[str, str]]:
        split, rows = self.table.split, self.table.rows
        if self.truncated:
            what = f"{self.truncated:,} of {plural(rows, 'text')} of {split} are longer than data.sequence_length {self.most_tokens}"
            yield "texts-truncated", f"{what} and are read up to there; the longest has {plural(self.longest, 'token')}"
        if self.empty:
            yield "empty-texts", f"{plural(self.empty, 'text')} of {split} have no token: all of them are given one and the same prediction"
        if (warning := unknown_share(split, self.unknown, tokens)) is not None:
            yield "unknown-tokens", warning


def prepare(options: Options, request: PrepareRequest) -> Prepared:  # noqa: ARG001 - the contract
    """Encode every text. values: sizes, splits, classes, class_counts {split: texts of each}, truncated {split: texts}, and baselines
    {split: of each its name, label and metrics}. Raises: DataError with the row of what is wrong."""
    readers, infos = _encode(request)
    column = request.spec.data.columns.label
    classes = classes_of(readers["train"].labels, request.facts["data"].get("class_names", {}).get(column))
    codes = {split: classes.codes(reader.labels) for split, reader in readers.items()}
    found = judged({split: reader.table for split, reader in readers.items()}, codes, classes=len(classes.names))
    values = {
        "sizes": {
            "vocab_size": infos["train"].vocab_size,
            "sequence_length": request.spec.data.sequence_length,
            "num_classes": len(classes.names),
        },
        "splits": {split: {"samples": len(of), "predictions": len(of), "positions": infos[split].count} for split, of in codes.items()},
        "classes": list(classes.names),
        "class_counts": {split: np.bincount(of, minlength=len(classes.names)).tolist() for split, of in codes.items()},
        "truncated": {split: reader.truncated for split, reader in readers.items()},
        "baselines": {split: [asdict(baseline) for baseline in of] for split, of in found.items()},
    }
    warnings = [warning for split, reader in readers.items() for warning in reader.warnings(infos[split].count)]
    return Prepared(values, _write(request, readers, codes, classes), (*_lacking(classes, codes["train"]), *warnings))


def _encode(request: PrepareRequest) -> tuple[dict[str, _Reader], dict[str, TokenInfo]]:
    """Every split as a token file."""
    spec, data, limit = request.spec, request.folders["data"], _SMOKE_ROWS if request.smoke else None
    encoder = make_encoder(load_tokenizer(request.folders["tokenizer"]), spec.data.tokenizer)
    columns, vocab_size = spec.data.columns, request.facts["tokenizer"]["vocab_size"]
    readers, infos = {}, {}
    for split in (split for split in SPLITS if (data / f"{split}.parquet").is_file()):
        table = open_table(data, split, text=columns.text, label=columns.label, limit=limit)
        reader = _Reader(table, encoder, spec.data.sequence_length, request.emit, Labels(split, columns.label))
        infos[split] = write_tokens(request.folder, split, reader.encoded(), vocab_size=vocab_size, unpredicted=lambda _: (0, 0))
        readers[split] = reader
    return readers, infos


def _write(request: PrepareRequest, readers: Mapping[str, _Reader], codes: Mapping[str, npt.NDArray[np.int64]], classes: Classes) -> Any:
    """What lies beside the tokens. Returns: the roles of all files."""
    for split, reader in readers.items():
        np.save(request.folder / f"{split}.labels.npy", codes[split])
        np.save(request.folder / f"{split}.rows.npy", np.array(reader.labels.rows, dtype=np.int64))
    split = "validation" if "validation" in readers else "train"
    shown = [{**sample, "expected": classes.names[codes[split][sample["place"]]]} for sample in readers[split].samples]
    (request.folder / "samples.json").write_text(json.dumps({"split": split, "texts": shown}))
    endings = (".bin", ".offsets.bin", ".json", ".labels.npy", ".rows.npy")
    return {f"{split}{ending}": "examples" for split in readers for ending in endings} | {"samples.json": "samples"}


def _lacking(classes: Classes, codes: npt.NDArray[np.int64]) -> Iterator[tuple[str, str]]:
    if lacking := absent(classes, codes):
        more = f" and {len(lacking) - _SHOWN_CLASSES} more" if len(lacking) > _SHOWN_CLASSES else ""
        them = listed(lacking[:_SHOWN_CLASSES], "and")
        yield "class-without-samples", f"the train split has no text of {them}{more}: none can be learned"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
