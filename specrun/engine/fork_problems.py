"""What a fork asks of the weights that it begins with: that they are its model's, and that they mean there what they were trained to.

Judged by the names and shapes that a model's options tell, with nothing built. A model that tells none is judged when training begins,
and so is whatever is not parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specrun.engine.workspace import Workspace
from specrun.plan.compare import ABSENT, Change, changes, shown
from specrun.plan.finders import value_at, with_value
from specrun.plan.start import Start, start_of
from specrun.plan.step import WEIGHTS, Decision, StepResult
from specrun.records.run_files import read_run
from specrun.spec.assembly import check_value
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.nearest import listed
from specrun.spec.own_parts import allowed_by
from specrun.spec.section import Problem
from specrun.training.weight_shapes import weight_shapes

Shapes = Mapping[str, tuple[int, ...]]
_LENGTH = "data.sequence_length"
_TOKENIZER = "data.tokenizer"


@dataclass(frozen=True, slots=True)
class _Parent:
    """The run that a fork begins with. shapes: of its saved weights, adapters among them; tokenizer: the result of that step of its."""

    run_id: str
    spec: Spec
    shapes: Shapes
    tokenizer: StepResult


def fork_problems(spec: Spec, decisions: Sequence[Decision], workspace: Workspace) -> Iterator[Problem]:
    """An error where the weights cannot be the model's; warnings where they can, and mean something else. What is not known yet, such as
    a vocabulary, is not judged; nor is a training that has begun already, or a model whose sizes more than a vocabulary decides."""
    if "tokens" not in spec.task.prepared_by:
        return
    starts = [start_of(one.step.label) for one in decisions if one.step.kind == "train" and one.action == "run"]
    parent = next((_parent(start, workspace, spec) for start in starts if start is not None), None)
    if parent is None or parent.spec.model.kind != spec.model.kind or not hasattr(spec.model, "parameter_shapes"):
        return
    tokenizer = _tokenizer(workspace, [(one.step.kind, one.step.key) for one in decisions])
    vocab_size = _vocabulary(spec, tokenizer)
    if (strange := _strange(spec, parent, vocab_size)) is not None:
        yield _does_not_fit(spec, parent, vocab_size, strange)
        return
    yield from _computes_otherwise(spec, parent)
    if tokenizer is not None and tokenizer.values["sha256"] != parent.tokenizer.values["sha256"]:
        yield Problem(("data", "tokenizer"), "fork-of-another-vocabulary",
                      f"the weights of {parent.run_id} were trained on the tokens of another tokenizer: the same ids are other tokens here",
                      f"fork with the data and data.tokenizer of {parent.run_id}, or train anew without --resume", "warning")  # fmt: skip


def _parent(start: Start, workspace: Workspace, beside: Spec) -> _Parent | None:
    """The run as it is recorded; None where not all of it can be read: the training itself says what is missing. beside: the spec whose
    own parts it may have too."""
    folder = workspace.runs / start.run_id
    document = read_run(folder)
    shapes = weight_shapes(folder / "checkpoints" / f"step-{start.step:08d}" / "model.safetensors")
    if document is None or shapes is None:
        return None
    loaded = check_value(document["spec"], start.run_id, permission=allowed_by(beside)).loaded
    tokenizer = _tokenizer(workspace, [(step["kind"], step["key"]) for step in document["plan"]])
    return None if loaded is None or tokenizer is None else _Parent(start.run_id, loaded.spec, shapes, tokenizer)


def _tokenizer(workspace: Workspace, steps: Sequence[tuple[str, str]]) -> StepResult | None:
    """What the tokenizer step of a plan came to. steps: kind and key of each."""
    return next((workspace.result(kind, key) for kind, key in steps if kind == "tokenizer"), None)


def _vocabulary(spec: Spec, tokenizer: StepResult | None) -> int | None:
    """The tokens of the spec's tokenizer, as it was made or as its options say; None where only its training tells."""
    if tokenizer is not None:
        return int(tokenizer.values["vocab_size"])
    told: int | None = getattr(spec.data.tokenizer, "exact_vocab_size", None)
    return told


def _told(spec: Spec, vocab_size: int) -> Shapes:
    model: Any = spec.model
    shapes: Shapes = model.parameter_shapes(**spec.task.sizes(spec, {"vocab_size": vocab_size}))
    return shapes


def _strange(spec: Spec, parent: _Parent, vocab_size: int | None) -> tuple[str, str] | None:
    """The first parameter that is not the same in the saved weights, and how, in words. vocab_size: None compares what does not depend
    on it."""
    tokens = int(parent.tokenizer.values["vocab_size"])
    here = _told(spec, tokens if vocab_size is None else vocab_size)
    if vocab_size is None:
        other = _told(spec, tokens + 1)
        here = {name: shape for name, shape in here.items() if other[name] == shape}
    for name, shape in here.items():
        saved = parent.shapes.get(name)
        if saved is None:
            return name, f"there is no {name} there"
        if saved != shape:
            return name, f"{name} is {_sized(shape)} here and {_sized(saved)} there"
    everything = _told(spec, tokens)
    gone = (name for name in _told(parent.spec, tokens) if name in parent.shapes and name not in everything)  # adapters are merged
    return next(((name, f"this model has no {name}") for name in gone), None)


