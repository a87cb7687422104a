"""`specrun schema` prints the generated schema."""

from __future__ import annotations

import json

import pytest

from specrun.cli.main import run
from specrun.spec.schema import DIALECT, render_schema


def test_the_schema_is_printed_as_a_file_that_editors_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    out = capsys.readouterr().out
    assert out == render_schema()
    assert json.loads(out)["$schema"] == DIALECT


def test_the_document_of_the_schema_has_a_format_version_as_every_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"format_version": 1, "schema": json.loads(render_schema())}
