"""Prepares pairs of texts: both sides as tokens in files to map, the texts of what a model is judged on beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.errors import DataError
from specrun.events import Progress
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.seq2seq.options import Options
from specrun.tokenizers.contract import Encoder, UnknownCharacter, load_tokenizer, make_encoder, special_id, unknown_share, vocabulary_size
from specrun.training.pairs import SIDES, side_file
from specrun.training.token_file import Encoded, TokenInfo, write_tokens

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_ROWS_AT_ONCE = 1024
_SMOKE_ROWS = {"train": 300, "validation": 40, "test": 40}
_NAMED = 5
ROW = "__row__"


@dataclass(slots=True)
class _Counted:
    """Of a split. empty: rows that were left out, the first of them by number; cut: pairs of which a side was; longest: tokens of the
    longest side, its end counted."""

    samples: int = 0
    empty: int = 0
    first_empty: list[int] = field(default_factory=list)
    cut: int = 0
    longest: int = 0
    unknown: int = 0
    tokens: int = 0


def texts_file(split: str) -> str:
    """Name of the file with the texts of a split, columns source and target, a row a sample."""
    return f"{split}.texts.parquet"


def prepare(options: Options, request: PrepareRequest) -> Prepared:  # noqa: ARG001 - the contract of a task
    """Encode every split. values: sizes, splits (samples, predictions, positions, empty, cut), end_id. Raises: DataError for a split
    without a pair, and for a character without a token."""
    spec = request.spec
    tokenizer = load_tokenizer(request.folders["tokenizer"])
    reader = _Reader(request, make_encoder(tokenizer, spec.data.tokenizer), special_id(tokenizer, "end"), vocabulary_size(tokenizer))
    splits, artifacts, warnings = {}, dict[str, str](), list[tuple[str, str]]()
    for split in request.facts["data"]["splits"]:
        counted, infos = reader.write(split)
        if not counted.samples:
            raise DataError(f"the {split} split has no row with both a source and a target", code="empty-split",
                            hint="check data.columns.source and data.columns.target, or give data.source more rows")  # fmt: skip
        predictions = infos["target"].count - 1
        splits[split] = {
            "samples": counted.samples, "predictions": predictions, "positions": predictions + infos["source"].count - 1,
            "empty": counted.empty, "cut": counted.cut, "files": {side: asdict(info) for side, info in infos.items()},
        }  # fmt: skip
        warnings += _warnings(split, counted, spec.data.sequence_length)
        artifacts |= {f"{side_file(split, side)}{suffix}": "tokens" for side in SIDES for suffix in (".bin", ".offsets.bin", ".json")}
        artifacts |= {} if split == "train" else {texts_file(split): "texts"}
    sizes = {"vocab_size": reader.vocab_size, "sequence_length": spec.data.sequence_length}
    return Prepared({"sizes": sizes, "splits": splits, "end_id": reader.end_id}, artifacts, tuple(warnings))


def _warnings(split: str, counted: _Counted, sequence_length: int) -> Iterator[tuple[str, str]]:
    if counted.empty:
        named = ", ".join(f"{row:,}" for row in counted.first_empty) + (" and others" if counted.empty > len(counted.first_empty) else "")
        rows = f"row {named} has" if counted.empty == 1 else f"{counted.empty:,} rows ({named}) have"
        yield "empty-texts", f"split {split}: {rows} no source or no target, and {'is' if counted.empty == 1 else 'are'} left out"
    if counted.cut:
        share = f"{counted.cut:,} of {counted.samples:,} pairs ({counted.cut / counted.samples:.1%})"
        told = (
            f"split {split}: {share} have a side of more than {sequence_length:,} tokens, its end counted, which is cut there; "
            f"the longest has {counted.longest:,}: data.sequence_length: {counted.longest} keeps all"
        )
        yield "texts-cut", told
    if (unknown := unknown_share(split, counted.unknown, counted.tokens)) is not None:
        yield "unknown-tokens", unknown


class _Reader:
    """Reads the pairs of a split, encodes them, and counts. A row is left out where a side has no token."""

    def __init__(self, request: PrepareRequest, encoder: Encoder, end_id: int, vocab_size: int) -> None:
        self.request, self.encoder, self.end_id, self.vocab_size = request, encoder, end_id, vocab_size
        columns = request.spec.data.columns
        self.columns = [str(getattr(columns, side)) for side in SIDES]
        self.most = request.spec.data.sequence_length - 1  # with its end, a text is a token longer

    def write(self, split: str) -> tuple[_Counted, dict[str, TokenInfo]]:
        """Both sides of a split as files, and but for training its texts. The rows are read once for each side, in bounded memory."""
        infos, counted = {}, _Counted()
        for number, side in enumerate(SIDES):
            counted = _Counted()
            with ExitStack() as stack:
                texts = None if split == "train" or number else stack.enter_context(_Texts(self.request.folder / texts_file(split)))
                infos[side] = write_tokens(
                    self.request.folder, side_file(split, side), self._side(split, number, counted, texts),
                    vocab_size=self.vocab_size, end_of_text_id=self.end_id,
                )  # fmt: skip
        return counted, infos

    def _side(self, split: str, number: int, counted: _Counted, texts: _Texts | None) -> Iterator[Encoded]:
        for pairs, ids in self._pairs(split, counted):
            if texts is not None:
                texts.add(pairs)
            for pair, of_pair in zip(pairs, ids[number], strict=True):
                text = pair[number]
                yield Encoded(of_pair[: self.most], len(text.encode()), len(text.split()), continues=False)
            self.request.emit(Progress("examples", counted.samples, None, f"{split} {SIDES[number]}"))

    def _pairs(self, split: str, counted: _Counted) -> Iterator[tuple[list[tuple[str, str]], list[list[npt.NDArray[np.integer[Any]]]]]]:
        """Pairs with both sides, and the ids of each side, many rows at a time."""
        for rows in self._rows(split):
            sides = [[text or "" for text in rows[column]] for column in self.columns]
            ids = [self._encoded(split, side, texts, rows[ROW]) for side, texts in zip(SIDES, sides, strict=True)]
            whole = [
                index
                for index in range(len(rows[ROW]))
                if all(texts[index].strip() for texts in sides) and all(len(of[index]) for of in ids)
            ]
            kept = set(whole)
            empty = [int(row) for index, row in enumerate(rows[ROW]) if index not in kept]
            counted.empty += len(empty)
            counted.first_empty = [*counted.first_empty, *empty][:_NAMED]
            longest = [max(len(of[index]) for of in ids) for index in whole]
            counted.samples += len(whole)
            counted.cut += sum(length > self.most for length in longest)
            counted.longest = max(counted.longest, *(length + 1 for length in longest), 0)
            if self.encoder.unknown_id is not None:
                counted.unknown += sum(int((of[index] == self.encoder.unknown_id).sum()) for of in ids for index in whole)
            counted.tokens += sum(len(of[index]) for of in ids for index in whole)
            yield [(sides[0][index], sides[1][index]) for index in whole], [[of[index] for index in whole] for of in ids]

    def _encoded(self, split: str, side: str, texts: Sequence[str], rows: Sequence[int]) -> list[npt.NDArray[np.integer[Any]]]:
        try:
            return self.encoder.encode(texts)
        except UnknownCharacter as unknown:
            raise DataError(
                f"split {split}, row {rows[unknown.text]:,}, {side}, character {unknown.offset:,}: {unknown} does not occur in the train "
                "split, so the char tokenizer has no token for it",
                code="unknown-character", hint="set data.tokenizer.unknown: token, or use kind: byte or bpe",
            ) from None  # fmt: skip

    def _rows(self, split: str) -> Iterator[dict[str, list[Any]]]:
        import pyarrow.parquet as pq

        most = _SMOKE_ROWS.get(split) if self.request.smoke else None
        with pq.ParquetFile(self.request.folders["data"] / f"{split}.parquet") as file:
            columns = list(dict.fromkeys([*self.columns, ROW]))
            batches = (batch.to_pydict() for batch in file.iter_batches(batch_size=most or _ROWS_AT_ONCE, columns=columns))
            yield from islice(batches, None if most is None else 1)


class _Texts:
    """Writes the texts of pairs as Parquet."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema: pa.Schema = pa.schema([(side, pa.large_string()) for side in SIDES])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def add(self, pairs: Sequence[tuple[str, str]]) -> None:
        import pyarrow as pa

        sides = [pa.array([pair[number] for pair in pairs], pa.large_string()) for number in range(len(SIDES))]
        self._writer.write_table(pa.Table.from_arrays(sides, schema=self._schema))

    def __enter__(self) -> _Texts:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def read_texts(folder: Path, split: str) -> tuple[list[str], list[str]]:
    """The sources and the targets of a split."""
    import pyarrow.parquet as pq

    table: Any = pq.read_table(folder / texts_file(split))
    return table["source"].to_pylist(), table["target"].to_pylist()
