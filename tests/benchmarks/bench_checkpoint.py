"""What a checkpoint costs training, at 10 M parameters with AdamW: `pytest tests/benchmarks/bench_checkpoint.py -m benchmark -s`.

Stall: how long a save holds the training thread. Cost: a stretch of steps that begins with a save against one that does not, in
interleaved pairs (A B B A); it holds the stall and what the writer takes from the arithmetic. Overhead: that cost against the time
between two saves at the default cadence, a tenth of the training, for as many steps as the shipped 10 M spec plans.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specrun.spec.sections.schedule import Schedule

STEPS, PAIRS, WARM_UP, LENGTH, VOCAB, BATCH = 4, 6, 2, 128, 8192, 4
PLANNED_STEPS = 1000
SIZES = {"num_layers": 8, "width": 288, "num_heads": 8}


def _session(root: Path, listener: Any) -> Any:
    from tiny_run import AdamW, Checkpoint, Evaluate, WarmUpCosine, context, hardware, q, spec

    from specrun.plan.resolve import resolve_schedule
    from specrun.runtime.device import open_device
    from specrun.runtime.factory import load_factory
    from specrun.steps.train.run import build_model, new_session, new_state

    rare = q("100000 steps")
    made = spec(
        model=SIZES, duration=rare, batch_size=BATCH, optimizer=AdamW(kind="adamw"), evaluate=Evaluate(every=rare),
        learning_rate=WarmUpCosine(kind="warmup_cosine", warmup=q("10 steps")), checkpoint=Checkpoint(every=rare), log_every=q("10 steps"),
    )  # fmt: skip
    made = made.model_copy(update={"data": made.data.model_copy(update={"sequence_length": LENGTH})})
    device = open_device(hardware(threads=2))
    folders = {kind: root / kind for kind in ("tokens", "tokenizer")}
    task = load_factory(made.task.factory)(made.task, folders=folders, sequence_length=LENGTH, seed=0, device=device)
    schedule = resolve_schedule(made.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=LENGTH)
    model = build_model(made, vocab_size=VOCAB, seed=0, device=device)
    state = new_state(made, schedule, model, task, device, seed=0)
    return new_session(context(root / "run", listener), made, schedule, state)


def _write_data(root: Path) -> None:
    from specrun.tokenizers.char.options import Options as Char
    from specrun.tokenizers.contract import save_tokenizer, train_tokenizer
    from specrun.training.token_file import write_tokens

    rng = np.random.default_rng(0)
    (root / "tokens").mkdir(parents=True)
    (root / "tokenizer").mkdir()
    for split, count in (("train", 200_000), ("validation", 5_000)):
        ids = rng.integers(0, VOCAB, size=count)
        write_tokens(root / "tokens", split, [(ids, count, count // 5)], vocab_size=VOCAB, unpredicted=lambda _: (1, 0))
    save_tokenizer(train_tokenizer(Char(kind="char"), ["abc"], lambda _: None), root / "tokenizer")


def _stretch(session: Any, *, save: bool) -> float:
    from specrun.training.loop import train_step

    started = time.perf_counter()
    if save:
        session.save()
    for _ in range(STEPS):
        state = session.state
        session.after_step(train_step(state, state.task.train_batch(state.position * BATCH, count=BATCH)))
    return time.perf_counter() - started


@pytest.mark.benchmark
def test_what_a_checkpoint_costs(tmp_path: Path) -> None:
    assert str(Schedule.model_fields["checkpoint"].default.every) == "10%"
    sys.path.insert(0, str(Path(__file__).parent.parent / "steps"))
    from tiny_run import Listener

    from specrun.events import Span

    _write_data(tmp_path)
    listener = Listener()
    session = _session(tmp_path, listener)
    parameters = sum(p.numel() for p in session.state.model.parameters())
    with session.saver:
        for _ in range(WARM_UP):
            _stretch(session, save=False)
        plain, saving = [], []
        for pair in range(PAIRS):
            for save in (True, False) if pair % 2 else (False, True):
                (saving if save else plain).append(_stretch(session, save=save))
                session.settle()
    stalls = [1e3 * span.seconds for span in listener.of(Span) if span.name == "checkpoint"]
    writes = [1e3 * span.seconds for span in listener.of(Span) if span.name == "checkpoint-write"]
    costs = sorted(a - b for a, b in zip(saving, plain, strict=True))
    step = statistics.median(plain) / STEPS
    between = PLANNED_STEPS / 10 * step
    print(
        f"\n{parameters / 1e6:.1f} M parameters, {12 * parameters / 1e6:.0f} MB a checkpoint, step {1e3 * step:.0f} ms\n"
        f"stall: first {stalls[0]:.1f} ms, median {statistics.median(stalls):.1f} ms, largest {max(stalls):.1f} ms\n"
        f"write: median {statistics.median(writes):.0f} ms\n"
        f"cost of a save: median {1e3 * statistics.median(costs):.0f} ms ({1e3 * costs[0]:.0f} to {1e3 * costs[-1]:.0f}); "
        f"at {PLANNED_STEPS:,} steps and a save each tenth {100 * statistics.median(costs) / between:.2f} % of the time"
    )
