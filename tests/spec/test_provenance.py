"""Where values come from, what they overrode, and where their relative paths start."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from specrun.spec.assembly import Layer, load_spec
from tests.spec.specs import MINIMAL, load


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.yaml").write_text(MINIMAL + "preset: quality\nschedule: {evaluate: {every: 5 steps}}\n")
    (tmp_path / "a.yaml").write_text("extends: base/base.yaml\nschedule:\n  evaluate:\n    every: 6 steps\n")
    return tmp_path / "a.yaml"


def test_a_value_knows_everything_it_overrode(chain: Path) -> None:
    loaded = load_spec(chain, sets=["schedule.evaluate.every=7 steps"], layers=[Layer("smoke", {"schedule.evaluate.every": "8 steps"})])
    origin = loaded.provenance.origin("schedule.evaluate.every")
    told = [(o.kind, o.text) for o in (origin, *origin.overrides)]
    assert told == [("layer", "8 steps"), ("set", "7 steps"), ("file", "6 steps"), ("extends", "5 steps"), ("preset", "5%")]
    assert str(origin) == "smoke"
    assert [str(o) for o in origin.overrides] == ["--set", f"{chain}:4", f"{chain.parent}/base/base.yaml:9", "preset quality"]


def test_positions_are_those_of_the_text(chain: Path) -> None:
    origin = load_spec(chain).provenance.origin("schedule.evaluate.every")
    assert (origin.file, origin.line, origin.column) == (str(chain), 4, 12)


def test_a_preset_points_at_where_it_was_chosen(chain: Path) -> None:
    origin = load_spec(chain).provenance.origin("schedule.checkpoint.keep_last")
    assert (origin.kind, Path(origin.file).name, origin.line) == ("preset", "base.yaml", 8)


def test_what_nobody_wrote_is_a_default() -> None:
    provenance = load().provenance
    assert provenance.describe("schedule.batch_size") == "default"
    assert provenance.describe("no.such.key") == "default"


def test_a_mapping_is_where_its_key_stands(chain: Path) -> None:
    assert load_spec(chain).provenance.describe("schedule.evaluate") == f"{chain}:3"


def test_relative_paths_start_at_the_file_that_wrote_them(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_spec(chain, sets=["data.source.seed=3"])
    assert loaded.provenance.base_folder("data.source.kind") == chain.parent / "base"
    assert loaded.provenance.base_folder("schedule.evaluate.every") == chain.parent
    assert loaded.provenance.base_folder("data.source.seed") == Path()
    assert loaded.provenance.base_folder("hardware.memory") == Path()


def test_standard_input_starts_at_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(MINIMAL.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    loaded = load_spec("-")
    assert loaded.file == "<stdin>"
    assert loaded.provenance.base_folder("name") == Path()
    assert loaded.provenance.describe("name") == "<stdin>:2"


def test_an_aliased_value_is_where_it_was_written() -> None:
    loaded = load(MINIMAL.replace("{kind: synthetic}", "&s {kind: synthetic}\n  fallback: {<<: *s, seed: 4}"))
    assert loaded.provenance.describe("data.fallback.kind") == "a.yaml:5"
    assert loaded.provenance.describe("data.fallback.seed") == "a.yaml:6"
