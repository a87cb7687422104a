"""Checks the `kind` of a part: it is there, it is known, and if not, which one was meant."""

from __future__ import annotations

from typing import NamedTuple

from specrun.spec.bounds import found
from specrun.spec.findings import Findings
from specrun.spec.nearest import distance, listed, nearest
from specrun.spec.nodes import MapNode, Path_, dotted, key_place, place, plain
from specrun.spec.own_path import is_own, is_path
from specrun.spec.parts import FAMILIES, OWN_FAMILIES, kinds, options_class, suggested
from specrun.spec.secrets import shortened
from specrun.spec.shape import Field, fields


class Chosen(NamedTuple):
    """kind: to check the other keys by, None where nothing can be said. good: the kind as written exists."""

    kind: str | None
    good: bool


def check_kind(field: Field, node: MapNode, path: Path_, root: MapNode, findings: Findings) -> Chosen:
    """Find the kind of the part under `field`; without one, the field's default kind holds."""
    assert field.family is not None
    family, known = FAMILIES[field.family], kinds(field.family)
    where = (*path, "kind")
    if "kind" not in node.entries:
        if (meant := _misspelt(field.family, node)) is not None:
            value = plain(node.entries[meant].value)
            at = key_place(root, (*path, meant))
            findings.add(at, "unknown-key", f'{dotted(path)} has no key "{meant}"', path=(*path, meant), hint='did you mean "kind"?')
            return Chosen(value if value in known else None, good=False)
        fitting = _fitting(field.family, node)
        if field.default_kind is not None and (field.default_kind in fitting or not fitting):
            return Chosen(field.default_kind, good=True)
        findings.add(
            key_place(root, path), "missing-key", f"{dotted(path)} has no kind; it says which {family.noun} is meant", path=where,
            hint=f"add kind: {_first(field.family, fitting)}; kinds are {listed(known, 'and')}",
        )  # fmt: skip
        return Chosen(fitting[0] if len(fitting) == 1 else None, good=False)
    value = plain(node.entries["kind"].value)
    at = place(root, where)
    if not isinstance(value, str):
        findings.add(
            at,
            "wrong-type",
            f"{dotted(where)} is {found(value)}; it must be the name of a {family.noun}",
            path=where,
            hint=f"use {field.default_kind or suggested(field.family)}",
        )
        return Chosen(None, good=False)
    if value in known:
        return Chosen(value, good=True)
    if is_own(value) and field.family in OWN_FAMILIES:
        if is_path(value):
            return Chosen(value, good=True)
        findings.add(
            at, "bad-code-path", f'"{shortened(value)}" does not name a {family.noun} of your own', path=where,
            hint="write package.module:Name, as Python would import it",
        )  # fmt: skip
        return Chosen(None, good=False)
    if value in family.planned or ":" in value:
        what = f"the {family.noun} {value}" if ":" not in value else f"a {family.noun} of your own ({value})"
        findings.add(
            at, "not-available-yet", f"{what} is part of the language, but not available yet", path=where,
            hint=f"kinds that are available: {listed(known, 'and')}",
        )  # fmt: skip
        return Chosen(None, good=False)
    synonym = family.synonyms.get(value.lower().replace("_", "").replace("-", "").removesuffix("lr"))
    meant = synonym or nearest(value, known)
    hint = f"did you mean {meant}?" if meant else f"kinds are {listed(known, 'and')}"
    findings.add(at, "unknown-kind", f'there is no {family.noun} of kind "{shortened(value)}"', path=where, hint=hint)
    return Chosen(meant, good=False)


def _first(family: str, fitting: list[str]) -> str:
    """The usual kind where it has every key that is written, or where none has."""
    usual = suggested(family)
    return usual if usual in fitting or not fitting else fitting[0]


def _misspelt(family: str, node: MapNode) -> str | None:
    """The key that was meant to be `kind`."""
    known = {name for kind in kinds(family) for name in fields(options_class(family, kind))}
    return next(
        (name for name in node.entries if name not in known and distance(name, "kind") <= 2 and nearest(name, known) == "kind"), None
    )


def _fitting(family: str, node: MapNode) -> list[str]:
    """The kinds that have every key of a mapping."""
    return [kind for kind in kinds(family) if all(name in fields(options_class(family, kind)) for name in node.entries)]
