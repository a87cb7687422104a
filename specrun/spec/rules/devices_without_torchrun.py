"""What: several devices, and an engine that trains on one.

Why: the others would stand idle, and the run would be called one of several devices.

Example: `hardware: {devices: 4}`, whose engine is `local`. Remedy: `engine: torchrun`, or one device.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "devices-without-torchrun"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare engine, devices and nodes."""
    hardware = spec.hardware
    if hardware.engine != "local":
        return
    for name, value in (("devices", hardware.devices), ("nodes", hardware.nodes)):
        if value not in ("auto", 1):
            message = f"{name} is {value}, but engine local trains in one process on one device"
            yield Problem(("hardware", name), CODE, message, f"use engine: torchrun, or {name}: 1")
