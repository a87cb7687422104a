"""The JSON document that other tools rely on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from specrun.spec.diagnostics import Diagnostic

FORMAT_VERSION = 1


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """The document as text."""
    return json.dumps(document(diagnostics), indent=2, ensure_ascii=False)


def document(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """`{format_version, valid, error_count, warning_count, diagnostics}`; fields may be added, never renamed."""
    count = {severity: sum(d.severity == severity for d in diagnostics) for severity in ("error", "warning")}
    return {
        "format_version": FORMAT_VERSION,
        "valid": not count["error"],
        "error_count": count["error"],
        "warning_count": count["warning"],
        "diagnostics": [d.to_json() for d in diagnostics],
    }
