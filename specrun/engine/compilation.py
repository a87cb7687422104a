"""Whether the model of a plan is compiled where its spec leaves that to us: weighed once the planned steps are known.

What has begun stays as it began: history that has grown since must not make another experiment of a finished one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from specrun.engine.history import read_history
from specrun.engine.plan import Plan
from specrun.plan.compilation import compile_seconds, compiled_signature, known_gain, worth_compiling
from specrun.plan.past import Past
from specrun.plan.predict import eager_step_seconds
from specrun.runtime.choice import Choice
from specrun.runtime.compilers import EAGER, UNDECIDED
from specrun.runtime.hardware import ResolvedHardware

_MODE = "default"
"""What auto compiles by: the other modes trade memory, or minutes of trials, for speed."""


def settle_compilation(prepared: Plan, again: Callable[[ResolvedHardware], Plan]) -> Plan:
    """The plan with its choice made, where there is one to make and the number of steps is known. again: plans for other hardware."""
    hardware, forecast = prepared.hardware, prepared.forecast
    step_seconds = eager_step_seconds(forecast)
    if hardware.compilation != UNDECIDED or forecast.schedule is None or step_seconds is None:
        return prepared
    if _has_begun(prepared):
        return _eager(prepared, "as it began")
    history = read_history(prepared.workspace.history_file)
    known = {"device": hardware.name, "kind": hardware.kind, "signature": prepared.signature, "mode": _MODE}
    gain, basis = known_gain(history, **known)
    verdict = worth_compiling(steps=forecast.schedule.total_steps, step_seconds=step_seconds, gain=gain, basis=basis)
    if verdict.compiled:
        return again(replace(hardware, compilation=Choice(_MODE, verdict.reason)))
    earlier = again(replace(hardware, compilation=Choice(_MODE, "as it began")))
    return earlier if _has_begun(earlier) else _eager(prepared, verdict.reason)


def compiled_cost(signature: str, hardware: ResolvedHardware, history: Sequence[Past]) -> tuple[str, float]:
    """Of a training with the signature that it has eagerly: its own, and the seconds that compiling adds to it."""
    mode = hardware.compilation.value
    if mode == EAGER:
        return signature, 0.0
    seconds = compile_seconds(history, device=hardware.name, kind=hardware.kind, signature=signature, mode=mode)
    return compiled_signature(signature, mode), seconds


def _eager(prepared: Plan, reason: str) -> Plan:
    return replace(prepared, hardware=replace(prepared.hardware, compilation=Choice(EAGER, reason)))


def _has_begun(prepared: Plan) -> bool:
    return any(d.step.kind == "train" and d.action in ("cached", "resume") for d in prepared.decisions)
