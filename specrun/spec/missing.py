"""Required keys that are not there: reported once, and not where the key stands somewhere else by mistake."""

from __future__ import annotations

from typing import NamedTuple

from specrun.spec.findings import Findings
from specrun.spec.nodes import MapNode, Path_, dotted, key_place
from specrun.spec.parts import suggested
from specrun.spec.section import Section
from specrun.spec.shape import Field, fields


class _Missing(NamedTuple):
    path: Path_
    hint: str


class MissingKeys:
    """Required keys that were not found. A key that stands somewhere else by mistake is one mistake, told where it stands."""

    def __init__(self, root: MapNode) -> None:
        self._root = root
        self._missing: list[_Missing] = []
        self._misplaced: set[Path_] = set()

    def add(self, cls: type[Section], path: Path_, hint: str) -> None:
        """Note a missing key; its last part is the key."""
        self._missing.append(_Missing(path, hint))

    @property
    def misplaced(self) -> frozenset[Path_]:
        """Keys that stand in another section than their own."""
        return frozenset(self._misplaced)

    def found_elsewhere(self, path: Path_) -> None:
        """The key at `path` was written, in another section."""
        self._misplaced.add(path)

    def report(self, findings: Findings) -> None:
        """Report what is missing and stands nowhere else. A missing key points at its parent."""
        for path, hint in self._missing:
            if path in self._misplaced:
                continue
            holder = dotted(path[:-1]) or "the spec"
            findings.add(key_place(self._root, path[:-1]), "missing-key", f"{holder} has no {path[-1]}", path=path, hint=hint)


def missing_hint(field: Field) -> str:
    """How a field may be written: `add batch_size: 32`."""
    if field.family is not None:
        return f"add {field.name}: {{kind: {field.default_kind or suggested(field.family)}}}"
    if field.section is not None:
        inner = next((f for f in fields(field.section).values() if f.required), next(iter(fields(field.section).values())))
        return f"add {field.name}: {{{missing_hint(inner).removeprefix('add ')}}}"
    from specrun.spec.bounds import example

    return f"add {field.name}: {example(field.info) or '...'}"
