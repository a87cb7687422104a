"""What `explain` tells: every value with its origin, one key in full, the nearest key for one that does not exist."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import UsageError
from specrun.spec.dump import dump, walk_fields
from specrun.spec.explain import MEANINGS, document, explain_all, explain_key, yaml_values
from specrun.spec.findings import Findings
from specrun.spec.impact import IMPACTS
from specrun.spec.loader import load_node
from specrun.spec.nodes import Source, plain
from specrun.spec.yaml_text import yaml_value
from tests.spec.specs import FIXTURES, MINIMAL, load

TEXT = MINIMAL + "preset: balanced\nschedule:\n  batch_size: 16\n  optimizer: {kind: adamw, learning_rate: 5e-4}\n"
SETS = ["schedule.optimizer.learning_rate=1e-3"]


def read(text: str) -> object:
    node = load_node(text, Source("file", "a.yaml", tuple(text.split("\n"))), Findings())
    assert node is not None
    return plain(node)


def lists(value: object) -> object:
    """Tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {key: lists(item) for key, item in value.items()}
    return [lists(item) for item in value] if isinstance(value, tuple | list) else value


def test_the_whole_spec_is_the_golden_text(golden_explain: Callable[[str, str], None]) -> None:
    golden_explain("explain-all.txt", explain_all(load(TEXT, sets=SETS)) + "\n")


def test_the_whole_spec_reads_back_as_its_values() -> None:
    for text in (TEXT, (FIXTURES / "rich.yaml").read_text(encoding="utf-8")):
        loaded = load(text)
        assert lists(read(explain_all(loaded))) == dump(loaded.spec)


@pytest.mark.parametrize(
    "key",
    ["schedule.optimizer.learning_rate", "schedule.evaluate", "schedule.evaluate.every", "data.tokenizer", "schedule.early_stopping",
     "schedule.early_stopping.patience", "schedule", "search", "seeds", "name"],
)  # fmt: skip
def test_a_key_is_the_golden_text(key: str, golden_explain: Callable[[str, str], None]) -> None:
    golden_explain(f"explain-{key}.txt", explain_key(load(TEXT, sets=SETS), key) + "\n")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("schedule.optimiser", "did you mean schedule.optimizer?"),
        ("modle", "did you mean model?"),
        ("data.tokenizer.vocab", "did you mean data.tokenizer.vocab_size?"),
        ("name.first", "ask for name"),
        ("report.xyzzy", "its keys are formats and title"),
        ("", "its keys are version"),
    ],
)
def test_a_key_that_does_not_exist_names_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        explain_key(load(TEXT), key)
    assert caught.value.code == "unknown-key"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_every_key_of_a_spec_can_be_explained() -> None:
    loaded = load((FIXTURES / "rich.yaml").read_text(encoding="utf-8"))
    for path, impact, _ in walk_fields(loaded.spec):
        text = explain_key(loaded, ".".join(path))
        assert f"impact     {impact}: " in text
        assert loaded.provenance.describe(".".join(path)) in text


def test_the_document_has_every_value_with_its_chain() -> None:
    values = document(load(TEXT, sets=SETS))["values"]
    assert json.loads(json.dumps(values)) == values
    rate = values["schedule.optimizer.learning_rate"]
    assert (rate["value"], rate["impact"], rate["origin"]["kind"]) == (1e-3, "weights", "set")
    assert [o["kind"] for o in rate["overrides"]] == ["file", "default"]
    assert rate["overrides"][0]["line"] == 11
    assert values.keys() == {".".join(path) for path, _, _ in walk_fields(load(TEXT).spec)}


def test_the_document_of_a_key_is_that_part_of_the_whole() -> None:
    loaded = load(TEXT, sets=SETS)
    whole = document(loaded)["values"]
    part = document(loaded, "schedule.optimizer")["values"]
    assert part == {key: value for key, value in whole.items() if key.startswith("schedule.optimizer.")}


def test_every_impact_class_has_a_meaning() -> None:
    assert set(MEANINGS) == set(IMPACTS)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="ab :#-\"'é", max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(values)
def test_a_value_reads_back_as_it_is_written(value: object) -> None:
    assert lists(read(f"a: {yaml_value(value)}  # comment")) == {"a": value}


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("seeds.0", "seeds.0: 3\n"),
        ("expect.1", "expect.1: validation/loss < 9\n"),
        ("expect.1", "\n  item of    a list of at most 1000 values, each text\n"),
        ("expect.0", "\n  from       --set"),
    ],
)
def test_an_item_of_a_list_can_be_asked_for_as_it_can_be_set(key: str, shown: str) -> None:
    sets = ["seeds.0=3", 'expect=["validation/loss < 8","validation/loss < 9"]']
    assert shown in explain_key(load(TEXT, sets=sets), key)
    assert list(document(load(TEXT, sets=sets), key)["values"]) == [key]


@pytest.mark.parametrize(
    ("key", "hint"), [("seeds.1", "ask for seeds, or seeds.0 to seeds.0"), ("tags.0", "ask for tags"), ("seeds.0.0", "ask for seeds.0")]
)
def test_an_item_that_is_not_there_names_those_that_are(key: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        explain_key(load(TEXT), key)
    assert caught.value.hint == hint


def test_an_absent_section_shows_what_would_apply() -> None:
    assert "  patience: 5 evaluations" in explain_key(load(TEXT), "schedule.early_stopping")


@pytest.mark.parametrize(
    ("sets", "key", "comes_to"),
    [
        (["model.width=64"], "model.mlp_width", 256),
        (["model.width=64", "model.architecture=llama"], "model.mlp_width", 192),
        (["model.mlp_width=100"], "model.mlp_width", None),
        (["data.sequence_length=48"], "model.max_positions", 48),
        ([], "model.vocab_size", "the size of the tokenizer's vocabulary"),
        ([], "model.width", None),
        ([], "name", None),
    ],
)
def test_a_value_left_out_tells_what_it_comes_to(sets: list[str], key: str, comes_to: int | str | None) -> None:
    loaded = load(TEXT, sets=sets)
    assert document(loaded, key)["values"][key]["comes_to"] == comes_to
    assert (f"\n  comes to   {comes_to}\n" in explain_key(loaded, key)) == (comes_to is not None)
    lines = [line.strip() for line in explain_all(loaded).splitlines()]
    told = any(line.startswith(f"{key.split('.')[-1]}: null") and line.endswith(f"; comes to {comes_to}") for line in lines)
    assert told == (comes_to is not None)


def test_every_field_said_to_come_to_something_is_one_that_was_left_out_or_left_to_be_found() -> None:
    loaded = load(TEXT)
    for path, _, value in walk_fields(loaded.spec):
        if document(loaded, ".".join(path))["values"][".".join(path)]["comes_to"] is not None:
            assert value in (None, "auto")


def test_a_notebook_shows_a_spec_as_explain_does_and_runs_nothing_that_is_written_in_it() -> None:
    loaded = load(f"{TEXT}\ndescription: <script>alert(1)</script>\n")
    for shown in (loaded._repr_html_(), loaded.spec._repr_html_()):
        assert shown.startswith("<pre>version: 1")
        assert "&lt;script&gt;" in shown
        assert "<script" not in shown
    assert html.unescape(loaded._repr_html_()) == f"<pre>{explain_all(loaded)}</pre>"
    assert lists(read(yaml_values(loaded.spec))) == dump(loaded.spec)
