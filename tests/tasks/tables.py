"""Tables on disk as the `data` step leaves them, and the `tabular` task opened on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from specrun.runtime.device import Device
from specrun.sources.synthetic.options import Options as Synthetic
from specrun.spec.section import Section
from specrun.spec.sections.data import Columns
from specrun.steps.data.roles import roles_of
from specrun.tasks.contract import Opening, Prepared, PrepareRequest
from specrun.tasks.tabular.build import Tabular, build
from specrun.tasks.tabular.options import Options
from specrun.tasks.tabular.prepare import prepare

SOURCE = Synthetic(kind="synthetic")
CPU = Device("cpu", torch.device("cpu"), torch.float32)


def write_split(folder: Path, name: str, columns: Mapping[str, Sequence[Any] | pa.Array], *, first_row: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = len(next(iter(columns.values())))
    numbered = {**columns, "__row__": pa.array(range(first_row, first_row + rows), pa.int64())}
    pq.write_table(pa.table(numbered), folder / f"{name}.parquet")


def prepared(
    folder: Path,
    *,
    smoke: bool = False,
    options: Mapping[str, Any] | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    source: Section = SOURCE,
    **columns: Any,
) -> Prepared:
    """What `prepare` makes of the splits under folder/data. columns: roles."""
    (folder / "examples").mkdir(exist_ok=True)
    task = Options(kind="tabular", **(options or {}))
    spec: Any = SimpleNamespace(task=task, data=SimpleNamespace(columns=Columns(**columns), source=source))
    schema = pq.read_schema(folder / "data" / "train.parquet").remove_metadata()
    schema = schema.remove(schema.get_field_index("__row__"))
    found = roles_of(spec, schema)
    unread = {field.name: str(field.type) for field in schema if field.name not in found.names}
    facts: dict[str, Any] = {"roles": found.columns, "unread": unread, "class_names": class_names or {}}
    request = PrepareRequest(spec, {"data": folder / "data"}, {"data": facts}, folder / "examples", emit=lambda _: None, smoke=smoke)
    return prepare(task, request)


def opened(folder: Path, *, seed: int = 0, **options: Any) -> Tabular:
    """The task on what was prepared."""
    spec: Any = None
    return build(Options(kind="tabular", **options), Opening(spec, {"examples": folder / "examples"}, {}, seed, CPU))
