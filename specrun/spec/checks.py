"""Runs the checks that cross fields: every rule of `spec.rules` and every part's own `problems`.

A check whose inputs are invalid themselves is left out; the others still run.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache

from specrun.spec import rules
from specrun.spec.document import Spec
from specrun.spec.rules import option_without_effect
from specrun.spec.section import Part, Problem, Section, apart
from specrun.spec.shape import fields

Check = Callable[[Spec], Iterator[Problem]]


@cache
def all_rules() -> tuple[Check, ...]:
    """The rules, by the name of their module."""
    names = sorted(m.name for m in pkgutil.iter_modules(rules.__path__))
    modules = (importlib.import_module(f"{rules.__name__}.{name}") for name in names)
    return tuple(module.check for module in modules if hasattr(module, "check"))


def problems(spec: Spec) -> Iterator[Problem]:
    """Everything the rules find in a spec, or in what is valid of one."""
    yield from apart(*(check(spec) for check in all_rules()), *(part.problems(spec, path) for path, part in parts(spec)))


def idle(spec: Spec) -> Iterator[tuple[str, ...]]:
    """Places of the settings that have no effect, given the others, and that no key is made of. spec: a valid one."""
    by_parts = (problem for path, part in parts(spec) for problem in part.problems(spec, path))
    told = (problem for problem in by_parts if problem.code == option_without_effect.CODE and problem.severity == "warning")
    yield from (tuple(map(str, problem.path)) for problem in (*option_without_effect.uncounted(spec), *told))


def parts(section: Section, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Part]]:
    """Every part of a spec with its path."""
    for name in fields(type(section)):
        value = section.__dict__.get(name)
        if isinstance(value, Part):
            yield (*path, name), value
        if isinstance(value, Section):
            yield from parts(value, (*path, name))
