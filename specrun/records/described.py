"""Owns what run.json and final.json contribute to the tables: a run's description, flattened spec, plan, lineage. No DuckDB here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specrun.errors import StoreError
from specrun.records.fields import FINAL_FIELDS, RUN_FIELDS, sound, timestamp_us
from specrun.records.run_files import ending, read_run

__all__ = ["Described", "describe", "flatten"]

_READS_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Described:
    """Rows of one run for `runs` (before its journals are heard), `params`, `steps`, `lineage`, `trials`; and its final metrics."""

    run: Mapping[str, Any]
    params: list[tuple[str, str]] = field(default_factory=list)
    plan: list[Mapping[str, Any]] = field(default_factory=list)
    lineage: list[tuple[str, str]] = field(default_factory=list)
    trial: tuple[str, int] | None = None
    final_metrics: Mapping[str, float] = field(default_factory=dict)


def describe(run_id: str, folder: Path) -> Described:
    """Read a run's two documents. A damaged or missing one leaves its fields empty, as a field of the wrong form leaves itself:
    the journals still count, and `store doctor` reports it. Raises StoreError only for a document of a newer version."""
    document, final = sound(_description(folder), RUN_FIELDS), sound(ending(folder) or {}, FINAL_FIELDS)
    version = document.get("format_version", _READS_FORMAT)
    if version != _READS_FORMAT:
        raise StoreError(
            f"{folder / 'run.json'} has format {version}; this specrun reads format {_READS_FORMAT}",
            code="store-too-new",
            hint="upgrade with: pip install --upgrade specrun",
        )
    run = {
        "run_id": run_id,
        "name": document.get("name", run_id),
        "task": document.get("task", ""),
        "seed": document.get("seed", 0),
        "started_at": timestamp_us(document.get("started_at")),
        "tags": list(document.get("tags", ())),
        "comparable": document.get("comparable", True),
        "smoke": document.get("smoke", False),
        "parent": document.get("parent"),
        "fold": document.get("fold"),
        "folds": document.get("folds"),
        "spec_digest": document.get("spec_digest"),
        # What a later attempt asked otherwise of the evaluation makes it another experiment.
        "experiment": final.get("experiment") or document.get("experiment") or document.get("spec_digest"),
        "final_status": final.get("status"),
        "final_reason": final.get("reason"),
        "finished_at": timestamp_us(final.get("finished_at")),
        "final_duration_s": final.get("duration_s"),
    }
    trial = document.get("trial")
    parent = document.get("parent")
    return Described(
        run=run,
        # What a later attempt asked otherwise (of the report, of the evaluation) is in final.json.
        params=list(flatten(final.get("spec") or document.get("spec", {}))),
        plan=list(document.get("plan", ())),
        lineage=[(parent, "parent")] if parent else [],
        trial=(trial["study"], trial["number"]) if trial else None,
        final_metrics=final.get("metrics", {}),
    )


def flatten(spec: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each leaf of a nested spec as (dotted path, text). Lists are leaves: `[0.9,0.999]`."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            yield from flatten(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, spec if isinstance(spec, str) else json.dumps(spec, separators=(",", ":"), ensure_ascii=False)


def _description(folder: Path) -> dict[str, Any]:
    try:
        return read_run(folder) or {}
    except StoreError:
        return {}
