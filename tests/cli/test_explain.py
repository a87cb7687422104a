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
