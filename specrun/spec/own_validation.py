"""The class that a part of a user's own is checked by, with what there is to tell of it at the place of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.spec.findings import Findings
from specrun.spec.nodes import MapNode, Path_, dotted, key_place, place
from specrun.spec.own_path import Permission
from specrun.spec.section import Part
from specrun.spec.shape import Field

if TYPE_CHECKING:
    from specrun.spec.validation import Built


def own_class(
    field: Field,
    kind: str,
    node: MapNode,
    path: Path_,
    *,
    root: MapNode,
    findings: Findings,
    permission: Permission | None,
    task: Built | None,
) -> type[Part] | None:
    """The class under `field`, or None where there is none; why is told. task: the spec's, as far as it could be built."""
    assert field.family is not None
    where = (*path, "kind")
    if permission is None:
        return _held(field.family, kind, node, path, root=root, findings=findings)
    from specrun.spec.own_code import Refused
    from specrun.spec.own_parts import own_options

    interface: str | None = None
    if field.family == "model":
        if task is None or not task.complete:
            return None  # which sizes it is built with, nobody can tell
        interface = task.value.interface
    try:
        return own_options(field.family, kind, permission, interface=interface)
    except Refused as refused:
        findings.add(place(root, where), refused.code, refused.message, path=where, hint=refused.hint)
        return None


def _held(family: str, kind: str, node: MapNode, path: Path_, *, root: MapNode, findings: Findings) -> type[Part] | None:
    from specrun.spec import held

    keys, unusable = held.held_keys(family, node.entries)
    for key in unusable:
        findings.add(key_place(root, (*path, key)), "unusable-option-name", f"no {family} has an option called {key}", path=(*path, key),
                     hint="call it otherwise, there and here")  # fmt: skip
    module, where = kind.partition(":")[0], (*path, "kind")
    findings.add(
        place(root, where), held.CODE, f"{kind} is code of your own, which is not imported here: {dotted(path)} is not checked further",
        path=where, severity="warning", hint=f"check them with: specrun plan {_file(root)} --allow-code {module}",
    )  # fmt: skip
    return None if unusable else held.held_class(family, kind, keys)


def _file(root: MapNode) -> str:
    return root.source.name if root.source.kind == "file" and not root.source.name.startswith("<") else "SPEC"
