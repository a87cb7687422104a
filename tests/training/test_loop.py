"""One optimizer step: what a plain loop computes, whatever the micro-batch size, without waiting for the device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.compilation import compile_blocks
from specrun.runtime.device import Device
from specrun.runtime.seeds import derive, seed_torch
from specrun.tasks.causal_lm.build import TokenBatch
from specrun.training.cross_entropy import linear_cross_entropy_sum
from specrun.training.loop import TrainState, train_step
from specrun.training.meters import Meter
from specrun.training.optimizers.adamw.build import build as build_adamw
from specrun.training.optimizers.adamw.options import Options as AdamW
from tests.waits import Waits, all_waits

VOCAB, LENGTH = 23, 12
ADAMW = AdamW(kind="adamw", learning_rate=3e-3, betas=(0.9, 0.95), weight_decay=0.1)


@dataclass
class Windows:
    """The loss of a language model on batches that a test makes. Stands in for a task."""

    samples_per_epoch: int = 1000

    def loss_sum(self, model: Any, batch: TokenBatch) -> torch.Tensor:
        return linear_cross_entropy_sum(model.hidden(batch.ids[:, :-1]).flatten(0, 1), model.head_VC, batch.ids[:, 1:].flatten())


def learning_rate(step: int) -> float:
    return 3e-3 * min(1.0, (step + 1) / 5)


def new_model(**more: Any) -> GPT:
    torch.manual_seed(11)
    return build(Gpt(kind="gpt", num_layers=2, width=24, num_heads=3, **more), vocab_size=VOCAB, sequence_length=LENGTH)


def new_state(model: GPT, *, micro: int = 8, clip: float | None = 1.0, dtype: torch.dtype = torch.float32) -> TrainState:
    device = Device("cpu", torch.device("cpu"), dtype)
    optimizer = build_adamw(ADAMW, model=model)
    task: Any = Windows()
    return TrainState(model, optimizer, task, device, learning_rate, clip, micro, seed=5)


def batches(count: int, samples: int = 8) -> Iterator[TokenBatch]:
    rng = np.random.default_rng(2)
    for _ in range(count):
        # Tokens follow one another with a pattern, so that there is something to learn.
        starts = rng.integers(VOCAB, size=(samples, 1))
        yield TokenBatch(torch.from_numpy((starts + np.arange(LENGTH + 1) * rng.integers(1, 3, size=(samples, 1))) % VOCAB))


def plain_loop(model: GPT, count: int) -> list[float]:
    """Written by hand with torch alone: the mean loss over the batch, clipping, AdamW."""
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "position" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() == 2 and "position" not in n)]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step, batch in enumerate(batches(count)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        loss = F.cross_entropy(model(batch.ids[:, :-1]).flatten(0, 1), batch.ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def train(state: TrainState, count: int) -> list[float]:
    return [train_step(state, batch).loss.item() for batch in batches(count)]


def test_the_first_twenty_losses_are_those_of_a_plain_loop() -> None:
    model = new_model()
    expected = plain_loop(copy.deepcopy(model), 20)
    found = train(new_state(model), 20)
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 1e-4
    assert found[-1] < found[0] - 0.3


@pytest.mark.parametrize("micro", [1, 3, 4, 7, 100])
def test_the_micro_batch_size_changes_nothing_but_rounding(micro: int) -> None:
    one, other = new_state(new_model()), new_state(new_model(), micro=micro)
    torch.testing.assert_close(torch.tensor(train(one, 6)), torch.tensor(train(other, 6)), atol=2e-5, rtol=0)
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_cuda_graphs_are_recorded_for_whole_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the step on that has several micro-batches, as where one that did not fit was halved."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: None)
    expected, state = train(new_state(new_model()), 3), new_state(new_model())
    it = state.compilation = compile_blocks(state.model, mode="reduce-overhead", kind="cuda", cache_folder=Path("nowhere"), backend="eager")
    losses, modes = [], []
    for number, batch in enumerate(batches(3)):
        state.micro_batch_size = 8 if number == 0 else 4
        losses.append(train_step(state, batch).loss.item())
        modes.append((it.mode, it.graphs))
    torch.compiler.reset()
    assert modes == [("reduce-overhead", True), ("default", False), ("default", False)]
    assert [note.code for note in it.take_notes()] == ["cuda-graphs-left-out"]
    assert losses == pytest.approx(expected, rel=1e-5)


def test_with_dropout_the_micro_batch_size_is_part_of_the_training() -> None:
    """Why it enters the key there: see `steps.train.step`."""
    losses = [train(new_state(new_model(dropout=0.3), micro=micro), 2) for micro in (8, 8, 4)]
    assert losses[0] == losses[1]
    assert abs(losses[0][0] - losses[2][0]) > 1e-4


def test_the_gradient_norm_is_that_before_clipping_and_clipping_bounds_it() -> None:
    tight, free = new_state(new_model(), clip=1e-3), new_state(new_model(), clip=None)
    batch = next(batches(1))
    norms = [train_step(state, batch).gradient_norm.item() for state in (tight, free)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-6)
    assert norms[0] > 0.1
    moments = [next(iter(state.optimizer.state.values()))["exp_avg"].abs().max().item() for state in (tight, free)]
    assert moments[0] < moments[1] * 0.05


def test_norms_biases_and_positions_do_not_decay() -> None:
    model = new_model()
    optimizer = build_adamw(ADAMW, model=model)
    names = {id(p): n for n, p in model.named_parameters()}
    decayed = {names[id(p)] for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {n for n, p in model.named_parameters() if p.dim() == 2 and n != "position_embedding.weight"}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(names)


def test_dropout_depends_on_seed_and_step_and_not_on_what_was_drawn_before() -> None:
    one, other = new_state(new_model(dropout=0.3)), new_state(new_model(dropout=0.3))
    batch = next(batches(1))
    first = train_step(one, batch).loss
    torch.rand(1000)
    assert torch.equal(first, train_step(other, batch).loss)
    later = new_state(new_model(dropout=0.3))
    later.step = 1
    assert not torch.equal(first, train_step(later, batch).loss)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_each_micro_batch_draws_masks_of_its_own(dropout: float) -> None:
    losses: list[float] = []

    class Heard(Windows):
        def loss_sum(self, model: Any, batch: TokenBatch) -> torch.Tensor:
            loss = super().loss_sum(model, batch)
            losses.append(loss.item())
            return loss

    state, task = new_state(new_model(dropout=dropout), micro=1), Heard()
    state.task = task  # type: ignore[assignment]
    [row] = batches(1, samples=1)
    train_step(state, TokenBatch(row.ids.repeat(3, 1)))
    assert len(set(losses)) == (3 if dropout else 1)


def test_seeds_of_different_purposes_are_unrelated() -> None:
    values = {derive(seed, stream, a) for seed in range(5) for stream in ("step", "order", "weights") for a in range(50)}
    assert len(values) == 750
    seed_torch(derive(0, "step", 1))
    first = torch.rand(3)
    seed_torch(derive(0, "step", 1))
    assert torch.equal(first, torch.rand(3))


def test_bfloat16_trains_float32_weights_to_about_the_same_loss() -> None:
    exact, half = new_state(new_model()), new_state(new_model(), dtype=torch.bfloat16)
    losses = train(exact, 20), train(half, 20)
    assert all(p.dtype is torch.float32 for p in half.model.parameters())
    assert losses[0] != losses[1]
    assert losses[1][-1] == pytest.approx(losses[0][-1], abs=0.1)


def run_intervals(state: TrainState, intervals: int, each: int) -> None:
    meter, feed = Meter(), batches(intervals * each)
    for _ in range(intervals):
        for _ in range(each):
            meter.add(train_step(state, next(feed)))
        assert not meter.read(state.device)
        meter.take()


def test_the_host_waits_for_the_device_once_a_log_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    state = new_state(new_model(), micro=3)
    with all_waits(monkeypatch) as waits:
        run_intervals(state, 3, 7)
    assert waits.count == 3
    assert state.device.syncs == 3


@pytest.mark.parametrize(
    "wait",
    [
        lambda t: t.sum().item(), lambda t: float(t[0]), lambda t: bool(t.any()), lambda t: t.tolist(), lambda t: t.detach().numpy(),
        lambda t: t.cpu(), lambda t: t[t > 3], lambda t: t.nonzero(), lambda t: torch.masked_select(t, t > 3), lambda t: t.unique(),
        lambda t: t.index_put((t > 3,), t[:6]), lambda t: torch.equal(t, t), lambda t: t.long().repeat_interleave(t.long()),
        lambda t: t.to("meta"), lambda t: torch.empty(10, device="meta").copy_(t),
    ],
)  # fmt: skip
def test_each_way_to_wait_is_counted(monkeypatch: pytest.MonkeyPatch, wait: Callable[[torch.Tensor], Any]) -> None:
    with all_waits(monkeypatch) as waits:
        wait(torch.arange(10.0))
    assert waits.count >= 1


def test_what_does_not_wait_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    it = torch.arange(10.0)
    with all_waits(monkeypatch) as waits:
        assert len(torch.nonzero_static(it > 3, size=6)) == 6
        assert len(it[torch.tensor([1, 2])]) == 2
        it[it > 3] = 0.0
        torch.where(it > 3, it, -it).to(torch.float64)
        it.to("meta", non_blocking=True)
        it.long().repeat_interleave(it.long(), output_size=6)
    assert waits.count == 0


def test_a_loop_that_waits_each_step_is_caught() -> None:
    state = new_state(new_model())
    with Waits() as waits:
        for batch in batches(5):
            train_step(state, batch).loss.item()
    assert waits.count == 5
