"""Random numbers as a function of what they are for: (seed, stream, counters), never of what was drawn before.

Every optimizer step seeds torch anew, so a resumed run draws what the uninterrupted one would have drawn, and no
generator's state needs saving.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, stream: str, *counters: int) -> int:
    """A 64-bit seed, unrelated for different streams and counters. stream: what the numbers are for, such as "dropout"."""
    text = ":".join([str(seed), stream, *(str(counter) for counter in counters)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def seed_torch(value: int) -> None:
    """Seed torch's own generators of the CPU and of every CUDA device in use."""
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(value)


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Put torch's generators of the CPU and of every CUDA device in use back to where they were."""
    host = torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.set_rng_state(host)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
