"""What run.json and final.json say, as rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import StoreError
from specrun.records.described import describe, flatten
from specrun.records.fields import timestamp_us

LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
SPECS = st.recursive(LEAVES, lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3), max_leaves=6)


def leaves(value: Any) -> int:
    return sum(map(leaves, value.values())) if isinstance(value, dict) else 1


@given(st.dictionaries(st.text("abc", min_size=1, max_size=2), SPECS, max_size=3))
def test_every_leaf_of_a_spec_is_one_row_under_its_own_path(spec: dict[str, Any]) -> None:
    rows = list(flatten(spec))
    assert len(rows) == leaves(spec)
    assert len({path for path, _ in rows}) == len(rows)


def test_texts_are_as_they_are_and_everything_else_is_json() -> None:
    spec = {"name": "x: é", "on": True, "none": None, "rate": 1e-4, "betas": [0.9, 0.999], "model": {"kind": "gpt"}, "empty": {}}
    assert dict(flatten(spec)) == {
        "name": "x: é",
        "on": "true",
        "none": "null",
        "rate": "0.0001",
        "betas": "[0.9,0.999]",
        "model.kind": "gpt",
    }


SAME_TIME = ["03:04:05Z", "03:04:05+00:00", "05:04:05+02:00", "03:04:05", "03:04:05.000Z"]


@pytest.mark.parametrize("text", [f"2026-01-02T{time}" for time in SAME_TIME])
def test_times_are_utc_however_they_are_written(text: str) -> None:
    assert timestamp_us(text) == 1767323045_000_000


def test_no_time_is_none() -> None:
    assert timestamp_us(None) is None
    assert timestamp_us("") is None


def test_a_run_without_documents_is_known_by_its_id(tmp_path: Path) -> None:
    described = describe("r", tmp_path)
    assert described.run["name"] == "r"
    assert (described.params, described.plan, described.lineage, described.trial) == ([], [], [], None)


def test_parents_and_trials_are_kept(tmp_path: Path) -> None:
    document = {"format_version": 1, "parent": "earlier", "trial": {"study": "s", "number": 3}}
    (tmp_path / "run.json").write_text(json.dumps(document), encoding="utf-8")
    described = describe("r", tmp_path)
    assert described.lineage == [("earlier", "parent")]
    assert described.trial == ("s", 3)


def test_a_description_of_a_newer_version_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format_version": 2}', encoding="utf-8")
    with pytest.raises(StoreError, match="store-too-new") as caught:
        describe("r", tmp_path)
    assert "upgrade" in str(caught.value)
