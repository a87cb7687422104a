"""Where each value of a spec came from, and what it overrode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.spec.nodes import MapNode, Node, Path_, ScalarNode, SourceKind, find, key_place, plain


@dataclass(frozen=True, slots=True)
class Origin:
    """The place a value came from. file, line, column: where it was written; text: the value as written.

    label: for presets and added layers, their name. overrides: what the value lies over, the nearest first.
    """

    kind: SourceKind
    file: str = ""
    line: int = 0
    column: int = 0
    text: str = ""
    label: str = ""
    overrides: tuple[Origin, ...] = ()

    def __str__(self) -> str:
        match self.kind:
            case "file" | "extends":
                return f"{self.file}:{self.line}"
            case "default":
                return "default"
            case _:
                return self.label


class Provenance:
    """The merged tree of a spec, asked by dotted path."""

    def __init__(self, root: MapNode) -> None:
        self._root = root

    @property
    def root(self) -> MapNode:
        """The merged tree itself."""
        return self._root

    def origin(self, path: str) -> Origin:
        """Where the value at a dotted path came from; kind `default` for one that nobody wrote."""
        keys = _keys(path)
        node = find(self._root, keys)
        if node is None:
            return Origin("default")
        below: list[Origin] = []
        lower = node.below
        while lower is not None:
            below.append(self._of(lower))
            lower = lower.below
        return self._of(node, keys, tuple(below))

    def _of(self, node: Node, keys: Path_ | None = None, overrides: tuple[Origin, ...] = ()) -> Origin:
        source, span = node.source, node.span
        if keys is not None and isinstance(node, MapNode):
            source, span = key_place(self._root, keys)
        from specrun.spec.bounds import shown

        text = node.text if isinstance(node, ScalarNode) else shown(plain(node))
        return Origin(source.kind, source.name, span.line, span.column, text, source.label, overrides)

    def describe(self, path: str) -> str:
        """`specs/gpt.yaml:19`, `preset balanced`, `--set`, the name of a layer, or `default`."""
        return str(self.origin(path))

    def base_folder(self, path: str) -> Path:
        """The folder that a relative path in the value starts from: the file's own, or the current one for --set and stdin.

        For a mapping that several files gave keys of, ask for each key.
        """
        node = find(self._root, _keys(path))
        return node.source.folder if node is not None else Path()

    def written(self, path: str) -> Any:
        """The value as it stands in the merged tree; None where nobody wrote one."""
        node = find(self._root, _keys(path))
        return plain(node) if node is not None else None


def _keys(path: str) -> Path_:
    return tuple(path.split(".")) if path else ()
