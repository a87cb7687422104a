"""`specrun new PART NAME`: a module of your own with its test and a spec, which pass as they are."""

from __future__ import annotations

import json
import keyword
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from specrun.cli.options import Json
from specrun.errors import SpecrunError, UsageError
from specrun.resources import template_folder

Part = Literal["model", "task"]
_MODULE, _CLASS = "NAME", "CLASS"


def run(
    part: Annotated[Part, typer.Argument(metavar="PART", help="What to write: model or task.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the module, such as my_model.", show_default=False)],
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where to write it.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write the scaffold; refuse to overwrite a file."""
    _check_name(name)
    sources = sorted(file for file in template_folder(f"new/{part}").iterdir() if file.is_file())
    texts = {folder / source.name.replace(_MODULE, name): _filled(source, name) for source in sources}
    there = [str(path) for path in texts if path.exists()]
    if there:
        raise UsageError(f"{there[0]} exists already; new overwrites nothing", code="file-exists", hint="choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise SpecrunError(f"{folder}: {error.strerror}", code="unwritable", hint="name a folder that you may write to") from None
    if as_json:
        print(json.dumps({"format_version": 1, "part": part, "files": [str(path) for path in texts]}))
        return
    print(f"wrote {', '.join(str(path) for path in texts)}")
    where = "" if folder == Path() else f"in {folder}: "
    print(f"{where}test it with: pytest test_{name}.py; train it with: specrun apply {name}.yaml --allow-code {name}")


def _filled(source: Path, name: str) -> str:
    text = source.read_text(encoding="utf-8")
    text = re.sub(rf"\b{_CLASS}\b", "".join(word.capitalize() for word in name.split("_")), text)
    return text.replace(_MODULE, name)


def _check_name(name: str) -> None:
    """Raise UsageError for what is no good name of a module of one's own."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name) or keyword.iskeyword(name):
        fitting = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789") or "my_part"
        fitting = f"my_{fitting}" if keyword.iskeyword(fitting) or len(fitting) < 2 else fitting
        raise UsageError(f"{name!r} is no name of a module: lower-case letters, digits and underscores", code="bad-module-name",
                         hint=f"use {fitting}")  # fmt: skip
    if name in sys.stdlib_module_names or _is_installed(name):
        raise UsageError(f"{name} is a module that is there already, which Python would import instead", code="module-name-taken",
                         hint=f"use my_{name}")  # fmt: skip


def _is_installed(name: str) -> bool:
    """Whether Python finds a module of that name elsewhere than in the current folder."""
    from importlib.util import find_spec

    found = find_spec(name)
    origin = None if found is None else found.origin
    return origin is not None and Path(origin).resolve().parent not in (Path.cwd().resolve(), Path.cwd().resolve() / name)
