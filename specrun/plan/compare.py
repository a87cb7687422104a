"""What changed between an earlier step and this one, as data on paths; and the reason a plan gives for a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specrun.plan.step import Step

ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class Change:
    """One option that differs. old or new is ABSENT where the option does not exist on that side."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path} {_show(self.old)} -> {_show(self.new)}"


@dataclass(frozen=True, slots=True)
class Earlier:
    """A finished step of the same kind, as the store remembers it."""

    id: str
    key: str
    version: int
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    finished_at: str
    name: str


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Differences of two option trees, by dotted path, sorted."""
    left, right = dict(_leaves(old, "")), dict(_leaves(new, ""))
    found = []
    for path in sorted(left.keys() | right.keys()):
        before, after = left.get(path, ABSENT), right.get(path, ABSENT)
        if before != after:
            found.append(Change(path, before, after))
    return tuple(found)


def nearest(step: Step, earlier: Sequence[Earlier]) -> Earlier | None:
    """The earlier result a person would compare with: the fewest differing options, of the same name, then the newest."""
    ranked = sorted(earlier, key=lambda e: e.finished_at, reverse=True)
    name = step.label.get("name")
    return min(ranked, key=lambda e: (len(changes(e.options, step.options)), e.name != name), default=None)


def reason_to_run(
    step: Step, *, version: int, earlier: Sequence[Earlier], changed_parents: Sequence[str]
) -> tuple[str, tuple[Change, ...]]:
    """Why a step has to run, in words, and the changes behind it. changed_parents: ids of parents with another key than before."""
    if any(e.key == step.key for e in earlier):
        return "its earlier result is gone, damaged or replaced", ()
    before = nearest(step, earlier)
    if before is None:
        return "no earlier result", ()
    differing = changes(before.options, step.options)
    if differing:
        return "; ".join(str(change) for change in differing[:4]) + (
            f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
        ), differing
    if before.version != version:
        return f"this specrun's {step.kind} step is version {version}, the earlier result's {before.version}", ()
    files = _changed_files(before.inputs, step.inputs)
    if files:
        return f"its input changed: {', '.join(files[:3])}", ()
    return f"its input changes: {', '.join(changed_parents)}" if changed_parents else "its input changes", ()


def _changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Files whose content is new or gone, by name; a file that only moved has not changed."""
    come = [path for path, found in new.items() if found not in old.values()]
    gone = [path for path, found in old.items() if found not in new.values()]
    return sorted(path.rpartition(" ")[2] for path in come) or sorted(f"{path.rpartition(' ')[2]} (gone)" for path in gone)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and (value or not path):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value if value != {} else "{}"


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
