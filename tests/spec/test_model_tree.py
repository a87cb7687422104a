"""Laws that hold for every section and every part of the language."""

from __future__ import annotations

import pytest

from specrun.spec.bounds import describe, example
from specrun.spec.document import Spec
from specrun.spec.impact import IMPACTS
from specrun.spec.parts import FAMILIES, kinds, options_class
from specrun.spec.section import Part, Section
from specrun.spec.shape import classes_under, fields, known_places, read, walk_classes
from tests.spec.specs import load

CLASSES = {".".join((*path, cls.__module__)): cls for path, cls in walk_classes(Spec)}
FIELDS = {f"{label}:{name}": field for label, cls in CLASSES.items() for name, field in fields(cls).items()}


@pytest.mark.parametrize("cls", CLASSES.values(), ids=list(CLASSES))
def test_every_section_is_frozen_strict_and_forbids_unknown_keys(cls: type[Section]) -> None:
    config = cls.model_config
    assert (config["extra"], config["frozen"], config["strict"], config["allow_inf_nan"]) == ("forbid", True, True, False)
    assert cls.__doc__
    # The root's fields are the sections; `kind` chooses the section, the other keys are what it holds.
    assert len(fields(cls).keys() - {"kind"}) <= 12 or cls is Spec


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_an_impact_class_and_a_sentence(name: str) -> None:
    field = FIELDS[name]
    assert field.impact in IMPACTS
    description = field.info.description or ""
    assert description.endswith(".")
    assert description[0].isupper() or not description[0].isalpha() or description.split(":")[0].islower()


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_described_and_has_a_value_that_fits(name: str) -> None:
    field = FIELDS[name]
    assert describe(field.info)
    if field.family is None and field.section is None and not field.not_yet:
        assert example(field.info)


def test_the_tree_reaches_every_kind_of_every_family() -> None:
    reached = set(CLASSES.values())
    for family in FAMILIES:
        for kind in kinds(family):
            options = options_class(family, kind)
            assert options in reached
            assert issubclass(options, Part)
            assert fields(options)["kind"].required


def test_planned_kinds_are_not_there_yet() -> None:
    for family, where in FAMILIES.items():
        assert not set(where.planned) & set(kinds(family))


def test_a_kind_that_does_not_exist_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        options_class("model", "nope")
    with pytest.raises(KeyError):
        options_class("source", "contract")


def test_known_places_find_every_section_with_a_key() -> None:
    assert {path for path, _ in known_places(Spec, "batch_size")} == {("schedule",)}
    assert {path for path, _ in known_places(Spec, "seed")} >= {("data", "source"), ("data", "split")}
    assert known_places(Spec, "no_such_key") == ()


def test_only_holders_have_classes_under_them() -> None:
    assert classes_under(fields(Spec)["name"]) == []
    assert [c.__name__ for c in classes_under(fields(Spec)["data"])] == ["Data"]
    assert len(classes_under(fields(Spec)["task"])) == len(kinds("task"))


def test_reading_a_field_that_a_kind_lacks_gives_none() -> None:
    spec = load().spec
    assert read(spec.model, "vocab_size") is None
    assert read(spec.model, "no_such_field") is None
    assert read(spec.data, "sequence_length") == 256


def test_a_class_that_accepts_unknown_keys_would_be_noticed() -> None:
    class Loose(Section, extra="ignore"):
        """A section as it must not be."""

    with pytest.raises(AssertionError):
        test_every_section_is_frozen_strict_and_forbids_unknown_keys(Loose)
