"""`specrun schema` prints the generated schema."""

from __future__ import annotations

import json

import pytest

from specrun.cli.main import run
from specrun.spec.schema import DIALECT, render_schema


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_schema_is_printed_as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", *arguments]) == 0
    out = capsys.readouterr().out
    assert out == render_schema()
    assert json.loads(out)["$schema"] == DIALECT
