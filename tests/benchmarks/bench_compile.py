"""What compiling costs and saves on this processor: `pytest tests/benchmarks/bench_compile.py -m benchmark -s`.

For the 0.8 M character GPT (12 x 64) and quickstart's model (16 x 128), each in processes of their own: seconds until the first step
is done, with an empty cache and with a full one, eager and compiled; then one process with both models and turns of a step each, one
thread, in processor time, so that other work on the machine counts little. The first 20 losses must agree within 1e-4. The constants of
`specrun.plan.compilation.RULE` come from here.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

WARM_UP, TURNS, GATE = 20, 40, 20
MODELS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "0.8 M characters": ({"bias": False}, 65, 12, 64),
    "quickstart": ({"architecture": "llama"}, 1024, 16, 128),
}
"""Options, vocabulary, batch, sequence."""


def _state(name: str, *, cache: Path | None, precision: str = "float32") -> tuple[Any, Any]:
    """A training state and its batch. cache: where compiled code is kept; None: eager."""
    import torch

    from specrun.models.gpt.build import build
    from specrun.models.gpt.options import Options
    from specrun.runtime.compilation import compile_blocks
    from specrun.runtime.device import Device
    from specrun.runtime.hardware import probe, resolve
    from specrun.runtime.products import multiplication, multiply_by
    from specrun.spec.sections.hardware import Hardware
    from specrun.tasks.causal_lm.build import TokenBatch
    from specrun.training.loop import TrainState
    from specrun.training.loss_scaling import LossScale
    from specrun.training.optimizers.adamw.build import build as build_adamw
    from specrun.training.optimizers.adamw.options import Options as AdamW

    torch.set_num_threads(1)
    torch.manual_seed(0)
    more, vocab, batch, length = MODELS[name]
    model = build(Options(kind="gpt", num_layers=4, width=128, num_heads=4, **more), vocab_size=vocab, sequence_length=length)
    products = resolve(Hardware(profile="cpu", precision=precision), probe()).products.value  # type: ignore[arg-type]
    device = Device("cpu", torch.device("cpu"), getattr(torch, precision), products=products)
    multiply = multiplication(device, few_shapes=True)
    multiply_by(multiply, model)
    optimizer = build_adamw(AdamW(kind="adamw", learning_rate=1e-3), model=model, compute_dtype=torch.float32)
    state = TrainState(model, optimizer, _Task(multiply), device, lambda step: 1e-3 * min(1.0, (step + 1) / 20), 1.0, batch, seed=0)  # type: ignore[arg-type]
    state.loss_scale = LossScale.needed_on(device)
    state.compilation = None if cache is None else compile_blocks(model, mode="default", cache_folder=cache)
    ids = torch.randint(vocab, (batch, length + 1), generator=torch.Generator().manual_seed(1))
    return state, TokenBatch(ids)


class _Task:
    """The loss alone; both sides compute it the same way."""

    def __init__(self, multiply: Any) -> None:
        self._multiply = multiply

    def loss_sum(self, model: Any, batch: Any) -> Any:
        from specrun.training.cross_entropy import linear_cross_entropy_sum

        hidden_NC = model.hidden(batch.ids[:, :-1]).flatten(0, 1)
        return linear_cross_entropy_sum(hidden_NC, model.head_VC, batch.ids[:, 1:].flatten(), multiply=self._multiply)


def _first_step(name: str, cache: Path | None) -> dict[str, float]:
    """Processor seconds of this process and the compilers it starts, and by the clock, for the first step."""
    from specrun.training.loop import train_step

    state, batch = _state(name, cache=cache)
    before, began = _processor_seconds(), time.perf_counter()
    train_step(state, batch)
    return {"processor": _processor_seconds() - before, "clock": time.perf_counter() - began}


def _processor_seconds() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _turns(name: str, cache: Path) -> dict[str, Any]:
    """Eager and compiled steps in turn, in milliseconds of processor time; and an evaluation's forward pass."""
    import torch

    from specrun.training.loop import train_step

    # The compiled one first: it forgets what was compiled before it.
    sides = {"compiled": _state(name, cache=cache), "eager": _state(name, cache=None)}
    losses = {side: [train_step(*it).loss.item() for _ in range(GATE)] for side, it in sides.items()}
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(WARM_UP + TURNS):
        for side in sorted(sides, reverse=turn % 2 == 0):
            began = time.process_time()
            train_step(*sides[side])
            taken[side].append(1e3 * (time.process_time() - began))
    compilation = sides["compiled"][0].compilation
    assert (compilation.failed, compilation.figures.graphs) == (False, 1), compilation.take_notes()
    gap = max(abs(a - b) for a, b in zip(losses["eager"], losses["compiled"], strict=True))
    _, vocab, _, length = MODELS[name]
    ids, model = torch.randint(vocab, (16_384 // length, length)), sides["eager"][0].model.eval()
    blocks = torch.compile(model.hidden, dynamic=False)
    judged: dict[str, list[float]] = {"eager": [], "compiled": []}
    with torch.no_grad():
        for _ in range(6):
            for side, hidden in (("eager", model.hidden), ("compiled", blocks)):
                began = time.process_time()
                hidden(ids)
                judged[side].append(1e3 * (time.process_time() - began))
    return {
        "gap": gap,
        **{side: times[WARM_UP:] for side, times in taken.items()},
        "judged": {side: min(it) for side, it in judged.items()},
    }


def _precisions(name: str) -> dict[str, Any]:
    """Milliseconds of processor time of a step in each precision, in turn; the losses; and which of them plan calls emulated here."""
    from specrun.runtime.hardware import probe
    from specrun.runtime.precision import precision_reason
    from specrun.training.loop import train_step

    sides = {precision: _state(name, cache=None, precision=precision) for precision in ("float32", "bfloat16", "float16")}
    taken: dict[str, list[float]] = {precision: [] for precision in sides}
    losses: dict[str, list[float]] = {precision: [] for precision in sides}
    for _ in range(12):
        for precision, it in sides.items():
            began = time.process_time()
            losses[precision].append(train_step(*it).loss.item())
            taken[precision].append(1e3 * (time.process_time() - began))
    machine = probe()
    return {
        "milliseconds": {precision: statistics.median(times[4:]) for precision, times in taken.items()},
        "losses": losses,
        "emulated": [precision for precision in sides if precision_reason(precision, machine, None).value == "no"],
    }


@pytest.mark.benchmark
def test_precisions_on_a_processor(tmp_path: Path) -> None:
    """A precision that plan calls emulated takes at least twice as long, and each of them trains as float32 does."""
    found = _ask("precisions", name="0.8 M characters", cache=tmp_path)
    milliseconds, losses = found["milliseconds"], found["losses"]
    exact = milliseconds["float32"]
    print("\n" + ", ".join(f"{precision} {ms:.0f} ms ({ms / exact:.2f} x float32)" for precision, ms in milliseconds.items()))
    assert losses["float32"][-1] < losses["float32"][0] - 0.1
    for precision in ("bfloat16", "float16"):
        assert losses[precision] == pytest.approx(losses["float32"], abs=0.005)
        assert losses[precision] != losses["float32"]
        assert precision not in found["emulated"] or milliseconds[precision] > 2 * exact


@pytest.mark.benchmark
@pytest.mark.parametrize("name", list(MODELS))
def test_compiled_against_eager_steps(tmp_path: Path, name: str) -> None:
    ask = partial(_ask, name=name, cache=tmp_path / "cache")
    eager, cold, warm = ask("eager"), ask("first"), ask("first")
    found = ask("turns")
    ratios = sorted(c / e for c, e in zip(found["compiled"], found["eager"], strict=True))
    low, high = ratios[len(ratios) // 20], ratios[-1 - len(ratios) // 20]
    print(
        f"\n{name}: compiling takes {cold['processor'] - eager['processor']:.1f} s of processor time with an empty cache "
        f"({cold['clock']:.1f} s by the clock), {warm['processor'] - eager['processor']:.1f} s with a full one ({warm['clock']:.1f} s); "
        f"a step takes {statistics.median(found['eager']):.1f} ms eagerly, compiled {statistics.median(ratios):.3f} of that "
        f"({low:.3f} to {high:.3f}, 90 % of {TURNS} turns); first {GATE} losses differ by {found['gap']:.1e} at most; an evaluation's "
        f"forward pass of 16,384 tokens {found['judged']['eager']:.0f} ms eagerly, {found['judged']['compiled']:.0f} ms compiled"
    )
    assert found["gap"] < 1e-4


def _ask(what: str, *, name: str, cache: Path) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}
    command = [sys.executable, __file__, what, name, str(cache)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    what, name, cache = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    measures = {"turns": partial(_turns, cache=cache), "precisions": _precisions, "eager": partial(_first_step, cache=None)}
    print(json.dumps(measures.get(what, partial(_first_step, cache=cache))(name)))
