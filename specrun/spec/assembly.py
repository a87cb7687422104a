"""From a file to a spec: reads it, lays the layers over one another, validates, checks, and tells everything that is wrong.

default < preset < `extends` base < file < `--set` < added layers; the last wins.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from specrun.errors import SpecError, UsageError
from specrun.spec.bases import Base, load_chain
from specrun.spec.checks import problems
from specrun.spec.diagnostics import Diagnostic, Severity, errors
from specrun.spec.document import Spec
from specrun.spec.dump import digest
from specrun.spec.findings import Findings
from specrun.spec.layers import Dropped, Layer, has_path, merge
from specrun.spec.loader import load_bytes
from specrun.spec.nearest import listed, nearest
from specrun.spec.nodes import MapNode, Node, Place, ScalarNode, Source, Span, child, find, of_value, place
from specrun.spec.overrides import Override, as_tree, parse_override
from specrun.spec.presets import PRESETS, as_mapping
from specrun.spec.provenance import Provenance
from specrun.spec.validation import Validation

__all__ = ["Checked", "Layer", "LoadedSpec", "check_spec", "load_spec"]

STDIN = "-"
_START = Span(1, 1, 1, 2)


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A valid spec. file: as it was named; digest: sha256 of the resolved values; warnings: what is legal but worth knowing."""

    spec: Spec
    provenance: Provenance
    warnings: tuple[Diagnostic, ...]
    file: str
    digest: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of checking a spec. loaded: None where it is invalid."""

    loaded: LoadedSpec | None
    diagnostics: tuple[Diagnostic, ...]


def load_spec(source: Path | str, *, sets: Sequence[str] = (), preset: str | None = None, layers: Sequence[Layer] = ()) -> LoadedSpec:
    """Read a spec. source: its path, `-` for standard input; sets: `path=value`; layers: laid over all else, in order.

    Raises: SpecError with every diagnostic; UsageError for a file that cannot be read, or a malformed `--set` or preset.
    """
    checked = check_spec(source, sets=sets, preset=preset, layers=layers)
    if checked.loaded is None:
        raise SpecError(checked.diagnostics)
    return checked.loaded


def check_spec(source: Path | str, *, sets: Sequence[str] = (), preset: str | None = None, layers: Sequence[Layer] = ()) -> Checked:
    """The same, returning what was found instead of raising it."""
    name, data, folder = read_source(source)
    return check_bytes(data, name, folder=folder, sets=sets, preset=preset, layers=layers)


def read_source(source: Path | str) -> tuple[str, bytes, Path]:
    """The bytes of a spec. Returns: the name to show, the bytes, and the folder where relative paths start."""
    if str(source) == STDIN:
        return "<stdin>", sys.stdin.buffer.read(), Path()
    path = Path(source)
    try:
        return str(source), path.read_bytes(), path.parent
    except OSError as error:
        near = nearest(path.name, _neighbours(path))
        hint = f"did you mean {path.parent / near}?" if near else "`specrun init` writes a spec to start from"
        raise UsageError(f"{source}: {error.strerror or error}", code="unreadable-spec", hint=hint) from None
    except ValueError:  # a NUL in the name
        raise UsageError(f"{str(source)!r} is not a path", code="unreadable-spec", hint="name a YAML file") from None


def _neighbours(path: Path) -> list[str]:
    try:
        return [p.name for p in path.parent.iterdir() if p.suffix in {".yaml", ".yml"}]
    except OSError:
        return []


def check_bytes(
    data: bytes, name: str, *, folder: Path = Path(), sets: Sequence[str] = (), preset: str | None = None, layers: Sequence[Layer] = ()
) -> Checked:
    """Check the text of a spec. name: as shown in diagnostics; folder: where relative paths start."""
    findings = Findings()
    overrides = [o for o in (parse_override(argument, findings) for argument in sets) if o is not None]
    root, _ = load_bytes(data, Source("file", name, folder=folder), findings)
    if root is None:
        return Checked(None, findings.ordered())
    bases = load_chain(_extends(root, overrides), name, folder, findings)
    dropped: list[Dropped] = []
    merged = _merge_all(root, bases, overrides, preset, layers, dropped, findings)
    built = Validation(merged, findings).run(Spec)
    for drop in dropped:
        _report_dropped(drop, findings)
    if isinstance(built.value, Spec):
        _run_checks(built.value, merged, findings, complete=built.complete)
    diagnostics = findings.ordered()
    if not built.complete or errors(diagnostics):
        return Checked(None, diagnostics)
    loaded = LoadedSpec(built.value, Provenance(merged), diagnostics, name, digest(built.value))
    return Checked(loaded, diagnostics)


def _extends(root: MapNode, overrides: Sequence[Override]) -> Node | None:
    for override in reversed(overrides):
        if override.path == ("extends",):
            return override.value
    return child(root, "extends")


def _merge_all(
    root: MapNode, bases: Sequence[Base], overrides: Sequence[Override], preset: str | None, layers: Sequence[Layer],
    dropped: list[Dropped], findings: Findings,
) -> MapNode:  # fmt: skip
    trees = [base.root for base in bases] + [root]
    layer = _preset_layer(trees, overrides, preset)
    merged: Node | None = layer
    for tree in trees:
        merged = merge(merged, tree, Spec, dropped)
    for override in overrides:
        below = _with_default(merged, override)
        laid = as_tree(override, below, findings)
        if laid is not None:
            merged = merge(merged, laid, Spec, dropped)
    assert isinstance(merged, MapNode)
    for added in layers:
        merged = _lay(merged, added, dropped)
    return merged


def _with_default(merged: Node | None, override: Override) -> Node | None:
    """What an index into a list addresses: the list in the tree, or the default of the field."""
    from specrun.spec.shape import fields

    name = override.path[0]
    if len(override.path) == 2 and child(merged, name) is None and name in fields(Spec):
        default = fields(Spec)[name].info.default
        if isinstance(default, tuple):
            source = Source("default", "default")
            return of_value({name: default}, source, _START)
    return merged


def _preset_layer(trees: Sequence[MapNode], overrides: Sequence[Override], preset: str | None) -> MapNode | None:
    """The values of the preset that holds, each pointing at where the preset was chosen."""
    if preset is not None:
        if preset not in PRESETS:
            near = nearest(preset, PRESETS)
            hint = f"did you mean {near}?" if near else f"use {listed(PRESETS)}"
            raise UsageError(f"there is no preset {preset!r}", code="unknown-preset", hint=hint)
        source = Source("preset", "--preset", (preset,), label=f"preset {preset}")
        node: Node = ScalarNode(source, Span(1, 1, 1, len(preset) + 1), preset, preset)
    else:
        chosen = [n for tree in trees if (n := child(tree, "preset")) is not None]
        chosen += [o.value for o in overrides if o.path == ("preset",)]
        if not chosen:
            return None
        node = chosen[-1]
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or node.value not in PRESETS:
        return None  # validation reports the value itself
    label = f"preset {node.value}"
    source = Source("preset", node.source.name, node.source.lines, node.source.folder, label)
    values = as_mapping(PRESETS[node.value])
    laid = of_value({**values, "preset": node.value} if preset is not None else values, source, node.span)
    assert isinstance(laid, MapNode)
    return laid


def _lay(merged: MapNode, layer: Layer, dropped: list[Dropped]) -> MapNode:
    source = Source("layer", layer.name, label=layer.name)
    for path, value in layer.values.items():
        if layer.optional and not has_path(merged, Spec, tuple(path.split("."))):
            continue
        laid = merge(merged, of_value(as_mapping({path: value}), source, _START), Spec, dropped)
        assert isinstance(laid, MapNode)
        merged = laid
    return merged


def _report_dropped(drop: Dropped, findings: Findings) -> None:
    path = ".".join(str(p) for p in drop.path)
    severity: Severity = "info" if drop.only_preset else "warning"
    findings.add(
        drop.place, "kind-changed-drops-fields",
        f"{path} was {drop.old_kind} and is {drop.new_kind} now, so its {listed(drop.names, 'and')} no longer count",
        path=(*drop.path, "kind"), severity=severity, hint=f"set them again if {drop.new_kind} has them",
    )  # fmt: skip


def _run_checks(spec: Spec, merged: MapNode, findings: Findings, *, complete: bool) -> None:
    for problem in problems(spec, complete=complete):
        at = place(merged, problem.path)
        severity: Severity = "error" if problem.severity == "error" else "warning"
        if at.source.kind == "default" or find(merged, problem.path[:1]) is None:
            at = Place(merged.source, merged.span)
        findings.add(at, problem.code, problem.message, path=problem.path, hint=problem.hint, severity=severity)
