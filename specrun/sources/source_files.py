"""The files that a source of files reads, found on disk or fetched, and what is the same for each kind about them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.errors import DataError
from specrun.sources.contract import SourceRequest, SourceUnavailable
from specrun.sources.download import Fetched, fetch, plain_address
from specrun.sources.file_options import FileOptions, each_once
from specrun.sources.files import is_address, is_glob, located, matches


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files of each split, in the order they are read. facts, warnings, variant: for the source's own."""

    by_split: Mapping[str, tuple[Path, ...]]
    facts: Mapping[str, Any]
    warnings: tuple[tuple[str, str], ...] = ()
    variant: str | None = None


def find_files(options: FileOptions, request: SourceRequest) -> SourceFiles:
    """Raises SourceUnavailable for what is not there or cannot be reached, DataError for a split whose files hold no byte.

    facts: files (the first 20 of each split), file_count, bytes, fetched (address, SHA-256 and bytes).
    """
    for patterns in options.patterns().values():
        for pattern in patterns:
            if not is_address(pattern) and not matches(pattern, request.base_folder):
                raise _nothing_there(pattern, options, request)
    fetched = {address: _fetched(address, options, request) for address in options.addresses()}
    by_split = {
        split: each_once(
            file
            for pattern in patterns
            for file in ((fetched[pattern].path,) if pattern in fetched else matches(pattern, request.base_folder))
        )
        for split, patterns in options.patterns().items()
    }
    for split, files in by_split.items():
        if not any(file.stat().st_size for file in files):
            names = ", ".join(str(file) for file in files[:3])
            raise DataError(
                f"{names}: every file of split {split!r} is empty", code="empty-corpus", hint=f"name files that hold {options.holds}"
            )
    facts: dict[str, Any] = {
        "files": {split: [file.name for file in files[:20]] for split, files in by_split.items()},
        "file_count": sum(len(files) for files in by_split.values()),
        "bytes": sum(file.stat().st_size for files in by_split.values() for file in files),
    }
    if not fetched:
        return SourceFiles(by_split, facts)
    facts["fetched"] = [{"address": plain_address(file.address), "sha256": file.sha256, "bytes": file.bytes} for file in fetched.values()]
    unpinned = [file for file in fetched.values() if options.checksum(file.address) is None]
    warnings = tuple(_unpinned(file, options, request.key) for file in unpinned)
    return SourceFiles(by_split, facts, warnings, " ".join(file.sha256 for file in unpinned) or None)


def _fetched(address: str, options: FileOptions, request: SourceRequest) -> Fetched:
    folder = request.downloads if request.downloads is not None else Path(tempfile.gettempdir(), "specrun-downloads")
    return fetch(address, folder=folder, sha256=options.checksum(address), key=request.key, emit=request.emit)


def _unpinned(file: Fetched, options: FileOptions, key: str) -> tuple[str, str]:
    if file.stale is not None:
        return "address-not-asked", f"{file.path.name} is what was fetched earlier: {file.stale}"
    given = file.sha256 if len(options.addresses()) == 1 else f"{{{file.address!r}: {file.sha256}}}"
    return (
        "address-not-pinned",
        f"what {file.path.name} holds may change where it comes from; to hold it to this, set {key}.sha256: {given}",
    )


def _nothing_there(pattern: str, options: FileOptions, request: SourceRequest) -> SourceUnavailable:
    path = located(pattern, request.base_folder)
    if path.is_dir():
        return SourceUnavailable(f"{path} is a folder", code="folder-not-file", hint=f"name its files, such as {pattern}/*{options.suffix}")
    what = "matches no file" if is_glob(pattern, request.base_folder) else "does not exist"
    return SourceUnavailable(f"{path} {what}", code="missing-file", hint=f"check {request.key}.path")
