"""SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from specrun import __version__
from specrun.spec.diagnostics import Diagnostic, Severity

_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def render_sarif(diagnostics: Iterable[Diagnostic]) -> str:
    """One run with a rule a code."""
    found = list(diagnostics)
    driver = {"name": "specrun", "version": __version__, "rules": [{"id": code} for code in sorted({d.code for d in found})]}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": [_result(d) for d in found]}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _result(d: Diagnostic) -> dict[str, Any]:
    region = {"startLine": d.line, "startColumn": d.column, "endLine": d.end_line, "endColumn": d.end_column}
    return {
        "ruleId": d.code,
        "level": _LEVELS[d.severity],
        "message": {"text": d.message + (f"; {d.hint}" if d.hint else "")},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(d.file)}, "region": region}}],
    }


def _uri(file: str) -> str:
    """A path as a relative reference: what no URI may hold is percent-encoded."""
    return quote(file.replace(os.sep, "/"), errors="replace")
