"""How several processes hold a model, where the spec leaves that to us: each all of it while that fits, else a share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from specrun.engine.plan import Plan
from specrun.plan import figures
from specrun.runtime.choice import Choice
from specrun.runtime.hardware import ResolvedHardware


def settle_strategy(prepared: Plan, again: Callable[[ResolvedHardware], Plan]) -> Plan:
    """The plan with a strategy that suits its model. prepared: as planned with ddp; again: makes the plan on other hardware."""
    hardware, spec, memory = prepared.hardware, prepared.loaded.spec, prepared.forecast.memory
    if hardware.strategy is None or spec.hardware.strategy != "auto" or memory is None or memory.total <= hardware.memory_bytes:
        return prepared
    if hardware.workers == 1 or memory.dominating != "state":
        return prepared
    reason = f"weights, gradients and moments take {figures.size(memory.state)}"
    return again(replace(hardware, strategy=Choice("fsdp", reason)))
