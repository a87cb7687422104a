"""From a spec file to a plan with decisions: what `plan` prints and `apply` executes, made by one function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from specrun.engine.decide import decide
from specrun.engine.facts import gather_facts
from specrun.engine.fingerprints import Fingerprints
from specrun.engine.history import read_history
from specrun.engine.plan import Plan, Request
from specrun.engine.smoke import smoke_layers, smoke_store
from specrun.engine.workspace import Workspace
from specrun.errors import SpecError
from specrun.plan.compiler import compile_steps
from specrun.plan.graph import StepGraph
from specrun.plan.memory import memory_problems
from specrun.plan.predict import forecast, training_signature
from specrun.plan.proportions import proportion_problems
from specrun.plan.step import WEIGHTS
from specrun.runtime.hardware import ResolvedHardware, probe, resolve
from specrun.sources.existence import file_problems
from specrun.sources.inputs import input_digests
from specrun.spec.assembly import Checked, Draft, LoadedSpec, check_bytes, relaid
from specrun.spec.dump import select
from specrun.spec.reading import read_source
from specrun.spec.resolved import further
from specrun.spec.rules.profile import profile_problems
from specrun.spec.rules.threads_exceed_cores import thread_problems
from specrun.spec.section import Part, Problem, apart
from specrun.steps.registry import step_kinds


def prepare(request: Request) -> Plan:
    """Load, check and plan. Raises SpecError with every diagnostic, StoreError for a store that cannot be read."""
    store = smoke_store(request.store) if request.smoke else request.store
    machine = probe()

    def late_problems(draft: Draft) -> Iterator[Problem]:
        yield from file_problems(draft.spec, draft.provenance.base_folder, request.data_root)
        yield from apart(profile_problems(draft.spec, has_cuda=bool(machine.gpus)), thread_problems(draft.spec, cores=machine.cores))

    loaded = valid(further(check(request), late_problems))
    return fitting(plan_on(request, loaded, resolve(loaded.spec.hardware, machine), Workspace(store)))


def fitting(prepared: Plan) -> Plan:
    """The plan, with warnings where its training may not fit the memory or is out of proportion, each given once. Raises SpecError
    where it cannot fit.

    What the data is not yet known to hold is not judged: to be asked again once it is there.
    """
    loaded, memory = prepared.loaded, prepared.forecast.memory
    trains = any(d.step.kind == "train" and d.action in ("run", "resume") for d in prepared.decisions)
    if not trains:
        return prepared
    limited = loaded.spec.hardware.memory is not None
    given = {warning.code for warning in loaded.warnings}
    found = list(proportion_problems(loaded.spec, prepared.forecast))
    if memory is not None:
        found += memory_problems(memory, memory_bytes=prepared.hardware.memory_bytes, limited=limited)
    problems = tuple(problem for problem in found if problem.code not in given)
    checked = Checked(loaded, loaded.warnings, loaded.draft)
    return replace(prepared, loaded=valid(further(checked, lambda _: problems)))


def check(request: Request) -> Checked:
    """The spec that was asked for, shrunk for a smoke run, with what is wrong in it. Standard input is read once."""
    if isinstance(request.source, LoadedSpec):
        given = request.source
        return relaid(given, smoke_layers(given.spec)) if request.smoke else Checked(given, given.warnings, given.draft)
    name, data, folder = read_source(request.source)
    checked = check_bytes(data, name, folder=folder, sets=request.sets, preset=request.preset)
    if checked.loaded is not None and request.smoke:
        layers = smoke_layers(checked.loaded.spec)
        checked = check_bytes(data, name, folder=folder, sets=request.sets, preset=request.preset, layers=layers)
    return checked


def valid(checked: Checked) -> LoadedSpec:
    """The spec, if it is valid. Raises SpecError with every diagnostic."""
    if checked.loaded is None:
        raise SpecError(checked.diagnostics)
    return checked.loaded


def digests_now(request: Request, loaded: LoadedSpec, workspace: Workspace, path: str, part: Part) -> Mapping[str, str]:
    """Digests of the local files of one part as they are at this moment."""
    base = loaded.provenance.base_folder(f"{path}.path")
    fingerprints = Fingerprints(workspace.fingerprint_file)
    return input_digests(part, base=base, data_root=request.data_root, digest_all=fingerprints.digest_all)


def plan_on(
    request: Request,
    loaded: LoadedSpec,
    hardware: ResolvedHardware,
    workspace: Workspace,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
) -> Plan:
    """Compile the plan and decide about each step, from the store as it is now. inputs: digests to keep to, see Plan."""
    spec, kinds = loaded.spec, step_kinds()
    known: dict[str, Mapping[str, str]] = dict(inputs or {})

    def digest_inputs(path: str, part: Part) -> Mapping[str, str]:
        if path not in known:
            known[path] = digests_now(request, loaded, workspace, path, part)
        return known[path]

    def compiled(variants: Mapping[str, str]) -> StepGraph:
        return compile_steps(spec, kinds=kinds, digest_inputs=digest_inputs, device=hardware.identity, spec_digest=loaded.digest,
                             variants=variants)  # fmt: skip

    variants: dict[str, str] = {}
    graph = compiled(variants)
    first_keys = {step.id: step.key for step in graph.steps}
    while found := {key: variant for key, variant in _variants(graph, workspace).items() if key not in variants}:
        variants |= found
        graph = compiled(variants)
    facts = gather_facts(spec, graph, workspace, base_folder=loaded.provenance.base_folder, data_root=request.data_root)
    signature = training_signature(select(spec, "model", WEIGHTS), spec, facts.vocab_size, threads=hardware.threads,
                                   precision=hardware.precision.value)  # fmt: skip
    predicted = forecast(spec, facts=facts, history=read_history(workspace.history_file), device=hardware.name, kind=hardware.kind,
                         cores=min(hardware.threads, hardware.cores), signature=signature)  # fmt: skip
    decisions = decide(graph, kinds={kind.kind: kind for kind in kinds}, workspace=workspace, forecast=predicted,
                       describe=loaded.provenance.describe, retry=_to_retry(graph, workspace))  # fmt: skip
    return Plan(request, loaded, hardware, workspace, graph, decisions, predicted, signature, known, first_keys)


def refresh(prepared: Plan) -> Plan:
    """The same plan after steps have finished: what they said may have changed the keys of the steps that read them."""
    return plan_on(prepared.request, prepared.loaded, prepared.hardware, prepared.workspace, prepared.inputs)


def without_retries(prepared: Plan) -> Plan:
    """The decisions with every finished result taken as it is, for steps after the first source has just been tried."""
    decisions = decide(prepared.graph, kinds=prepared.kinds, workspace=prepared.workspace, forecast=prepared.forecast,
                       describe=prepared.loaded.provenance.describe)  # fmt: skip
    return replace(prepared, decisions=decisions)


def _variants(graph: StepGraph, workspace: Workspace) -> dict[str, str]:
    results = (workspace.result(step.kind, step.key) for step in graph.steps)
    return {result.key: result.values["variant"] for result in results if result is not None and result.values.get("variant")}


def _to_retry(graph: StepGraph, workspace: Workspace) -> frozenset[str]:
    results = (workspace.result(step.kind, step.key) for step in graph.steps if step.seed is None)
    return frozenset(result.key for result in results if result is not None and result.values.get("fallback_used"))
