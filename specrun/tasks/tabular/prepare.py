"""Prepares tables for the `tabular` task: every split as arrays that are mapped into memory, encoded as the train split says.

Of each split, in arrays of its name: numbers, float32 (rows, N), standardised; categories, int32 (rows, G), rows of tables of embeddings;
targets, float32 (rows, Y), standardised, or int32 (rows, 1), classes; rows, int64, where each is in the source. Beside them encoding.json,
which says how, and samples.json, some rows of the validation split as they are in the source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from specrun.errors import DataError
from specrun.events import Progress
from specrun.spec.nearest import listed
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.tabular.arrays import SplitArrays
from specrun.tasks.tabular.columns import choose
from specrun.tasks.tabular.encoding import Encoding
from specrun.tasks.tabular.fitting import fit
from specrun.tasks.tabular.options import Options
from specrun.tasks.tabular.table import Column, Table
from specrun.tasks.tabular.writing import ARRAYS, write
from specrun.tasks.tabular.written import refuse_words

SAMPLES = 64
_SMOKE_ROWS = 512
_SHOWN_COLUMNS = 12
_SHOWN_CHARACTERS = 40


def prepare(options: Options, request: PrepareRequest) -> Prepared:
    """Fit the encoding on the train split and apply it to every split. Raises: DataError with the row of what is wrong."""
    folder, limit = request.folders["data"], _SMOKE_ROWS if request.smoke else None
    names = [name for name in ("train", "validation", "test") if (folder / f"{name}.parquet").is_file()]
    tables = {name: Table(folder, name, limit=limit) for name in names}
    for name in (name for name, table in tables.items() if not table.rows):
        raise DataError(f"the {name} split has no rows", code="empty-split", hint="give it a larger share in data.split")
    chosen = choose(request.spec.data.columns, request.facts["data"], tables["train"].schema)
    refuse_words({name: Table(folder, name) for name in names}, chosen, objective=options.objective, source=request.spec.data.source)
    encoding, warnings = fit(tables["train"], chosen, objective=options.objective, whole=Table(folder, "train"))
    if chosen.unread:
        them = listed([f"{name} ({dtype})" for name, dtype in chosen.unread.items()], "and")
        warnings.append(("unread-columns", f"of a type that is no number and no category, and left out: {them}"))
    warnings += _lacking(encoding)
    for table in tables.values():
        request.emit(Progress("examples", 0, table.rows, "row"))
        warnings += write(table, encoding, request.folder)
    shown = tables.get("validation", tables["train"])
    samples = {"split": shown.split, "rows": _samples(shown, encoding)}
    (request.folder / "encoding.json").write_text(json.dumps(encoding.document(), allow_nan=False))
    (request.folder / "samples.json").write_text(json.dumps(samples))
    files = [f"{split}.{array}.npy" for split in names for array in ARRAYS]
    return Prepared(
        values=_values(encoding, tables, request.folder),
        artifacts={**dict.fromkeys(files, "examples"), "encoding.json": "encoding", "samples.json": "samples"},
        warnings=tuple(warnings),
    )


def _values(encoding: Encoding, tables: Mapping[str, Table], folder: Path) -> dict[str, Any]:
    splits = {name: dict.fromkeys(("samples", "predictions", "positions"), table.rows) for name, table in tables.items()}
    inputs = [name for name, _ in encoding.inputs] + [category.name for category in encoding.categories]
    values = {"sizes": encoding.sizes, "splits": splits, "objective": encoding.objective, "inputs": inputs}
    if not encoding.classes:
        return {**values, "targets": [{"name": target.name, "mean": target.mean, "std": target.std} for target in encoding.targets]}
    counts = {name: np.bincount(SplitArrays(folder, name).targets[:, 0], minlength=len(encoding.classes)).tolist() for name in tables}
    return {**values, "classes": list(encoding.classes), "class_counts": counts}


def _lacking(encoding: Encoding) -> list[tuple[str, str]]:
    lacking = [name for name, count in zip(encoding.classes, encoding.targets[0].counts, strict=False) if not count]
    if not lacking:
        return []
    more = f" and {len(lacking) - _SHOWN_COLUMNS} more" if len(lacking) > _SHOWN_COLUMNS else ""
    return [
        ("class-without-samples", f"the train split has no row of {listed(lacking[:_SHOWN_COLUMNS], 'and')}{more}: none can be learned")
    ]


def _samples(table: Table, encoding: Encoding) -> list[dict[str, Any]]:
    """Rows of a split as a person would read them, evenly spread over it: {"place" in the split, "row", "input", "expected"}."""
    wanted = {place * table.rows // SAMPLES for place in range(SAMPLES)}
    targets = [target.name for target in encoding.targets]
    found, start = [], 0
    for batch in table.batches(encoding.columns):
        rows = batch[targets[0]].row
        places = sorted(place - start for place in wanted if start <= place < start + len(rows))
        for place, words in zip(places, _in_words(batch, places), strict=True):
            given = [f"{name} {word}" for name, word in words.items() if name not in targets]
            expected = [f"{name} {words[name]}" for name in targets] if len(targets) > 1 else [words[targets[0]]]
            if encoding.classes:
                expected = [encoding.classes[encoding.targets[0].classes.index(words[targets[0]])]]
            found.append({
                "place": start + place,
                "row": int(rows[place]),
                "input": ", ".join([*given[:_SHOWN_COLUMNS], *(["…"] if given[_SHOWN_COLUMNS:] else [])]),
                "expected": ", ".join(expected),
            })  # fmt: skip
        start += len(rows)
    return found


def _in_words(batch: Mapping[str, Column], places: Sequence[int]) -> Iterator[dict[str, str]]:
    """Some rows of a batch by column."""
    texts = {name: column.words() for name, column in batch.items()} if places else {}
    for place in places:
        yield {name: _short(words[place].as_py() or "-") for name, words in texts.items()}


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
