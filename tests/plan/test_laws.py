"""The laws of keys: what a field's impact class says is what its change does to the plan, for every field of the language."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from specrun.plan.step import WEIGHTS, Step
from specrun.runtime.hardware import resolve
from specrun.spec.document import Spec
from specrun.spec.dump import select, walk_fields
from specrun.spec.section import Part, Section
from specrun.spec.sections.data import Columns
from specrun.spec.units import ByteSize, Quantity
from specrun.steps.registry import step_kinds

from .conftest import DOCUMENT, MACHINE, plan_of, spec_of

AFTER = {
    "data": {"data", "tokenizer", "tokens", "train", "evaluate", "report"},
    "tokenizer": {"tokenizer", "tokens", "train", "evaluate", "report"},
    "train": {"train", "evaluate", "report"},
    "evaluate": {"evaluate", "report"},
    "report": {"report"},
}
"""A step and all that reads it, directly or not."""


def first_reader(path: tuple[str, ...], impact: str) -> str | None:
    """The first step that a change of the field may touch, by its impact class and its section. None: no step at all."""
    if impact in ("runtime", "meta"):
        return None
    if impact in ("report", "eval"):
        return {"report": "report", "eval": "evaluate"}[impact]
    if path[0] == "data" and path[1] in {"source", "fallback", "columns", "split", "limit", "sample", "deduplicate", "checks"}:
        return "data"
    return "tokenizer" if path[:2] == ("data", "tokenizer") else "train"


def another(value: Any, annotation: Any) -> Any:
    """Another value of the same type. Cross-field rules do not matter here: keys are computed for any values."""
    choices = [choice for choice in get_args(annotation) if isinstance(choice, str)]
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str() if choices and set(choices) - {value}:
            return sorted(set(choices) - {value})[0]
        case str():
            return value + "x"
        case Quantity():
            return Quantity(value.amount + 1, value.unit)
        case ByteSize():
            return ByteSize(value.bytes + 1)
        case tuple():
            return (*value, *value) if value else ("x",)
        case dict():
            return {**value, "x": 1}
        case None if ByteSize in get_args(annotation):
            return ByteSize(1)
        case None if sections := [inner for inner in get_args(annotation) if isinstance(inner, type) and issubclass(inner, Section)]:
            return sections[0]()
        case None:
            return 7
    raise AssertionError(f"no other value for {value!r}")


def replaced(section: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy of a section with one field changed."""
    name, *rest = path
    inner = replaced(getattr(section, name), tuple(rest), value) if rest else value
    return section.model_copy(update={name: inner})


def annotation_at(spec: Spec, path: tuple[str, ...]) -> Any:
    section: Any = spec
    for name in path[:-1]:
        section = getattr(section, name)
    return type(section).model_fields[path[-1]].annotation


def changed_kinds(before: tuple[Step, ...], after: tuple[Step, ...]) -> set[str]:
    old = {step.id: step.key for step in before}
    return {step.kind for step in after if old.get(step.id) != step.key}


NOT_CHANGED = {("seeds",), ("version",)}
"""Seeds add steps (tests of their own); there is one version."""
IDLE = {("data", "split", "seed"), ("data", "group_by_length")} | {("data", "columns", role) for role in Columns.model_fields}
"""Without effect, given the rest of the document."""
NOT_YET = {("search",), ("export",), ("tracking",), ("hardware", "devices")}
"""Keys that accept no value so far."""

FIELDS = [
    (path, impact)
    for path, impact, value in walk_fields(spec_of(DOCUMENT))
    if not (path[-1] == "kind" or path in NOT_CHANGED or path in NOT_YET)
]


