"""What: more threads than the machine has cores for this process.

Why: threads that share a core wait for one another, so every step takes longer. How many cores there are is known only on the
machine, so the planner asks; the result is valid, so this is a warning.

Example: `hardware: {threads: 64}` on a machine of 8 cores. Remedy: as many threads as cores, or none named.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "threads-exceed-cores"


def thread_problems(spec: Spec, *, cores: int) -> Iterator[Problem]:
    """Compare the threads with the machine. cores: that this process may use at once."""
    threads = spec.hardware.threads
    if threads is not None and threads > cores:
        message = f"threads is {threads}, but this process may use {cores} core{'' if cores == 1 else 's'}; steps take longer"
        yield Problem(("hardware", "threads"), CODE, message, f"use {cores} or fewer, or remove threads", severity="warning")
