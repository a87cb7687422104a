"""No command's text steers the terminal, whatever a store is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from specrun.cli.main import run as specrun
from tests.cli.test_store_places import READERS, WRITERS
from tests.engine.conftest import TINY, applied_store  # noqa: F401 - fixture

NAME = "s\x1b[31m\x9b2J\u202e\r"
COMMANDS = [*READERS, *WRITERS, ("doctor",), ("store", "doctor", "damaged"), ("runs", "show", "damaged")]


@pytest.fixture
def home(applied_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{NAME}.yaml").write_text(TINY)
    shutil.copytree(applied_store, NAME)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_store_whose_name_steers_a_terminal_is_shown_and_not_obeyed(
    home: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    (run_id,) = (path.parent.name for path in home.glob("*/runs/*/run.json"))
    if command[-1] == "damaged":
        (home / NAME / "runs" / run_id / "final.json").write_text("{")
        command = (*command[:-1], *([run_id] if command[0] == "runs" else []))
    words = [run_id if word == "r" else word for word in command]
    if command in WRITERS:
        words = [words[0], f"{NAME}.yaml", *words[1:]]
    specrun([*words, "--store", NAME])
    captured = capfd.readouterr()
    steering = {character for character in captured.out + captured.err if not character.isprintable() and character != "\n"}
    assert not steering, captured
    assert captured.out + captured.err
