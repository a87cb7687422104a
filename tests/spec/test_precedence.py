"""The one override rule and the order of findings, for random fields and mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.spec.assembly import Layer, check_bytes, load_spec
from specrun.spec.presets import PRESETS
from specrun.spec.render import summary
from specrun.spec.renderers.github import render_github
from specrun.spec.renderers.json import document
from specrun.spec.yaml_text import yaml_value
from tests.spec.broken import BROKEN
from tests.spec.specs import MINIMAL, check, load
from tests.spec.test_laws import nested

LEVELS = ("default", "preset", "extends", "file", "set", "layer")
VALUES: dict[str, Any] = {
    "schedule.evaluate.every": {"extends": "6%", "file": "7%", "set": "8%", "layer": "9%"},
    "schedule.checkpoint.keep_last": {"extends": 6, "file": 7, "set": 8, "layer": 9},
    "schedule.gradient_clip": {"extends": 0.6, "file": 0.7, "set": 0.8, "layer": 0.9},
    "schedule.checkpoint.keep_best": {"extends": 6, "file": 7, "set": 8, "layer": 9},
}


@given(st.sampled_from(sorted(VALUES)), st.frozensets(st.sampled_from(LEVELS[1:])))
@settings(max_examples=60)
def test_the_highest_level_that_says_something_wins(tmp_path_factory: pytest.TempPathFactory, path: str, said: frozenset[str]) -> None:
    folder, values = tmp_path_factory.mktemp("specs"), VALUES[path]

    def written(level: str) -> str:
        return "".join(f"{key}: {yaml_value(value)}\n" for key, value in nested(tuple(path.split(".")), values[level]).items())

    text = MINIMAL + ("preset: quality\n" if "preset" in said else "") + (written("file") if "file" in said else "")
    if "extends" in said:
        (folder / "base.yaml").write_text(written("extends"))
        text += "extends: base.yaml\n"
    sets = [f"{path}={values['set']}"] if "set" in said else []
    layers = [Layer("added", {path: values["layer"]})] if "layer" in said else []
    (folder / "a.yaml").write_text(text)
    loaded = load_spec(folder / "a.yaml", sets=sets, layers=layers)
    value: Any = loaded.spec
    for name in path.split("."):
        value = getattr(value, name)
    highest = max(said, key=LEVELS.index, default="default")
    expected = {**values, "preset": PRESETS["quality"][path]}.get(highest)
    origin = loaded.provenance.origin(path)
    assert origin.kind == highest
    assert highest == "default" or str(value) == str(expected)
    overridden = [below.kind for below in origin.overrides]
    assert overridden == [level for level in reversed(LEVELS) if level in said - {highest}]


@given(st.lists(st.sampled_from(sorted(BROKEN)), max_size=3), st.randoms())
@settings(max_examples=40)
def test_validation_is_deterministic_and_its_forms_agree_on_the_counts(names: list[str], random: Any) -> None:
    small = [name for name in names if len(BROKEN[name]) < 10_000]
    first = [d for name in small for d in check_bytes(BROKEN[name].encode(), f"{name}.yaml").diagnostics]
    again = list(small)
    random.shuffle(again)
    second = [d for name in again for d in check_bytes(BROKEN[name].encode(), f"{name}.yaml").diagnostics]
    assert sorted(map(str, first)) == sorted(map(str, second))
    counted = document(first)
    assert render_github(first).count("::error ") == counted["error_count"]
    assert render_github(first).count("::warning ") == counted["warning_count"]
    assert summary(first, small or ["a"]).startswith(f"{counted['error_count']} error") == (counted["error_count"] > 0)


def test_sets_of_different_keys_may_come_in_any_order() -> None:
    sets = ["schedule.batch_size=4", "seeds=[3]", "model.width=64", "data.split.validation=0.2"]
    assert load(MINIMAL, sets=sets).digest == load(MINIMAL, sets=sets[::-1]).digest
    assert check(MINIMAL, sets=[*sets, "seeds=x"]).loaded is None
