"""What: a credential written into the spec.

Why: specs are committed, recorded with every run and shown in reports.

Example: `revision: hf_abc…`. Remedy: a reference, `env:NAME`, that is read from the environment when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specrun.spec.document import Spec
from specrun.spec.secrets import has_secret
from specrun.spec.section import Problem, Section

CODE = "secret-literal"


def check(spec: Spec) -> Iterator[Problem]:
    """Look at every text of the spec."""
    for path, text in texts(spec):
        if has_secret(text):
            yield Problem(
                path, CODE, "the value looks like a credential; specs are recorded and shown", "use env:NAME, and revoke this one"
            )


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a value, with its path."""
    match value:
        case str():
            yield path, value
        case Section():
            for name, item in value.__dict__.items():
                yield from texts(item, (*path, name))
        case tuple():
            for index, item in enumerate(value):
                yield from texts(item, (*path, index))
        case dict():
            for name, item in value.items():
                yield from texts(name, (*path, name))
                yield from texts(item, (*path, name))
        case _:
            return
