"""`extends`: the chain of specs that a spec starts from, the furthest first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from specrun.spec.findings import Findings
from specrun.spec.loader import load_bytes
from specrun.spec.nearest import nearest
from specrun.spec.nodes import MapNode, Node, Place, ScalarNode, Source, child

MAX_CHAIN = 10


class Base(NamedTuple):
    """A spec that another one starts from."""

    root: MapNode
    path: Path


def load_chain(extends: Node | None, name: str, folder: Path, findings: Findings) -> list[Base]:
    """Load the bases that a spec names, the furthest first. What is wrong with one is reported in its own file.

    A base is a relative path to a YAML file, from the folder of the file that names it; nothing else is opened.
    """
    chain: list[Base] = []
    seen = [_identity(folder / Path(name).name)]
    while isinstance(extends, ScalarNode) and isinstance(extends.value, str):
        place = Place(extends.source, extends.span)
        path = _resolve(extends.value, extends.source.folder, place, findings)
        if path is None:
            break
        identity = _identity(path)
        if identity in seen or len(seen) > MAX_CHAIN:
            loop = identity in seen
            findings.add(
                place, "extends-cycle" if loop else "extends-too-long",
                f"{extends.value} leads back to a spec that extends it" if loop else f"more than {MAX_CHAIN} specs extend one another",
                path=("extends",), hint="remove one of the extends",
            )  # fmt: skip
            break
        seen.append(identity)
        root = _load(path, extends, place, findings)
        if root is None:
            break
        chain.append(Base(root, path))
        extends = child(root, "extends")
    return chain[::-1]


def _resolve(text: str, folder: Path, place: Place, findings: Findings) -> Path | None:
    if text.startswith(("/", "~", "\\")) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) or Path(text).is_absolute():
        findings.add(
            place, "extends-escapes", f"extends is {text[:60]!r}; it must be a path relative to this file", path=("extends",),
            hint="use a path such as base.yaml or ../base.yaml",
        )  # fmt: skip
        return None
    if Path(text).suffix not in {".yaml", ".yml"}:
        findings.add(
            place,
            "extends-not-yaml",
            f"extends is {text[:60]!r}; it must name a YAML file",
            path=("extends",),
            hint="use a path such as base.yaml",
        )
        return None
    return folder / text


def _load(path: Path, extends: ScalarNode, place: Place, findings: Findings) -> MapNode | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        near = nearest(path.name, [p.name for p in path.parent.glob("*.y*ml")]) if path.parent.is_dir() else None
        hint = f"did you mean {Path(str(extends.value)).parent / near}?" if near else "name a file that exists"
        findings.add(place, "extends-missing", f"{path}: {error.strerror}", path=("extends",), hint=hint)
        return None
    root, _ = load_bytes(data, Source("extends", str(path), folder=path.parent), findings)
    return root


def _identity(path: Path) -> str:
    return str(path.resolve())
