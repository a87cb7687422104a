"""Stores built by writing real journals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from specrun.events import Metrics, Status
from specrun.records.journal import Journal, next_attempt
from specrun.records.run_files import mark_active, run_folder, unmark_active, write_final, write_run

DESCRIPTION: dict[str, Any] = {
    "format_version": 1,
    "name": "tiny",
    "tags": ["first"],
    "task": "causal_lm",
    "seed": 0,
    "started_at": "2026-01-02T03:04:05Z",
    "spec": {"schedule": {"optimizer": {"learning_rate": 0.001, "betas": [0.9, 0.999]}}, "name": "tiny"},
    "spec_digest": "d1",
    "plan": [
        {"id": "data", "kind": "data", "key": "k0", "action": "cached", "reason": "unchanged", "predicted": {}},
        {"id": "train", "kind": "train", "key": "k1", "action": "run", "reason": "new", "predicted": {"seconds": 2.0}},
    ],
    "comparable": True,
}


class RunWriter:
    """Writes a run as the engine does, a step of its life at a time."""

    def __init__(self, store: Path, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.folder = run_folder(store, run_id)
        self.journal: Journal | None = None

    def begin(self, **description: Any) -> RunWriter:
        self.folder.mkdir(parents=True)
        write_run(self.folder, {**DESCRIPTION, "run_id": self.run_id, **description})
        return self.attempt()

    def attempt(self, resumed_from: int | None = None) -> RunWriter:
        self.stop()
        mark_active(self.store, self.run_id)
        self.journal = Journal.open(self.folder, run_id=self.run_id, attempt=next_attempt(self.folder), heartbeat_seconds=3600)
        self.journal.emit(Status("running", resumed_from=resumed_from))
        return self

    def emit(self, *events: Any) -> RunWriter:
        assert self.journal is not None
        for event in events:
            self.journal.emit(event)
        return self

    def log(self, step: int, **values: float) -> RunWriter:
        return self.emit(Metrics(step, {name.replace("_", "/"): value for name, value in values.items()}))

    def stop(self) -> RunWriter:
        if self.journal is not None:
            self.journal.close()
            self.journal = None
        return self

    def end(self, status: str = "completed", metrics: Mapping[str, float] | None = None, **final: Any) -> RunWriter:
        self.emit(Status(status, "done"))  # type: ignore[arg-type]
        self.stop()
        document = {"status": status, "reason": "done", "finished_at": "2026-01-02T03:05:05Z", "duration_s": 60.0, "metrics": metrics or {}}
        write_final(self.folder, {**document, **final})
        unmark_active(self.store, self.run_id)
        return self


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def new_run(store: Path) -> Iterator[Callable[..., RunWriter]]:
    """Begins runs whose journals are closed at the end of the test."""
    writers: list[RunWriter] = []

    def begin(run_id: str = "tiny-0001", **description: Any) -> RunWriter:
        writers.append(RunWriter(store, run_id).begin(**description))
        return writers[-1]

    yield begin
    for writer in writers:
        writer.stop()
