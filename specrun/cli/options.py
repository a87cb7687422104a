"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from specrun.errors import UsageError
from specrun.records.place import DEFAULT_STORE, store_of
from specrun.spec.own_path import is_prefix

__all__ = ["DEFAULT_STORE", "AllowCode", "DataRoot", "Fork", "Json", "Preset", "Resume", "Set", "SpecPath", "Store"]


def _prefixes(given: list[str]) -> list[str]:
    """Raise UsageError for what is no name of a module."""
    for prefix in given:
        if not is_prefix(prefix):
            raise UsageError(f"--allow-code {prefix!r} is no name of a module or package", code="not-a-module-name",
                             hint="name it as Python imports it, such as --allow-code my_package.models")  # fmt: skip
    return given


Store = Annotated[
    Path, typer.Option("--store", envvar="SPECRUN_STORE", parser=store_of, metavar="DIR", help="Folder of records and results.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output; everything else on standard error.")]
Set = Annotated[list[str], typer.Option("--set", metavar="PATH=VALUE", help="Override one value of the spec; repeatable.")]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="Fill what is left out: fast, balanced or quality.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", envvar="SPECRUN_DATA_ROOT", metavar="DIR", help="Folder of <owner>/<name>/ mirrors that stand for Hub datasets."
    ),
]
AllowCode = Annotated[
    list[str],
    typer.Option(
        "--allow-code", envvar="SPECRUN_ALLOW_CODE", metavar="PREFIX", callback=_prefixes,
        help="Module or package of your own whose code the spec may name; repeatable.",
    ),
]  # fmt: skip
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume", metavar="RUN", help="Go on from this run, as far as what the spec changes lets it: an id, or a name of that run alone."
    ),
]
Fork = Annotated[bool, typer.Option("--fork", help="With --resume: begin a run of its own with that run's weights.")]
SpecPath = Annotated[str, typer.Argument(metavar="SPEC", help="Path of the spec; - is standard input.", show_default=False)]
