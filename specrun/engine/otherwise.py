"""What makes a training another than a recorded one where no option of its spec does: its data, the device, or specrun itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.engine.workspace import Workspace
from specrun.plan.compare import changes, compared
from specrun.plan.graph import StepGraph
from specrun.plan.step import Step
from specrun.runtime.compilers import EAGER
from specrun.steps.registry import step_kind


def otherwise(graph: StepGraph, document: Mapping[str, Any], workspace: Workspace) -> str:
    """The first step up to training that is not the run's, in words. document: the run's description."""
    keys = {step["kind"]: step["key"] for step in document["plan"]}
    for step in graph.steps:
        finds = step_kind(step.kind).finds is not None  # what it comes to stands in the spec, not in the keys of others
        if step.kind in keys and keys[step.kind] != step.key and not finds:
            return _other_data(graph, document, workspace) or _other_step(step, keys[step.kind], document, workspace)
        if step.kind == "train":
            break
    return "its training is another than then"


def _other_data(graph: StepGraph, document: Mapping[str, Any], workspace: Workspace) -> str:
    """How the same data step came to other data, such as another commit of a dataset; empty where it did not."""
    step = next(step for step in graph.steps if step.kind == "data")
    result = workspace.result("data", step.key)
    then, now = document["data"].get("variant"), None if result is None else result.values.get("variant")
    if result is None or then == now or all(it["key"] != step.key for it in document["plan"]):
        return ""
    return f"its data was {then or 'of its first source'} and is {now or 'of its first source'} now"


def _other_step(step: Step, key: str, document: Mapping[str, Any], workspace: Workspace) -> str:
    """Why a step has another key than then. Without a result of then the device and what is read are all that can be told."""
    then = next((one for one in workspace.earlier(step.kind) if one.key == key), None)
    if then is not None:
        return f"{step.kind}: {compared(step, then, version=step_kind(step.kind).version, changed_parents=(), input_bytes={})[0]}"
    now = step.options.get("device", {})
    if now and (differing := changes({"device": _device(document["hardware"])}, {"device": now})):
        return f"{step.kind}: {differing[0]}"
    return f"its {step.kind} step is another: of a file that it reads, or of this specrun"


def _device(hardware: Mapping[str, Any]) -> dict[str, str]:
    """What of the hardware that a run had enters keys."""
    compiled = hardware.get("compilation", {}).get("value", EAGER)
    return {"kind": hardware["kind"], "precision": hardware["precision"], **({"compile": compiled} if compiled != EAGER else {})}
