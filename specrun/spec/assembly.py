"""From a file to a spec: reads it, lays the layers over one another, validates, checks, and tells everything that is wrong."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from specrun.errors import SpecError
from specrun.spec.checks import problems
from specrun.spec.diagnostics import Diagnostic, Severity, errors
from specrun.spec.document import Spec
from specrun.spec.dump import digest
from specrun.spec.findings import Findings
from specrun.spec.layers import Dropped, Layer, has_path, kind_of
from specrun.spec.loader import load_bytes
from specrun.spec.nodes import MapNode, Place, Source, Span, child, dotted, find, of_value, place
from specrun.spec.own_path import Permission
from specrun.spec.provenance import Provenance
from specrun.spec.reading import read_source
from specrun.spec.section import Problem
from specrun.spec.stack import Stack, merged
from specrun.spec.validation import Validation

if TYPE_CHECKING:
    from specrun.spec.overrides import Override

__all__ = ["Checked", "Layer", "LoadedSpec", "check_bytes", "check_spec", "check_value", "load_spec", "relaid"]


@dataclass(frozen=True, slots=True, repr=False)
class LoadedSpec:
    """A valid spec. file: as it was named; digest: sha256 of the resolved values; warnings: what is legal but worth knowing.

    written: False for one of plain data, in which every field counts as set, so that rules about what was set make no sense.
    permission: whose code parts of a user's own were imported by; None: such parts are held as they are written.
    """

    spec: Spec
    provenance: Provenance
    warnings: tuple[Diagnostic, ...]
    file: str
    digest: str
    written: bool = True
    permission: Permission | None = None

    @property
    def draft(self) -> Draft:
        """What further checks look at."""
        return Draft(self.spec, self.provenance)

    def __repr__(self) -> str:
        return f"<LoadedSpec {self.spec.name} from {self.file}>"

    def _repr_html_(self) -> str:
        """The resolved spec with where each value came from, for notebooks."""
        from specrun.spec.explain import explain_all

        return f"<pre>{html.escape(explain_all(self))}</pre>"


class Draft(NamedTuple):
    """A spec as far as it is valid. spec: reading a field that is invalid raises InvalidField."""

    spec: Spec
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of checking a spec. loaded: None where it is invalid. draft: what can be checked further all the same; None
    where too little could be read for that."""

    loaded: LoadedSpec | None
    diagnostics: tuple[Diagnostic, ...]
    draft: Draft | None = None


def load_spec(
    source: Path | str,
    *,
    sets: Sequence[str] = (),
    preset: str | None = None,
    layers: Sequence[Layer] = (),
    permission: Permission | None = None,
) -> LoadedSpec:
    """Read a spec. source: its path, `-` for standard input; sets: `path=value`; layers: laid over all else, in order. permission: whose
    code may be imported; None: parts of a user's own are held as they are written.

    Raises: SpecError with every diagnostic; UsageError for a file that cannot be read, or a malformed `--set` or preset.
    """
    checked = check_spec(source, sets=sets, preset=preset, layers=layers, permission=permission)
    if checked.loaded is None:
        raise SpecError(checked.diagnostics)
    return checked.loaded


def check_spec(
    source: Path | str,
    *,
    sets: Sequence[str] = (),
    preset: str | None = None,
    layers: Sequence[Layer] = (),
    permission: Permission | None = None,
) -> Checked:
    """The same, returning what was found instead of raising it."""
    text = read_source(source)
    return check_bytes(text.data, text.name, folder=text.folder, sets=sets, preset=preset, layers=layers, permission=permission)


def check_bytes(
    data: bytes,
    name: str,
    *,
    folder: Path | None = None,
    sets: Sequence[str] = (),
    preset: str | None = None,
    layers: Sequence[Layer] = (),
    permission: Permission | None = None,
) -> Checked:
    """Check the text of a spec. name: as shown in diagnostics; folder: where relative paths start, absent the current one."""
    findings = Findings()
    folder = folder or Path()
    overrides = _overrides(sets, findings) if sets else ()
    root = load_bytes(data, Source("file", name, folder=folder), findings)
    if root is None:
        return Checked(None, findings.ordered())
    before = findings.error_count
    bases = _bases(root, overrides, folder / Path(name).name, findings)
    whole = findings.error_count == before  # what a broken base would have given is not missing
    return _check(Stack((*bases, root), overrides, preset, tuple(layers)), name, findings, whole=whole, permission=permission)