def _does_not_fit(spec: Spec, parent: _Parent, vocab_size: int | None, strange: tuple[str, str]) -> Problem:
    run_id, length = parent.run_id, parent.spec.data.sequence_length
    name, fact = strange
    causes = _causes(spec, parent, vocab_size, name)
    path = causes[0].path if causes else _TOKENIZER
    remedies = [_undone(causes)] if causes else []
    if _has_other_tokens(parent, vocab_size) and not any(change.path.startswith(f"{_TOKENIZER}.") for change in causes):
        remedies.append(f"fork with the data of {run_id}, or begin with a run of data.tokenizer.kind: byte, which has the same tokens for "
                        "any text")  # fmt: skip
    if [change.path for change in causes] == [_LENGTH] and hasattr(spec.model, "max_positions"):
        longer = with_value(spec, "model.max_positions", length)
        if spec.data.sequence_length < length and _strange(longer, parent, vocab_size) is None:
            remedies = [f"set model.max_positions: {length}"]
    return Problem(tuple(path.split(".")), "checkpoint-does-not-fit",
                   f"a fork begins with the weights of {run_id}, and they do not fit this model: {fact}",
                   f"{'; '.join(remedies)}; or train anew without --resume")  # fmt: skip


def _causes(spec: Spec, parent: _Parent, vocab_size: int | None, name: str) -> list[Change]:
    """What the spec has otherwise than the run so that the weights do not fit: each change that alone makes them others; all of the
    model's where only several together do. name: of a weight; what makes that one another comes first."""
    tokens = int(parent.tokenizer.values["vocab_size"])
    saved = _told(parent.spec, tokens)
    differing = changes(dump(parent.spec, WEIGHTS), dump(spec, WEIGHTS))
    sizes = [change for change in differing if change.path.startswith("model.") or change.path == _LENGTH]
    alone = [(one, _told(with_value(parent.spec, one.path, value_at(spec, one.path)), tokens)) for one in sizes]
    if _has_other_tokens(parent, vocab_size):
        assert vocab_size is not None
        tokenizer = [change for change in differing if change.path.startswith(f"{_TOKENIZER}.")]
        kind = [change for change in tokenizer if change.path == f"{_TOKENIZER}.kind"]  # with which all its fields change
        alone += [(one, _told(parent.spec, vocab_size)) for one in kind or tokenizer]
    found = [(one, shapes) for one, shapes in alone if shapes != saved]
    if not found and not _has_other_tokens(parent, vocab_size):
        return sizes
    return [one for one, _ in sorted(found, key=lambda it: it[1].get(name) == saved.get(name))]


def _has_other_tokens(parent: _Parent, vocab_size: int | None) -> bool:
    """Whether so many tokens are another number than the run's weights are for."""
    tokens = int(parent.tokenizer.values["vocab_size"])
    return vocab_size is not None and _told(parent.spec, vocab_size) != _told(parent.spec, tokens)


def _undone(found: Sequence[Change]) -> str:
    """What gives each its old value."""
    given = [f"{change.path}: {_written(change.old)}" for change in found if change.old not in (None, ABSENT)]
    absent = [change.path for change in found if change.old in (None, ABSENT)]
    return "; ".join(f"{verb} {listed(names, 'and')}" for verb, names in (("set", given), ("leave out", absent)) if names)


def _computes_otherwise(spec: Spec, parent: _Parent) -> Iterator[Problem]:
    """What the same weights are computed with otherwise than they were trained with."""
    before: Mapping[str, Any] = getattr(parent.spec.model, "computed_with", {})
    now: Mapping[str, Any] = getattr(spec.model, "computed_with", {})
    differing = [name for name in now if name in before and before[name] != now[name]]
    changed = {change.path for change in changes(dump(parent.spec.model, WEIGHTS), dump(spec.model, WEIGHTS))}
    for name in [name for name in differing if name in changed] or differing:
        old, new = _written(before[name]), _written(now[name])
        yield Problem(("model", *name.split(".")), "fork-computes-otherwise",
                      f"the weights of {parent.run_id} were trained with model.{name} {old}: with {new} they compute something else",
                      f"set model.{name}: {old}, or train anew without --resume", "warning")  # fmt: skip


def _written(value: Any) -> str:
    """A value as a spec has it."""
    return str(value).lower() if isinstance(value, bool) else shown(value)


def _sized(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
