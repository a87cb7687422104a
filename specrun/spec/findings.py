"""Collects diagnostics while a spec is read and checked."""

from __future__ import annotations

from dataclasses import replace

from specrun.spec.diagnostics import Diagnostic, Severity, ordered
from specrun.spec.nodes import Path_, Place, Source, Span, dotted

MAX_FINDINGS = 1000
"""A file with more mistakes than this is not a spec; the rest is left out."""


class Findings:
    """A growing list of diagnostics. Nothing is raised while there is something left to check."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def add(
        self, place: Place, code: str, message: str, *, path: Path_ = (), hint: str | None = None, severity: Severity = "error"
    ) -> None:
        """Note a finding. place: where to point; path: the key it is about."""
        if self.full:
            return
        from specrun.spec.secrets import masked

        source, span = place
        self._found.append(
            Diagnostic(
                source.name, span.line, span.column, span.end_line, span.end_column, masked(dotted(path)), code, severity, masked(message),
                None if hint is None else masked(hint),
                source.line(span.line),
            )
        )  # fmt: skip

    def add_at(self, source: Source, span: Span, code: str, message: str, *, path: Path_ = (), hint: str | None = None) -> None:
        """Note an error at a span."""
        self.add(Place(source, span), code, message, path=path, hint=hint)

    def adopt(self, found: Diagnostic, *, path: str, source_line: str) -> None:
        """Take over a finding from a text inside another one."""
        from specrun.spec.secrets import masked

        self._found.append(replace(found, path=masked(path), source_line=source_line))

    def retract_duplicates(self, header: Place) -> None:
        """Forget duplicate keys beside and below a header that is itself misplaced: they belong under it."""
        source, span = header
        self._found = [
            d
            for d in self._found
            if not (d.code == "duplicate-key" and d.file == source.name and d.column == span.column and d.line > span.line)
        ]

    def ordered(self) -> tuple[Diagnostic, ...]:
        """Everything found, sorted, each once."""
        return ordered(self._found)

    @property
    def full(self) -> bool:
        """Whether further findings are left out, so that looking for them is a waste."""
        return len(self._found) >= MAX_FINDINGS

    @property
    def error_count(self) -> int:
        return sum(d.severity == "error" for d in self._found)


def at(source: Source, line: int, column: int, length: int = 1) -> Place:
    """A stretch of one line, from 1."""
    return Place(source, Span(line, column, line, column + max(1, length)))
