"""One finding about a spec: where, what, by which rule, and what to do. Renderers turn findings into text, JSON and others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding. Lines and columns count from 1, in characters; the end is exclusive. path: dotted key, "" for the whole file.

    code: stable, named after the bad pattern. message: what was found and the rule. hint: the remedy, with a concrete value.
    source_line: the text at `line`, kept for rendering because standard input and `--set` cannot be read again.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    path: str
    code: str
    severity: Severity
    message: str
    hint: str | None = None
    source_line: str | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The form that `validate --json` documents."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "path": self.path,
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
        }


_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Without repetitions, by file and position: the same findings always come in the same order."""
    return tuple(
        sorted(
            dict.fromkeys(diagnostics),
            key=lambda d: (d.file, d.line, d.column, _ORDER[d.severity], d.code, d.path, d.message),
        )
    )


def errors(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Those that make a spec invalid."""
    return tuple(d for d in diagnostics if d.severity == "error")
