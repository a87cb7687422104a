"""Says what a resolved spec holds: every value with its origin, or one key in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from specrun.errors import UsageError
from specrun.spec.assembly import LoadedSpec
from specrun.spec.bounds import describe
from specrun.spec.dump import canonical, walk_fields
from specrun.spec.impact import Impact
from specrun.spec.nearest import listed, nearest
from specrun.spec.provenance import Origin
from specrun.spec.section import Part, Section
from specrun.spec.shape import Field, family_noun, fields, section_of
from specrun.spec.yaml_text import yaml_value

MEANINGS: dict[Impact, str] = {
    "weights": "a change trains again",
    "extend": "a change carries the same training further",
    "eval": "a change evaluates again, with the same weights",
    "export": "a change exports again, with the same weights",
    "report": "a change writes the report again",
    "runtime": "a change gives the same result by another way; nothing runs again",
    "meta": "a change is only a name; nothing runs again",
}
"""What each impact class means to a reader."""
_COMMENT_COLUMN = 44


@dataclass(frozen=True, slots=True)
class Found:
    """A key of the spec. value: None where it, or a section above it, is absent. cls: what is under it, for sections and parts.

    absent: the section above it that the spec does not have, dotted.
    """

    path: tuple[str, ...]
    field: Field
    value: Any
    cls: type[Section] | None
    absent: str | None = None


def explain_all(loaded: LoadedSpec) -> str:
    """The whole resolved spec as YAML, with where each value came from."""
    return "\n".join(_lines(loaded, loaded.spec, ()))


def _lines(loaded: LoadedSpec, section: Section, path: tuple[str, ...]) -> Iterator[str]:
    indent = "  " * len(path)
    for name in fields(type(section)):
        value = getattr(section, name)
        where = (*path, name)
        if isinstance(value, Section):
            yield f"{indent}{name}:"
            yield from _lines(loaded, value, where)
        else:
            text = f"{indent}{name}: {yaml_value(canonical(value))}"
            yield f"{text:<{_COMMENT_COLUMN}}  # {loaded.provenance.describe('.'.join(where))}"


def find_key(loaded: LoadedSpec, key: str) -> Found:
    """Look a dotted key up. Raises: UsageError that names the nearest key."""
    path = tuple(key.split("."))
    cls: type[Section] | None = type(loaded.spec)
    value: Any = loaded.spec
    found: Found | None = None
    absent: str | None = None
    for position, name in enumerate(path):
        field = fields(cls).get(name) if cls is not None else None
        if field is None:
            _no_such_key(path[:position], name, cls)
        absent = absent or (None if isinstance(value, Section) else ".".join(path[:position]))
        value = getattr(value, name) if isinstance(value, Section) else None
        cls = type(value) if isinstance(value, Section) else section_of(field, None)
        found = Found(path[: position + 1], field, value, cls, absent)
    assert found is not None
    return found


def _no_such_key(parents: tuple[str, ...], name: str, cls: type[Section] | None) -> NoReturn:
    holder = ".".join(parents) or "the spec"
    if cls is None:
        raise UsageError(f"{holder} is a single value; it has no key {name!r}", code="unknown-key", hint=f"ask for {holder}")
    known = fields(cls)
    near = nearest(name, known)
    hint = f"did you mean {'.'.join((*parents, near))}?" if near else f"its keys are {listed(known, 'and')}"
    raise UsageError(f"{holder} has no key {name!r}", code="unknown-key", hint=hint)


def explain_key(loaded: LoadedSpec, key: str) -> str:
    """One key: its value, meaning, bounds and impact, where it came from and what it overrode. A section lists its keys."""
    found = find_key(loaded, key)
    if found.cls is not None:
        return _explain_section(loaded, found)
    value = f"absent, as {found.absent} is" if found.absent else yaml_value(canonical(found.value))
    lines = [f"{key}: {value}", f"  {found.field.info.description}", f"  takes      {_takes(found.field)}"]
    lines.append(f"  impact     {found.field.impact}: {MEANINGS[found.field.impact]}")
    chain = origin_chain(loaded, found)
    lines.append(f"  from       {_told(chain[0])}")
    lines += [f"  {'overrides' if index == 0 else '':<9}  {_told(origin)}" for index, origin in enumerate(chain[1:])]
    return "\n".join(lines)


def origin_chain(loaded: LoadedSpec, found: Found) -> list[Origin]:
    """The origin of a value and of everything it overrode, down to the field's default."""
    origin = loaded.provenance.origin(".".join(found.path))
    default = [] if found.field.required else [Origin("default", text=yaml_value(canonical(found.field.info.default)))]
    return default if origin.kind == "default" and default else [origin, *origin.overrides, *default]


def _takes(field: Field) -> str:
    text = describe(field.info)
    return f"{text}, or nothing" if field.optional and not field.not_yet else text


def _told(origin: Origin) -> str:
    place = {"preset": f"{origin} ({origin.file}:{origin.line})", "set": f"{origin} ({origin.text})"}.get(origin.kind, str(origin))
    return place if origin.kind == "set" or not origin.text else f"{place}: {origin.text}"


def _explain_section(loaded: LoadedSpec, found: Found) -> str:
    assert found.cls is not None
    key = ".".join(found.path)
    head = f"{key}: {found.field.info.description}"
    if found.value is None:
        head += " Absent in this spec; these keys would apply:"
    elif isinstance(found.value, Part) and found.field.family:
        head += f" This spec has the {family_noun(found.field.family)} {found.value.kind}:"
    lines = [head]
    for name, field in fields(found.cls).items():
        value = getattr(found.value, name) if found.value is not None else None
        if isinstance(value, Section):
            shown, origin = "…", f"specrun explain SPEC {key}.{name}"
        else:
            shown = yaml_value(canonical(value)) if found.value is not None else "-"
            origin = loaded.provenance.describe(f"{key}.{name}") if found.value is not None else ""
        lines.append(f"  {name}: {shown}".ljust(_COMMENT_COLUMN) + f"  # {origin}".rstrip(" #"))
        lines.append(f"      {field.info.description}")
    return "\n".join(lines)


def document(loaded: LoadedSpec, key: str | None = None) -> dict[str, Any]:
    """The same as plain data, for `--json`. key: only what is at or under it."""
    prefix = find_key(loaded, key).path if key is not None else ()
    values = {}
    for path, impact, value in walk_fields(loaded.spec):
        if path[: len(prefix)] != prefix:
            continue
        found = find_key(loaded, ".".join(path))
        chain = [_origin_document(origin) for origin in origin_chain(loaded, found)]
        values[".".join(path)] = {
            "value": canonical(value),
            "impact": impact,
            "description": found.field.info.description,
            "origin": chain[0],
            "overrides": chain[1:],
        }
    return {"format_version": 1, "file": loaded.file, "spec_digest": loaded.digest, "values": values}


def _origin_document(origin: Origin) -> dict[str, Any]:
    place = {"file": origin.file, "line": origin.line, "column": origin.column} if origin.line else {}
    return {"kind": origin.kind, "label": str(origin), "text": origin.text, **place}
