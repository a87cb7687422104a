"""Training as used against a bare loop over the same model: `pytest tests/benchmarks/bench_loop.py -m benchmark -s`.

Both are processes of their own, in interleaved blocks (A B B A). The bare loop has no records, no evaluation, no checkpoints:
it gathers a batch, computes the loss, clips and steps. specrun logs every 10 steps to a journal, evaluates and saves.
Before anything is timed, the first 20 losses of both must agree.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STEPS, WARM_UP, BLOCKS, BATCH, LENGTH, VOCAB = 120, 30, 6, 12, 64, 65
SIZES = {"num_layers": 4, "width": 128, "num_heads": 4, "bias": False}


def _spec() -> Any:
    from tiny_run import AdamW, Checkpoint, Evaluate, WarmUpCosine, q, spec

    course = WarmUpCosine(kind="warmup_cosine", warmup=q("10 steps"))
    made = spec(
        model=SIZES, task={"sample_tokens": 32}, duration=q(f"{STEPS} steps"), batch_size=BATCH, gradient_clip=1.0, learning_rate=course,
        optimizer=AdamW(kind="adamw", learning_rate=1e-3, betas=(0.9, 0.99), weight_decay=0.1), log_every=q("10 steps"),
        evaluate=Evaluate(every=q("60 steps")), checkpoint=Checkpoint(every=q("60 steps")),
    )  # fmt: skip
    return made.model_copy(update={"data": made.data.model_copy(update={"sequence_length": LENGTH})})


def _write_data(root: Path) -> None:
    from specrun.tokenizers.char.options import Options as Char
    from specrun.tokenizers.contract import save_tokenizer, train_tokenizer
    from specrun.training.token_file import write_tokens

    rng = np.random.default_rng(0)
    (root / "tokens").mkdir(parents=True)
    (root / "tokenizer").mkdir()
    for split, count in (("train", 200_000), ("validation", 5_000)):
        ids = (np.cumsum(rng.integers(1, 4, size=count))) % VOCAB
        write_tokens(root / "tokens", split, [(ids, count, count // 5)], vocab_size=VOCAB, unpredicted=lambda _: (1, 0))
    letters = "".join(chr(ord("0") + i) for i in range(VOCAB))
    save_tokenizer(train_tokenizer(Char(kind="char"), [letters], lambda _: None), root / "tokenizer")


def _specrun(root: Path, folder: Path) -> dict[str, Any]:
    from tiny_run import Listener, context, finished

    from specrun.events import Metrics
    from specrun.records.journal import Journal
    from specrun.steps.train.run import run

    inputs = {kind: finished(kind, root / kind, {"vocab_size": VOCAB, "splits": {}}) for kind in ("tokens", "tokenizer")}
    listener = Listener()
    folder.mkdir(parents=True)
    with Journal.open(folder, run_id="bench", attempt=1) as journal:
        listener.emit = lambda event: (listener.events.append(event), journal.emit(event), None)[-1]  # type: ignore[method-assign]
        run(context(folder, listener), _spec(), inputs)
    figures = {m.step: m.values for m in listener.of(Metrics) if "throughput/step_seconds" in m.values}
    return {"ms": 1e3 * statistics.mean(v["throughput/step_seconds"] for step, v in figures.items() if step > WARM_UP)}


def _losses(root: Path, count: int) -> list[float]:
    """First losses of specrun's own loop."""
    _, task, state = _state(root)
    from specrun.training.loop import train_step

    return [train_step(state, task.train_batch(i * BATCH, count=BATCH)).loss.item() for i in range(count)]


def _state(root: Path) -> tuple[Any, Any, Any]:
    from tiny_run import hardware

    from specrun.plan.resolve import resolve_schedule
    from specrun.runtime.device import open_device
    from specrun.steps.train.run import build_model, new_state
    from specrun.tasks.opening import open_task

    spec, device = _spec(), open_device(hardware())
    folders = {kind: root / kind for kind in ("tokens", "tokenizer")}
    task = open_task(spec, folders=folders, facts={}, seed=0, device=device)
    schedule = resolve_schedule(spec.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=LENGTH)
    return (
        spec,
        task,
        new_state(
            spec,
            schedule,
            build_model(spec, sizes={"vocab_size": VOCAB, "sequence_length": LENGTH}, seed=0, device=device),
            task,
            device,
            seed=0,
        ),
    )


def _bare(root: Path, count: int, *, own_batches: bool) -> tuple[list[Any], list[float]]:
    """The loop that a person would write. own_batches: random windows, as such a loop has; otherwise specrun's, to compare losses."""
    import torch
    from torch.nn import functional as F  # noqa: N812 - the field's own name for it

    from specrun.training.token_file import open_tokens

    _, task, state = _state(root)
    model, course = state.model, state.learning_rate
    named = list(model.named_parameters())
    decayed = [p for n, p in named if p.dim() == 2 and "position" not in n]
    rest = [p for n, p in named if not (p.dim() == 2 and "position" not in n)]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    data = torch.from_numpy(np.asarray(open_tokens(root / "tokens", "train").ids).astype(np.int64))
    losses, times = [], [time.perf_counter()]
    for step in range(count):
        for group in optimizer.param_groups:
            group["lr"] = course(step)
        if own_batches:
            batch = data[torch.randint(len(data) - LENGTH - 1, (BATCH, 1)) + torch.arange(LENGTH + 1)]
        else:
            batch = task.train_batch(step * BATCH, count=BATCH).ids
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        times.append(time.perf_counter())
    return losses, times


@pytest.mark.benchmark
def test_training_as_used_against_a_bare_loop(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "steps"))
    _write_data(tmp_path / "data")
    bare = [loss.item() for loss in _bare(tmp_path / "data", 20, own_batches=False)[0]]
    gate = max(abs(a - b) for a, b in zip(bare, _losses(tmp_path / "data", 20), strict=True))
    assert gate < 1e-4
    taken: dict[str, list[float]] = {"bare": [], "specrun": []}
    for block in range(BLOCKS):
        for name in ("bare", "specrun") if block % 2 else ("specrun", "bare"):
            command = [sys.executable, __file__, name, str(tmp_path / "data"), str(tmp_path / f"run-{block}")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            taken[name].append(json.loads(done.stdout)["ms"])
    ratios = sorted(a / b for a, b in zip(taken["bare"], taken["specrun"], strict=True))
    print(
        f"\nfirst 20 losses differ by {gate:.1e} at most; step: bare {statistics.median(taken['bare']):.2f} ms, "
        f"specrun {statistics.median(taken['specrun']):.2f} ms; speed of specrun over bare: {statistics.median(ratios):.3f} "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f} over {BLOCKS} interleaved pairs, one thread)"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent / "steps"))
    where = Path(sys.argv[2])
    if sys.argv[1] == "specrun":
        print(json.dumps(_specrun(where, Path(sys.argv[3]))))
    else:
        stamps = _bare(where, STEPS, own_batches=True)[1]
        print(json.dumps({"ms": 1e3 * (stamps[-1] - stamps[WARM_UP]) / (STEPS - WARM_UP)}))
