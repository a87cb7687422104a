"""What a checkpoint costs training, at 10 M parameters with AdamW: `pytest tests/benchmarks/bench_checkpoint.py -m benchmark -s`.

Stall: how long a save holds the training thread. Cost: a stretch of steps that begins with a save against one that does not, in
interleaved pairs (A B B A); it holds the stall and what the writer takes from the arithmetic. Beside other work these vary more than
they are large: processor time tells then. Overhead: processor time of stall and writer against that of the steps between two saves at
the default cadence, a tenth of 1,000 steps.
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
    from specrun.steps.train.run import build_model, new_session, new_state
    from specrun.tasks.opening import open_task

    rare = q("100000 steps")
    made = spec(
        model=SIZES, duration=rare, batch_size=BATCH, optimizer=AdamW(kind="adamw"), evaluate=Evaluate(every=rare),
        learning_rate=WarmUpCosine(kind="warmup_cosine", warmup=q("10 steps")), checkpoint=Checkpoint(every=rare), log_every=q("10 steps"),
    )  # fmt: skip
    made = made.model_copy(update={"data": made.data.model_copy(update={"sequence_length": LENGTH})})
    device = open_device(hardware(threads=2))
    folders = {kind: root / kind for kind in ("tokens", "tokenizer")}
    task = open_task(made, folders=folders, facts={}, seed=0, device=device)
    schedule = resolve_schedule(made.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=LENGTH)
    model = build_model(made, sizes={"vocab_size": VOCAB, "sequence_length": LENGTH}, seed=0, device=device)
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


def _stretch(session: Any, stalls: list[float], *, save: bool) -> tuple[float, float]:
    """Seconds of the wall clock and of the processors."""
    from specrun.training.loop import train_step

    started, worked = time.perf_counter(), time.process_time()
    if save:
        before = time.thread_time()
        session.save()
        stalls.append(time.thread_time() - before)
    for _ in range(STEPS):
        state = session.state
        session.after_step(train_step(state, state.task.train_batch(state.position * BATCH, count=BATCH)))
    return time.perf_counter() - started, time.process_time() - worked


def _writer_times(patch: pytest.MonkeyPatch) -> list[float]:
    """Processor seconds of each call that writes or lets go of checkpoints."""
    from specrun.training import checkpoint_files

    taken: list[float] = []
    for name in ("save", "rotate"):
        real = getattr(checkpoint_files, name)

        def call(*args: Any, _real: Any = real, **kwargs: Any) -> Any:
            before = time.thread_time()
            found = _real(*args, **kwargs)
            taken.append(time.thread_time() - before)
            return found

        patch.setattr(checkpoint_files, name, call)
    return taken


@pytest.mark.benchmark
def test_what_a_checkpoint_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(Schedule.model_fields["checkpoint"].default.every) == "10%"
    sys.path.insert(0, str(Path(__file__).parent.parent / "steps"))
    from tiny_run import Listener

    from specrun.events import Span

    _write_data(tmp_path)
    listener, writer_cpu = Listener(), _writer_times(monkeypatch)
    stall_cpu: list[float] = []
    session = _session(tmp_path, listener)
    parameters = sum(p.numel() for p in session.state.model.parameters())
    with session.saver:
        for _ in range(WARM_UP):
            _stretch(session, [], save=False)
        plain, saving = [], []
        for pair in range(PAIRS):
            for save in (True, False) if pair % 2 else (False, True):
                (saving if save else plain).append(_stretch(session, stall_cpu, save=save))
                session.settle()
    stalls = [1e3 * span.seconds for span in listener.of(Span) if span.name == "checkpoint"]
    writes = [1e3 * span.seconds for span in listener.of(Span) if span.name == "checkpoint-write"]
    costs = sorted(a - b for (a, _), (b, _) in zip(saving, plain, strict=True))
    step = statistics.median(wall for wall, _ in plain) / STEPS
    step_cpu = statistics.median(worked for _, worked in plain) / STEPS
    save_cpu = statistics.median(stall_cpu) + sum(writer_cpu) / PAIRS
    print(
        f"\n{parameters / 1e6:.1f} M parameters, {12 * parameters / 1e6:.0f} MB a checkpoint, step {1e3 * step:.0f} ms\n"
        f"stall: first {stalls[0]:.1f} ms, median {statistics.median(stalls):.1f} ms, largest {max(stalls):.1f} ms\n"
        f"write: median {statistics.median(writes):.0f} ms\n"
        f"a save by the wall clock: median {1e3 * statistics.median(costs):.0f} ms ({1e3 * costs[0]:.0f} to {1e3 * costs[-1]:.0f})\n"
        f"processor time: stall {1e3 * statistics.median(stall_cpu):.1f} ms, writer {1e3 * sum(writer_cpu) / PAIRS:.0f} ms a save, "
        f"step {1e3 * step_cpu:.0f} ms\n"
        f"a save each tenth of {PLANNED_STEPS:,} steps: {100 * save_cpu / (PLANNED_STEPS / 10 * step_cpu):.2f} % of the processor time"
    )
