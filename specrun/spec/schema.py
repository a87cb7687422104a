"""The JSON Schema of the language, for editors: made from the section classes, so that it cannot say anything else.

`python -m specrun.spec.schema [FILE]` writes `schemas/experiment.schema.json`. Parts are told apart by `kind` with if/then, which editors
complete better than oneOf. What is required holds only for specs without `extends`; a base may give it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from specrun.spec.document import Spec
from specrun.spec.dump import canonical
from specrun.spec.own_path import PATH_PATTERN
from specrun.spec.parts import FAMILIES, OWN_FAMILIES, kinds, options_class
from specrun.spec.section import Part, Section
from specrun.spec.shape import Field, fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FILE = Path(__file__).resolve().parents[2] / "schemas" / "experiment.schema.json"


def build_schema() -> dict[str, Any]:
    """The whole schema, draft 2020-12, as plain data."""
    definitions: dict[str, Any] = {}
    root = _section(Spec, definitions)
    return {
        "$schema": DIALECT,
        "title": "specrun experiment",
        "description": "One experiment: task, data, model, hardware, schedule and report.",
        **{key: value for key, value in root.items() if key not in {"title", "description"}},
        "if": {"required": ["extends"]},
        "else": _requirements(Spec),
        "$defs": dict(sorted(definitions.items())),
    }


def render_schema() -> str:
    """The schema as the text of its file."""
    return json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(cls: type[Section], definitions: dict[str, Any]) -> dict[str, Any]:
    own = cls.model_json_schema()
    properties = {name: _property(field, own["properties"][name], definitions) for name, field in fields(cls).items()}
    return {
        "description": " ".join((cls.__doc__ or "").split()),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(field: Field, own: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    notes = {"description": field.info.description, "x-impact": field.impact}
    if field.not_yet:
        return {**notes, "description": f"{field.info.description} Not available yet.", "type": "null"}
    if field.family is not None or field.section is not None:
        reference = {"$ref": f"#/$defs/{_define(field, definitions)}"}
        return {**notes, "anyOf": [reference, {"type": "null"}]} if field.optional else {**notes, **reference}
    schema = {key: value for key, value in own.items() if key not in {"title", "default"}}
    if not field.required:
        schema["default"] = canonical(field.info.default)
    return schema


def _define(field: Field, definitions: dict[str, Any]) -> str:
    if field.family is not None:
        name = field.family
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _slot(field.family, definitions)
    else:
        assert field.section is not None
        name = field.section.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _section(field.section, definitions)
    return name


def _slot(family: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A part: `kind` decides which keys there are."""
    names = kinds(family)
    branches = []
    for kind in names:
        options = options_class(family, kind)
        definitions[f"{family}.{kind}"] = _section(options, definitions)
        branches.append({"if": _is(kind), "then": {"$ref": f"#/$defs/{family}.{kind}"}})
    described = [f"{kind}: {fields(options_class(family, kind))['kind'].info.description}" for kind in names]
    kind_schema: dict[str, Any] = {"description": " ".join([f"Which {FAMILIES[family].noun}.", *described])}
    if family in OWN_FAMILIES:
        kind_schema["description"] += " Or package.module:Name, one of your own."
        kind_schema["anyOf"] = [{"enum": list(names)}, {"type": "string", "pattern": f"^{PATH_PATTERN}$"}]
    else:
        kind_schema["enum"] = list(names)
    return {"type": "object", "properties": {"kind": kind_schema}, "allOf": branches}


def _is(kind: str) -> dict[str, Any]:
    return {"properties": {"kind": {"const": kind}}, "required": ["kind"]}


def _requirements(cls: type[Section]) -> dict[str, Any]:
    """What must be there in a spec that extends nothing."""
    required = [name for name, field in fields(cls).items() if field.required and not (name == "kind" and issubclass(cls, Part))]
    properties: dict[str, Any] = {}
    for name, field in fields(cls).items():
        inner = _slot_requirements(field) if field.family else _requirements(field.section) if field.section else {}
        if inner:
            properties[name] = inner
    schema: dict[str, Any] = {}
    if required:
        schema["required"] = required
    if properties:
        schema["properties"] = properties
    return schema


def _slot_requirements(field: Field) -> dict[str, Any]:
    assert field.family is not None
    branches = []
    for kind in kinds(field.family):
        inner = _requirements(options_class(field.family, kind))
        if inner:
            branches.append({"if": _is(kind), "then": inner})
    schema: dict[str, Any] = {}
    if field.default_kind is None:
        schema["required"] = ["kind"]
    if branches:
        schema["allOf"] = branches
    return {"if": {"type": "object"}, "then": schema} if schema else {}


def write_schema(file: Path = _FILE) -> None:
    """Write the schema atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(render_schema(), encoding="utf-8")
    temporary.replace(file)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else _FILE
    write_schema(target)
    sys.stderr.write(f"wrote {target}\n")
