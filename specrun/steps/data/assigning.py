"""Where each row of a source goes: what is left out before the split, and the split itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from specrun.sources.assignment import LEFT_OUT, RowKeys, assign
from specrun.sources.columns import check_column
from specrun.sources.contract import Table
from specrun.sources.row_hash import fractions
from specrun.spec.document import Spec
from specrun.spec.split_options import ORDER, label_columns, named
from specrun.spec.splits.given import Options as Given
from specrun.steps.data.documents import SAMPLE_SEED
from specrun.steps.data.roles import Roles
from specrun.steps.data.routing import Stretch
from specrun.steps.data.row_keys import Wanted, only, read_keys

_REASONS = {"split": "left out by data.split", "duplicates": "duplicates", "unsampled": "not sampled"}


def assigned(spec: Spec, split: Any, tables: Mapping[str, Table], roles: Roles, left_out: dict[str, int]) -> list[Stretch]:
    """Where each row of each table goes. left_out: counts what goes nowhere, by the reason."""
    stretches = []
    for name, table in tables.items():
        cut = not isinstance(split, Given) or (name == "train" and not isinstance(split.validation, str))
        thins = spec.data.deduplicate or spec.data.sample is not None
        if not cut and not thins:
            stretches.append(Stretch(table, ORDER.index(name)))
            continue
        keys = read_keys(table, _wanted(spec, split if cut else None, table, roles))
        kept = _kept(spec, keys, left_out)
        codes = np.full(keys.rows, LEFT_OUT, np.int8)
        codes[kept] = assign(split, only(keys, kept) if thins else keys) if cut else ORDER.index(name)
        stretches.append(Stretch(table, codes))
        unused = int((codes[kept] == LEFT_OUT).sum())
        if unused:
            left_out["split"] = left_out.get("split", 0) + unused
    return stretches


def _wanted(spec: Spec, split: Any, table: Table, roles: Roles) -> Wanted:
    """The columns of the keys that a split goes by, and of duplicates. Raises DataError for one that is not there."""
    keys = frozenset() if split is None else split.keys
    columns = spec.data.columns
    by_role = {
        "label": label_columns(spec) if "label" in keys else (),
        "group": named(columns.group) if "group" in keys else (),
        "time": named(columns.time) if "time" in keys else (),
    }
    for role, names in by_role.items():
        for name in names:
            check_column(table.schema, name, key=f"data.columns.{role}")
    whole = roles.names if "hash" in keys or spec.data.deduplicate else ()
    return Wanted(whole, **by_role)


def _kept(spec: Spec, keys: RowKeys, left_out: dict[str, int]) -> Any:
    """Which rows are used at all: (N,). Of equal ones the first; of the others the share that is drawn."""
    kept = np.ones(keys.rows, bool)
    if spec.data.deduplicate:
        assert keys.hashes is not None
        kept[:] = False
        kept[np.unique(keys.hashes, return_index=True)[1]] = True
        left_out["duplicates"] = left_out.get("duplicates", 0) + int((~kept).sum())
    if spec.data.sample is not None:
        drawn = fractions(np.arange(keys.rows, dtype=np.uint64), seed=SAMPLE_SEED) < spec.data.sample.fraction
        left_out["unsampled"] = left_out.get("unsampled", 0) + int((kept & ~drawn).sum())
        kept &= drawn
    return kept


def told_left_out(left_out: Mapping[str, int]) -> str:
    """What was left out, in words that follow a number of rows."""
    told = [f"{count:,} {_REASONS[reason]}" for reason, count in left_out.items() if count]
    return f" ({', '.join(told)})" if told else ""
