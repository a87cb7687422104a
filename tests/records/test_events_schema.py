"""The published form of a journal line is the form that is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from specrun.records.encoding import KIND_OF
from specrun.records.journal import Journal
from specrun.resources import schema_file

from .test_journal import EVENTS

SCHEMA: dict[str, Any] = json.loads(schema_file("events.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture
def lines(tmp_path: Path) -> list[dict[str, Any]]:
    with Journal.open(tmp_path, run_id="r", attempt=1) as journal:
        for event in EVENTS:
            journal.emit(event)
    return [json.loads(line) for line in journal.path.read_text(encoding="ascii").splitlines()]


def test_every_line_that_is_written_is_valid(lines: list[dict[str, Any]]) -> None:
    VALIDATOR.check_schema(SCHEMA)
    assert {line["kind"] for line in lines} == {"journal", *KIND_OF.values()}
    assert [error.message for line in lines for error in VALIDATOR.iter_errors(line)] == []


def test_the_schema_knows_the_fields_of_every_event() -> None:
    known = {record["properties"]["kind"]["const"]: set(record["properties"]) - {"kind"} for record in SCHEMA["oneOf"]}
    for cls, kind in KIND_OF.items():
        assert known[kind] == {"step_kind" if field.name == "kind" else field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize("change", [{"surprise": 1}, {"kind": "unknown"}, {"crc": "xyz"}, {"n": -1}, {"time": None}])
def test_a_line_of_another_form_is_refused(lines: list[dict[str, Any]], change: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**lines[2], **change})
