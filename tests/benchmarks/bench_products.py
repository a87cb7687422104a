"""Linear layers by oneDNN against torch's own products: `pytest tests/benchmarks/bench_products.py -m benchmark -s`.

For layers of several sizes, forward and backward pass together, float32, all cores; then whole steps of the 0.8 M character GPT. Turns of
either, in one process; medians. What `specrun.runtime.precision.choose_products` decides comes from here.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.gpt.build import build
from specrun.models.gpt.options import Options
from specrun.runtime.hardware import probe, resolve
from specrun.runtime.products import multiply_by, onednn_linear
from specrun.runtime.torch_build import has_onednn
from specrun.spec.sections.hardware import Hardware

LAYERS = ((768, 128, 128), (768, 128, 384), (768, 128, 512), (768, 512, 128), (2048, 128, 1024), (2048, 512, 2048), (4096, 768, 768))
"""Rows, inputs, outputs."""
TURNS = 30

pytestmark = [pytest.mark.benchmark, pytest.mark.skipif(not has_onednn(), reason="this torch is built without oneDNN")]


def _in_turns(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(5 + TURNS):
        for name in sorted(sides, reverse=turn % 2 == 0):
            began = time.perf_counter()
            sides[name]()
            taken[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(times[5:]) for name, times in taken.items()}


def test_linear_layers() -> None:
    print(f"\nresolved here: {resolve(Hardware(profile='cpu', precision='float32'), probe()).products}")
    for rows, inputs, outputs in LAYERS:
        x, weight, grad = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(rows, outputs)
        x.requires_grad_()
        weight.requires_grad_()

        def once(multiply: Callable[[Tensor, Tensor], Tensor], x: Tensor = x, weight: Tensor = weight, grad: Tensor = grad) -> None:
            torch.autograd.grad(multiply(x, weight), (x, weight), grad)

        torch.testing.assert_close(onednn_linear(x, weight), F.linear(x, weight), rtol=1e-3, atol=1e-3)
        found = _in_turns({"torch": lambda once=once: once(F.linear), "onednn": lambda once=once: once(onednn_linear)})
        gflop = 6 * rows * inputs * outputs / 1e9
        speeds = " and ".join(f"{gflop / found[name] * 1e3:.0f}" for name in ("torch", "onednn"))
        print(f"{rows} x {inputs} to {outputs}: {speeds} GFLOP/s, {found['torch'] / found['onednn']:.2f} x")


def test_steps() -> None:
    torch.manual_seed(0)
    plain = build(Options(kind="gpt", num_layers=4, width=128, num_heads=4, bias=False), vocab_size=65, sequence_length=64)
    fast = copy.deepcopy(plain)
    multiply_by(onednn_linear, fast)
    ids = torch.randint(65, (12, 64))

    def step(model: nn.Module) -> Tensor:
        loss: Tensor = F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        model.zero_grad()
        return loss.detach()

    torch.testing.assert_close(step(fast), step(plain), rtol=1e-5, atol=1e-5)
    found = _in_turns({"torch": lambda: step(plain), "onednn": lambda: step(fast)})
    print(f"\nforward and backward pass of 12 x 64 characters: {found['torch']:.1f} and {found['onednn']:.1f} ms, "
          f"{found['torch'] / found['onednn']:.2f} x")  # fmt: skip
