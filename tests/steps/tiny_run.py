"""A whole train step in miniature: token files of a known text, a spec of a few thousand parameters, a context that listens.

Imported by the tests of this folder; holds no test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from specrun.events import Event, Metrics
from specrun.models.gpt.options import Options as Gpt
from specrun.plan.step import Step, StepResult
from specrun.runtime.hardware import Choice, ResolvedHardware
from specrun.sources.synthetic.options import Options as Synthetic
from specrun.spec.document import Spec
from specrun.spec.sections.data import Data
from specrun.spec.sections.schedule import Checkpoint, EarlyStopping, Evaluate, Schedule
from specrun.spec.splits.ratio import Options as Ratio
from specrun.spec.units import parse_quantity as q
from specrun.steps.contract import StepContext, StepInput
from specrun.tasks.causal_lm.options import Options as CausalLM
from specrun.tokenizers.char.options import Options as Char
from specrun.training.learning_rates.warmup_cosine import Options as WarmUpCosine
from specrun.training.optimizers.adamw.options import Options as AdamW
from specrun.training.token_file import write_tokens

ALPHABET = "abcdefgh "
SIZES = {"vocab_size": len(ALPHABET), "sequence_length": 8}
"""What the spec's model is built with on the text."""


def hardware(threads: int = 1) -> ResolvedHardware:
    """A CPU that computes in float32."""
    choice = Choice("cpu", "a test")
    return ResolvedHardware("cpu", "cpu", 1, 2**30, choice, Choice("float32", "a test"), Choice("eager", "a test"), threads)


def spec(*, model: Mapping[str, Any] | None = None, task: Mapping[str, Any] | None = None, **schedule: Any) -> Spec:
    """A spec of the smallest useful size; keywords replace values of the schedule."""
    values: dict[str, Any] = {
        "duration": q("24 steps"), "batch_size": 4, "optimizer": AdamW(kind="adamw", learning_rate=1e-2),
        "learning_rate": WarmUpCosine(kind="warmup_cosine", warmup=q("4 steps")), "gradient_clip": 1.0,
        "evaluate": Evaluate(every=q("8 steps")), "checkpoint": Checkpoint(every=q("8 steps")), "log_every": q("5 steps"),
    }  # fmt: skip
    sizes: dict[str, Any] = {"num_layers": 2, "width": 16, "num_heads": 2}
    return Spec(
        version=1, name="tiny", task=CausalLM(kind="causal_lm", **({"sample_tokens": 6} | dict(task or {}))),
        data=Data(source=Synthetic(kind="synthetic"), split=Ratio(kind="ratio"), tokenizer=Char(kind="char"), sequence_length=8),
        model=Gpt(kind="gpt", **(sizes | dict(model or {}))), schedule=Schedule(**(values | schedule)),
    )  # fmt: skip


def early(patience: int, min_delta: float = 0.0) -> EarlyStopping:
    return EarlyStopping(patience=q(f"{patience} evaluations"), min_delta=min_delta)


def chain(count: int, *, seed: int, sharpness: float = 3.0) -> tuple[npt.NDArray[np.int64], float]:
    """A Markov chain over the alphabet and its entropy rate in nats a token."""
    rng = np.random.default_rng(12345)
    logits = rng.normal(size=(len(ALPHABET), len(ALPHABET))) * sharpness
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    stationary = np.linalg.matrix_power(rows, 200)[0]
    entropy = float(-(stationary[:, None] * rows * np.log(rows)).sum())
    edges = rows.cumsum(axis=1)
    draws, ids, state = np.random.default_rng(seed).random(count), np.empty(count, dtype=np.int64), 0
    for i in range(count):
        state = ids[i] = min(int(np.searchsorted(edges[state], draws[i])), len(ALPHABET) - 1)
    return ids, entropy


def parents(root: Path, *, train: int = 400, validation: int = 83, test: int | None = None) -> dict[str, StepInput]:
    """Finished `tokenizer` and `tokens` steps in a folder. Sizes are in tokens."""
    tokens, tokenizer = root / "tokens", root / "tokenizer"
    tokens.mkdir(parents=True)
    tokenizer.mkdir()
    sizes = {"train": train, "validation": validation} | ({"test": test} if test is not None else {})
    for number, (split, count) in enumerate(sizes.items()):
        ids, _ = chain(count, seed=number)
        text = "".join(ALPHABET[i] for i in ids)
        write_tokens(tokens, split, [(ids, len(text), len(text.split()))], vocab_size=len(ALPHABET), unpredicted=lambda _: (1, 0))
    codec = Tokenizer(models.WordLevel({c: i for i, c in enumerate(ALPHABET)}, unk_token=ALPHABET[0]))
    codec.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    codec.decoder = decoders.Fuse()
    codec.save(str(tokenizer / "tokenizer.json"))
    values = {"vocab_size": len(ALPHABET), "splits": {split: {} for split in sizes}}
    return {kind: finished(kind, folder, values) for kind, folder in (("tokens", tokens), ("tokenizer", tokenizer))}


def finished(kind: str, folder: Path, values: Mapping[str, Any]) -> StepInput:
    return StepInput(folder, StepResult(kind, kind, f"{kind}-key", str(folder), values, {}, 0.0, "2026-01-01T00:00:00Z"))


@dataclass
class Listener:
    """Keeps every event, and asks for an end after a given number of them have been metrics."""

    events: list[Event] = field(default_factory=list)
    stop_after_step: int | None = None
    number: int = 15

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> Iterator[Any]:
        return (event for event in self.events if isinstance(event, kind))

    def metric(self, name: str) -> dict[int, float]:
        return {m.step: m.values[name] for m in self.of(Metrics) if name in m.values}


class Beside:
    """A lane of copies for a device that is this CPU: with it, batches are gathered ahead by a thread, as on a GPU."""

    def now(self) -> None:
        return None

    @contextmanager
    def copying(self, after: None) -> Iterator[list[None]]:
        ends: list[None] = []
        yield ends
        ends.append(None)

    def await_copies(self, end: None) -> None:
        return None


def context(
    folder: Path, listener: Listener, *, key: str = "key", seed: int = 0, stop: Callable[[], int | None] = lambda: None, kind: str = "train"
) -> StepContext:
    folder.mkdir(parents=True, exist_ok=True)
    step = Step(f"{kind}[seed={seed}]", kind, key, (), {}, seed=seed)
    return StepContext(
        step=step, folder=folder, store=folder.parent, emit=listener.emit, hardware=hardware(), stop_requested=stop,
        base_folder=lambda _: folder,
    )  # fmt: skip


def stop_after(calls: int, number: int = 15) -> Callable[[], int | None]:
    """Asks for an end at the `calls`-th optimizer step. An evaluation asks too, between its batches; that is not counted."""
    seen = 0

    def requested() -> int | None:
        nonlocal seen
        seen += sys._getframe(1).f_code.co_name == "end_if_asked"
        return number if seen >= calls else None

    return requested
