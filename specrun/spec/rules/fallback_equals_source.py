"""What: a fallback that is the source itself.

Why: where the source cannot be reached, neither can the fallback.

Example: the same Hub dataset twice. Remedy: a source that is always there, such as `{kind: python_docs}`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "fallback-equals-source"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the two sources."""
    if spec.data.fallback is not None and spec.data.fallback == spec.data.source:
        yield Problem(("data", "fallback"), CODE, "the fallback is the source itself", "use another source, such as {kind: python_docs}")
