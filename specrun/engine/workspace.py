"""The store's layout on disk, and the finished results in it.

    store.json               format of the store
    steps/<kind>-<key>/      what a shared step left behind
    results/<kind>-<key>.json  a finished step: its StepResult and the options it was made from
    runs/<run_id>/           a run: run.json, journals, checkpoints/, report/
    run-keys/<key>           the run that trains a key
    cache/compile/           what torch has compiled; to be removed at will, it is made again
    cache/downloads/         what sources have fetched from addresses; to be removed at will, it is fetched again
    locks/  history.jsonl  fingerprints.json  store-*.duckdb  CURRENT  active/

Owns paths, results and run ids. Journals and the DuckDB snapshot are `records`' business.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun.errors import StorageFailure, StoreError
from specrun.plan.compare import Earlier
from specrun.plan.keys import digest
from specrun.plan.step import Step, StepResult
from specrun.records.atomic import atomic_write, storage_failure
from specrun.records.place import check_place, command_on, unreadable

FORMAT_VERSION = 1
_KEY_CHARACTERS = 20
_NEWEST_RESULTS = 300
_HASHED_BYTES = 4 * 2**20
"""Larger files are told from damaged ones by their size alone: a plan must stay quick. Checkpoints are verified when loaded."""


class Workspace:
    """A store folder. Reading needs no permission to write; `prepare()` makes it writable or says why it cannot be."""

    def __init__(self, store: Path) -> None:
        self.store = store.absolute()
        self._check_version()

    @property
    def runs(self) -> Path:
        return self.store / "runs"

    @property
    def history_file(self) -> Path:
        return self.store / "history.jsonl"

    @property
    def fingerprint_file(self) -> Path:
        return self.store / "fingerprints.json"

    def prepare(self) -> None:
        """Create what is missing. Raises StoreError where the folder cannot be written."""
        probe = self.store / f".writable-{os.getpid()}"
        self._create()
        try:
            for name in ("steps", "results", "runs", "run-keys", "locks", "active"):
                (self.store / name).mkdir(parents=True, exist_ok=True)
            marker = self.store / "store.json"
            if not marker.exists():
                atomic_write(marker, json.dumps({"format_version": FORMAT_VERSION}) + "\n")
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise storage_failure(Path(error.filename or probe), error) from error

    def _create(self) -> None:
        try:
            self.store.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:  # a file system that takes no folders, such as /proc; no cause, for nothing was removed here
            raise StorageFailure(f"{self.store} cannot be created: its file system takes no new folders", code="store-not-writable",
                                 hint="keep records elsewhere with --store DIR, such as --store .specrun") from None  # fmt: skip
        except OSError as error:
            raise storage_failure(self.store, error) from error

    def lock_file(self, step: Step) -> Path:
        return self.store / "locks" / f"{_name(step.kind, step.key)}.lock"

    def new_shared_folder(self, step: Step) -> Path:
        """An empty folder to work in, to be put in place by `keep_shared`. The caller holds the step's lock, so what other
        processes left unfinished under this name is of dead ones, and goes."""
        name = f".{_name(step.kind, step.key)}"
        for left in (self.store / "steps").glob(f"{name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = self.store / "steps" / f"{name}.{os.getpid()}"
        folder.mkdir(parents=True)
        return folder

    def keep_shared(self, step: Step, folder: Path, *, variant: str | None = None) -> Path:
        """Put a finished working folder in its place; an earlier one of the same key and variant gives way.

        Another variant (real data after the fallback's) gets a folder of its own: somebody may be reading the first.
        """
        suffix = f"-{digest(variant)[:8]}" if variant else ""
        target = self.store / "steps" / f"{_name(step.kind, step.key)}{suffix}"
        if target.exists():
            aside = target.with_name(f".{target.name}.old.{os.getpid()}")
            target.rename(aside)
            folder.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            folder.rename(target)
        return target

    def result(self, kind: str, key: str) -> StepResult | None:
        """The finished result of a key, if all it left behind is still there at its size."""
        document = self._read_result(self.store / "results" / f"{_name(kind, key)}.json")
        if document is None or document["result"]["key"] != key:
            return None
        result = read_result(document["result"])
        return result if self._is_whole(result) else None

    def save_result(self, step: Step, result: StepResult, *, version: int) -> None:
        """Record that a step finished. Written last, after everything it names."""
        document = {"version": version, "options": step.options, "inputs": step.inputs, "input_bytes": input_sizes(step),
                    "name": step.label.get("name", ""), "result": asdict(result)}  # fmt: skip
        document["digest"] = digest(json.loads(json.dumps(document)))
        atomic_write(self.store / "results" / f"{_name(step.kind, step.key)}.json", json.dumps(document, indent=1) + "\n")

    def earlier(self, kind: str) -> list[Earlier]:
        """Finished steps of a kind, the newest of them, for reasons."""
        folder = self.store / "results"
        if not folder.is_dir():
            return []
        dated = []
        for path in folder.glob(f"{kind}-*.json"):
            with contextlib.suppress(FileNotFoundError):  # its run is being removed
                dated.append((path.stat().st_mtime_ns, path))
        return list(self._earlier([path for _, path in sorted(dated)[-_NEWEST_RESULTS:]]))

    def run_of_key(self, key: str) -> str | None:
        """The run that was started for a training key, finished or not."""
        try:
            run_id = (self.store / "run-keys" / key[:_KEY_CHARACTERS]).read_text().strip()
        except OSError:
            return None
        return run_id if (self.runs / run_id).is_dir() else None

    def run_for(self, name: str, key: str) -> str:
        """The run that a lineage belongs to: the one its first step was started in, else a new one."""
        return self.run_of_key(key) or self.new_run(name, key)

    def new_run(self, name: str, key: str) -> str:
        """Create the folder of a new run and return its id: the name and as much of the key as makes it unique."""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "run"
        found_by = self.store / "run-keys" / key[:_KEY_CHARACTERS]
        for characters in range(4, len(key) + 1, 2):
            run_id = f"{slug}-{key[:characters]}"
            if (self.runs / run_id).exists():
                continue
            atomic_write(found_by, run_id + "\n")  # first: a key without a folder counts for nothing, a folder without a key is lost
            try:
                (self.runs / run_id).mkdir(parents=True)
            except FileExistsError:  # another process took it at the same moment
                found_by.unlink()
                continue
            return run_id
        raise StoreError(f"{self.runs}: every id for {name} is taken", code="run-id-taken",
                         hint=f"remove an old run with: {command_on(self.store, 'runs', 'remove', f'{slug}-{key[:4]}')}")  # fmt: skip

    def move_run(self, key: str, to: str) -> None:
        """Find the run of one key under another from now on."""
        run_id = self.run_of_key(key)
        assert run_id is not None
        atomic_write(self.store / "run-keys" / to[:_KEY_CHARACTERS], run_id + "\n")
        (self.store / "run-keys" / key[:_KEY_CHARACTERS]).unlink(missing_ok=True)

    def forget_run(self, run_id: str) -> None:
        """Remove the results and the key of a run whose folder was removed: nothing can be made of them any more."""
        for path in (self.store / "results").glob("*.json"):
            document = self._read_result(path)
            if document is not None and document["result"]["run_id"] == run_id:
                path.unlink(missing_ok=True)
        for path in (self.store / "run-keys").glob("[!.]*"):  # what begins with a dot is another's, half written
            with contextlib.suppress(FileNotFoundError):
                if path.read_text().strip() == run_id:
                    path.unlink()

    def _earlier(self, files: list[Path]) -> Iterator[Earlier]:
        for path in files:
            document = self._read_result(path)
            if document is not None:
                result = document["result"]
                yield Earlier(result["id"], result["key"], document["version"], document["options"], document["inputs"],
                              result["finished_at"], document["name"], result["folder"], document.get("input_bytes", {}))  # fmt: skip

    @staticmethod
    def _read_result(path: Path) -> dict[str, Any] | None:
        """A result as it was written; None for one that is absent or damaged in any bit."""
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
            found = document.pop("digest")
            return document if digest(document) == found else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _is_whole(self, result: StepResult) -> bool:
        """Whether every file is there at its size; small ones of a run, which may be written again, with their content."""
        folder = self.store / result.folder
        for name, facts in result.artifacts.items():
            path = folder / name
            try:
                whole = path.stat().st_size == facts["bytes"]
                if whole and result.run_id is not None and facts["bytes"] <= _HASHED_BYTES:
                    whole = file_digest(path) == facts["sha256"]
            except OSError:
                return False
            if not whole:
                return False
        return folder.is_dir()

    def _check_version(self) -> None:
        check_place(self.store)
        try:
            found = int(json.loads((self.store / "store.json").read_bytes())["format_version"])
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(self.store / "store.json", error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.store / 'store.json'} is damaged: {error}", code="store-damaged",
                             hint="restore the file from a copy, or choose another store with --store DIR") from error  # fmt: skip
        if found > FORMAT_VERSION:
            raise StoreError(f"{self.store} has format {found}; this specrun knows up to {FORMAT_VERSION}", code="newer-store",
                             hint="upgrade specrun, or choose another store with --store DIR")  # fmt: skip


def input_sizes(step: Step) -> dict[str, int]:
    """Bytes of each local input of a step as it is now; a file that is gone is left out."""
    sizes = {}
    for name in step.inputs:
        with contextlib.suppress(OSError):
            sizes[name] = Path(name.partition(" ")[2]).stat().st_size
    return sizes


def file_digest(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(kind: str, key: str) -> str:
    return f"{kind}-{key[:_KEY_CHARACTERS]}"


def read_result(document: Mapping[str, Any]) -> StepResult:
    """A result from the JSON it was saved as."""
    return StepResult(**{**document, "warnings": tuple(document["warnings"]), "warning_codes": tuple(document["warning_codes"])})
