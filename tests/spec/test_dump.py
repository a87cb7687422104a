"""The canonical form of a spec, and what of it counts for which impact class."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import SpecError
from specrun.spec.document import Spec
from specrun.spec.dump import ALL_IMPACTS, digest, dump, select, walk_fields
from specrun.spec.impact import IMPACTS, Impact
from specrun.spec.resolved import further, load_resolved, origins
from specrun.spec.section import Problem, Section
from specrun.spec.shape import fields
from tests.spec.specs import FIXTURES, MINIMAL, check, load, texts

RICH = (FIXTURES / "rich.yaml").read_text(encoding="utf-8")
WEIGHTS: frozenset[Impact] = frozenset({"weights"})


@pytest.mark.parametrize("name", texts())
def test_a_resolved_spec_reads_back_from_its_document(name: str) -> None:
    spec = load(texts()[name]).spec
    document = json.loads(json.dumps(dump(spec)))
    again = load_resolved(document)
    assert again == spec
    assert dump(again) == document
    assert digest(again) == digest(spec)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_survives_a_record(text: str) -> None:
    document = dump(load().spec) | {"description": text}
    assert load_resolved(document).description == text


def test_a_record_that_cannot_be_read_says_why() -> None:
    with pytest.raises(SpecError, match="unknown-key"):
        load_resolved(dump(load().spec) | {"future": 1})


@given(st.frozensets(st.sampled_from(IMPACTS)))
def test_the_classes_divide_a_spec_without_loss_or_overlap(impacts: frozenset[Impact]) -> None:
    spec = load(RICH).spec

    def leaves(document: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
        if isinstance(document, dict):
            return {k: v for name, inner in document.items() for k, v in leaves(inner, (*path, name)).items()}
        return {path: document}

    chosen, rest = leaves(dump(spec, impacts)), leaves(dump(spec, ALL_IMPACTS - impacts))
    assert not chosen.keys() & rest.keys() - {()}
    assert {**chosen, **rest}.keys() >= leaves(dump(spec)).keys()


def test_select_is_the_part_of_the_dump_under_a_path() -> None:
    spec = load(RICH).spec
    assert select(spec, "", WEIGHTS) == dump(spec, WEIGHTS)
    assert select(spec, "data.split", WEIGHTS) == dump(spec, WEIGHTS)["data"]["split"]
    assert select(spec, "data.sequence_length", WEIGHTS) == 64
    assert select(spec, "data.sequence_length", frozenset({"report"})) is None
    assert select(spec, "report", WEIGHTS) == {}
    assert select(spec, "schedule.duration", frozenset({"extend"})) == "40 steps"
    assert select(load().spec, "schedule.early_stopping.metric", WEIGHTS) is None
    with pytest.raises(KeyError):
        select(spec, "data.nope", WEIGHTS)
    with pytest.raises(KeyError):
        select(spec, "name.nope", WEIGHTS)


def test_an_absent_section_counts_by_the_class_of_its_field_a_present_one_by_those_inside() -> None:
    absent = load().spec
    present = load(MINIMAL + "schedule: {early_stopping: {patience: 3 evaluations}}\n").spec
    assert select(absent, "schedule", WEIGHTS)["early_stopping"] is None
    assert set(select(present, "schedule", WEIGHTS)["early_stopping"]) == {"metric", "patience", "min_delta"}
    assert "early_stopping" not in select(absent, "schedule", frozenset({"report"}))
    paths = {path: impact for path, impact, _ in walk_fields(absent)}
    assert paths[("schedule", "early_stopping")] == "weights"
    assert ("schedule", "early_stopping") not in {path for path, _, _ in walk_fields(present)}


def test_every_leaf_is_walked_once_with_its_class() -> None:
    spec = load(RICH).spec
    walked = list(walk_fields(spec))
    assert len({path for path, _, _ in walked}) == len(walked)
    for path, impact, value in walked:
        holder: object = spec
        for name in path[:-1]:
            holder = getattr(holder, name)
        assert isinstance(holder, Section)
        assert fields(type(holder))[path[-1]].impact == impact
        assert getattr(holder, path[-1]) is value or getattr(holder, path[-1]) == value


def test_equal_values_written_differently_have_one_digest() -> None:
    one = load(MINIMAL + "schedule: {duration: 2k steps, gradient_clip: 1}\n")
    two = load("# a comment\n" + MINIMAL + "schedule:\n  gradient_clip: 1.0\n  duration: '2,000 steps'\n")
    assert one.digest == two.digest
    assert one.digest != load().digest


def test_every_value_tells_where_it_came_from() -> None:
    told = origins(load(MINIMAL + "preset: fast\n", sets=["seeds=[1]"]))
    assert told["name"] == "a.yaml:2"
    assert told["seeds"] == "--set"
    assert told["report.formats"] == "preset fast"
    assert told["schedule.batch_size"] == "default"
    assert told.keys() == {".".join(path) for path, _, _ in walk_fields(load(MINIMAL + "preset: fast\n").spec)}


def test_problems_found_later_are_told_at_the_keys_they_are_about() -> None:
    checked = check(MINIMAL + "schedule: {batch_size: 8}\n")
    warning = Problem(("schedule", "batch_size"), "later", "a warning", severity="warning")
    (found,) = further(checked, lambda _: [warning]).diagnostics
    assert (found.line, found.column, found.severity) == (8, 24, "warning")
    refused = further(checked, lambda _: [warning, Problem(("hardware", "profile"), "later", "an error")])
    assert [(d.severity, d.line) for d in refused.diagnostics] == [("error", 1), ("warning", 8)]
    assert refused.loaded is None


def test_a_spec_is_frozen() -> None:
    spec = load().spec
    assert isinstance(spec, Spec)
    with pytest.raises(Exception, match="frozen"):
        spec.name = "other"  # type: ignore[misc]
