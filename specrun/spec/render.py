"""Diagnostics as text: place, fact, rule, the source line with a caret, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specrun.spec.diagnostics import Diagnostic, Severity
from specrun.spec.secrets import masked
from specrun.spec.visible import cells, visible_line

__all__ = ["render_text", "summary"]

_COLOURS: dict[Severity, str] = {"error": "31", "warning": "33", "info": "36"}
_MAX_WIDTH = 160
_MARGIN = 200


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """One block a diagnostic. color: ANSI colours, for a terminal."""
    return "\n".join(_block(d, color=color) for d in diagnostics)


def summary(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """The last line: `2 errors in 1 file`, `specs/a.yaml is valid`."""
    count = {s: sum(d.severity == s for d in diagnostics) for s in ("error", "warning")}
    wrong = {d.file for d in diagnostics if d.severity == "error"}
    warnings = f", {_plural(count['warning'], 'warning')}" if count["warning"] else ""
    if count["error"]:
        of = f" of {len(files)}" if len(files) > len(wrong) else ""
        return f"{_plural(count['error'], 'error')}{warnings} in {len(wrong)}{of} {'file' if max(len(wrong), len(files)) == 1 else 'files'}"
    return (f"{visible_line(files[0])} is valid" if len(files) == 1 else f"{len(files)} files are valid") + warnings


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _block(diagnostic: Diagnostic, *, color: bool) -> str:
    d = diagnostic
    word = "" if d.severity == "error" else f"{d.severity}: "
    head = f"{visible_line(d.file)}:{d.line}:{d.column} "
    code = f"{word}{d.code}"
    if color:
        code = f"\x1b[1;{_COLOURS[d.severity]}m{code}\x1b[0m"
    text = f"{head}{code}: {visible_line(d.message)}"
    if d.source_line is None or not d.source_line.strip():
        return text + (f"; {visible_line(d.hint)}" if d.hint else "")
    return f"{text}\n{_excerpt(d)}"


def _excerpt(d: Diagnostic) -> str:
    line, start, end = _window(d)
    before, marked = (cells(visible_line(part)) for part in (line[:start], line[start:end]))
    number = f"{d.line:>5} | "
    gutter = " " * 6 + "| "
    hint = f" {visible_line(d.hint)}" if d.hint else ""
    return f"{number}{visible_line(line)}\n{gutter}{' ' * before}{'^' * max(1, marked)}{hint}"


def _window(d: Diagnostic) -> tuple[str, int, int]:
    """The part of the line to show, without credentials, and where in it the finding starts and ends."""
    line = d.source_line or ""
    start = d.column - 1
    end = d.end_column - 1 if d.end_line == d.line else len(line.rstrip())
    if len(line) <= _MAX_WIDTH:
        return masked(line), start, end
    # Masked with a margin on both sides, so that a credential at the edge is recognised too.
    cut = max(0, start - _MAX_WIDTH // 2)
    margin = min(cut, _MARGIN)
    part = masked(line[cut - margin : cut + _MAX_WIDTH + _MARGIN])[margin : margin + _MAX_WIDTH]
    return part, start - cut, end - cut
