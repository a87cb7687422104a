"""Workflow commands that GitHub shows beside the lines of a change."""

from __future__ import annotations

from collections.abc import Iterable

from specrun.spec.diagnostics import Diagnostic, Severity

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """A line a diagnostic: `::error file=…,line=…::message`."""
    return "\n".join(_command(d) for d in diagnostics)


def _command(d: Diagnostic) -> str:
    place = {"file": d.file, "line": d.line, "endLine": d.end_line, "col": d.column, "endColumn": d.end_column, "title": d.code}
    if d.end_line != d.line:  # GitHub takes columns for a single line only
        del place["col"], place["endColumn"]
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in place.items())
    message = d.message + (f"\n{d.hint}" if d.hint else "")
    return f"::{_COMMANDS[d.severity]} {properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
