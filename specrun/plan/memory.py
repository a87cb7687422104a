"""How much memory a training will need, term by term. What to say where there is less is `room`'s.

The terms are closed forms of the spec. On a processor they are held against the peak of the whole process: torch's own weight and
what the C library keeps of freed memory are measured constants (Linux, glibc, torch 2.13; docs/benchmarks.md says how well they
fit). Of a CUDA device only tensors count; nothing has been measured there yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from specrun.plan.cost import EVALUATION_TOKENS, LOGITS_AT_ONCE, ModelCost, images_at_once
from specrun.plan.resolve import ResolvedSchedule
from specrun.plan.spread import ON_ONE, Spread

PROCESS_BYTES = 340_000_000
"""What Python, torch, its optimizer and the tokenizer's library take before the first step of any training."""
NUMBER_BYTES = 4
"""A weight, its gradient and each of its moments are float32."""
RETAINED = 1.25
"""Peak of a processor's activations over their sum: blocks that the C library has not given back when it takes new ones."""
RETAINED_IN_EVALUATION = 1.7
"""The same of a forward pass over many tokens, whose blocks are larger than what training has left."""
_LOGITS_COPIES = 3
"""Logits, their log-softmax and their gradient stand side by side."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at the peak. process: before the first tensor; state: weights, gradients, moments, and on a processor the snapshot of them
    that a checkpoint is written from; activations: what a micro-batch keeps
    for its backward pass, logits with it; evaluation: what a forward pass over many tokens takes, once they are gone. could_checkpoint:
    whether activations would be fewer with `hardware.activation_checkpointing`."""

    process: int
    state: int
    activations: int
    evaluation: int
    parameters: int
    micro_batch_size: int
    could_checkpoint: bool = False

    @property
    def total(self) -> int:
        return self.process + self.state + max(self.activations, self.evaluation)

    @property
    def certain(self) -> int:
        """What is needed at any batch and with any data."""
        return self.process + self.state

    @property
    def in_training(self) -> int:
        """The peak of an optimizer step. An evaluation computes as much at once whatever the micro-batch."""
        return self.certain + self.activations

    @property
    def dominating(self) -> str:
        """The largest term that a spec decides."""
        return max(("state", "activations", "evaluation"), key=lambda term: int(getattr(self, term)))


def predict_memory(cost: ModelCost, schedule: ResolvedSchedule, *, evaluation_tokens: int, kind: str, spread: Spread = ON_ONE) -> Memory:
    """The terms of one training. evaluation_tokens: of the validation split; kind: cpu or cuda. spread: over how many processes: each has
    a CUDA device's memory to itself, and those of one machine share that of a processor.
    """
    on_cpu = kind == "cpu"
    positions = schedule.full_positions or schedule.sequence_length
    tokens = schedule.micro_batch_size * positions
    kept = cost.activation_bytes_per_token * tokens + cost.layer_bytes_per_token * tokens + _logits(cost, tokens, kind) * _LOGITS_COPIES
    usual = EVALUATION_TOKENS[kind] if cost.image_size is None else images_at_once(kind, *cost.image_size)
    at_once = min(evaluation_tokens, max(usual, positions))
    forward = max(cost.layer_bytes_per_token * at_once, 2 * _logits(cost, at_once, kind))
    beside = spread.devices if on_cpu else 1
    state = int(NUMBER_BYTES * (cost.parameters + (1 + cost.moments) * cost.trainable_parameters))
    snapshot = int(NUMBER_BYTES * (cost.parameters + cost.moments * cost.trainable_parameters)) if on_cpu else 0
    return Memory(
        process=PROCESS_BYTES * beside if on_cpu else 0,
        state=state * beside // (spread.workers if spread.sharded else 1) + snapshot,
        activations=int(kept * beside * (RETAINED if on_cpu else 1)),
        evaluation=int(forward * beside * (RETAINED_IN_EVALUATION if on_cpu else 1)),
        parameters=cost.parameters,
        micro_batch_size=schedule.micro_batch_size,
        could_checkpoint=(cost.checkpointed_bytes_per_token or cost.activation_bytes_per_token) < cost.activation_bytes_per_token,
    )


def _logits(cost: ModelCost, tokens: int, kind: str) -> int:
    """Bytes of the float32 logits that are held at once."""
    return 4 * min(tokens * cost.vocabulary_rows, LOGITS_AT_ONCE.get(kind, LOGITS_AT_ONCE["cpu"]))
