"""The JSON Schema says what the language says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

jsonschema = pytest.importorskip("jsonschema")

from specrun.resources import schema_file  # noqa: E402 - after the skip
from specrun.spec.assembly import check_bytes  # noqa: E402
from specrun.spec.document import Spec  # noqa: E402
from specrun.spec.parts import FAMILIES, OWN_FAMILIES, kinds  # noqa: E402
from specrun.spec.schema import build_schema, render_schema, write_schema  # noqa: E402
from specrun.spec.shape import fields, walk_classes  # noqa: E402
from tests.spec.mutations import mutants  # noqa: E402
from tests.spec.specs import FIXTURES, MINIMAL, texts  # noqa: E402


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = build_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def as_json(text: str) -> Any:
    """A spec as a JSON Schema validator sees it: YAML 1.2, so that 1e-3 is a number."""
    from specrun.spec.findings import Findings
    from specrun.spec.loader import load_node
    from specrun.spec.nodes import Source, plain

    node = load_node(text, Source("file", "a.yaml", tuple(text.split("\n"))), Findings())
    return json.loads(json.dumps(plain(node))) if node is not None else None


def test_the_file_is_the_generated_one() -> None:
    assert schema_file("experiment.schema.json").read_text(encoding="utf-8") == render_schema()


def test_drift_would_be_noticed(tmp_path: Path) -> None:
    write_schema(tmp_path / "deep" / "a.json")
    assert (tmp_path / "deep" / "a.json").read_text(encoding="utf-8") == render_schema()
    changed = json.loads(render_schema())
    changed["properties"]["name"]["maxLength"] = 79
    assert json.dumps(changed, indent=2) + "\n" != render_schema()


@pytest.mark.parametrize("name", texts())
def test_every_shipped_spec_is_valid_by_the_schema(name: str, validator: Any) -> None:
    assert [e.message for e in validator.iter_errors(as_json(texts()[name]))] == []


def test_the_schema_names_every_key_of_every_class() -> None:
    schema = build_schema()
    definitions = schema["$defs"]
    for path, cls in walk_classes(Spec):
        if not path:
            assert set(schema["properties"]) == set(fields(Spec))
        elif "kind" in fields(cls):
            kind = fields(cls)["kind"].info.annotation.__args__[0]  # type: ignore[union-attr]
            assert any(set(d.get("properties", {})) == set(fields(cls)) for name, d in definitions.items() if name.endswith(f".{kind}"))
        else:
            assert set(definitions[cls.__name__]["properties"]) == set(fields(cls))
    for family in FAMILIES:
        kind = definitions[family]["properties"]["kind"]
        known, *own = kind["anyOf"] if family in OWN_FAMILIES else [kind]
        assert known["enum"] == list(kinds(family))
        assert all(re.match(it["pattern"], "my.module:Name") and not re.match(it["pattern"], "module.Name") for it in own)


def test_every_object_of_the_language_is_closed_and_described() -> None:
    for name, definition in build_schema()["$defs"].items():
        if "." in name or name[0].isupper():
            assert definition["additionalProperties"] is False
            assert all(p.get("description") for p in definition["properties"].values())


def test_a_spec_that_extends_needs_nothing_of_its_own(validator: Any) -> None:
    assert validator.is_valid({"extends": "base.yaml", "data": {"source": {"kind": "text"}}, "task": {"prompt": "x"}})
    assert not validator.is_valid({"name": "x"})
    assert not validator.is_valid(as_json(MINIMAL.replace("{kind: gpt}", "{width: 64}")))
    assert not validator.is_valid(as_json(MINIMAL.replace("{kind: synthetic}", "{kind: text}")))


def test_what_the_schema_refuses_the_loader_refuses(validator: Any) -> None:
    text = (FIXTURES / "rich.yaml").read_text(encoding="utf-8")
    refused = agreed = 0
    for mutant in mutants(text):
        if mutant.way in ("misspell", "wrong type", "out of range"):
            document = as_json(mutant.text)
            if document is None:
                continue
            by_schema = not validator.is_valid(document)
            by_us = check_bytes(mutant.text.encode(), "a.yaml").loaded is None
            refused += by_us
            agreed += by_schema and by_us
            assert by_us or not by_schema, mutant
    print(f"\nof {refused} mutants that the loader refuses, the schema refuses {agreed}")
    assert agreed > 0.9 * refused


def test_the_module_writes_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    done = subprocess.run([sys.executable, "-m", "specrun.spec.schema", target], capture_output=True, text=True, check=True)
    assert done.stderr == f"wrote {target}\n"
    assert target.read_text(encoding="utf-8") == render_schema()


def test_editors_find_the_schema_from_the_shipped_specs() -> None:
    for name, text in texts().items():
        if name != "rich.yaml":
            assert text.startswith("# yaml-language-server: $schema=../schemas/experiment.schema.json")
            assert isinstance(yaml.safe_load(text), dict)
