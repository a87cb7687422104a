"""Specs after assembly: read again from a record, and checked against what only a plan knows (files, hardware)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from specrun.errors import SpecError
from specrun.spec.assembly import Checked, Draft, LoadedSpec, check_value, report_problems
from specrun.spec.diagnostics import errors, ordered
from specrun.spec.document import Spec
from specrun.spec.dump import walk_fields
from specrun.spec.findings import Findings
from specrun.spec.own_path import Permission
from specrun.spec.section import Problem


def load_resolved(document: Mapping[str, Any], *, permission: Permission | None = None) -> Spec:
    """The spec that `dump` made a document of, as run.json holds it. permission: whose code may be imported; None: parts of a user's own
    are held as they are written. Raises SpecError where a newer language cannot read it, or code is not allowed or not as it was."""
    checked = check_value(document, "run.json", permission=permission)
    if checked.loaded is None:
        raise SpecError(checked.diagnostics)
    return checked.loaded.spec


Check = Callable[[Draft], Iterable[Problem]]
"""A check that needs more than the spec, such as its files or the machine."""


def further(checked: Checked, check: Check) -> Checked:
    """The outcome with what one more check finds. An invalid spec is checked as far as it is valid: every error is told at once."""
    if checked.draft is None:
        return checked
    findings = Findings()
    report_problems(check(checked.draft), checked.draft.provenance.root, findings)
    diagnostics = ordered((*checked.diagnostics, *findings.ordered()))
    loaded = None if checked.loaded is None or errors(diagnostics) else replace(checked.loaded, warnings=diagnostics)
    return Checked(loaded, diagnostics, checked.draft)


def origins(loaded: LoadedSpec) -> dict[str, str]:
    """Where each value came from, by dotted key: `specs/gpt.yaml:19`, `preset balanced`, `--set`, `default`."""
    paths = (".".join(path) for path, _, _ in walk_fields(loaded.spec))
    return {path: loaded.provenance.describe(path) for path in paths}
