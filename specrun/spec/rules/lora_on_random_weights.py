"""What: low-rank adapters (`schedule.parameters.lora`) in a spec of its own.

Why: all but the adapters stays as it was drawn at random; adapters are for weights that have been trained.

Example: `parameters: {lora: {rank: 8}}` in a first run. Remedy: train the model without them, then fork that run.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "lora-on-random-weights"


def check(spec: Spec) -> Iterator[Problem]:
    """Say so where there are adapters."""
    if spec.schedule.parameters.lora is not None and not spec.model.trained_before:
        yield Problem(
            ("schedule", "parameters", "lora"), CODE,
            "only the adapters are trained: other weights stay as they were drawn at random, unless the run is forked from a trained one",
            "train without lora first, then fork that run with: specrun apply SPEC --resume RUN --fork", severity="warning",
        )  # fmt: skip
