"""Says what a resolved spec holds: every value with its origin, or one key in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from specrun.spec.visible import visible_line
from specrun.spec.yaml_text import yaml_value

MEANINGS: dict[Impact, str] = {
    "weights": "a change trains again, where it can change the result",
    "extend": "more of it goes on from the finished training where that gives the same bits, and elsewhere with --resume RUN",
    "eval": "a change evaluates again, with the same weights",
    "export": "a change exports again, with the same weights",
    "report": "a change writes the report again",
    "runtime": "a change gives the same result by another way; nothing runs again",
    "meta": "a change is only a name; nothing runs again",
}
"""What each impact class means to a reader."""
_COMMENT_COLUMN = 44
FOUND: dict[str, str] = {
    "schedule.optimizer.learning_rate": "what find_learning_rate finds before training",
    "schedule.micro_batch_size": "the whole batch, or what find_micro_batch finds where that may not fit",
}
"""What `auto` comes to where it is only found by measurement."""


@dataclass(frozen=True, slots=True)
class Found:
    """A key of the spec. value: None where it, or a section above it, is absent. cls: what is under it, for sections and parts.

    absent: the section above it that the spec does not have, dotted. item: whether it is one of a list.
    """

    path: tuple[str, ...]
    field: Field
    value: Any
    cls: type[Section] | None
    absent: str | None = None
    item: bool = False


def explain_all(loaded: LoadedSpec) -> str:
    """The whole resolved spec as YAML, with where each value came from."""

    def origin(path: tuple[str, ...]) -> str:
        return f"{visible_line(loaded.provenance.describe('.'.join(path)))}{_aside(_derived(loaded, path))}"

    return "\n".join(_lines(loaded.spec, (), origin))


def yaml_values(spec: Section) -> str:
    """Every value of a spec as YAML, with nothing of where they came from."""
    return "\n".join(_lines(spec, (), lambda _: ""))


def _lines(section: Section, path: tuple[str, ...], comment: Callable[[tuple[str, ...]], str]) -> Iterator[str]:
    indent = "  " * len(path)
    for name in fields(type(section)):
        value = getattr(section, name)
        where = (*path, name)
        if isinstance(value, Section):
            yield f"{indent}{name}:"
            yield from _lines(value, where, comment)
        else:
            text = f"{indent}{name}: {yaml_value(canonical(value))}"
            said = comment(where)
            yield f"{text:<{_COMMENT_COLUMN}}  # {said}" if said else text


def find_key(loaded: LoadedSpec, key: str) -> Found:
    """Look a dotted key up. Raises: UsageError that names the nearest key."""
    path = tuple(key.split("."))
    cls: type[Section] | None = type(loaded.spec)
    value: Any = loaded.spec
    found: Found | None = None
    absent: str | None = None
    for position, name in enumerate(path):
        if isinstance(value, tuple) and found is not None and name.isdecimal():
            value = _item(value, path[:position], int(name))
            found = Found(path[: position + 1], found.field, value, None, item=True)
            continue
        field = fields(cls).get(name) if cls is not None else None
        if field is None:
            _no_such_key(path[:position], name, cls)
        absent = absent or (None if isinstance(value, Section) else ".".join(path[:position]))
        value = getattr(value, name) if isinstance(value, Section) else None
        cls = type(value) if isinstance(value, Section) else section_of(field, None)
        found = Found(path[: position + 1], field, value, cls, absent)
    assert found is not None
    return found


def _item(items: tuple[Any, ...], parents: tuple[str, ...], index: int) -> Any:
    if index < len(items):
        return items[index]
    holder = ".".join(parents)
    hint = f"ask for {holder}" + (f", or {holder}.0 to {holder}.{len(items) - 1}" if items else "")
    raise UsageError(f"{holder} has {len(items)} item{'' if len(items) == 1 else 's'}, none of them {index}; they count from 0",
                     code="unknown-key", hint=hint)  # fmt: skip


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
    lines = [f"{key}: {value}", f"  {found.field.info.description}"]
    if (comes_to := _derived(loaded, found.path)) is not None:
        lines.append(f"  comes to   {_plainly(comes_to)}")
    lines.append(f"  {'item of' if found.item else 'takes':<9}  {_takes(found.field)}")
    lines.append(f"  impact     {found.field.impact}: {MEANINGS[found.field.impact]}")
    chain = origin_chain(loaded, found)
    lines.append(f"  from       {_told(chain[0])}")
    lines += [f"  {'overrides' if index == 0 else '':<9}  {_told(origin)}" for index, origin in enumerate(chain[1:])]
    return "\n".join(lines)


def origin_chain(loaded: LoadedSpec, found: Found) -> list[Origin]:
    """The origin of a value and of everything it overrode, down to the field's default."""
    origin = loaded.provenance.origin(".".join(found.path))
    default = [] if found.field.required or found.item else [Origin("default", text=yaml_value(canonical(found.field.info.default)))]
    return default if origin.kind == "default" and default else [origin, *origin.overrides, *default]


