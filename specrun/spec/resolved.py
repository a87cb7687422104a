"""Specs after assembly: read again from a record, and checked against what only a plan knows (files, hardware)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specrun.errors import SpecError
from specrun.spec.assembly import LoadedSpec, check_value, report_problems
from specrun.spec.diagnostics import Diagnostic, errors
from specrun.spec.document import Spec
from specrun.spec.dump import walk_fields
from specrun.spec.findings import Findings
from specrun.spec.section import Problem


def load_resolved(document: Mapping[str, Any]) -> Spec:
    """The spec that `dump` made a document of, as run.json holds it. Raises SpecError where a newer language cannot read it."""
    checked = check_value(document, "run.json")
    if checked.loaded is None:
        raise SpecError(checked.diagnostics)
    return checked.loaded.spec


def find_problems(loaded: LoadedSpec, problems: Iterable[Problem]) -> tuple[Diagnostic, ...]:
    """Problems as diagnostics at the places of the keys they are about."""
    findings = Findings()
    report_problems(problems, loaded.provenance.root, findings)
    return findings.ordered()


def raise_for(loaded: LoadedSpec, problems: Iterable[Problem]) -> tuple[Diagnostic, ...]:
    """The same, raising SpecError when one is an error; returns the rest."""
    found = find_problems(loaded, problems)
    if errors(found):
        raise SpecError((*loaded.warnings, *found))
    return found


def origins(loaded: LoadedSpec) -> dict[str, str]:
    """Where each value came from, by dotted key: `specs/gpt.yaml:19`, `preset balanced`, `--set`, `default`."""
    paths = (".".join(path) for path, _, _ in walk_fields(loaded.spec))
    return {path: loaded.provenance.describe(path) for path in paths}
