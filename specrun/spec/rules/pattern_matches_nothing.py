"""What: a pattern of `schedule.parameters` that no parameter, or no linear layer, of the model matches.

Why: what was to be frozen, or to be adapted, would not be.

Example: `frozen: ["block.*"]` where the blocks are called `blocks.0`, `blocks.1`. Remedy: the name that is near. A model that does not
tell its names without being built has them checked when training begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specrun.spec.document import Spec
from specrun.spec.patterns import idle, matched, remedy
from specrun.spec.section import Problem, apart
from specrun.spec.shape import valid_items

CODE = "pattern-matches-nothing"
_AT = ("schedule", "parameters")


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the patterns with the names that the model's options tell."""
    yield from apart(_frozen(spec), _targets(spec))


def _frozen(spec: Spec) -> Iterator[Problem]:
    names: Sequence[str] | None = getattr(spec.model, "parameter_names", None)
    patterns = [pattern for _, pattern in valid_items(spec.schedule.parameters.frozen)]
    if names is None or not patterns:
        return
    for place in idle(patterns, names):
        missed = patterns[place]
        yield Problem((*_AT, "frozen", place), CODE, f"no parameter of the model matches {missed}", remedy(missed, names))
    if len(matched(patterns, names)) == len(names) and spec.schedule.parameters.lora is None:
        yield Problem((*_AT, "frozen"), "nothing-to-train", "every parameter of the model is frozen", "leave some out, or add lora")


def _targets(spec: Spec) -> Iterator[Problem]:
    names: Sequence[str] | None = getattr(spec.model, "linear_layers", None)
    lora = spec.schedule.parameters.lora
    if names is None or lora is None:
        return
    patterns = [pattern for _, pattern in valid_items(lora.targets)]
    for place in idle(patterns, names):
        missed = patterns[place]
        yield Problem((*_AT, "lora", "targets", place), CODE, f"no linear layer of the model matches {missed}", remedy(missed, names))
