"""What every command says of a --store that is none: the same sentence, the same exit code."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from specrun.cli.main import run as specrun
from tests.engine.conftest import TINY

READERS = (
    ("runs", "list"), ("runs", "list", "--smoke"), ("runs", "show", "r"), ("runs", "best", "validation/loss"), ("runs", "tag", "r"),
    ("runs", "remove", "r"), ("sql", "SELECT 1"), ("report",), ("generate", "r", "--prompt", "x"),
    ("store", "doctor"), ("store", "rebuild"),
)  # fmt: skip
WRITERS = (("plan",), ("apply",), ("apply", "--smoke"))
PLACES = {"file": "store-not-a-folder", "file/deeper": "store-not-a-folder", "other": "not-a-store", "": "bad-store"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").touch()
    (tmp_path / "spec.yaml").write_text(TINY)
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", [*READERS, *WRITERS], ids=" ".join)
def test_a_store_that_is_none_is_one_error_of_every_command(
    home: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], place: str
) -> None:
    before = sorted(home.rglob("*"))
    name, *rest = command
    words = [name, "spec.yaml", *rest] if command in WRITERS else list(command)
    code = specrun([*words, "--store", place])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith(f"{PLACES[place]}: ")
    assert len(captured.err.splitlines()) == 2
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_store_that_is_not_there_is_no_runs_yet_to_a_list_and_an_error_to_a_question(
    home: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    code = specrun([*command, "--store", "absent"])
    captured = capsys.readouterr()
    if command[:2] == ("runs", "list"):
        assert (code, captured.err) == (0, "")
        assert captured.out in ("no runs yet in absent\n", "no smoke runs in absent\n")
    else:
        assert (code, captured.out) == (1, "")
        assert captured.err.startswith("no-store: ")
    assert not (home / "absent").exists()


@pytest.mark.parametrize("place", ["file", "other"])
def test_doctor_names_it_as_a_finding(home: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    assert specrun(["doctor", "--store", place]) == 1
    assert f"{place}" in next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("broken"))


@pytest.mark.parametrize("command", [("apply",), ("apply", "--smoke")], ids=" ".join)
def test_a_store_that_cannot_be_created_is_refused_before_anything_is_said_of_what_would_be_done(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def as_in_proc(self: Path, *_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", as_in_proc)
    assert specrun([command[0], "spec.yaml", *command[1:], "--store", "proc"]) == 1
    first, remedy = capsys.readouterr().err.splitlines()
    assert first.startswith(f"store-not-writable: {home / 'proc'}")
    assert "cannot be created" in first
    assert "--store" in remedy
