"""Training steps of the tft model: `python tft_step.py STEPS TARGETS`. Prints ms a step and windows a second, as its rival does.

Hidden 32, 8 heads, dropout 0.15, context 288, horizon 96, batch 32, three quantiles; seven unknown numbers, of which TARGETS are forecast,
and three known ones; pinball loss, gradients clipped at 0.1, fused AdamW. Set up as `specrun apply` sets up a process and a model: freed
memory kept, short waits, products by the library that the processor is fastest with.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from specrun.runtime.allocation import keep_freed_memory
from specrun.runtime.threads import let_waiting_threads_sleep

let_waiting_threads_sleep(os.environ)
keep_freed_memory(os.environ)

import torch  # noqa: E402 - what was just said counts for what is loaded after it
from torch import Tensor  # noqa: E402

from specrun.models.tft.build import build  # noqa: E402
from specrun.models.tft.options import Options  # noqa: E402
from specrun.runtime.interfaces import ForecastInputs  # noqa: E402
from specrun.runtime.products import multiply_by, onednn_linear  # noqa: E402

BATCH, CONTEXT, HORIZON, PAST, KNOWN, BATCHES = 32, 288, 96, 7, 3, 8
CPU = Path("/proc/cpuinfo")
ONEDNN = CPU.is_file() and "AuthenticAMD" in CPU.read_text()


def batch(targets: int) -> tuple[ForecastInputs, Tensor]:
    none = torch.zeros(BATCH, CONTEXT + HORIZON, 0, dtype=torch.int64)
    inputs = ForecastInputs(
        torch.randn(BATCH, CONTEXT, PAST), torch.randn(BATCH, CONTEXT + HORIZON, KNOWN), none, torch.zeros(BATCH, 0), none[:, 0]
    )
    return inputs, torch.randn(BATCH, HORIZON, targets, 1)


def main() -> None:
    steps, targets = (int(word) for word in sys.argv[1:])
    torch.manual_seed(0)
    model = build(
        Options(kind="tft", width=32, num_heads=8, dropout=0.15), context=CONTEXT, horizon=HORIZON,
        targets=targets, observed=PAST - targets,
        known=KNOWN, static=0, known_categories=(), static_categories=(), quantiles=3,
    ).train()  # fmt: skip
    if ONEDNN:
        multiply_by(onednn_linear, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    levels, batches, ends = torch.tensor([0.1, 0.5, 0.9]), [batch(targets) for _ in range(BATCHES)], []
    for step in range(steps):
        inputs, truth = batches[step % BATCHES]
        missing = truth - model(inputs)
        torch.maximum(levels * missing, (levels - 1) * missing).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ends.append(time.perf_counter())
    first = len(ends) // 3
    seconds = (ends[-1] - ends[first]) / (len(ends) - 1 - first)
    print(f"step_ms {seconds * 1e3:.1f} windows_per_s {BATCH / seconds:.1f}")


main()
