"""`specrun store`: doctor and rebuild."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specrun.cli.main import run as specrun
from specrun.events import Metrics
from specrun.records.journal import Journal, journal_files
from specrun.records.run_files import write_run
from specrun.records.snapshots import current
from specrun.records.store import merge


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    write_run(folder, {"format_version": 1, "name": "n"})
    with Journal.open(folder, run_id="r", attempt=1) as journal:
        journal.emit(Metrics(1, {"loss": 2.5, "accuracy": 0.5}))
    merge(tmp_path)
    return tmp_path


def call(store: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = specrun(["store", *arguments, "--store", str(store)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_healthy_store_is_said_to_be_healthy(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(store, capsys, "doctor") == (0, f"{store}: healthy\n", "")
    assert json.loads(call(store, capsys, "doctor", "--json")[1]) == {"format_version": 1, "healthy": True, "findings": [], "exit_code": 0}


def test_damage_is_named_with_place_and_remedy_and_exits_1(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [file] = journal_files(store / "runs" / "r")
    file.path.write_bytes(file.path.read_bytes().replace(b"2.5", b"9.5"))
    code, out, _ = call(store, capsys, "doctor")
    assert code == 1
    assert out.startswith(f"error record-damaged: {file.path}:")
    assert "check the disk" in out
    assert out.endswith(f"{store}: 1 error\n")
    assert not json.loads(call(store, capsys, "doctor", "--json")[1])["healthy"]


def test_a_rebuild_mends_a_damaged_snapshot(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = current(store)
    assert snapshot is not None
    snapshot.write_bytes(b"junk")
    assert call(store, capsys, "doctor")[0] == 1
    assert call(store, capsys, "rebuild") == (0, f"{store}: rebuilt from the journals, 1 run, 2 values\n", "")
    assert call(store, capsys, "doctor")[0] == 0
    assert json.loads(call(store, capsys, "rebuild", "--json")[1]) == {"format_version": 1, "runs": 1, "values": 2}


@pytest.mark.parametrize("command", ["doctor", "rebuild"])
def test_no_store_is_an_error_and_makes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, _, err = call(tmp_path / "absent", capsys, command)
    assert code == 1
    assert err.startswith("no-store: ")
    assert not (tmp_path / "absent").exists()
