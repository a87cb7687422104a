"""specrun: one YAML file becomes a planned, trained, recorded and reported model.

    spec = specrun.load_spec("specs/quickstart.yaml", sets=["seeds=[0, 1]"])
    plan = specrun.compile_plan(spec)
    outcome = specrun.apply(plan)
    with specrun.open_records(".specrun") as records:
        records.runs()

Names are loaded when they are used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specrun.engine.api import apply, compile_plan
    from specrun.engine.outcome import Outcome, Run
    from specrun.engine.plan import Plan
    from specrun.errors import SpecError, SpecrunError
    from specrun.records.queries import open_records
    from specrun.spec.assembly import LoadedSpec, load_spec
    from specrun.spec.document import Spec

__version__ = "0.1.0"

_HOMES = {
    "LoadedSpec": "specrun.spec.assembly",
    "Outcome": "specrun.engine.outcome",
    "Plan": "specrun.engine.plan",
    "Run": "specrun.engine.outcome",
    "Spec": "specrun.spec.document",
    "SpecError": "specrun.errors",
    "SpecrunError": "specrun.errors",
    "apply": "specrun.engine.api",
    "compile_plan": "specrun.engine.api",
    "load_spec": "specrun.spec.assembly",
    "open_records": "specrun.records.queries",
}

__all__ = [
    "LoadedSpec",
    "Outcome",
    "Plan",
    "Run",
    "Spec",
    "SpecError",
    "SpecrunError",
    "__version__",
    "apply",
    "compile_plan",
    "load_spec",
    "open_records",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'specrun' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