def _derived(loaded: LoadedSpec, path: tuple[str, ...]) -> int | str | None:
    """What a value that was left out comes to, where the part that it is under knows; else None."""
    holder: Any = loaded.spec
    part, below = None, path
    for depth, name in enumerate(path[:-1], start=1):
        holder = getattr(holder, name, None)
        if isinstance(holder, Part):
            part, below = holder, path[depth:]
    if getattr(holder, path[-1], None) == "auto" and ".".join(path) in FOUND:
        return FOUND[".".join(path)]
    return part.derived(loaded.spec).get(".".join(below)) if part is not None else None


def _aside(comes_to: int | str | None) -> str:
    return "" if comes_to is None else f"; comes to {_plainly(comes_to)}"


def _plainly(comes_to: int | str) -> str:
    return yaml_value(comes_to) if isinstance(comes_to, bool) else str(comes_to)


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
        head += f"\n  impact     {found.field.impact}: {MEANINGS[found.field.impact]}\nAbsent in this spec; these keys would apply:"
    elif isinstance(found.value, Part) and found.field.family:
        head += f" This spec has the {family_noun(found.field.family)} {found.value.kind}:"
    lines = [head]
    for name, field in fields(found.cls).items():
        shown, origin = _shown(loaded, found, name, field)
        lines.append(f"  {name}: {shown}".ljust(_COMMENT_COLUMN) + f"  # {visible_line(str(origin))}".rstrip(" #"))
        lines.append(f"      {field.info.description}")
    return "\n".join(lines)


def _shown(loaded: LoadedSpec, found: Found, name: str, field: Field) -> tuple[str, str]:
    """The value of a section's key and where it is from; of a section that is absent, what would apply."""
    key = ".".join((*found.path, name))
    value = getattr(found.value, name) if found.value is not None else field.info.default
    if isinstance(value, Section) or (found.value is None and field.family):
        return "…", f"specrun explain SPEC {key}"
    if found.value is not None:
        return yaml_value(canonical(value)), loaded.provenance.describe(key) + _aside(_derived(loaded, (*found.path, name)))
    return ("(required)", "") if field.required else (yaml_value(canonical(value)), "default")


def document(loaded: LoadedSpec, key: str | None = None) -> dict[str, Any]:
    """The same as plain data, for `--json`. key: only what is at or under it."""
    prefix = find_key(loaded, key).path if key is not None else ()
    # An item of a list and a key of an absent section are no fields of the spec, but may be asked for.
    paths = [path for path, _, _ in walk_fields(loaded.spec) if path[: len(prefix)] == prefix] or [prefix]
    return {
        "format_version": 1,
        "file": loaded.file,
        "spec_digest": loaded.digest,
        "values": {".".join(path): _value_document(loaded, find_key(loaded, ".".join(path))) for path in paths},
    }


def _value_document(loaded: LoadedSpec, found: Found) -> dict[str, Any]:
    chain = [_origin_document(origin) for origin in origin_chain(loaded, found)]
    return {
        "value": canonical(found.value),
        "comes_to": _derived(loaded, found.path),
        "impact": found.field.impact,
        "description": found.field.info.description,
        "origin": chain[0],
        "overrides": chain[1:],
    }


def _origin_document(origin: Origin) -> dict[str, Any]:
    place = {"file": origin.file, "line": origin.line, "column": origin.column} if origin.line else {}
    return {"kind": origin.kind, "label": str(origin), "text": origin.text, **place}
