"""Fingerprints: always the digest of what the file holds now, remembered only where that is safe."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from specrun.engine import fingerprints
from specrun.engine.fingerprints import Fingerprints
from specrun.errors import DataError

LONG_AGO_NS = 10**18


def settled(path: Path, content: bytes, *, mtime_ns: int = LONG_AGO_NS) -> Path:
    """A file that was last modified long ago."""
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry a file that is read."""
    counted: list[int] = []
    read = fingerprints._sha256

    def counting(stream: object) -> str:
        counted.append(1)
        return read(stream)

    monkeypatch.setattr(fingerprints, "_sha256", counting)
    return counted


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_unchanged_file_is_read_once_even_by_another_process_later(tmp_path: Path, reads: list[int]) -> None:
    path = settled(tmp_path / "a", b"content")
    for _ in range(3):
        assert Fingerprints(tmp_path / "cache.json").digest(path) == sha(b"content")
    assert len(reads) == 1


@pytest.mark.parametrize("change", ["size", "time", "file"])
def test_a_change_of_size_time_or_file_is_read_again(tmp_path: Path, reads: list[int], change: str) -> None:
    path = settled(tmp_path / "a", b"content")
    Fingerprints(tmp_path / "cache.json").digest(path)
    if change == "size":
        settled(path, b"longer content")
    elif change == "time":
        settled(path, b"CONTENT", mtime_ns=LONG_AGO_NS + 1)
    else:
        settled(tmp_path / "b", b"CONTENT").replace(path)
    assert Fingerprints(tmp_path / "cache.json").digest(path) == sha(path.read_bytes())
    assert len(reads) == 2


def test_a_file_modified_a_moment_ago_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    now = path.stat().st_mtime_ns
    cache = Fingerprints(tmp_path / "cache.json")
    assert cache.digest(path) == sha(b"before")
    path.write_bytes(b"later!")
    os.utime(path, ns=(now, now))  # the same size in the same tick of the clock
    assert cache.digest(path) == sha(b"later!")
    assert not (tmp_path / "cache.json").exists()


def test_without_that_rule_the_change_would_go_unseen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    now = path.stat().st_mtime_ns
    trusting = Fingerprints(tmp_path / "cache.json", clock=lambda: time.time() + 60)
    trusting.digest(path)
    path.write_bytes(b"later!")
    os.utime(path, ns=(now, now))
    assert trusting.digest(path) == sha(b"before")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"format_version": 2, "files": {}}', '{"format_version": 1}', '{"format_version": 1, "files": {"/a": [1]}}'],
)
def test_a_damaged_or_foreign_cache_is_replaced_not_trusted(tmp_path: Path, content: str) -> None:
    path = settled(tmp_path / "a", b"content")
    cache = tmp_path / "cache.json"
    cache.write_text(content)
    assert Fingerprints(cache).digest(path) == sha(b"content")
    document = json.loads(cache.read_text())
    assert document["files"] == {str(path): [7, LONG_AGO_NS, path.stat().st_ino, sha(b"content")]}


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    path = settled(tmp_path / "a", b"content")
    cache = tmp_path / "no" / "such" / "folder" / "cache.json"
    assert Fingerprints(cache).digest(path) == sha(b"content")
    assert not cache.parent.exists()


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: No such file") as caught:
        Fingerprints(tmp_path / "cache.json").digest(tmp_path / "gone")
    assert caught.value.code == "unreadable-file"


def test_all_digests_come_by_the_paths_that_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [settled(Path(name), name.encode()) for name in ("a", "b")]
    assert Fingerprints(tmp_path / "cache.json").digest_all(paths) == {path: sha(path.name.encode()) for path in paths}
    assert set(json.loads((tmp_path / "cache.json").read_text())["files"]) == {str(tmp_path / "a"), str(tmp_path / "b")}


def test_a_link_is_as_new_as_the_file_behind_it(tmp_path: Path) -> None:
    target = settled(tmp_path / "target", b"one")
    link = tmp_path / "link"
    link.symlink_to(target)
    cache = tmp_path / "cache.json"
    assert Fingerprints(cache).digest(link) == sha(b"one")
    settled(target, b"other")
    assert Fingerprints(cache).digest(link) == sha(b"other")


def _digest_one_by_one(cache: Path, folder: Path, worker: int) -> None:
    for path in sorted(folder.glob(f"{worker}-*")):
        Fingerprints(cache).digest(path)


def test_writers_side_by_side_keep_one_anothers_entries(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for worker in range(4):
        for number in range(10):
            settled(files / f"{worker}-{number}", f"{worker}-{number}".encode())
    cache = tmp_path / "cache.json"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_digest_one_by_one, args=(cache, files, worker)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    known = json.loads(cache.read_text())["files"]
    assert {path: entry[3] for path, entry in known.items()} == {str(path): sha(path.read_bytes()) for path in files.iterdir()}


def test_a_file_that_grows_while_it_is_read_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(tmp_path / "a", b"content")
    read = fingerprints._sha256

    def growing(stream: object) -> str:
        digest = read(stream)
        with path.open("ab") as file:
            file.write(b" more")
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        return digest

    monkeypatch.setattr(fingerprints, "_sha256", growing)
    Fingerprints(tmp_path / "cache.json").digest(path)
    assert not (tmp_path / "cache.json").exists()
