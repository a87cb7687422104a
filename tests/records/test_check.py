"""What `store doctor` finds: each kind of damage, and nothing in a healthy store."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError
from specrun.records.check import check
from specrun.records.queries import open_records
from specrun.records.run_files import mark_active
from specrun.records.snapshots import current
from specrun.records.store import attach, connect, merge, rebuild

NewRun = Callable[..., Any]


def codes(store: Path) -> list[str]:
    return [finding.code for finding in check(store)]


def one_journal(folder: Path) -> Path:
    [path] = folder.glob("events-1-*.jsonl")
    return path


@pytest.fixture
def healthy(store: Path, new_run: NewRun) -> Path:
    run = new_run("r")
    for step in range(20):
        run.log(step, train_loss=1.0)
    run.end()
    new_run("living").log(1, train_loss=1.0)
    merge(store)
    return store


def test_a_healthy_store_has_no_findings(healthy: Path) -> None:
    assert codes(healthy) == []


def test_the_check_changes_nothing(healthy: Path) -> None:
    def listing() -> list[tuple[str, float]]:
        return sorted((str(path), path.stat().st_mtime) for path in healthy.rglob("*"))

    before = listing()
    check(healthy)
    assert listing() == before


def test_a_damaged_record_is_found_with_its_place(healthy: Path) -> None:
    path = one_journal(healthy / "runs" / "r")
    data = path.read_bytes()
    offset = data.index(b'"step":7')
    path.write_bytes(data.replace(b'"step":7', b'"step":8'))
    [finding] = check(healthy)
    assert (finding.code, finding.level) == ("record-damaged", "error")
    assert int(finding.place.rpartition(":")[2]) == data.rindex(b"\n", 0, offset) + 1


def test_a_missing_line_is_found(healthy: Path) -> None:
    path = one_journal(healthy / "runs" / "r")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[7:]))
    found = {finding.code: finding for finding in check(healthy)}
    assert "records 5 to 6 are missing" in found["records-missing"].message
    assert "journal-shrunk" in found


def test_a_torn_tail_of_a_dead_run_is_worth_knowing_and_no_error(healthy: Path) -> None:
    with open(one_journal(healthy / "runs" / "r"), "ab") as file:
        file.write(b'{"n":22,"ti')
    [finding] = check(healthy)
    assert (finding.code, finding.level) == ("torn-tail", "info")


def test_records_that_no_marker_announces_are_found_and_rebuilt(healthy: Path, new_run: NewRun) -> None:
    new_run("late").log(1, a=1.0).end()
    for marker in (healthy / "active").glob("late*"):
        marker.unlink()
    assert codes(healthy) == ["snapshot-behind"]
    rebuild(healthy)
    assert codes(healthy) == []


def test_a_damaged_snapshot_is_found_and_a_missing_one_is_no_error(healthy: Path) -> None:
    snapshot = current(healthy)
    assert snapshot is not None
    snapshot.write_bytes(b"junk")
    assert codes(healthy) == ["snapshot-damaged"]
    (healthy / "CURRENT").unlink()
    assert [(finding.code, finding.level) for finding in check(healthy)] == [("snapshot-missing", "info")]


def test_documents_are_examined(healthy: Path) -> None:
    folder = healthy / "runs" / "r"
    (folder / "final.json").write_text("[]", encoding="utf-8")
    assert codes(healthy) == ["damaged-record"]
    (folder / "run.json").unlink()
    assert codes(healthy) == ["description-missing", "damaged-record"]


def test_a_crashed_run_is_named_with_what_to_do(healthy: Path) -> None:
    code = f"from pathlib import Path; from specrun.records.run_files import mark_active; mark_active(Path({str(healthy)!r}), 'living')"
    subprocess.run([sys.executable, "-c", code], check=True)
    [finding] = check(healthy)
    assert finding.code == "run-crashed"
    assert "resume" in finding.remedy


def test_a_run_that_was_killed_before_it_began_is_named_and_is_no_run(healthy: Path) -> None:
    folder = healthy / "runs" / "begun-by-nobody"
    folder.mkdir()
    (folder / ".run.json.abcd.part").touch()
    assert sorted(codes(healthy)) == ["leftover", "not-begun"]
    rebuild(healthy)
    with open_records(healthy) as records:
        assert sorted(run.run_id for run in records.runs()) == ["living", "r"]


def test_a_run_whose_folder_was_emptied_has_lost_its_records(healthy: Path) -> None:
    for path in (healthy / "runs" / "r").iterdir():
        path.unlink()
    assert "journal-missing" in codes(healthy)


def test_leftovers_of_killed_processes_are_named(healthy: Path) -> None:
    names = (".store-1.duckdb", ".spill-7-ab", ".CURRENT.x.part", "active/.r.x.part", "runs/r/.final.json.x.part", "runs/.removing-x")
    for name in names:
        (healthy / name).write_bytes(b"")
    assert codes(healthy) == ["leftover"] * len(names)


def test_what_is_no_folder_is_no_run(healthy: Path, tmp_path: Path) -> None:
    (healthy / "runs" / "notes.txt").write_text("x", encoding="utf-8")
    (healthy / "runs" / "linked").symlink_to(tmp_path)
    assert codes(healthy) == ["not-a-run"] * 2
    with open_records(healthy) as records:
        assert {run.run_id for run in records.runs()} == {"r", "living"}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("metrics", "UPDATE metrics SET value = 1.0000001 WHERE run_id = 'r' AND step = 7"),
        ("metrics", "DELETE FROM metrics WHERE run_id = 'r' AND step = 7"),
        ("run_summary", "UPDATE run_summary SET final = 0.5 WHERE run_id = 'r'"),
        ("runs", "UPDATE runs SET name = 'other' WHERE run_id = 'r'"),
        ("alerts", "INSERT INTO alerts BY NAME SELECT 'r' AS run_id, 'invented' AS code"),
    ],
)
def test_a_snapshot_that_says_other_than_the_journals_is_found_and_rebuilt(healthy: Path, table: str, change: str) -> None:
    snapshot = current(healthy)
    assert snapshot is not None
    with connect(healthy) as connection:
        attach(connection, snapshot, "READ_WRITE")
        connection.execute(f"USE snapshot; {change}; CHECKPOINT; USE memory; DETACH snapshot")
    [finding] = check(healthy)
    assert (finding.code, finding.level) == ("snapshot-differs", "error")
    assert (
        f"its table {change.replace('DELETE FROM', 'INTO').replace('UPDATE', 'INTO').partition('INTO ')[2].split()[0]} " in finding.message
    )
    rebuild(healthy)
    assert codes(healthy) == []


def test_a_journal_that_is_gone_is_found(healthy: Path) -> None:
    path = one_journal(healthy / "runs" / "r")
    path.rename(healthy / path.name)
    [finding] = check(healthy)
    assert (finding.code, finding.place) == ("journal-missing", str(path))


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no-store"):
        check(tmp_path / "absent")


def damage(path: Path, rng: random.Random) -> None:
    """Flip a bit, cut the end off, or zero a stretch."""
    data = bytearray(path.read_bytes())
    kind = rng.randrange(3)
    place = rng.randrange(len(data))
    if kind == 0:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[place:]
    else:
        data[place : place + 64] = bytes(len(data[place : place + 64]))
    path.write_bytes(data)


@pytest.mark.slow
def test_damage_anywhere_in_a_journal_is_found(healthy: Path) -> None:
    path = one_journal(healthy / "runs" / "r")
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(100):
        path.write_bytes(whole)
        damage(path, rng)
        assert codes(healthy), path.read_bytes()
    path.write_bytes(whole)
    assert codes(healthy) == []


@pytest.mark.slow
def test_damage_anywhere_in_the_snapshot_never_ends_in_a_traceback(healthy: Path) -> None:
    snapshot = current(healthy)
    assert snapshot is not None
    whole = snapshot.read_bytes()
    rng = random.Random(0)
    for _ in range(15):
        snapshot.write_bytes(whole)
        damage(snapshot, rng)
        # Either the right answer, or one clear error; anything else fails here.
        with contextlib.suppress(StoreError), open_records(healthy, merge_first=False) as records:
            assert [point.step for point in records.series("r")["train/loss"]] == list(range(20))
        assert set(codes(healthy)) <= {"snapshot-damaged", "snapshot-differs"}
    snapshot.write_bytes(b"")
    merge(healthy)
    assert codes(healthy) == []


def test_a_store_that_was_moved_is_healthy(healthy: Path, tmp_path: Path) -> None:
    mark_active(healthy, "living")
    shutil.copytree(healthy, tmp_path / "moved")
    assert codes(tmp_path / "moved") == []
