"""Which commit of a dataset a local copy holds, as far as the copy says so, and whether it is the one that was asked for.

`hf download --local-dir` keeps a file `.cache/huggingface/download/<file>.metadata` beside each file it fetched, whose first line is
the commit; a folder of the Hub's cache lies at `snapshots/<commit>`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from specrun.errors import DataError
from specrun.sources.huggingface.options import Options

COMMIT = re.compile(r"[0-9a-f]{40}")
_METADATA = Path(".cache", "huggingface", "download")


@dataclass(frozen=True, slots=True)
class Traces:
    """What a copy says of itself. commits: that its files were fetched at, sorted; untraced: the files that say none, sorted.

    Any file counts, for a README too decides what is read: its header names configurations and their files.
    """

    commits: tuple[str, ...] = ()
    untraced: tuple[str, ...] = ()


def traces(folder: Path, names: Iterable[str]) -> Traces:
    """What the copy in a folder says of its files. names: of the files, relative to the folder."""
    place = folder.resolve()
    if place.parent.name == "snapshots" and COMMIT.fullmatch(place.name):
        return Traces((place.name,))
    found = {name: _first_line(folder / _METADATA / f"{name}.metadata") for name in names}
    said = {name for name, line in found.items() if COMMIT.fullmatch(line)}
    return Traces(tuple(sorted({found[name] for name in said})), tuple(sorted(found.keys() - said)))


def check_revision(options: Options, folder: Path, held: Traces, *, key: str) -> tuple[tuple[str, str], ...]:
    """Compare a copy with the revision that is asked for. Returns a warning (code, text) where they cannot be compared.

    Raises DataError for a copy of another commit. key: of the source in the spec.
    """
    asked = options.revision
    if asked is None:
        return ()
    if COMMIT.fullmatch(asked) and held.commits not in {(), (asked,)}:
        raise _another(options, folder, held.commits, key=key)
    if not held.commits:
        why = "does not say which it holds"
    elif not COMMIT.fullmatch(asked):
        why = f"holds commit {' and '.join(held.commits)}, and what {asked!r} names is known to the Hub alone"
    elif held.untraced:
        more = f" and {len(held.untraced) - 1} more" if len(held.untraced) > 1 else ""
        why = f"does not say where {held.untraced[0]}{more} came from"
    else:
        return ()
    return (("revision-not-checked", f"{key}.revision {asked} was not checked: the copy {folder} {why}"),)


def _another(options: Options, folder: Path, found: tuple[str, ...], *, key: str) -> DataError:
    held = f"commit {found[0]}" if len(found) == 1 else f"files of several commits, {' and '.join(found)}"
    fetch = shlex.join(
        ("hf", "download", options.path, "--repo-type", "dataset", "--revision", str(options.revision), "--local-dir", str(folder))
    )
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
