"""From a spec file to a plan with decisions: what `plan` prints and `apply` executes, made by one function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from specrun.engine.compilation import compiled_cost, settle_compilation
from specrun.engine.continuing import Continuation, as_found_then, as_it_began, continuation, settled, with_beginnings
from specrun.engine.decide import decide
from specrun.engine.executors.strategy import settle_strategy
from specrun.engine.facts import gather_facts
from specrun.engine.finding import Found, found_in, spec_with, trial_steps, with_expected, with_found, with_predicted
from specrun.engine.fingerprints import Fingerprints
from specrun.engine.folds import PlanOfFolds, refuse_resume, specs_of_folds
from specrun.engine.fork_problems import fork_problems
from specrun.engine.history import read_history
from specrun.engine.machine_problems import machine_problems
from specrun.engine.meant_run import meant_run
from specrun.engine.plan import Plan, Request
from specrun.engine.smoke import smoke_layers, smoke_store
from specrun.engine.workspace import Workspace
from specrun.errors import SpecError
from specrun.plan.compiler import compile_steps
from specrun.plan.counted import as_it_counts
from specrun.plan.finders import LEARNING_RATE, MICRO_BATCH, is_roomy, planned_kinds, range_test_problems
from specrun.plan.graph import StepGraph
from specrun.plan.lengths import length_problems
from specrun.plan.predict import Facts, Forecast, forecast, training_signature
from specrun.plan.proportions import proportion_problems
from specrun.plan.room import memory_problems
from specrun.plan.start import Start
from specrun.plan.step import WEIGHTS, StepKind
from specrun.runtime.hardware import ResolvedHardware, probe, resolve
from specrun.sources.existence import file_problems
from specrun.sources.inputs import input_digests
from specrun.spec.assembly import Checked, Draft, LoadedSpec, check_bytes, relaid
from specrun.spec.document import Spec
from specrun.spec.dump import select
from specrun.spec.own_code import forget_changed
from specrun.spec.own_parts import own_kinds
from specrun.spec.reading import read_source
from specrun.spec.resolved import further
from specrun.spec.rules import lora_on_random_weights
from specrun.spec.section import Part, Problem
from specrun.spec.shape import fields


def prepare(request: Request) -> Plan | PlanOfFolds:
    """Load, check and plan. Raises SpecError with every diagnostic, StoreError for a store that cannot be read."""
    request, loaded, hardware, workspace = _asked(request)
    specs = specs_of_folds(loaded)
    if not specs:
        return fitting(plan_on(request, loaded, hardware, workspace))
    refuse_resume(request, workspace)
    first, *others = specs
    parts = [plan_on(request, first, hardware, workspace)]
    # Every fold is of the files as they were when the first was planned.
    parts += [plan_on(request, other, hardware, workspace, parts[0].inputs) for other in others]
    return PlanOfFolds(request, loaded, tuple(map(fitting, parts)))


def prepare_one(request: Request) -> Plan:
    """The same, where one run is enough: of the first fold, where all are asked for."""
    request, loaded, hardware, workspace = _asked(request)
    return fitting(plan_on(request, next(iter(specs_of_folds(loaded)), loaded), hardware, workspace))


def _asked(request: Request) -> tuple[Request, LoadedSpec, ResolvedHardware, Workspace]:
    """What is to be planned, checked, and where."""
    store = smoke_store(request.store) if request.smoke else request.store
    machine = probe()

    def late_problems(draft: Draft) -> Iterator[Problem]:
        yield from file_problems(draft.spec, draft.provenance.base_folder, request.data_root)
        yield from machine_problems(draft.spec, machine)

    loaded, workspace = valid(further(check(request), late_problems)), Workspace(store)
    if request.resume is not None:
        request = replace(request, resume=meant_run(workspace, request.resume))
    return request, loaded, resolve(loaded.spec.hardware, machine), workspace


def fitting(prepared: Plan) -> Plan:
    """The plan, with warnings where its training may not fit the memory, is out of proportion, or begins with weights that mean
    something else, each given once. Raises SpecError
    where it cannot fit, or its schedule cannot be.

    What the data is not yet known to hold is not judged: to be asked again once it is there.
    """
    loaded, memory = prepared.loaded, prepared.forecast.memory
    trains = any(d.step.kind == "train" and d.action in ("run", "resume") for d in prepared.decisions)
    if not trains:
        return prepared
    limited = loaded.spec.hardware.memory is not None
    given = {warning.code for warning in loaded.warnings}
    found = list(proportion_problems(loaded.spec, prepared.forecast))
    found += fork_problems(loaded.spec, prepared.decisions, prepared.workspace)
    if not prepared.request.smoke:  # which has none of the spec's lengths
        found += length_problems(loaded.spec, prepared.forecast)
    searches = any(d.step.kind == LEARNING_RATE and d.action == "run" for d in prepared.decisions)
    cost, schedule, hardware = prepared.forecast.cost, prepared.forecast.schedule, prepared.hardware
    if searches and hardware.spread.sharded and cost is not None and schedule is not None:
        found += range_test_problems(cost, schedule, kind=hardware.kind, memory_bytes=hardware.memory_bytes)
    if memory is not None:
        # For a CUDA device the prediction is a closed form alone: there the trial itself tells.
        trials = [d.step.options["settings"] for d in prepared.decisions if d.step.kind == MICRO_BATCH and d.action == "run"]
        margin = trials[0]["margin"] if trials and hardware.kind == "cpu" else None
        found += memory_problems(memory, memory_bytes=hardware.memory_bytes, limited=limited, margin=margin)
    problems = tuple(problem for problem in found if problem.severity == "error" or problem.code not in given)
    checked = Checked(loaded, loaded.warnings, loaded.draft)
    return replace(prepared, loaded=valid(further(checked, lambda _: problems)))


def check(request: Request) -> Checked:
    """The spec that was asked for, shrunk for a smoke run, with what is wrong in it. Standard input is read once."""
    permission = request.permission
    forget_changed()
    if isinstance(request.source, LoadedSpec):
        given = request.source
        checked = relaid(given, (), permission=permission) if own_kinds(given.spec) else Checked(given, given.warnings, given.draft)
        if checked.loaded is not None and request.smoke:
            checked = relaid(checked.loaded, smoke_layers(checked.loaded.spec))
        return checked
    name, data, folder = read_source(request.source)
    checked = check_bytes(data, name, folder=folder, sets=request.sets, preset=request.preset, permission=permission)
    if checked.loaded is not None and request.smoke:
        layers = smoke_layers(checked.loaded.spec)
        checked = check_bytes(data, name, folder=folder, sets=request.sets, preset=request.preset, layers=layers, permission=permission)
    return checked


def valid(checked: Checked) -> LoadedSpec:
    """The spec, if it is valid. Raises SpecError with every diagnostic."""
    if checked.loaded is None:
        raise SpecError(checked.diagnostics)
    return checked.loaded


def digests_now(request: Request, loaded: LoadedSpec, workspace: Workspace, path: str, part: Part) -> Mapping[str, str]:
    """Digests of the local files of one part as they are at this moment."""
    base = loaded.provenance.base_folder(f"{path}.{getattr(part, 'path_field', 'path')}")
    fingerprints = Fingerprints(workspace.fingerprint_file)
    return input_digests(part, base=base, data_root=request.data_root, digest_all=fingerprints.digest_all)


def plan_on(
    request: Request,
    loaded: LoadedSpec,
    hardware: ResolvedHardware,
    workspace: Workspace,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
) -> Plan:
    """Make the plan and decide about each step, from the store as it is now. loaded: as it was asked for, whatever was found for it
    since. inputs: digests to keep to, see Plan."""

    def planned(machine: ResolvedHardware) -> Plan:
        return _plan_for(request, loaded, machine, workspace, inputs)

    if request.resume is not None and not request.fork:
        hardware = as_it_began(hardware, workspace, run=request.resume)
        loaded = as_found_then(loaded, workspace, run=request.resume, found=_found_paths(request.kinds))
    return settle_compilation(settle_strategy(planned(hardware), planned), planned)


def _plan_for(
    request: Request,
    loaded: LoadedSpec,
    hardware: ResolvedHardware,
    workspace: Workspace,
    inputs: Mapping[str, Mapping[str, str]] | None,
) -> Plan:
    """The plan on hardware that is settled, or taken to be."""
    known: dict[str, Mapping[str, str]] = dict(inputs or {})

    def digest_inputs(path: str, part: Part) -> Mapping[str, str]:
        if path not in known:
            known[path] = digests_now(request, loaded, workspace, path, part)
        return known[path]

    def beginning_with(start: Start | None) -> Compile:
        def compiled(spec: Spec, kinds: Sequence[StepKind], variants: Mapping[str, str]) -> StepGraph:
            return compile_steps(spec, kinds=kinds, digest_inputs=digest_inputs, device=hardware.identity, spec_digest=loaded.digest,
                                 variants=variants, machine=hardware.measured_on, start=start)  # fmt: skip

        return compiled

    def graph_of(spec: Spec, start: Start | None, variants: Mapping[str, str] = MappingProxyType({})) -> StepGraph:
        return _compile_known(spec, kinds, beginning_with(start), workspace, variants).graph

    def predicted(spec: Spec, facts: Facts) -> tuple[Forecast, str]:
        counted = as_it_counts(spec)
        signature = training_signature(select(counted, "model", WEIGHTS), counted, facts.vocab_size, threads=hardware.threads,
                                       precision=hardware.precision.value, spread=hardware.spread)  # fmt: skip
        history = read_history(workspace.history_file)
        signature, once = compiled_cost(signature, hardware, history)
        found = forecast(spec, facts=facts, history=history, device=hardware.name, kind=hardware.kind, compile_seconds=once,
                         cores=min(hardware.threads * hardware.devices, hardware.cores), signature=signature,
                         trials=trial_steps(all_kinds), spread=hardware.spread)  # fmt: skip
        return found, signature

    all_kinds = request.kinds
    kinds = planned_kinds(all_kinds, loaded.spec, idle={MICRO_BATCH})
    goes_on: Continuation | None = None
    start: Start | None = None
    if request.resume is not None:
        goes_on = continuation(loaded.spec, graph_of, workspace, run=request.resume, fork=request.fork, found=_found_paths(all_kinds))
        start = goes_on.start
    known_so_far = _compile_known(loaded.spec, kinds, beginning_with(start), workspace)
    facts = gather_facts(loaded.spec, known_so_far.graph, workspace, base_folder=loaded.provenance.base_folder,
                         data_root=request.data_root)  # fmt: skip
    spec = known_so_far.spec
    expected, signature = predicted(spec, facts)
    if spec.schedule.micro_batch_size == "auto" and not is_roomy(expected.memory, memory_bytes=hardware.memory_bytes, kind=hardware.kind):
        if hardware.spread.sharded:
            predicted_too = with_predicted(loaded, expected, hardware)
            return _plan_for(request, predicted_too, hardware, workspace, inputs)
        kinds = planned_kinds(all_kinds, loaded.spec)
        known_so_far = _compile_known(loaded.spec, kinds, beginning_with(start), workspace)
        spec = with_expected(known_so_far.spec, expected, hardware)
        expected, signature = predicted(spec, facts)
    goes_on = settled(goes_on, spec, expected.schedule, workspace)
    if goes_on is not None and goes_on.is_exact:
        known_so_far = _compile_known(loaded.spec, kinds, beginning_with(goes_on.start), workspace)
    as_found = with_found(loaded, known_so_far.found)
    if goes_on is not None and goes_on.begins_trained:
        as_found = replace(as_found, warnings=tuple(it for it in as_found.warnings if it.code != lora_on_random_weights.CODE))
    graph = with_beginnings(known_so_far.graph, spec, expected.schedule, graph_of, workspace, asked=goes_on)
    decisions = decide(graph, kinds={kind.kind: kind for kind in kinds}, workspace=workspace, forecast=expected,
                       describe=_places(as_found), retry=_to_retry(graph, workspace))  # fmt: skip
    return Plan(request, as_found, hardware, workspace, graph, decisions, expected, signature, known, known_so_far.first_keys, loaded,
                known_so_far.found, goes_on, known_so_far.passed_keys)  # fmt: skip


def _found_paths(kinds: Sequence[StepKind]) -> list[str]:
    """Where in a spec there is what finders find."""
    return [kind.finds for kind in kinds if kind.finds is not None]


def _places(loaded: LoadedSpec) -> Callable[[str], str | None]:
    """Where the value at a dotted path came from; None for what is no key of a spec, such as a device."""
    return lambda path: loaded.provenance.describe(path) if path.partition(".")[0] in fields(Spec) else None


Compile = Callable[[Spec, Sequence[StepKind], Mapping[str, str]], StepGraph]


class _Known(NamedTuple):
    """A plan as far as finished results tell. spec: with what was found; first_keys: by step id, before any result was looked at;
    passed_keys: all until the last was."""

    graph: StepGraph
    spec: Spec
    found: tuple[Found, ...]
    first_keys: Mapping[str, str]
    passed_keys: Mapping[str, frozenset[str]]


def _compile_known(
    spec: Spec, kinds: Sequence[StepKind], compiled: Compile, workspace: Workspace, supposed: Mapping[str, str] = MappingProxyType({})
) -> _Known:
    """Compile, and again as long as results of steps say what changes the keys of others. supposed: variants by key, until results tell."""
    variants: dict[str, str] = dict(supposed)
    found: tuple[Found, ...] = ()
    graph = compiled(spec, kinds, variants)
    first_keys = {step.id: step.key for step in graph.steps}
    passed = {id: {key} for id, key in first_keys.items()}
    as_found = spec
    while not (more := _variants(graph, workspace)).items() <= variants.items() or found_in(graph, kinds, workspace) != found:
        variants |= more
        found = found_in(graph, kinds, workspace)
        as_found = spec_with(spec, found)
        graph = compiled(as_found, kinds, variants)
        for step in graph.steps:
            passed[step.id].add(step.key)
    return _Known(graph, as_found, found, first_keys, {id: frozenset(keys) for id, keys in passed.items()})


def refresh(prepared: Plan) -> Plan:
    """The same plan after steps have finished: what they said may have changed the keys of the steps that read them."""
    asked = replace(prepared.asked, warnings=prepared.loaded.warnings)
    return plan_on(prepared.request, asked, prepared.hardware, prepared.workspace, prepared.inputs)


def refresh_all(prepared: Plan | PlanOfFolds) -> Plan | PlanOfFolds:
    """The same plan, of however many folds, on the store as it is now."""
    if isinstance(prepared, Plan):
        return refresh(prepared)
    return replace(prepared, parts=tuple(map(refresh, prepared.parts)))


def without_retries(prepared: Plan) -> Plan:
    """The decisions with every finished result taken as it is, for steps after the first source has just been tried."""
    decisions = decide(prepared.graph, kinds=prepared.kinds, workspace=prepared.workspace, forecast=prepared.forecast,
                       describe=_places(prepared.loaded))  # fmt: skip
    return replace(prepared, decisions=decisions)


def _variants(graph: StepGraph, workspace: Workspace) -> dict[str, str]:
    results = (workspace.result(step.kind, step.key) for step in graph.steps)
    return {result.key: result.values["variant"] for result in results if result is not None and result.values.get("variant")}


def _to_retry(graph: StepGraph, workspace: Workspace) -> frozenset[str]:
    results = (workspace.result(step.kind, step.key) for step in graph.steps if step.seed is None)
    return frozenset(result.key for result in results if result is not None and result.values.get("fallback_used"))
