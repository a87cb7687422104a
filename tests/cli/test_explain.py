"""`specrun explain`: the command around `spec.explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specrun.cli.main import run

SPEC = "version: 1\nname: a\ntask: {kind: causal_lm}\ndata:\n  source: {kind: synthetic}\n  split: {kind: ratio}\nmodel: {kind: gpt}\n"


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "a.yaml"
    path.write_text(SPEC)
    return str(path)


def test_the_whole_spec_tells_where_each_value_came_from(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", spec, "--preset", "fast", "--set", "schedule.batch_size=8"]) == 0
    out = capsys.readouterr().out
    assert f"# {spec}:2" in out
    assert "batch_size: 8" in out
    assert "# --set" in out
    assert "# preset fast" in out


def test_a_key_tells_what_it_overrode(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", spec, "schedule.batch_size", "--set", "schedule.batch_size=8"]) == 0
    out = capsys.readouterr().out
    assert "from       --set (8)" in out
    assert "overrides  default: 32" in out


def test_an_unknown_key_is_a_usage_error_with_the_nearest(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", spec, "schedule.batchsize"]) == 2
    assert "did you mean schedule.batch_size?" in capsys.readouterr().err


def test_an_invalid_spec_exits_3_with_its_diagnostics(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", spec, "--set", "nope=1"]) == 3
    captured = capsys.readouterr()
    assert "--set:1:1 unknown-key" in captured.err
    assert captured.out == ""


def test_json_is_one_document(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["--set", "schedule.duration=2 steps", "--set", "schedule.evaluate.every=3 steps"]
    assert run(["explain", spec, "schedule.evaluate", "--json", *sets]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["format_version"] == 1
    assert set(document["values"]) == {f"schedule.evaluate.{name}" for name in ("every", "max_batches", "samples")}
    assert "cadence-exceeds-duration" in captured.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "the path of the spec is empty\n  name a YAML file, or - for standard input"),
        ("folder", "folder is a folder, not a spec\n  name a file in it, such as folder/a.yaml"),
        ("empty", "empty is a folder, not a spec\n  `specrun init` writes a spec to start from"),
    ],
)
def test_what_is_no_file_is_said_to_be_none(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / "a.yaml").touch()
    for command in ("explain", "plan", "apply"):
        assert run([command, name]) == 2
        assert capsys.readouterr().err == f"unreadable-spec: {said}\n"


@pytest.mark.parametrize("command", ["validate", "explain", "plan", "apply"])
def test_a_spec_without_any_section_is_invalid_to_every_command(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("version: 1\nname: bare\n")
    assert run([command, str(path), "--json"]) == 3
    assert {d["code"] for d in json.loads(capsys.readouterr().out)["diagnostics"]} == {"missing-key"}