@pytest.mark.parametrize(("path", "impact"), FIELDS, ids=[".".join(path) for path, _ in FIELDS])
def test_a_change_of_a_field_touches_what_its_impact_class_says(spec, path, impact):
    value: Any = spec
    for name in path:
        value = getattr(value, name)
    changed = replaced(spec, path, another(value, annotation_at(spec, path)))
    touched = changed_kinds(plan_of(spec).steps, plan_of(changed).steps)
    first = first_reader(path, impact)
    if path[0] == "hardware" and impact == "weights":
        # Hardware enters a key after it has been resolved: asking for what `auto` gives anyway changes nothing.
        same = resolve(spec.hardware, MACHINE).identity == resolve(changed.hardware, MACHINE).identity
        assert touched == (set() if same else AFTER["train"])
    elif path == ("schedule", "micro_batch_size"):
        assert touched == set(), "this model has no dropout"
    elif path in IDLE:
        assert touched == set(), "what makes it count is in test_counted"
    else:
        assert touched == (AFTER[first] if first else set())


@pytest.mark.parametrize(("dropout", "touched"), [(0.0, set()), (0.1, AFTER["train"])])
def test_the_micro_batch_size_counts_as_what_it_comes_to_and_where_masks_are_drawn(dropout, touched):
    def plan(**schedule):
        model, other = {**DOCUMENT["model"], "dropout": dropout}, {**DOCUMENT["schedule"], **schedule}
        return plan_of(spec_of({**DOCUMENT, "model": model, "schedule": other})).steps

    whole = plan()
    assert changed_kinds(whole, plan(micro_batch_size=4)) == set()
    assert changed_kinds(whole, plan(micro_batch_size=2)) == touched


@pytest.mark.parametrize("written", [{}, {"learning_rate_factor": 0.3}])
def test_how_often_a_training_may_go_back_can_change_while_it_trains(written):
    """What the learning rate is lowered by has no effect until it may twice, and counts before."""

    def keys(max_rollbacks):
        recovery = {**written, "max_rollbacks": max_rollbacks}
        return [step.key for step in plan_of(spec_of({**DOCUMENT, "schedule": {**DOCUMENT["schedule"], "recovery": recovery}})).steps]

    assert keys(0) == keys(1) == keys(2) == keys(3)


def test_of_what_a_read_resolves_only_what_does_not_matter_is_left_out(spec):
    unclipped = replaced(spec, ("schedule", "gradient_clip"), None)
    train = next(step for step in plan_of(unclipped).steps if step.kind == "train")
    assert select(unclipped, "schedule", WEIGHTS).keys() - train.options["schedule"].keys() == {"micro_batch_size"}
    assert train.options["schedule"]["gradient_clip"] is None


def test_what_was_made_before_there_was_an_option_keeps_its_key(spec):
    train = next(step for step in plan_of(spec).steps if step.kind == "train")
    assert {"data.packing", "data.group_by_length"}.isdisjoint(train.options)
    assert "workers" not in train.options["schedule"]


@pytest.mark.parametrize(("packing", "dropout", "same"), [("stream", 0.1, True), ("documents", 0.0, True), ("documents", 0.1, False)])
def test_masks_on_documents_follow_the_number_of_devices(packing, dropout, same):
    def plan(devices):
        return plan_of(spec_of({
            **DOCUMENT, "model": {**DOCUMENT["model"], "dropout": dropout}, "data": {**DOCUMENT["data"], "packing": packing},
            "schedule": {**DOCUMENT["schedule"], "micro_batch_size": 1}, "hardware": {"engine": "torchrun", "devices": devices},
        })).steps  # fmt: skip

    assert (changed_kinds(plan(1), plan(2)) == set()) == same


def test_a_model_that_does_not_say_whether_it_draws_is_taken_to(spec, monkeypatch):
    monkeypatch.delattr(type(spec.model), "draws_in_training")
    whole, halved = spec, replaced(spec, ("schedule", "micro_batch_size"), 2)
    assert changed_kinds(plan_of(whole).steps, plan_of(halved).steps) == AFTER["train"]


