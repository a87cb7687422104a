"""What: a precision that the device cannot give, or that is slower there than float32.

Why: TF32 exists on CUDA devices from compute capability 8.0 on; elsewhere the run would be float32 under another name. bfloat16 and
float16 are computed anywhere, but where the hardware has no instructions for them torch converts back and forth: 8 to 40 times slower
than float32 on a processor. What the device can do is known only on the machine, so the planner asks.

Example: `hardware: {precision: tf32}` on a CPU. Remedy: `precision: auto`. The same of Muon's own iterations.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "precision-without-device"
SLOW = "precision-slower-here"
_TIMES_ON_A_CPU = {"bfloat16": "8 to 40", "float16": "about 10"}
"""Steps of a small GPT against float32, on processors without the instructions (docs/benchmarks.md)."""


def precision_problems(spec: Spec, *, on: str, lacks: str | None) -> Iterator[Problem]:
    """Compare the precision with the device. on: the device's kind; lacks: why its hardware has not this precision, None where it has."""
    asked, path = spec.hardware.precision, ("hardware", "precision")
    if lacks is None or asked in ("auto", "float32"):
        return
    if asked == "tf32":
        yield Problem(path, CODE, f"precision is tf32, which this device does not have: {lacks}", "use auto or float32")
        return
    slower = f"steps take {_TIMES_ON_A_CPU[asked]} times as long as in float32" if on == "cpu" else "float32 is no slower, and exact"
    yield Problem(path, SLOW, f"precision is {asked}, which this device only emulates ({lacks}); {slower}",
                  "use auto or float32", severity="warning")  # fmt: skip


def iteration_problems(spec: Spec, *, lacks: str | None) -> Iterator[Problem]:
    """Of iterations asked for in bfloat16, beside whatever the model is computed in. lacks: as above, of bfloat16."""
    asked = getattr(spec.schedule.optimizer, "newton_schulz_precision", None)
    if lacks is not None and asked == "bfloat16":
        yield Problem(("schedule", "optimizer", "newton_schulz_precision"), SLOW,
                      f"newton_schulz_precision is bfloat16, which this device only emulates ({lacks}): each update takes several times "
                      "as long as in float32", "use auto or float32", severity="warning")  # fmt: skip
