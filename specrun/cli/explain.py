"""`specrun explain SPEC [KEY]`: the resolved spec, or where one value came from and what it overrode."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from specrun.cli import options
from specrun.spec.assembly import load_spec
from specrun.spec.explain import document, explain_all, explain_key
from specrun.spec.own_path import Permission
from specrun.spec.visible import visible


def run(
    spec: options.SpecPath,
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="Dotted key, such as schedule.batch_size.", show_default=False)] = None,
    set_: options.Set = [],  # noqa: B006 - typer copies it
    preset: options.Preset = None,
    allow_code: options.AllowCode = [],  # noqa: B006 - typer copies it
    as_json: options.Json = False,
) -> None:
    """Explain a spec."""
    loaded = load_spec(spec, sets=set_, preset=preset, permission=Permission(tuple(allow_code)) if allow_code else None)
    if loaded.warnings:
        from specrun.spec.render import render_text

        print(render_text(loaded.warnings), file=sys.stderr)
    if as_json:
        print(json.dumps(document(loaded, key), indent=2, ensure_ascii=False))
    else:
        print(explain_all(loaded) if key is None else visible(explain_key(loaded, key)))
