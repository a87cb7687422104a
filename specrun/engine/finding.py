"""What the finders of a plan have found so far, laid over the spec as values among its values, with where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from specrun.engine.workspace import Workspace
from specrun.plan.finders import LEARNING_RATE, MICRO_BATCH, MICRO_BATCH_TRIAL_STEPS, expected_micro_batch, with_value
from specrun.plan.graph import StepGraph
from specrun.plan.predict import Forecast
from specrun.plan.step import StepKind
from specrun.runtime.hardware import ResolvedHardware
from specrun.spec.assembly import Layer, LoadedSpec, relaid
from specrun.spec.document import Spec

_MARGIN = 0.1
"""Share of the memory that a prediction leaves alone."""
FOUND_BY = "found by "
"""How the provenance of a value begins that a finder's step found."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a finished step found. path: where it stands in the spec; step: the id of the step."""

    path: str
    value: Any
    step: str


def found_in(graph: StepGraph, kinds: Iterable[StepKind], workspace: Workspace) -> tuple[Found, ...]:
    """What the finished finders of a plan found."""
    paths = {kind.kind: kind.finds for kind in kinds if kind.finds is not None}
    results = [(step, workspace.result(step.kind, step.key)) for step in graph.steps if step.kind in paths]
    return tuple(Found(str(paths[step.kind]), result.values["found"], step.id) for step, result in results if result is not None)


def spec_with(spec: Spec, found: Iterable[Found]) -> Spec:
    """The values of a spec with what was found in the place of `auto`."""
    return reduce(lambda so_far, one: with_value(so_far, one.path, one.value), found, spec)


def with_found(loaded: LoadedSpec, found: Sequence[Found]) -> LoadedSpec:
    """The spec with what was found in the place of `auto`. Its provenance names the step."""
    if not found:
        return loaded
    checked = relaid(loaded, [Layer(f"{FOUND_BY}{one.step}", {one.path: one.value}) for one in found])
    assert checked.loaded is not None, f"what was found does not fit the spec: {checked.diagnostics}"
    known = {(warning.code, warning.message) for warning in loaded.warnings}
    more = tuple(warning for warning in checked.loaded.warnings if (warning.code, warning.message) not in known)
    return replace(checked.loaded, warnings=(*loaded.warnings, *more))


def with_kept(loaded: LoadedSpec, found: Sequence[Found]) -> LoadedSpec:
    """The spec with what was found for the run that it goes on from; as it is where that does not fit what else it says, so that something
    else is other than then."""
    fits = relaid(loaded, [Layer(f"{FOUND_BY}{one.step}", {one.path: one.value}) for one in found]).loaded is not None
    return with_found(loaded, found) if fits else loaded


def with_expected(spec: Spec, forecast: Forecast, hardware: ResolvedHardware) -> Spec:
    """The spec with the micro-batch that is expected to be found, where none has been found yet. forecast: of the whole batch."""
    if spec.schedule.micro_batch_size != "auto" or forecast.cost is None or forecast.schedule is None:
        return spec
    return with_value(spec, "schedule.micro_batch_size", _expected_size(forecast, hardware))


def with_predicted(loaded: LoadedSpec, forecast: Forecast, hardware: ResolvedHardware) -> LoadedSpec:
    """The spec with the micro-batch that is expected to fit, where each device holds a share of the model: on one alone, which a trial
    has, another would. forecast: of the whole batch, its cost and schedule known."""
    source = "predicted: the largest expected to fit a share of the model"
    checked = relaid(loaded, [Layer(source, {"schedule.micro_batch_size": _expected_size(forecast, hardware)})])
    assert checked.loaded is not None
    return checked.loaded


def _expected_size(forecast: Forecast, hardware: ResolvedHardware) -> int:
    assert forecast.cost is not None
    assert forecast.schedule is not None
    return expected_micro_batch(
        forecast.cost, forecast.schedule, evaluation_tokens=forecast.facts.evaluation_tokens, kind=hardware.kind,
        memory_bytes=hardware.memory_bytes, margin=_MARGIN, spread=hardware.spread,
    )  # fmt: skip


def with_settings(kinds: Sequence[StepKind], asked: Mapping[str, Mapping[str, Any]]) -> tuple[StepKind, ...]:
    """The kinds with other settings than they declare. asked: by kind."""
    return tuple(replace(kind, settings={**kind.settings, **asked[kind.kind]}) if kind.kind in asked else kind for kind in kinds)


def trial_steps(kinds: Iterable[StepKind]) -> Mapping[str, int]:
    """Optimizer steps' worth of work of each finder."""
    settings = {kind.kind: kind.settings for kind in kinds}
    return {LEARNING_RATE: int(settings[LEARNING_RATE]["steps"]), MICRO_BATCH: MICRO_BATCH_TRIAL_STEPS}
