"""What changed between an earlier step and this one, as data on paths; and the reason a plan gives for a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from specrun.plan import figures
from specrun.plan.step import Step

ABSENT = "(absent)"
_CODE = " facts.code"
_RELATED = 3
"""A result of another name is worth a comparison where at most so many options differ."""


@dataclass(frozen=True, slots=True)
class Change:
    """One option that differs. old or new is ABSENT where the option does not exist on that side."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.is_code and ABSENT not in (self.old, self.new):
            return f"the code of {self.path.removesuffix(_CODE)} is another"
        return f"{self.path} {shown(self.old)} -> {shown(self.new)}"

    @property
    def is_code(self) -> bool:
        """Whether it is the digest of a user's own code, which stands nowhere in a spec."""
        return self.path.endswith(_CODE)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A finished step of the same kind, as the store remembers it. folder: where it lies; input_bytes: sizes of its inputs."""

    id: str
    key: str
    version: int
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    finished_at: str
    name: str
    folder: str = ""
    input_bytes: Mapping[str, int] = field(default_factory=dict)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Differences of two option trees, by dotted path, sorted. A section that comes or goes is told by its options alone."""
    left, right = dict(_leaves(old, "")), dict(_leaves(new, ""))
    for one, other in ((left, right), (right, left)):
        for path in [path for path, value in one.items() if value is None and path not in other]:
            if any(it.startswith(f"{path}.") for it in other):
                del one[path]
    found = []
    for path in sorted(left.keys() | right.keys()):
        before, after = left.get(path, ABSENT), right.get(path, ABSENT)
        if before != after:
            found.append(Change(path, before, after))
    return tuple(found)


def nearest(step: Step, earlier: Sequence[Earlier], *, own_only: bool = False) -> Earlier | None:
    """The earlier result a person would compare with: the fewest differing options, of the same name, then the newest.

    None where all are of other names and far away: what differs from an unrelated experiment explains nothing. own_only: of
    other names, none is near enough.
    """
    ranked = []
    for other in sorted(earlier, key=lambda e: e.finished_at, reverse=True):
        differing, foreign = len(changes(other.options, step.options)), _foreign(step, other)
        if not foreign or (differing <= _RELATED and not own_only):
            ranked.append((differing, foreign, other))
    return min(ranked, key=lambda rank: rank[:2], default=(0, False, None))[2]


def reason_to_run(
    step: Step, *, version: int, earlier: Sequence[Earlier], changed_parents: Sequence[str],
    input_bytes: Mapping[str, int] | None = None, own_only: bool = False,
) -> tuple[str, tuple[Change, ...]]:  # fmt: skip
    """Why a step has to run, in words, and the changes behind it. changed_parents: ids of parents with another key than before.

    input_bytes: sizes of the step's inputs as they are now, where they are known. own_only: see `nearest`.
    """
    own = next((e for e in earlier if e.key == step.key), None)
    if own is not None:
        replaced = _differences(_successor(own, earlier), step)
        return (_listed(replaced), replaced) if replaced else ("its earlier result is gone or damaged", ())
    before = nearest(step, earlier, own_only=own_only)
    if before is None:
        return f"no earlier result of {step.label['name']}" if earlier else "no earlier result", ()
    reason, differing = compared(step, before, version=version, changed_parents=changed_parents, input_bytes=input_bytes or {})
    return (f"compared with {_called(before)}: {reason}" if _foreign(step, before) else reason), differing


def compared(
    step: Step, before: Earlier, *, version: int, changed_parents: Sequence[str], input_bytes: Mapping[str, int]
) -> tuple[str, tuple[Change, ...]]:
    """Why a step has to run where an earlier one does not do, in words, and the changes behind it."""
    if before.version != version:
        # First: another version may name its options otherwise, which nobody has changed.
        return f"this specrun's {step.kind} step is version {version}, the earlier result's {before.version}", ()
    if differing := changes(before.options, step.options):
        return _listed(differing), differing
    moved, edited = _changed_inputs(before, step, input_bytes)
    if moved or edited:
        return "; ".join([*map(str, moved), *edited][:3]), moved
    return f"its input changes: {', '.join(changed_parents)}" if changed_parents else "its input changes", ()


def _foreign(step: Step, other: Earlier) -> bool:
    """Whether a result is of an experiment of another name."""
    name: str = step.label.get("name", "")
    return other.name != name


def _called(other: Earlier) -> str:
    """The run that an earlier result is of; of one that runs share, the experiment that it was made for."""
    folder = PurePath(other.folder)
    return folder.name if folder.parent.name == "runs" else other.name or "another experiment"


def _successor(own: Earlier, earlier: Sequence[Earlier]) -> Earlier | None:
    """The newest result that was put where this one lay: a run has one report."""
    later = [e for e in earlier if e.folder == own.folder and e.key != own.key and e.finished_at >= own.finished_at]
    return max(later, key=lambda e: e.finished_at, default=None)


def _differences(before: Earlier | None, step: Step) -> tuple[Change, ...]:
    return () if before is None else changes(before.options, step.options)


def _listed(differing: Sequence[Change]) -> str:
    more = f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
    return "; ".join(str(change) for change in differing[:4]) + more


def _changed_inputs(before: Earlier, step: Step, sizes: Mapping[str, int]) -> tuple[tuple[Change, ...], list[str]]:
    """Files that give way to others, and what is otherwise new, gone or edited. A file that only moved has not changed."""
    old, new = before.inputs, step.inputs
    edited = [name for name in new if name in old and new[name] != old[name]]
    come = sorted(name for name in new if name not in old and new[name] not in old.values())
    gone = sorted(name for name in old if name not in new and old[name] not in new.values())
    moved: tuple[Change, ...] = ()
    if len(come) == len(gone) == 1 and come[0].partition(" ")[0] == gone[0].partition(" ")[0]:
        part = come[0].partition(" ")[0]
        names = _names(_file(gone[0]), _file(come[0]))
        moved, come, gone = (Change(f"{part}.path", *names),), [], []
    said = [f"contents of {PurePath(_file(name)).name} changed{_sizes(before.input_bytes.get(name), sizes.get(name))}" for name in edited]
    return moved, [*said, *(f"{_file(name)} is new" for name in come), *(f"{_file(name)} is gone" for name in gone)]


def _file(name: str) -> str:
    """The file of an input, which is kept as "part file"."""
    return name.partition(" ")[2] or name


def _names(old: str, new: str) -> tuple[str, str]:
    """Two paths by their last names, where these tell them apart."""
    short = PurePath(old).name, PurePath(new).name
    return short if short[0] != short[1] else (old, new)


def _sizes(old: int | None, new: int | None) -> str:
    if old is None or new is None or old == new:
        return ""
    rounded = figures.size(old), figures.size(new)
    return f" ({rounded[0]} -> {rounded[1]})" if rounded[0] != rounded[1] else f" ({old:,} -> {new:,} B)"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and (value or not path):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value if value != {} else "{}"


def shown(value: Any) -> str:
    """A value of the spec as a reason writes it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return str(value)
