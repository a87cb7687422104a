"""GitLab's code quality report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from specrun.spec.diagnostics import Diagnostic, Severity

_SEVERITIES: dict[Severity, str] = {"error": "major", "warning": "minor", "info": "info"}


def render_gitlab(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list. The fingerprint leaves the line out, so that a finding keeps its identity when lines move."""
    seen: dict[str, int] = {}
    return json.dumps([_issue(d, seen) for d in diagnostics], indent=2, ensure_ascii=False)


def _issue(d: Diagnostic, seen: dict[str, int]) -> dict[str, Any]:
    identity = "\0".join((d.file, d.code, d.path, d.message))
    seen[identity] = seen.get(identity, 0) + 1
    return {
        "description": d.message + (f" ({d.hint})" if d.hint else ""),
        "check_name": d.code,
        "fingerprint": hashlib.sha256(f"{identity}\0{seen[identity]}".encode()).hexdigest(),
        "severity": _SEVERITIES[d.severity],
        "location": {"path": d.file, "lines": {"begin": d.line, "end": d.end_line}},
    }
