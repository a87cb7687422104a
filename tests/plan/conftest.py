"""A valid spec of every section, and the plan of it, without files, network or torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specrun.plan.compiler import compile_steps
from specrun.plan.finders import MICRO_BATCH, planned_kinds
from specrun.plan.graph import StepGraph
from specrun.runtime.hardware import Machine, resolve
from specrun.spec.assembly import check_bytes
from specrun.spec.document import Spec
from specrun.steps.registry import step_kinds

DOCUMENT = {
    "version": 1,
    "name": "tiny",
    "seeds": [0, 1],
    "task": {"kind": "causal_lm"},
    "data": {
        "source": {"kind": "synthetic", "characters": 4000},
        "split": {"kind": "ratio", "validation": 0.1, "test": 0.1},
        "tokenizer": {"kind": "char"},
        "sequence_length": 16,
    },
    "model": {"kind": "gpt", "architecture": "llama", "num_layers": 2, "width": 16, "num_heads": 2, "num_kv_heads": 1},
    "schedule": {
        "duration": "20 steps",
        "batch_size": 4,
        "gradient_clip": 1.0,
        "early_stopping": {"patience": "3 evaluations"},
        "learning_rate": {"kind": "wsd", "warmup": "2 steps"},
    },
    "expect": ["validation/loss < 100"],
}

MACHINE = Machine("test processor", 2, 8 * 2**30, frozenset(), ())


def spec_of(document: dict) -> Spec:
    """The spec that a document says. Fails with the diagnostics where it is invalid."""
    checked = check_bytes(json.dumps(document).encode(), "test.yaml", folder=Path())
    assert checked.loaded is not None, checked.diagnostics
    return checked.loaded.spec


def plan_of(spec: Spec, *, digests: dict[str, str] | None = None, variants: dict[str, str] | None = None) -> StepGraph:
    """The plan on a small CPU. digests: what the local inputs of each part are said to hold."""
    identity = resolve(spec.hardware, MACHINE).identity
    kinds = planned_kinds(step_kinds(), spec, idle={MICRO_BATCH})
    return compile_steps(spec, kinds=kinds, digest_inputs=lambda path, part: digests or {}, device=identity, spec_digest="d",
                        variants=variants)  # fmt: skip


@pytest.fixture
def spec() -> Spec:
    return spec_of(DOCUMENT)
