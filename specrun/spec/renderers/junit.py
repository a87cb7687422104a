"""JUnit's XML, which test dashboards read: a suite a file, a failure an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from specrun.spec.diagnostics import Diagnostic

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold in any form, not even escaped."""


def render_junit(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """files: everything that was checked, so that valid files count as passed."""
    names = list(dict.fromkeys([*files, *(d.file for d in diagnostics)]))
    failures = sum(d.severity == "error" for d in diagnostics)
    suites = [_suite(name, [d for d in diagnostics if d.file == name]) for name in names]
    tests = sum(suite.count("<testcase ") for suite in suites)
    body = "\n".join(suites)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="specrun" tests="{tests}" failures="{failures}">'
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", f"{head}\n{body}\n</testsuites>")


def _suite(name: str, found: Sequence[Diagnostic]) -> str:
    cases = [_case(d) for d in found] or [f"    <testcase classname={quoteattr(name)} name={quoteattr('valid')}/>"]
    failures = sum(d.severity == "error" for d in found)
    return f'  <testsuite name={quoteattr(name)} tests="{len(cases)}" failures="{failures}">\n' + "\n".join(cases) + "\n  </testsuite>"


def _case(d: Diagnostic) -> str:
    where = f"{d.file}:{d.line}:{d.column}"
    text = escape(f"{where} {d.code}: {d.message}" + (f"\n{d.hint}" if d.hint else ""))
    kind = (f"<failure type={quoteattr(d.code)} message={quoteattr(d.message)}>{text}</failure>" if d.severity == "error"
            else f"<system-out>{text}</system-out>")  # fmt: skip
    return f"    <testcase classname={quoteattr(d.file)} name={quoteattr(f'{d.code} {d.path} line {d.line}')}>{kind}</testcase>"
