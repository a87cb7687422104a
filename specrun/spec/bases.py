"""`extends`: the chain of specs that a spec starts from, the furthest first."""

from __future__ import annotations

import re
from pathlib import Path

from specrun.spec.findings import Findings
from specrun.spec.loader import load_bytes
from specrun.spec.nearest import nearest
from specrun.spec.nodes import MapNode, Node, Place, ScalarNode, Source, child
from specrun.spec.reading import neighbours, read_start
from specrun.spec.secrets import shortened

MAX_CHAIN = 10


def load_chain(extends: Node | None, file: Path, findings: Findings) -> list[MapNode]:
    """Load the bases that a spec names, the furthest first. What is wrong with one is reported in its own file.

    A base is a relative path to a YAML file, from the folder of the file that names it; nothing else is opened.
    """
    chain: list[MapNode] = []
    seen = [file.resolve()]
    while isinstance(extends, ScalarNode) and isinstance(extends.value, str):
        place = Place(extends.source, extends.span)
        path = _resolve(extends.value, extends.source.folder, place, findings)
        if path is None:
            break
        if path.resolve() in seen:
            findings.add(
                place, "extends-cycle", f"{extends.value} leads back to a spec that extends it", path=("extends",),
                hint="remove one of the extends",
            )  # fmt: skip
            break
        if len(seen) > MAX_CHAIN:
            findings.add(
                place, "extends-too-long", f"more than {MAX_CHAIN} specs extend one another", path=("extends",),
                hint="write what the furthest ones say into one base",
            )  # fmt: skip
            break
        seen.append(path.resolve())
        root = _load(path, extends, place, findings)
        if root is None:
            break
        chain.append(root)
        extends = child(root, "extends")
    return chain[::-1]


def _resolve(text: str, folder: Path, place: Place, findings: Findings) -> Path | None:
    if text.startswith(("/", "~", "\\")) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) or Path(text).is_absolute():
        findings.add(
            place, "extends-escapes", f"extends is {shortened(text)!r}; it must be a path relative to this file", path=("extends",),
            hint="use a path such as base.yaml or ../base.yaml",
        )  # fmt: skip
        return None
    if Path(text).suffix not in {".yaml", ".yml"}:
        findings.add(
            place,
            "extends-not-yaml",
            f"extends is {shortened(text)!r}; it must name a YAML file",
            path=("extends",),
            hint="use a path such as base.yaml",
        )
        return None
    if "\0" in text:
        findings.add(place, "extends-missing", f"extends is {shortened(text)!r}; no file has such a name", path=("extends",),
                     hint="name a file that exists, such as base.yaml")  # fmt: skip
        return None
    return folder / text


def _load(path: Path, extends: ScalarNode, place: Place, findings: Findings) -> MapNode | None:
    try:
        data = read_start(path)
    except (OSError, ValueError) as error:
        hint = _other_base(Path(str(extends.value)), extends.source)
        findings.add(place, "extends-missing", f"{path}: {getattr(error, 'strerror', None) or error}", path=("extends",), hint=hint)
        return None
    return load_bytes(data, Source("extends", str(path), folder=path.parent), findings)


def _other_base(given: Path, source: Source) -> str:
    near = nearest(given.name, neighbours(source.folder / given.parent))
    if near:
        return f"did you mean {given.parent / near}?"
    beside = nearest(given.name, (name for name in neighbours(source.folder) if name != Path(source.name).name), reach=1)
    return f"name a file that exists, such as {beside}" if beside else f"write {given}, or leave extends out"
