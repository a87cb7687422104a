"""What a spec asks of the machine that it does not have, found before anything is planned. The rules are `spec.rules`'; here they are
told what the machine is."""

from __future__ import annotations

from collections.abc import Iterator

from specrun.engine.executors.nodes import this_node
from specrun.errors import UsageError
from specrun.runtime.compilers import compiler_reason
from specrun.runtime.hardware import Machine, resolve, used_gpu
from specrun.runtime.precision import bfloat16_reason, precision_reason
from specrun.spec.document import Spec
from specrun.spec.rules.batch_not_divisible import sharing_problems
from specrun.spec.rules.compiler import compiler_problems
from specrun.spec.rules.devices_exceed_machine import device_problems
from specrun.spec.rules.precision import iteration_problems, precision_problems
from specrun.spec.rules.profile import profile_problems
from specrun.spec.rules.threads_exceed_cores import thread_problems
from specrun.spec.section import Problem, apart


def machine_problems(spec: Spec, machine: Machine) -> Iterator[Problem]:
    """Every rule that needs the machine."""
    yield from apart(
        profile_problems(spec, has_cuda=bool(machine.gpus)),
        thread_problems(spec, cores=machine.cores),
        _devices(spec, machine),
        _precision(spec, machine),
        _compiler(spec, machine),
        _place(spec),
    )


def _devices(spec: Spec, machine: Machine) -> Iterator[Problem]:
    gpus = len(machine.gpus) if used_gpu(spec.hardware, machine) else 0
    yield from device_problems(spec, gpus=gpus, cores=machine.cores)
    if spec.hardware.engine == "torchrun" and spec.hardware.devices == "auto":
        yield from sharing_problems(spec, workers=max(1, gpus) * spec.hardware.nodes)


def _precision(spec: Spec, machine: Machine) -> Iterator[Problem]:
    gpu = used_gpu(spec.hardware, machine)
    able = precision_reason(spec.hardware.precision, machine, gpu)
    yield from precision_problems(spec, on="cuda" if gpu else "cpu", lacks=able.reason if able.value == "no" else None)
    iterated = bfloat16_reason(machine, gpu)
    yield from iteration_problems(spec, lacks=iterated.reason if iterated.value == "no" else None)


def _compiler(spec: Spec, machine: Machine) -> Iterator[Problem]:
    gpu = used_gpu(spec.hardware, machine)
    able = compiler_reason(machine, gpu)
    yield from compiler_problems(
        spec, on="cuda" if gpu else "cpu", lacks=able.reason if able.value == "no" else None,
        workers=resolve(spec.hardware, machine).workers,
    )  # fmt: skip


def _place(spec: Spec) -> Iterator[Problem]:
    """A plan can be made without knowing which of several machines this is; apply refuses."""
    try:
        this_node(spec.hardware.nodes)
    except UsageError as error:
        yield Problem(("hardware", "nodes"), error.code, error.message, error.hint, severity="warning")
