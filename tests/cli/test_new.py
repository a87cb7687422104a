"""`specrun new`, and the option that allows code, as a person meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from specrun.cli.main import run
from specrun.spec.assembly import check_spec


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("part", ["model", "task"])
def test_what_is_written_is_valid_and_named_after_the_module(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", part, "my_part", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files == ["my_part.py", "my_part.yaml", "test_my_part.py"]
    text = "".join(Path(file).read_text() for file in files)
    assert "NAME" not in text
    assert "CLASS" not in text
    assert yaml.safe_load(Path("my_part.yaml").read_text())[part]["kind"] == "my_part:MyPart"
    assert [it.code for it in check_spec("my_part.yaml").diagnostics] == ["own-code-not-checked"]


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [("My-Net", "bad-module-name", "use my_net"), ("class", "bad-module-name", "use my_class"), ("json", "module-name-taken", "my_json"),
     ("yaml", "module-name-taken", "my_yaml"), ("../net", "bad-module-name", "use net")],
)  # fmt: skip
def test_a_name_that_python_would_read_otherwise_is_refused(name: str, code: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "model", name]) == 2
    told = capsys.readouterr().err
    assert code in told
    assert hint in told
    assert not list(Path().iterdir())


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_net.yaml").write_text("kept")
    assert run(["new", "model", "my_net"]) == 2
    assert "file-exists" in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in Path().iterdir()] == [("my_net.yaml", "kept")]


@pytest.mark.parametrize("command", ["plan", "apply", "data", "lr-find"])
def test_code_that_is_not_allowed_ends_a_command_with_exit_3(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["new", "model", "my_net"])
    assert run([command, "my_net.yaml"]) == 3
    assert "--allow-code my_net" in capsys.readouterr().err


def test_what_is_no_name_of_a_module_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(["new", "model", "my_net"])
    assert run(["plan", "my_net.yaml", "--allow-code", "my_net:MyNet"]) == 2
    assert "not-a-module-name" in capsys.readouterr().err


def test_validate_imports_nothing_whatever_the_environment_allows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["new", "model", "my_net"])
    Path("my_net.py").write_text("from pathlib import Path\nPath('imported').write_text('')\n")
    monkeypatch.setenv("SPECRUN_ALLOW_CODE", "my_net")
    assert run(["validate", "my_net.yaml"]) == 0
    assert not Path("imported").exists()
