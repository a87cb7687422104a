"""Finds the line whose indentation is at fault.

A parser complains at the first line that does not fit what came before; the odd one is often a line or two above. So each line near
by is moved in thought: the change after which the text parses, and its indentation is the most regular, tells the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml

from specrun.spec.document import Spec
from specrun.spec.section import Section
from specrun.spec.shape import classes_under, fields

_Parser = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_REACH = 15
"""Lines above the complaint that are tried."""
_SHIFTS = (-1, 1, -2, 2, -3, 3, -4, 4)
_MAX_LINES, _MAX_CHARACTERS = 500, 50_000
_OPENER = re.compile(r"\s*(?:- )?[^\s#][^#]*:\s*(?:#.*)?\Z")


def odd_line(lines: Sequence[str], problem: int) -> int:
    """The line to blame for a complaint at line `problem`, both from 1."""
    if len(lines) > _MAX_LINES or sum(map(len, lines)) > _MAX_CHARACTERS:
        return problem
    step = _step(lines)
    best = (_irregular(lines, step) + 1, 0, problem)
    for distance, number in enumerate(_candidates(lines, problem)):
        for changed in _moved(lines, number):
            score = (_irregular(changed, step), distance, number)
            if score < best and _parses(changed):
                best = score
    return best[2]


def _candidates(lines: Sequence[str], problem: int) -> list[int]:
    above = [n for n in range(1, problem + 1) if n <= len(lines) and _content(lines[n - 1])]
    return above[-_REACH - 1 :][::-1]


def _moved(lines: Sequence[str], number: int) -> Iterator[list[str]]:
    line = lines[number - 1]
    for shift in _SHIFTS:
        indent = indent_of(line) + shift
        if indent >= 0:
            yield [*lines[: number - 1], " " * indent + line.lstrip(" "), *lines[number:]]


class _Level(NamedTuple):
    """A line that others stand under. classes: of the section it opens, () where that is not known."""

    indent: int
    opens: bool
    classes: tuple[type[Section], ...]


def _irregular(lines: Sequence[str], step: int) -> int:
    """Lines that are not one step inside the line that opens their block, openers with nothing in them, and keys that the section
    they stand in does not have."""
    count = 0
    levels = [_Level(-step, opens=True, classes=(Spec,))]
    for line in (line for line in lines if _content(line)):
        indent = indent_of(line)
        if levels[-1].opens and indent <= levels[-1].indent and not line.lstrip().startswith("- "):
            count += 1
        while len(levels) > 1 and levels[-1].indent >= indent:
            levels.pop()
        above = levels[-1]
        name = line.lstrip().partition(":")[0]
        held = [fields(cls)[name] for cls in above.classes if name in fields(cls)]
        count += (indent != above.indent + step) + bool(above.classes and not held)
        classes = tuple(cls for field in held for cls in classes_under(field))
        levels.append(_Level(indent, bool(_OPENER.match(line)), classes))
    return count


def _parses(lines: Sequence[str]) -> bool:
    try:
        return sum(isinstance(event, yaml.DocumentStartEvent) for event in yaml.parse("\n".join(lines), Loader=_Parser)) == 1
    except yaml.YAMLError:
        return False


def _step(lines: Sequence[str]) -> int:
    """Spaces a level: what most indentations are multiples of."""
    indents = [indent for line in lines if _content(line) and (indent := indent_of(line))]
    if not indents:
        return 2
    return max((4, 2, 3), key=lambda step: sum(indent % step == 0 for indent in indents))


def _content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def indent_of(line: str) -> int:
    """Leading spaces of a line."""
    return len(line) - len(line.lstrip(" "))
