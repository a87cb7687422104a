"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from specrun.records.place import DEFAULT_STORE, store_of

__all__ = ["DEFAULT_STORE", "DataRoot", "Fork", "Json", "Preset", "Resume", "Set", "SpecPath", "Store"]

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
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume", metavar="RUN", help="Go on from this run, as far as what the spec changes lets it: an id, or a name of that run alone."
    ),
]
Fork = Annotated[bool, typer.Option("--fork", help="With --resume: begin a run of its own with that run's weights.")]
SpecPath = Annotated[str, typer.Argument(metavar="SPEC", help="Path of the spec; - is standard input.", show_default=False)]
