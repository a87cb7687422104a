"""`specrun schema`: the JSON Schema of the spec language, for editors."""

from __future__ import annotations

from specrun.cli.options import Json


def run(as_json: Json = False) -> None:  # noqa: ARG001 - every command takes --json; a schema is JSON either way
    """Print the schema."""
    from specrun.spec.schema import render_schema

    print(render_schema(), end="")
