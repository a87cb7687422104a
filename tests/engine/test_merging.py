"""What is told where the snapshot of the records could not be brought up to date: why, and what helps."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from specrun.engine.merging import merge_records
from specrun.events import Alert


@pytest.mark.parametrize(
    ("stderr", "code", "told"),
    [
        ("disk-full: /s: no space left\n  free some space on the disk of /s\n", 1, "/s: no space left; free some space on the disk of /s"),
        ("Traceback (most recent call last):\n  File 'x', line 1\nImportError: no duckdb\n", 1, "ImportError: no duckdb"),
        ("", -9, "the process that does it was killed (SIGKILL), as the system does when memory runs out"),
        ("", 3, "the process that does it ended with exit code 3"),
    ],
)
def test_a_snapshot_that_was_not_written_is_told_with_its_cause_and_remedy(stderr, code, told, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stderr=stderr, returncode=code))
    alerts = []
    merge_records(tmp_path, show=alerts.append)
    assert alerts == [Alert("warning", "snapshot-not-written", f"the index of the records was not updated, the records are whole: {told}")]


def test_a_snapshot_that_was_written_is_not_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stderr="a word", returncode=0))
    merge_records(tmp_path, show=pytest.fail)
