"""Small specs for the tests, as text and bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from specrun.spec.assembly import Checked, LoadedSpec, check_bytes
from specrun.spec.diagnostics import Diagnostic

FIXTURES = Path(__file__).parent / "fixtures"
SHIPPED = Path(__file__).resolve().parents[2] / "specs"

MINIMAL = """\
version: 1
name: minimal
task: {kind: causal_lm}
data:
  source: {kind: synthetic}
  split: {kind: ratio}
model: {kind: gpt}
"""


def check(text: str, **options: object) -> Checked:
    """Check a text under the name a.yaml."""
    return check_bytes(text.encode(), "a.yaml", **options)  # type: ignore[arg-type]


def load(text: str = MINIMAL, **options: object) -> LoadedSpec:
    """Load a text that is valid."""
    checked = check(text, **options)
    assert checked.loaded is not None, checked.diagnostics
    return checked.loaded


def only(text: str, **options: object) -> Diagnostic:
    """The one diagnostic of a text."""
    found = check(text, **options).diagnostics
    assert len(found) == 1, found
    return found[0]


def codes(text: str, **options: object) -> list[str]:
    """The codes of all diagnostics, in order."""
    return [d.code for d in check(text, **options).diagnostics]


@cache
def texts() -> dict[str, str]:
    """Every shipped spec and the rich one, by name."""
    files = [*sorted(SHIPPED.glob("*.yaml")), FIXTURES / "rich.yaml"]
    return {file.name: file.read_text(encoding="utf-8") for file in files}
