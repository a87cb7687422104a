"""Unknown and missing keys: what was meant, where a key belongs, and one diagnostic a mistake."""

from __future__ import annotations

import pytest

from specrun.spec.document import Spec
from specrun.spec.missing import missing_hint
from specrun.spec.shape import classes_under, fields
from tests.spec.specs import MINIMAL, check, codes, only

SECTIONS = {
    "the spec": (MINIMAL + "{key}: 1\n", fields(Spec)),
    "data": (MINIMAL.replace("data:\n", "data:\n  {key}: 1\n"), fields(classes_under(fields(Spec)["data"])[0])),
    "hardware": (MINIMAL + "hardware:\n  {key}: 1\n", fields(classes_under(fields(Spec)["hardware"])[0])),
    "schedule": (MINIMAL + "schedule:\n  {key}: 1\n", fields(classes_under(fields(Spec)["schedule"])[0])),
    "report": (MINIMAL + "report:\n  {key}: 1\n", fields(classes_under(fields(Spec)["report"])[0])),
}


@pytest.mark.parametrize("holder", SECTIONS)
def test_a_key_nobody_has_lists_the_keys_there_are(holder: str) -> None:
    text, known = SECTIONS[holder]
    found = only(text.replace("{key}", "xyzzyxyzzy"))
    assert found.message == f'{holder} has no key "xyzzyxyzzy"'
    assert found.hint is not None
    assert found.hint.startswith("its keys are ")
    assert all(name in found.hint for name in known)


@pytest.mark.parametrize("holder", SECTIONS)
def test_every_key_with_a_slip_finds_itself(holder: str) -> None:
    text, known = SECTIONS[holder]
    for name in known:
        if len(name) < 5:
            continue
        wrong = name[:2] + name[3:]
        if any(f"  {name}:" in line or line.startswith(f"{name}:") for line in text.splitlines()) or wrong in known:
            continue
        found = [d for d in check(text.replace("{key}", wrong)).diagnostics if d.code == "unknown-key"]
        assert [d.hint for d in found] == [f'did you mean "{name}"?']


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("num_kv_heads", "model of kind gpt"),
        ("duration", "schedule"),
        ("betas", "schedule.optimizer of kind adamw, lion or muon"),
        ("sequence_length", "data"),
        ("precision", "hardware"),
        ("formats", "report"),
        ("patience", "schedule.early_stopping or schedule.learning_rate of kind reduce_on_plateau"),
        ("decay_shape", "schedule.learning_rate of kind wsd"),
    ],
)
def test_a_key_of_another_section_is_sent_there(key: str, where: str) -> None:
    assert only(MINIMAL + f"{key}: 1\n").hint == f'"{key}" belongs to {where}'


def test_a_key_that_many_sections_have_is_sent_to_at_most_three() -> None:
    hint = only(MINIMAL + "metric: validation/loss\n").hint
    assert hint == '"metric" belongs to schedule.checkpoint, schedule.early_stopping or schedule.learning_rate of kind reduce_on_plateau'
    hint = only(MINIMAL + "kind: gpt\n").hint
    assert hint is not None
    assert hint.startswith("its keys are")


def test_a_key_of_another_kind_of_the_same_part_says_which() -> None:
    found = only(MINIMAL + "schedule: {learning_rate: {kind: constant, decay: 10%}}\n")
    assert found.hint == '"decay" belongs to schedule.learning_rate of kind wsd'


def test_a_very_long_key_is_told_in_short() -> None:
    found = only(MINIMAL + "k" * 900 + ": 1\n")
    assert len(found.message) < 120


@pytest.mark.parametrize("name", [name for name, field in fields(Spec).items() if field.required])
def test_the_remedy_for_a_missing_key_mends_it(name: str) -> None:
    lines = MINIMAL.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
    text = "".join(lines[:start] + lines[end:])
    found = only(text)
    assert (found.code, found.path) == ("missing-key", name)
    assert found.hint == missing_hint(fields(Spec)[name])
    mended = text + found.hint.removeprefix("add ") + "\n"
    assert "missing-key" not in [c for c in codes(mended) if c == "missing-key" and name != "data"]


def test_every_missing_key_of_an_empty_mapping_is_told() -> None:
    found = check("{}\n").diagnostics
    assert [d.path for d in found] == ["data", "model", "name", "task", "version"]
    assert {d.code for d in found} == {"missing-key"}


def test_a_required_key_of_a_part_is_missed_at_the_part() -> None:
    found = only(MINIMAL.replace("{kind: synthetic}", "{kind: text}").replace("{kind: ratio}", "{kind: ratio, validation: 0.2}"))
    assert (found.code, found.path, found.line, found.column) == ("missing-key", "data.source.path", 5, 3)


def test_a_moved_section_with_its_content_is_one_mistake() -> None:
    text = MINIMAL.replace("model: {kind: gpt}\n", "schedule:\n  batch_size: 4\n  model:\n    kind: gpt\n    width: 64\n")
    found = only(text)
    assert (found.code, found.path, found.hint) == ("unknown-key", "schedule.model", '"model" belongs to the top level')


def test_a_repeated_header_with_its_content_is_one_mistake() -> None:
    found = only(MINIMAL + "schedule:\n  batch_size: 4\nschedule:\n  batch_size: 5\n  nonsense: 1\n")
    assert (found.code, found.line) == ("duplicate-key", 10)
