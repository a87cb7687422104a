"""Runs the `data` step: loads the source or its fallback, splits it, checks it and stores every split as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from specrun.events import Progress
from specrun.records.atomic import atomic_write
from specrun.sources.contract import LoadedTable, LoadedText, load_table, load_text
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.data.choice import Chosen, choose
from specrun.steps.data.documents import store_documents
from specrun.steps.data.stored import Stored, told
from specrun.steps.data.tables import store_table


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:  # noqa: ARG001 - the contract of a step
    """Load, split, check, store.

    values: what `store_documents` or `store_table` tell, source, comparable, fallback_used, and a variant where the source has one.
    """
    chosen: Chosen[LoadedText] | Chosen[LoadedTable]
    if spec.task.data_form == "documents":
        context.emit(Progress("data", 0, None, "document"))
        chosen = choose(context, spec, load_text)
        stored = store_documents(context, spec, chosen)
    else:
        context.emit(Progress("data", 0, None, "row"))
        chosen = choose(context, spec, load_table)
        stored = store_table(context, spec, chosen)
    used = chosen.why_replaced
    warnings = (*chosen.loaded.warnings, *((("fallback-used", used),) if used is not None else ()), *stored.warnings)
    values: dict[str, Any] = {
        **stored.values,
        "source": {"kind": chosen.source.kind, **chosen.loaded.facts},
        "comparable": used is None,
        "fallback_used": used is not None,
    }
    variant = f"fallback {_digest(stored)}" if used is not None else chosen.loaded.variant
    if variant is not None:
        values["variant"] = variant
    texts = told(warnings, context.emit)
    atomic_write(context.folder / "data.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    return StepOutput(values, {**stored.artifacts, "data.json": "data facts"}, texts)


def _digest(stored: Stored) -> str:
    return " ".join(facts["sha256"][:16] for facts in stored.values["splits"].values())
