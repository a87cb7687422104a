"""What: hardware that the machine does not have.

Why: the run would fail at its first step. Whether a device is there is known only on the machine, so the planner asks.

Example: `hardware: {profile: cuda}` on a machine without a GPU. Remedy: `profile: auto`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "profile-without-device"


def profile_problems(spec: Spec, *, has_cuda: bool) -> Iterator[Problem]:
    """Compare the profile with the machine. has_cuda: whether a CUDA device was found."""
    if spec.hardware.profile == "cuda" and not has_cuda:
        yield Problem(("hardware", "profile"), CODE, "profile is cuda, but this machine has no CUDA device", "use auto or cpu")
