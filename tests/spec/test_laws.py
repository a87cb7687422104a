"""Laws that hold for any spec: what is in bounds is accepted and reads back; the ways to say something agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specrun.spec.assembly import check_bytes, check_value
from specrun.spec.diagnostics import errors
from specrun.spec.dump import ALL_IMPACTS, digest, dump, select, walk_fields
from specrun.spec.explain import explain_all
from specrun.spec.findings import Findings
from specrun.spec.impact import IMPACTS, Impact
from specrun.spec.loader import load_node
from specrun.spec.nodes import Source, plain
from specrun.spec.resolved import load_resolved
from specrun.spec.schema import build_schema
from specrun.spec.text import split_lines
from specrun.spec.yaml_text import yaml_value
from tests.spec.specs import MINIMAL, check, load
from tests.spec.strategies import SPECS, field_values, leaf_paths

SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])

OF_TYPES = {
    "wrong-type", "out-of-range", "unknown-key", "missing-key", "unknown-value", "unknown-kind", "wrong-length", "not-a-quantity",
    "quantity-without-unit", "unit-not-allowed", "quantity-not-positive", "not-a-size", "size-without-unit", "bad-name",
}  # fmt: skip


def as_yaml(document: dict[str, Any]) -> bytes:
    return "".join(f"{key}: {yaml_value(value)}\n" for key, value in document.items()).encode()


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


@given(SPECS)
@SLOW
def test_what_is_in_bounds_has_no_mistake_of_its_own(document: dict[str, Any]) -> None:
    checked = check_bytes(as_yaml(document), "a.yaml")
    assert not {d.code for d in checked.diagnostics} & OF_TYPES


@given(SPECS)
@SLOW
def test_what_is_accepted_reads_back_from_its_record_and_from_explain(document: dict[str, Any]) -> None:
    checked = check_value(document, "a.yaml")
    if checked.loaded is None:
        assert {d.code for d in errors(checked.diagnostics)} == {"duplicate-item"}
        return
    spec = checked.loaded.spec
    record = json.loads(json.dumps(dump(spec)))
    assert load_resolved(record) == spec
    assert digest(load_resolved(record)) == checked.loaded.digest
    text = explain_all(checked.loaded)
    node = load_node(text, Source("file", "a", split_lines(text)), Findings())
    assert node is not None
    assert json.loads(json.dumps(plain(node))) == record


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(build_schema())


@given(SPECS)
@SLOW
def test_what_is_in_bounds_is_valid_by_the_schema(validator: Any, document: dict[str, Any]) -> None:
    assert [error.message for error in validator.iter_errors(document)] == []


@given(st.data())
@settings(max_examples=150)
def test_setting_a_value_is_writing_it_into_the_file(data: st.DataObject) -> None:
    path, field = data.draw(st.sampled_from(leaf_paths()))
    value = data.draw(field_values(field))
    by_set = check(MINIMAL, sets=[f"{'.'.join(path)}={yaml_value(value)}"])
    document = plain_minimal()
    target = document
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = value
    by_file = check_bytes(as_yaml(document), "a.yaml")
    assert [(d.code, d.path, d.message, d.hint) for d in by_set.diagnostics] == [
        (d.code, d.path, d.message, d.hint) for d in by_file.diagnostics
    ]
    assert (by_set.loaded is None) == (by_file.loaded is None)
    if by_set.loaded is not None and by_file.loaded is not None:
        assert by_set.loaded.spec == by_file.loaded.spec
        assert by_set.loaded.digest == by_file.loaded.digest
        assert by_set.loaded.provenance.describe(".".join(path)) == "--set"


def plain_minimal() -> dict[str, Any]:
    node = load_node(MINIMAL, Source("file", "a", split_lines(MINIMAL)), Findings())
    assert node is not None
    return json.loads(json.dumps(plain(node)))  # type: ignore[no-any-return]


@given(st.data())
@settings(max_examples=150)
def test_a_change_of_a_field_shows_in_its_own_class_and_no_other(data: st.DataObject) -> None:
    path, field = data.draw(st.sampled_from(leaf_paths()))
    value = data.draw(field_values(field))
    changed = check(MINIMAL, sets=[f"{'.'.join(path)}={yaml_value(value)}"]).loaded
    if changed is None:
        return
    before, after = load().spec, changed.spec
    differs = {impact for impact in IMPACTS if dump(before, {impact}) != dump(after, {impact})}
    assert differs <= {field.impact}
    assert bool(differs) == (dump(before) != dump(after)) == (changed.digest != load().digest)


@given(st.frozensets(st.sampled_from(IMPACTS)), st.sampled_from(["", "data", "schedule.evaluate", "model", "hardware", "report"]))
def test_select_is_linear_in_the_classes(impacts: frozenset[Impact], path: str) -> None:
    spec = load().spec

    def leaves(value: Any, at: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
        if isinstance(value, dict):
            return {k: v for name, inner in value.items() for k, v in leaves(inner, (*at, name)).items()}
        return {at: value}

    whole = leaves(select(spec, path, ALL_IMPACTS))
    apart = [leaves(select(spec, path, frozenset({impact}))) for impact in impacts]
    together = leaves(select(spec, path, impacts))
    assert together == {key: value for part in apart for key, value in part.items()}
    assert together.items() <= whole.items()


def test_the_walk_is_the_dump() -> None:
    spec = load(MINIMAL + "schedule: {early_stopping: {}}\n").spec
    document: dict[str, Any] = {}
    for path, _, _ in walk_fields(spec):
        target = document
        for name in path[:-1]:
            target = target.setdefault(name, {})
        target[path[-1]] = select(spec, ".".join(path), ALL_IMPACTS)
    assert document == dump(spec)


@given(st.permutations(range(7)))
def test_the_order_of_sections_means_nothing(order: list[int]) -> None:
    lines = ["version: 1", "name: minimal", "task: {kind: causal_lm}", "data: {source: {kind: synthetic}, split: {kind: ratio}}",
             "model: {kind: gpt}", "seeds: [1]", "schedule: {batch_size: 4}"]  # fmt: skip
    assert load("\n".join(lines[i] for i in order)).digest == load("\n".join(lines)).digest


@given(st.lists(st.sampled_from(["# a comment", "", "   ", "#"]), min_size=1, max_size=4), st.integers(0, 7))
def test_comments_and_empty_lines_mean_nothing_but_move_positions(extra: list[str], where: int) -> None:
    lines = MINIMAL.splitlines()
    text = "\n".join([*lines[:where], *extra, *lines[where:], "nope: 1", ""])
    (found,) = check(text).diagnostics
    assert found.line == len(lines) + len(extra) + 1
    assert load(text.replace("nope: 1\n", "")).digest == load().digest


def test_block_and_flow_style_say_the_same() -> None:
    block = MINIMAL.replace("model: {kind: gpt}", "model:\n  kind: gpt\n  width: 64\n  dropout: 1e-1\n")
    flow = MINIMAL.replace("model: {kind: gpt}", 'model: {"kind": gpt, width: 64, dropout: 0.1}')
    assert load(block).digest == load(flow).digest
