"""`specrun schema`: the JSON Schema of the spec language, for editors."""

from __future__ import annotations

import json

from specrun.cli.failure import FORMAT_VERSION
from specrun.cli.options import Json


def run(as_json: Json = False) -> None:
    """Print the schema: by itself, for a file that editors read; with --json, under `schema` in a document like any other command's."""
    from specrun.spec.schema import build_schema, render_schema

    if as_json:
        print(json.dumps({"format_version": FORMAT_VERSION, "schema": build_schema()}, indent=2, ensure_ascii=False))
    else:
        print(render_schema(), end="")
