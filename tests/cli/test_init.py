"""`specrun init` writes a spec that is valid as it stands, and overwrites nothing."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from specrun.cli.main import run
from specrun.spec.assembly import load_spec
from specrun.spec.parts import kinds


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_init_writes_is_valid_and_needs_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 0
    assert "specrun plan specrun.yaml" in capsys.readouterr().out
    loaded = load_spec("specrun.yaml")
    assert loaded.warnings == ()
    assert (loaded.spec.name, loaded.spec.data.source.kind) == ("my-experiment", "python_docs")
    assert run(["validate", "specrun.yaml"]) == 0


@pytest.mark.parametrize("task", kinds("task"))
def test_every_task_has_a_spec_to_start_from_that_is_valid_and_needs_no_network(task: str) -> None:
    assert run(["init", "--task", task]) == 0
    loaded = load_spec("specrun.yaml")
    assert loaded.warnings == ()
    assert loaded.spec.task.kind == task
    assert loaded.spec.data.source.kind == "python_docs" or loaded.spec.data.source.kind.startswith("synthetic")


@pytest.mark.parametrize(
    ("path", "name"),
    [("first.yaml", "first"), ("deep/er/My Model.yml", "My-Model"), ("ünïcode.yaml", "n-code"), ("---.yaml", "my-experiment")],
)
def test_the_experiment_is_named_after_its_file(path: str, name: str) -> None:
    assert run(["init", "--", path]) == 0
    assert load_spec(path).spec.name == name
    assert f"specrun apply {shlex.quote(path)}" in Path(path).read_text(encoding="utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40))
@settings(max_examples=30)
@example("2024")
@example("true")
@example("null")
@example("1e3")
@example("0x1F")
@example("a specrun")
@example("it's specrun.yaml")
@example("hf_" + "a" * 34)
@example("x" * 79 + "-y")
def test_whatever_init_writes_validate_accepts(stem: str) -> None:
    target = Path(f"{stem[:40] if len(stem.encode()) > 250 else stem}.yaml")
    try:
        written = run(["init", "--json", "--", str(target)])
        if written == 0:
            loaded = load_spec(target)
            assert loaded.warnings == ()
            assert isinstance(loaded.spec.name, str)
        else:
            assert not str(target).isprintable() or target.suffix != ".yaml" or target.name == "..yaml"
    finally:
        target.unlink(missing_ok=True)


def test_a_folder_gets_the_default_file() -> None:
    Path("folder").mkdir()
    assert run(["init", "folder"]) == 0
    assert load_spec("folder/specrun.yaml").spec.name == "my-experiment"


def test_init_overwrites_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("specrun.yaml").write_text("mine")
    assert run(["init"]) == 2
    assert "file-exists" in capsys.readouterr().err
    assert Path("specrun.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["init", "a.txt"], 2, "use a.txt.yaml"),
        (["init", "two\nlines.yaml"], 2, "bad-file-name"),
        (["init", "caf\udce9.yaml"], 2, "bad-file-name"),
        (["init", "--task", "causal"], 2, "causal_lm"),
        (["init", "--task", "xyzzy"], 2, "use causal_lm"),
    ],
)
def test_what_cannot_be_written_is_said(arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == code
    assert words in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert run(["init", "file/a.yaml"]) in (1, 2)
    assert "file" in capsys.readouterr().err


def test_json_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "x.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"format_version": 1, "path": "x.yaml", "task": "causal_lm"}


def test_the_commands_to_go_on_with_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "my first.yaml"]) == 0
    assert "specrun apply 'my first.yaml'\n" in capsys.readouterr().out
    assert "specrun apply 'my first.yaml'" in Path("my first.yaml").read_text()
