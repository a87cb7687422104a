"""What to say of a training that does not fit the memory there is: what the device has, or what `hardware.memory` allows of it.

The rule: what is needed at any batch must fit, else nothing is run. The rest is a prediction, and gives a warning where the spec says how
much is computed at once; where that is left to a trial, on a processor, not even the smallest trial is begun that is expected to fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from specrun.plan import figures
from specrun.plan.memory import PROCESS_BYTES, Memory
from specrun.spec.section import Problem

_NAMES = {
    "process": "Python and torch",
    "state": "weights, gradients and optimizer moments",
    "activations": "activations of a micro-batch",
    "evaluation": "an evaluation's forward pass",
}


def memory_problems(memory: Memory, *, memory_bytes: int, limited: bool, margin: float | None = None) -> Iterator[Problem]:
    """What does not fit. memory_bytes: of the device, or of `hardware.memory`, where limited. margin: the share of it that a trial of
    micro-batch sizes leaves alone, where one is to run whose outcome the prediction tells.
    """
    tried = 0.0 if margin is None or memory.micro_batch_size > 1 else memory.in_training / (1 - margin)
    if memory.certain > memory_bytes:
        yield _certain(memory, memory_bytes, limited=limited, needed_bytes=max(memory.total, tried))
    elif tried > memory_bytes:
        yield Problem(
            _place(limited=limited),
            "micro-batch-exceeds-memory",
            f"not even a micro-batch of one sample is expected to fit: it takes {figures.size(memory.in_training)}, and of the "
            f"{_have(memory_bytes, limited=limited)}, a margin of {margin:.0%} is left alone",
            f"{allow(max(memory.total, tried), limited=limited)}, or set schedule.micro_batch_size: 1, which leaves no margin",
        )
    elif memory.total > memory_bytes:
        term = max(_NAMES, key=lambda term: int(getattr(memory, term)))
        yield Problem(
            _place(limited=limited),
            "memory-exceeds-device",
            f"training is expected to need {figures.size(memory.total)} of the {_have(memory_bytes, limited=limited)}; "
            f"the largest part of it, {figures.size(getattr(memory, term))}, is {_NAMES[term]}",
            allow(memory.total, limited=limited) if term == "process" else _remedy(memory),
            severity="warning",
        )


def allow(needed_bytes: float, *, limited: bool) -> str:
    """The remedy where nothing but more memory helps, in a round figure that is enough."""
    unit, suffix = (2**30 // 10, "GiB") if needed_bytes >= 2**30 else (10 * 2**20, "MiB")
    units = math.ceil(needed_bytes / unit)
    enough = f"{units / 10:g} GiB" if suffix == "GiB" else f"{units * 10} MiB"
    return f"set hardware.memory: {enough}" if limited else f"use a machine with {enough} of memory or more"


def _certain(memory: Memory, memory_bytes: int, *, limited: bool, needed_bytes: float) -> Problem:
    count, each = memory.parameters, memory.state / max(1, memory.parameters)
    takes = f"weights, gradients and optimizer moments of {figures.count(count)} parameters take {figures.size(memory.state)}"
    if memory.process:
        processes = memory.process // PROCESS_BYTES
        whose = f" in {processes} processes" if processes > 1 else ""
        takes = f"Python and torch{whose} take {figures.size(memory.process)}, {takes}"
    room = memory_bytes - memory.process
    if memory.state <= memory.process or room <= 0:
        remedy = allow(needed_bytes, limited=limited)
    else:
        remedy = (f"use a smaller model.width or model.num_layers: at most {figures.count(room / each)} parameters at "
                  f"{figures.count(each)} bytes each")  # fmt: skip
    more = f"{'together ' if memory.process else ''}more than the {_have(memory_bytes, limited=limited)}"
    return Problem(_place(limited=limited), "model-exceeds-memory", f"{takes}, {more}", remedy)


def _place(*, limited: bool) -> tuple[str, ...]:
    return ("hardware", "memory") if limited else ("model",)


def _have(memory_bytes: int, *, limited: bool) -> str:
    return f"{figures.size(memory_bytes)} {'that hardware.memory allows' if limited else 'of the device'}"


def _remedy(memory: Memory) -> str:
    if memory.dominating != "activations":
        return "use a smaller model.width or model.num_layers"
    if memory.micro_batch_size == 1 and memory.could_checkpoint:
        return "set hardware.activation_checkpointing: true, or use a smaller data.sequence_length, model.width or model.num_layers"
    if memory.micro_batch_size == 1:
        return "use a smaller data.sequence_length, model.width or model.num_layers: a micro-batch is one sequence already"
    return f"lower schedule.micro_batch_size, now {memory.micro_batch_size}: without dropout the result stays the same"
