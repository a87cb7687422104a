"""What a model costs, as its options predict it without building it."""

from __future__ import annotations

from dataclasses import dataclass

EVALUATION_TOKENS = {"cpu": 4_096, "cuda": 16_384}
"""Tokens computed at once in an evaluation. More take a CPU's memory and, beyond its caches, longer."""
_IMAGES_AT_ONCE = {"cpu": 256, "cuda": 2_048}
_PIXELS_AT_ONCE = {"cpu": 2**22, "cuda": 2**25}
LOGITS_AT_ONCE = {"cpu": 2**24, "cuda": 2**27}
"""Logits held at once: 64 MiB in float32 on a CPU, 512 MiB on a GPU, where larger products pay."""


def images_at_once(kind: str, height: int, width: int) -> int:
    """How many images an evaluation computes at once. kind: cpu or cuda."""
    return max(1, min(_IMAGES_AT_ONCE[kind], _PIXELS_AT_ONCE[kind] // (height * width)))


@dataclass(frozen=True, slots=True)
class ModelCost:
    """parameters: all numbers, shared ones once. flops_per_token: forward and backward, multiply and add as two.
    activation_bytes_per_token: float32 bytes that the layers keep for the backward pass. layer_bytes_per_token: what one layer makes
    on its way forward, and again as gradients on the way back. vocabulary_rows: logits of a token.
    checkpointed_bytes_per_token: as activation_bytes_per_token, where layers are computed a second time; None: a model that cannot.
    frozen_parameters: those of parameters that are not trained. moments: numbers kept beside each one that is trained and its gradient.
    image_size: height and width, where a position is an image, of which evaluations compute `images_at_once`."""

    parameters: int
    flops_per_token: int
    activation_bytes_per_token: int
    layer_bytes_per_token: int
    vocabulary_rows: int
    checkpointed_bytes_per_token: int | None = None
    frozen_parameters: int = 0
    moments: float = 2.0
    image_size: tuple[int, int] | None = None

    @property
    def trainable_parameters(self) -> int:
        return self.parameters - self.frozen_parameters
