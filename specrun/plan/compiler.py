"""Compiles a spec into a plan: which steps, with which keys. Pure but for the digests of local files, which it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from specrun.plan.counted import as_it_counts
from specrun.plan.graph import StepGraph
from specrun.plan.keys import effective_key, step_key
from specrun.plan.start import LABEL, Start
from specrun.plan.step import Step, StepKind
from specrun.spec.document import Spec
from specrun.spec.dump import select
from specrun.spec.section import Part

DigestInputs = Callable[[str, Part], Mapping[str, str]]
"""(dotted key of a part, the part) -> digest of each local file that its result depends on."""


def compile_steps(
    spec: Spec,
    *,
    kinds: Sequence[StepKind],
    digest_inputs: DigestInputs,
    device: Mapping[str, str],
    spec_digest: str,
    variants: Mapping[str, str] | None = None,
    machine: Mapping[str, Any] | None = None,
    start: Start | None = None,
) -> StepGraph:
    """Make the plan. kinds: parents first. device: what of the resolved hardware can change results.

    variants: by key, what finished results said that their keys could not foresee; it enters the children's keys.
    machine: of what is measured, the device and how many train together. start: what trainings begin with, where not with drawn weights.
    """
    spec, known = as_it_counts(spec), variants or {}
    steps: list[Step] = []
    for kind in kinds:
        for seed in spec.seeds if kind.per_seed else (None,):
            needs = tuple(_parent_id(need, seed, steps) for need in kind.needs)
            found = tuple(step.id for step in steps if step.kind in kind.follows)
            options = _options(spec, kind, device, seed)
            if kind.uses_machine:
                options["machine"] = dict(machine or {})
            label: dict[str, Any] = {"name": spec.name}
            if start is not None and (kind.resumable or (kind.begins_as_training and start.how == "fork")):
                label[LABEL] = start.to_json()
                if not start.exact:
                    options[LABEL] = start.identity
            inputs = _inputs(spec, kind, digest_inputs)
            parents = [effective_key(step.key, known.get(step.key)) for need in needs for step in steps if step.id == need]
            key = step_key(kind=kind.kind, version=kind.version, options=options, inputs=inputs, parents=parents)
            steps.append(Step(_id(kind, spec, seed), kind.kind, key, (*needs, *found), options, inputs, label, seed))
    return StepGraph(spec.name, spec_digest, tuple(steps))


def part_at(spec: Spec, path: str) -> Any:
    """The value at a dotted path of the spec; None where a section on the way is absent."""
    value: Any = spec
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return value


def _id(kind: StepKind, spec: Spec, seed: int | None) -> str:
    return f"{kind.kind}[seed={seed}]" if seed is not None and len(spec.seeds) > 1 else kind.kind


def _parent_id(need: str, seed: int | None, steps: Sequence[Step]) -> str:
    return next(step.id for step in steps if step.kind == need and step.seed in (None, seed))


def _options(spec: Spec, kind: StepKind, device: Mapping[str, str], seed: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for read in kind.reads:
        selected = read.counted(select(spec, read.path, read.impacts), spec)
        if selected not in ({}, None):
            options[read.path] = selected
        part = part_at(spec, read.path)
        identity = getattr(part, "identity", None) if read.identity else None
        if identity is not None and (facts := identity()):
            options[f"{read.path} facts"] = facts
    if kind.uses_device:
        # What tries a few steps does not compile them, so that it holds whether or not the training is worth compiling.
        options["device"] = {name: value for name, value in device.items() if kind.finds is None or name != "compile"}
    if kind.settings:
        options["settings"] = dict(kind.settings)
    if seed is not None:
        options["seed"] = seed
    return options


def _inputs(spec: Spec, kind: StepKind, digest_inputs: DigestInputs) -> dict[str, str]:
    inputs: dict[str, str] = {}
    for read in kind.reads:
        part = part_at(spec, read.path)
        if isinstance(part, Part) and hasattr(part, "local_inputs"):
            # The part's place goes in: a source and its fallback that change places are another experiment.
            inputs.update({f"{read.path} {file}": f"{read.path} {digest}" for file, digest in digest_inputs(read.path, part).items()})
    return inputs
