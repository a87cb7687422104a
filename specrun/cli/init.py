"""`specrun init [PATH]`: a commented spec to start from, which trains without a network."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from specrun.cli.options import Json
from specrun.errors import SpecrunError, UsageError
from specrun.resources import template_folder
from specrun.spec.nearest import listed, nearest
from specrun.spec.secrets import has_secret
from specrun.spec.yaml_text import yaml_text

DEFAULT_PATH = Path("specrun.yaml")
_NAME = "my-experiment"


def run(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File to write, or an existing folder.")] = DEFAULT_PATH,
    task: Annotated[str, typer.Option("--task", metavar="KIND", help="What the model is to learn.")] = "causal_lm",
    as_json: Json = False,
) -> None:
    """Write the spec; refuse to overwrite a file."""
    target = path / DEFAULT_PATH.name if path.is_dir() else path
    if target.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"{target} is not a YAML file", code="not-a-yaml-name", hint=f"use {target}.yaml")
    if not str(target).isprintable():
        raise UsageError(f"{str(target)!r} has characters that no line of text can hold", code="bad-file-name", hint="name it otherwise")
    # Paths first: they stand in comments, and an experiment's name may look like the template's own.
    text = _template(task).replace(DEFAULT_PATH.name, shlex.quote(str(target)))
    text = re.sub(rf"(?m)^name: {_NAME}$", f"name: {yaml_text(_name(target))}", text)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{target} exists already; init overwrites nothing", code="file-exists", hint="name another file") from None
    except OSError as error:
        raise SpecrunError(f"{target}: {error.strerror}", code="unwritable", hint="name a file in a folder you may write to") from None
    if as_json:
        print(json.dumps({"format_version": 1, "path": str(target), "task": task}))
    else:
        quoted = shlex.quote(str(target))
        print(f"wrote {target}; next: specrun plan {quoted}, then: specrun apply {quoted}")


def _template(task: str) -> str:
    folder = template_folder("init")
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if task in known:
        return (folder / f"{task}.yaml").read_text(encoding="utf-8")
    near = nearest(task, known)
    raise UsageError(f"there is no task {task!r}", code="unknown-task", hint=f"did you mean {near}?" if near else f"use {listed(known)}")


def _name(target: Path) -> str:
    """A name for the experiment from the file's, or the template's own for the default file."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", target.stem).strip("-._")[:80]
    return stem if stem and target.name != DEFAULT_PATH.name and not has_secret(stem) else _NAME
