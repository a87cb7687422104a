"""The spec as it counts: without settings that change nothing, however they are written. Keys of steps and experiments are made of it.

Everything is as its absence has it, so that what was made before a setting was written out stands for what is made after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

from specrun.plan.finders import value_at, with_value
from specrun.spec.checks import idle, parts
from specrun.spec.document import Spec
from specrun.spec.dump import walk_fields
from specrun.spec.section import Part, Section
from specrun.spec.shape import fields
from specrun.spec.units import Quantity

Place = tuple[str, ...]
_NOTHING = Quantity(0, "steps")


def as_it_counts(spec: Spec) -> Spec:
    """The spec with defaults in the place of what has no effect and of what their own values come to, and with every quantity of nothing
    in steps."""
    spec = reduce(_without, idle(spec), spec)
    for path, _, value in walk_fields(spec):
        if isinstance(value, Quantity) and value.amount == 0:
            spec = with_value(spec, ".".join(path), _NOTHING)
    for path, part in parts(spec):
        spec = reduce(_without, _said_anyway(spec, path, part), spec)
    return spec


def _without(spec: Spec, place: Place) -> Spec:
    *above, name = place
    section: Section = value_at(spec, ".".join(above))
    return with_value(spec, ".".join(place), fields(type(section))[name].info.default)


def _said_anyway(spec: Spec, path: Sequence[str], part: Part) -> Iterator[Place]:
    """Options of a part that say what they come to where they are left out."""
    for name, _, value in walk_fields(part):
        absent = _without(spec, (*path, *name))
        left_out: Part = value_at(absent, ".".join(path))
        if value is not None and value_at(left_out, ".".join(name)) is None and left_out.derived(absent).get(".".join(name)) == value:
            yield (*path, *name)
