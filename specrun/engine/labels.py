"""Labels: a finished run whose experiment has another name or more tags now is listed with them, and nothing is run for that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from specrun.records.labels import give, given
from specrun.records.run_files import read_run


def new_name(store: Path, run_id: str, name: str) -> bool:
    """Whether a recorded run goes by another name so far. Raises DamagedRecord."""
    folder = store / "runs" / run_id
    document = read_run(folder)
    return document is not None and (given(folder).name or document["name"]) != name


def relabel_run(store: Path, run_id: str, name: str, tags: Sequence[str]) -> bool:
    """Give a recorded run the spec's name and add the spec's tags. Returns whether anything was new.

    A person's word on a tag stands: one that was given stays when the spec lacks it, one that was taken away stays away.
    """
    folder = store / "runs" / run_id
    document = read_run(folder)
    if document is None:
        return False
    known = given(folder)
    other_name = (known.name or document["name"]) != name
    new = [tag for tag in tags if tag not in known.tags and tag not in document["tags"]]
    if not other_name and not new:
        return False
    give(store, run_id, name=name if other_name else None, add=new)
    return True