def test_every_impact_class_in_use_is_covered_by_the_laws():
    assert {impact for _, impact in FIELDS} == {"weights", "extend", "eval", "report", "runtime", "meta"}
    assert len(FIELDS) > 60


@pytest.mark.parametrize(
    "section", ["task", "data.source", "data.split", "data.tokenizer", "model", "schedule.optimizer", "schedule.learning_rate"]
)
def test_another_kind_of_part_is_another_key_where_the_part_is_read(spec, section):
    part: Any = spec
    for name in section.split("."):
        part = getattr(part, name)
    assert isinstance(part, Part)
    changed = replaced(spec, (*section.split("."), "kind"), "another")
    first = first_reader((*section.split("."), "kind"), "weights")
    assert changed_kinds(plan_of(spec).steps, plan_of(changed).steps) == AFTER[first]


def test_renaming_a_run_keeps_every_key(spec):
    renamed = replaced(spec, ("name",), "other")
    assert [step.key for step in plan_of(spec).steps] == [step.key for step in plan_of(renamed).steps]


def test_a_seed_more_adds_steps_and_changes_none(spec):
    more = replaced(spec, ("seeds",), (0, 1, 2))
    before = {step.id: step.key for step in plan_of(spec).steps}
    after = {step.id: step.key for step in plan_of(more).steps}
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"train[seed=2]", "evaluate[seed=2]", "report[seed=2]"}


def test_seeds_share_data_and_have_trainings_of_their_own(spec):
    plan = plan_of(spec)
    assert [step.id for step in plan.steps if step.seed is None] == ["data", "tokenizer", "tokens"]
    trainings = [step for step in plan.steps if step.kind == "train"]
    assert len({step.key for step in trainings}) == len(trainings) == 2


def test_one_seed_has_plain_ids_and_the_same_keys_as_among_several(spec):
    alone = plan_of(replaced(spec, ("seeds",), (1,)))
    assert [step.id for step in alone.steps] == ["data", "tokenizer", "tokens", "train", "evaluate", "report"]
    assert alone.step("train").key == plan_of(spec).step("train[seed=1]").key


def test_the_content_of_local_inputs_decides_and_their_place_does_not(spec):
    class WithInputs(type(spec.data.source)):
        def local_inputs(self, *, base, data_root):
            return ()

    source = WithInputs(**dict(spec.data.source))
    reading = replaced(spec, ("data", "source"), source)
    one = plan_of(reading, digests={"/a": "1"})
    moved = plan_of(reading, digests={"/b": "1"})
    edited = plan_of(reading, digests={"/a": "2"})
    assert [s.key for s in one.steps] == [s.key for s in moved.steps]
    assert changed_kinds(one.steps, edited.steps) == AFTER["data"]


def test_what_a_result_could_not_foresee_changes_its_children_and_not_itself(spec):
    plain = plan_of(spec)
    varied = plan_of(spec, variants={plain.step("data").key: "fallback"})
    assert changed_kinds(plain.steps, varied.steps) == AFTER["tokenizer"]


def test_a_bumped_version_of_a_kind_changes_it_and_what_follows(spec, monkeypatch):
    import dataclasses

    before = plan_of(spec)
    kinds = tuple(dataclasses.replace(k, version=k.version + (k.kind == "train")) for k in step_kinds())
    monkeypatch.setattr("tests.plan.conftest.step_kinds", lambda: kinds)
    assert changed_kinds(before.steps, plan_of(spec).steps) == AFTER["train"]


def test_parents_come_before_children(spec):
    plan = plan_of(spec)
    seen: set[str] = set()
    for step in plan.steps:
        assert set(step.needs) <= seen
        seen.add(step.id)
    assert plan.children(plan.step("tokenizer"))[0].id == "tokens"
    assert plan.parents(plan.step("tokens")) == (plan.step("data"), plan.step("tokenizer"))
    with pytest.raises(KeyError):
        plan.step("nothing")
