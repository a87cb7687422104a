"""`specrun validate PATH...`: every error of every file."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from specrun.cli.options import DataRoot, Json, Preset, Set
from specrun.errors import EXIT_OK, UsageError
from specrun.spec.assembly import Draft, check_spec
from specrun.spec.checks import parts
from specrun.spec.diagnostics import Diagnostic, errors, ordered
from specrun.spec.discovery import SPEC_KEYS, find_specs
from specrun.spec.reading import UNREADABLE
from specrun.spec.renderers.json import document
from specrun.spec.resolved import further
from specrun.spec.section import Problem
from specrun.spec.text import shown_name
from specrun.spec.visible import visible_line

Format = Literal["text", "json", "github", "gitlab", "sarif", "junit"]
_INVALID = 3
_NAMED = 5


def run(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Specs or folders; - is standard input.", show_default=False)],
    form: Annotated[
        Format, typer.Option("--format", metavar="FORM", help="How findings are printed: text, json, github, gitlab, sarif or junit.")
    ] = "text",
    sets: Set = [],  # noqa: B006 - typer copies the default
    preset: Preset = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> int:
    """Check specs and print what is wrong with them; exit 3 where something is, else 2 where one of several cannot be opened."""
    files, skipped = find_specs(paths)
    found: list[Diagnostic] = []
    unopened: list[Diagnostic] = []
    for file in files:
        try:
            checked = check_spec(file, sets=sets, preset=preset)
        except UsageError as error:
            if error.code != UNREADABLE or len(files) == 1:
                raise
            unopened.append(_unopened(shown_name(file), error))
            continue
        found += further(checked, partial(existence_problems, data_root=data_root)).diagnostics
    exit_code = _INVALID if errors(found) else UsageError.exit_code if unopened else EXIT_OK
    diagnostics = ordered([*found, *unopened])
    names = ["<stdin>" if file == "-" else shown_name(file) for file in files]
    skipped = [shown_name(file) for file in skipped]
    if skipped:
        print(_skipped_line(skipped), file=sys.stderr)
    if as_json or form == "json":
        answer = {**document(diagnostics), "files": names, "skipped": skipped, "exit_code": exit_code}
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _render(form, diagnostics, names)
    return exit_code


def _unopened(name: str, error: UsageError) -> Diagnostic:
    """That a file could not be opened, as a finding beside those of the others."""
    message = error.message.removeprefix(f"{name}: ")
    return Diagnostic(name, 1, 1, 1, 2, "", error.code, "error", message, error.hint)


def _skipped_line(skipped: Sequence[str]) -> str:
    shown = ", ".join(map(visible_line, skipped[:_NAMED])) + (f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else "")
    one = len(skipped) == 1
    return f"skipped {len(skipped)} YAML file{'' if one else 's'} without {SPEC_KEYS}: {shown}; name {'it' if one else 'one'} to check it"


def existence_problems(draft: Draft, *, data_root: Path | None) -> Iterator[Problem]:
    """Files and folders that a spec names and that are not there. The check lives beside the sources, and is imported on use."""
    if not any(hasattr(part, "file_problems") for _, part in parts(draft.spec)):
        return
    file_problems = importlib.import_module("specrun.sources.existence").file_problems
    yield from file_problems(draft.spec, draft.provenance.base_folder, data_root)


def _colored() -> bool:
    """Whether standard output is a terminal that wants colours (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _render(form: Format, diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> None:
    if form == "text":
        from specrun.spec.render import render_text, summary

        if diagnostics:
            print(render_text(diagnostics, color=_colored()))
        print(summary(diagnostics, files))
        return
    renderer: Callable[..., str] = getattr(importlib.import_module(f"specrun.spec.renderers.{form}"), f"render_{form}")
    text = renderer(diagnostics, files) if form == "junit" else renderer(diagnostics)
    if text:
        print(text)
