"""Prepares tables for the `tabular` task: every split as arrays that are mapped into memory, encoded as the train split says.

Of each split, in arrays of its name: numbers, float32 (rows, N), standardised; categories, int32 (rows, G), rows of tables of embeddings;
targets, float32 (rows, Y), standardised, or int32 (rows, 1), classes; rows, int64, where each is in the source. Beside them encoding.json,
which says how, and samples.json, some rows of the validation split as they are in the source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from specrun.errors import DataError
from specrun.events import Progress
from specrun.spec.nearest import listed
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.tabular.columns import Chosen, choose
from specrun.tasks.tabular.encoding import Encoding
from specrun.tasks.tabular.fitting import fit
from specrun.tasks.tabular.options import Options
from specrun.tasks.tabular.table import Column, Table
from specrun.tasks.tabular.writing import ARRAYS, write

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
    chosen = choose(request.spec.data.columns, tables["train"].schema)
    encoding, warnings = fit(tables["train"], chosen, objective=options.objective, whole=Table(folder, "train"))
    if chosen.unread:
        them = listed([f"{name} ({dtype})" for name, dtype in chosen.unread], "and")
        warnings.append(("unread-columns", f"of no type that is read as a number or a category, and left out: {them}"))
    for table in tables.values():
        request.emit(Progress("examples", 0, table.rows, "row"))
        warnings += write(table, encoding, request.folder)
    shown = tables.get("validation", tables["train"])
    samples = {"split": shown.split, "rows": _samples(shown, chosen)}
    (request.folder / "encoding.json").write_text(json.dumps(encoding.document(), allow_nan=False))
    (request.folder / "samples.json").write_text(json.dumps(samples))
    files = [f"{split}.{array}.npy" for split in names for array in ARRAYS]
    return Prepared(
        values=_values(encoding, tables),
        artifacts={**dict.fromkeys(files, "examples"), "encoding.json": "encoding", "samples.json": "samples"},
        warnings=tuple(warnings),
    )


def _values(encoding: Encoding, tables: Mapping[str, Table]) -> dict[str, Any]:
    targets = [{"name": t.name, "classes": len(t.classes)} if t.classes else {"name": t.name, "mean": t.mean, "std": t.std}
               for t in encoding.targets]  # fmt: skip
    return {
        "sizes": encoding.sizes,
        "splits": {name: dict.fromkeys(("samples", "predictions", "positions"), table.rows) for name, table in tables.items()},
        "objective": encoding.objective,
        "targets": targets,
        "inputs": [name for name, _ in encoding.inputs] + [category.name for category in encoding.categories],
    }


def _samples(table: Table, chosen: Chosen) -> list[dict[str, Any]]:
    """Rows of a split as a person would read them, evenly spread over it: {"place" in the split, "row", "input", "expected"}."""
    wanted = {place * table.rows // SAMPLES for place in range(SAMPLES)}
    found, start = [], 0
    for batch in table.batches([*chosen.targets, *chosen.inputs]):
        rows = batch[chosen.targets[0]].row
        for place in sorted(place - start for place in wanted if start <= place < start + len(rows)):
            expected, given = ([(name, _short(batch[name], place)) for name in names] for names in (chosen.targets, chosen.inputs))
            found.append({
                "place": start + place,
                "row": int(rows[place]),
                "input": ", ".join([*map(" ".join, given[:_SHOWN_COLUMNS]), *(["…"] if given[_SHOWN_COLUMNS:] else [])]),
                "expected": expected[0][1] if len(expected) == 1 else ", ".join(map(" ".join, expected)),
            })  # fmt: skip
        start += len(rows)
    return found


def _short(column: Column, place: int) -> str:
    value = column.values[place].as_py()
    text = "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
