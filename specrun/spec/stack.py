"""Lays everything that says something about a spec over one another: the one override rule.

default < preset < `extends` base < file < `--set` < added layers; the last wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from specrun.errors import UsageError
from specrun.spec.document import Spec
from specrun.spec.findings import Findings
from specrun.spec.layers import Dropped, Layer, has_path, merge
from specrun.spec.nodes import Entry, MapNode, Node, ScalarNode, Source, Span, child, of_value
from specrun.spec.presets import PRESETS, as_mapping
from specrun.spec.shape import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specrun.spec.overrides import Override

_START = Span(1, 1, 1, 2)


class Stack(NamedTuple):
    """What lies over one another, lowest first. trees: the extends chain and the file; preset: of the command line."""

    trees: tuple[MapNode, ...]
    overrides: tuple[Override, ...] = ()
    preset: str | None = None
    layers: tuple[Layer, ...] = ()


def merged(stack: Stack, dropped: list[Dropped], findings: Findings) -> MapNode:
    """One tree. dropped: takes what changes of kind remove."""
    tree: Node | None = _preset(stack)
    for one in stack.trees:
        tree = merge(tree, one, Spec, dropped)
    if stack.overrides:
        tree = _override(tree, stack.overrides, dropped, findings)
    if stack.preset is not None:
        chosen = _chosen_on_command_line(stack.preset)
        entry = Entry(chosen.source, chosen.span, chosen)
        tree = merge(tree, MapNode(chosen.source, chosen.span, {"preset": entry}), Spec, dropped)
    for layer in stack.layers:
        tree = _lay(tree, layer, dropped)
    assert isinstance(tree, MapNode)
    return tree


def _override(tree: Node | None, overrides: Sequence[Override], dropped: list[Dropped], findings: Findings) -> Node | None:
    from specrun.spec.overrides import as_tree

    for override in overrides:
        laid = as_tree(override, _addressed(tree, override), findings)
        tree = tree if laid is None else merge(tree, laid, Spec, dropped)
    return tree


def _addressed(tree: Node | None, override: Override) -> Node | None:
    """What an index of an override counts in: the list in the tree, or the default of the field."""
    name = override.path[0]
    if len(override.path) == 2 and child(tree, name) is None and name in fields(Spec):
        default = fields(Spec)[name].info.default
        if isinstance(default, tuple):
            return of_value({name: default}, Source("default", "default"), _START)
    return tree


def _preset(stack: Stack) -> MapNode | None:
    """The values of the preset that holds, each pointing at where the preset was chosen."""
    chosen = _chosen_on_command_line(stack.preset) if stack.preset is not None else _chosen(stack)
    if not isinstance(chosen, ScalarNode) or not isinstance(chosen.value, str) or chosen.value not in PRESETS:
        return None  # validation reports the value itself
    source = Source("preset", chosen.source.name, chosen.source.lines, chosen.source.folder, f"preset {chosen.value}")
    laid = of_value(as_mapping(PRESETS[chosen.value]), source, chosen.span)
    assert isinstance(laid, MapNode)
    return laid


def _chosen(stack: Stack) -> Node | None:
    nodes = [child(tree, "preset") for tree in stack.trees]
    nodes += [o.value for o in stack.overrides if o.path == ("preset",)]
    return next((node for node in reversed(nodes) if node is not None), None)


def _chosen_on_command_line(preset: str) -> ScalarNode:
    if preset not in PRESETS:
        from specrun.spec.nearest import listed, nearest

        near = nearest(preset, PRESETS)
        hint = f"did you mean {near}?" if near else f"use {listed(PRESETS)}"
        raise UsageError(f"there is no preset {preset!r}", code="unknown-preset", hint=hint)
    source = Source("set", "--preset", (preset,), label="--preset")
    return ScalarNode(source, Span(1, 1, 1, len(preset) + 1), preset, preset)


def _lay(tree: Node | None, layer: Layer, dropped: list[Dropped]) -> Node | None:
    source = Source("layer", layer.name, label=layer.name)
    for path, value in layer.values.items():
        if layer.optional and not has_path(tree, Spec, tuple(path.split("."))):
            continue
        tree = merge(tree, of_value(as_mapping({path: value}), source, _START), Spec, dropped)
    return tree
