"""Which commit of a dataset a local copy holds, as far as the copy says so, and whether it is the one that was asked for.

`hf download --local-dir` keeps a file `.cache/huggingface/download/<file>.metadata` beside each file it fetched, whose first line is
the commit; a folder of the Hub's cache lies at `snapshots/<commit>`.
"""

from __future__ import annotations

import re
from pathlib import Path

from specrun.errors import DataError
from specrun.sources.files import folder_files
from specrun.sources.huggingface.options import Options

COMMIT = re.compile(r"[0-9a-f]{40}")
_METADATA = Path(".cache", "huggingface", "download")


def commits(folder: Path) -> tuple[str, ...]:
    """The commits that the folder's files were fetched at, sorted; empty where nothing says so."""
    place = folder.resolve()
    if place.parent.name == "snapshots" and COMMIT.fullmatch(place.name):
        return (place.name,)
    found = (_first_line(folder / _METADATA / f"{file.relative_to(folder)}.metadata") for file in folder_files(folder))
    return tuple(sorted({line for line in found if COMMIT.fullmatch(line)}))


def check_revision(options: Options, folder: Path, *, key: str) -> tuple[tuple[str, str], ...]:
    """Compare a copy with the revision that is asked for. Returns a warning (code, text) where they cannot be compared.

    Raises DataError for a copy of another commit. key: of the source in the spec.
    """
    asked = options.revision
    if asked is None:
        return ()
    found = commits(folder)
    if COMMIT.fullmatch(asked) and found:
        if found != (asked,):
            raise _another(options, folder, found, key=key)
        return ()
    why = "does not say which it holds"
    if found:
        why = f"holds commit {' and '.join(found)}, and what {asked!r} names is known to the Hub alone"
    return (("revision-not-checked", f"{key}.revision {asked} was not checked: the copy {folder} {why}"),)


def _another(options: Options, folder: Path, found: tuple[str, ...], *, key: str) -> DataError:
    held = f"commit {found[0]}" if len(found) == 1 else f"files of several commits, {' and '.join(found)}"
    fetch = f"hf download {options.path} --repo-type dataset --revision {options.revision} --local-dir {folder}"
    return DataError(
        f"{folder} holds {held}, not {key}.revision {options.revision}",
        code="mirror-of-another-revision",
        hint=(f"set {key}.revision: {found[0]}, or fetch the other: " if len(found) == 1 else "fetch it anew: ") + fetch,
    )


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""