def check_value(document: Mapping[str, Any], name: str, *, permission: Permission | None = None) -> Checked:
    """Check types and bounds of a spec that is plain data already, such as a recorded one."""
    root = of_value(document, Source("file", name), Span(1, 1, 1, 2))
    assert isinstance(root, MapNode)
    return _check(Stack((root,)), name, Findings(), written=False, permission=permission)


def relaid(loaded: LoadedSpec, layers: Sequence[Layer], *, permission: Permission | None = None) -> Checked:
    """Check a spec again with layers laid over it; what it was made of stays where it was written. permission: where it is to be another
    than it was loaded with."""
    stack = Stack((loaded.provenance.root,), layers=tuple(layers))
    return _check(stack, loaded.file, Findings(), written=loaded.written, permission=permission or loaded.permission)


def _check(
    stack: Stack, name: str, findings: Findings, *, written: bool = True, whole: bool = True, permission: Permission | None = None
) -> Checked:
    dropped: list[Dropped] = []
    tree = merged(stack, dropped, findings)
    built = Validation(tree, findings, permission).run(Spec, report_missing=whole)
    for drop in dropped:
        _report_dropped(drop, tree, findings)
    if written and whole:
        report_problems(problems(built.value), tree, findings)
    diagnostics, provenance = findings.ordered(), Provenance(tree)
    if not built.complete or errors(diagnostics):
        return Checked(None, diagnostics, Draft(built.value, provenance) if whole else None)
    loaded = LoadedSpec(built.value, provenance, diagnostics, name, digest(built.value), written, permission)
    return Checked(loaded, diagnostics, loaded.draft)


def _overrides(sets: Sequence[str], findings: Findings) -> tuple[Override, ...]:
    from specrun.spec.overrides import parse_override, report_replaced

    overrides = tuple(o for o in (parse_override(argument, findings) for argument in sets) if o is not None)
    report_replaced(overrides, findings)
    return overrides


def _bases(root: MapNode, overrides: Sequence[Override], file: Path, findings: Findings) -> list[MapNode]:
    """What the spec extends; a base that `--set` names wins over the file's."""
    chosen = [o.value for o in overrides if o.path == ("extends",)]
    extends = chosen[-1] if chosen else child(root, "extends")
    if extends is None:
        return []
    from specrun.spec.bases import load_chain

    return load_chain(extends, file, findings)


def report_problems(found: Iterable[Problem], tree: MapNode, findings: Findings) -> None:
    """Turn what rules found into diagnostics at the places of the keys they are about."""
    for problem in found:
        at = place(tree, problem.path)
        severity: Severity = "error" if problem.severity == "error" else "warning"
        if find(tree, problem.path[:1]) is None:
            at = Place(tree.source, tree.span)
        findings.add(at, problem.code, problem.message, path=problem.path, hint=problem.hint, severity=severity)


def _report_dropped(drop: Dropped, tree: MapNode, findings: Findings) -> None:
    """Say which fields went with their kind, but for those that are set again, and nothing of a kind that is itself a mistake."""
    from specrun.spec.nearest import listed

    part = find(tree, drop.path)
    names = tuple(name for name in drop.names if not isinstance(part, MapNode) or name not in part.entries)
    if not names or any(found.path == dotted((*drop.path, "kind")) for found in findings.ordered()):
        return
    severity: Severity = "info" if drop.only_preset else "warning"
    counts = "counts" if len(names) == 1 else "count"
    last = kind_of(part) or drop.new_kind  # a still higher layer may have changed it once more, or back
    new = drop.new_kind if last == drop.old_kind else last
    has = [name for name in names if has_path(tree, Spec, (*drop.path, name))]
    lacks = [name for name in names if name not in has]
    remedies = [f"set {listed(has, 'and')} again"] if has else []
    remedies += [f"{last} has no {listed(lacks)}"] if lacks else []
    findings.add(
        drop.place, "kind-changed-drops-fields",
        f"{dotted(drop.path)} was {drop.old_kind} and is {new} now, so its {listed(names, 'and')} no longer {counts}",
        path=(*drop.path, "kind"), severity=severity, hint="; ".join(remedies),
    )  # fmt: skip
