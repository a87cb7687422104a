"""Owns reading journals: whole lines from an offset, torn tails left alone, damaged lines reported. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.errors import StoreError
from specrun.events import Stored
from specrun.records.encoding import decode_event
from specrun.records.lines import decode_line

__all__ = ["CORRUPT", "JournalFile", "Record", "journal_files", "next_attempt", "read_journal"]

CORRUPT = "corrupt"
"""The kind of a record whose line is damaged; its data is empty."""

_NEWEST_FORMAT = 1
_NAME = re.compile(r"events-(\d+)-(.*)-(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a journal. number: its count in the file; time: Unix seconds; offset, end: bytes from the file's start."""

    kind: str
    number: int
    time: float
    data: Mapping[str, Any]
    offset: int
    end: int

    def event(self) -> Stored | None:
        """What was emitted; None for the file's header and for a damaged line."""
        return None if self.kind in {CORRUPT, "journal"} else decode_event(self.kind, self.data)


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal in a run's folder. attempt 0: labels given from outside."""

    path: Path
    attempt: int


def journal_files(run_folder: Path) -> list[JournalFile]:
    """The journals of a run, oldest attempt first."""
    try:
        names = sorted(entry.name for entry in run_folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [JournalFile(run_folder / name, int(match[1])) for name in names if (match := _NAME.fullmatch(name))]
    return sorted(found, key=lambda file: file.attempt)


def next_attempt(run_folder: Path) -> int:
    """The number of the attempt to begin: 1 for a new run."""
    return max((file.attempt for file in journal_files(run_folder)), default=0) + 1


def read_journal(path: Path, offset: int = 0) -> Iterator[Record]:
    """The whole lines from an offset on, in order; a torn last line is left for later.

    A damaged line gives a record of kind `corrupt`, and reading goes on. Raises StoreError for a journal of a newer version.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            end = offset + len(line)
            payload = decode_line(line)
            if payload is None:
                yield Record(CORRUPT, -1, 0.0, {}, offset, end)
            else:
                number, time, kind = payload.pop("n"), payload.pop("time"), payload.pop("kind")
                if kind == "journal":
                    _check_version(path, payload)
                yield Record(kind, number, time, payload, offset, end)
            offset = end


def _check_version(path: Path, header: Mapping[str, Any]) -> None:
    version = header.get("format_version")
    if version != _NEWEST_FORMAT:
        raise StoreError(
            f"{path} has journal format {version}; this specrun reads format {_NEWEST_FORMAT}",
            code="store-too-new",
            hint="upgrade with: pip install --upgrade specrun",
        )
