"""The 0.8 M character GPT as used (records, evaluation, checkpoints) against other loops.

    pytest tests/benchmarks/bench_rivals.py -m benchmark -s

Contenders, each a process of its own, in interleaved blocks (A B C D, then D C B A): the bare loop and Hugging Face Trainer of the shared
rivals, and a loop with the settings of nanoGPT's published recipe (contenders/nanogpt_recipe.py). Trainer needs `transformers` and
`accelerate`: SPECRUN_BENCH_TRAINER_PYTHON names the interpreter of an environment that has them; without it Trainer is left out.

Before anything is timed, the bare loop's own model and ours start from the same weights and see the same batches: their first 20 losses
must agree. All have the same parameters, batch, length and optimizer settings. Ours counts all wall time after the warm-up but the
evaluations, which the bare loop has none of: checkpoints, records and progress are in it.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from specrun.events import Metrics, Span
from specrun.records.journal_reader import journal_files, read_journal

ROOT = Path(__file__).resolve().parents[2]
RIVALS = ROOT.parent / "shared" / "rivals"
TEXT = ROOT.parent / "shared" / "data" / "text" / "tinyshakespeare.txt"
STEPS, WARM_UP, GATE_STEPS, BATCH, LENGTH = 400, 100, 20, 12, 64
BLOCKS = int(os.environ.get("SPECRUN_BENCH_BLOCKS", "5"))
SETTINGS = {
    "data.source.path": str(TEXT),
    "model.layers.activation": "gelu",
    "schedule.duration": f"{STEPS} steps",
    "schedule.optimizer.learning_rate": "1e-3",
    "schedule.evaluate.every": "200 steps",
    "schedule.checkpoint.every": "200 steps",
    "hardware.compile": "off",
    "expect": "[]",
}
_WITH_PEAK = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
assert done.returncode == 0, done.stderr
print(json.dumps([done.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""
_NAMES = {
    "te.weight": "token_embedding.weight", "pe.weight": "position_embedding.weight", "n.weight": "final_norm.weight",
    "n1.weight": "attention_norm.weight", "n2.weight": "mlp_norm.weight", "qkv.weight": "attention.qkv.weight",
    "o.weight": "attention.out.weight", "u.weight": "mlp.up.weight", "d.weight": "mlp.out.weight",
}  # fmt: skip
"""The bare loop's names for weights, and ours."""

Figures = dict[str, float]
"""ms: milliseconds a step; peak: resident memory in bytes."""


def _rival(script: Path, python: str) -> Figures:
    command = [sys.executable, "-c", _WITH_PEAK, python, str(script), str(TEXT), str(STEPS)]
    said, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = re.search(r"step_ms ([\d.]+)", said)
    assert found, said
    return {"ms": float(found[1]), "peak": peak}


def _specrun(store: Path) -> Figures:
    command = [str(Path(sys.executable).parent / "specrun"), "apply", str(ROOT / "specs" / "gpt_shakespeare.yaml"), "--json"]
    settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    done = subprocess.run([*command, "--store", str(store), *settings], check=True, capture_output=True, text=True)
    folder = Path(json.loads(done.stdout)["runs"][0]["folder"])
    final = json.loads((folder / "final.json").read_text(encoding="utf-8"))
    return {"ms": _milliseconds_a_step(folder), "peak": float(final["training"]["peak_memory_bytes"])}


def _milliseconds_a_step(folder: Path) -> float:
    """Wall time from the record of step WARM_UP to that of the last step, without the evaluations in between."""
    (journal,) = (file for file in journal_files(folder) if file.attempt)
    events = [(record.time, record.event()) for record in read_journal(journal.path)]
    logged = {event.step: time for time, event in events if isinstance(event, Metrics) and "train/loss" in event.values}
    spans = [event for _, event in events if isinstance(event, Span) and event.name == "evaluation"]
    judged = sum(span.seconds for span in spans if span.step is not None and WARM_UP <= span.step < STEPS)
    return 1e3 * (logged[STEPS] - logged[WARM_UP] - judged) / (STEPS - WARM_UP)


def _bare_namespace() -> dict[str, Any]:
    """The bare loop's own data, model and optimizer, without its loop."""
    source = (RIVALS / "lm_bare.py").read_text(encoding="utf-8").split("ts = []")[0]
    names: dict[str, Any] = {}
    before, sys.argv = sys.argv, ["lm_bare.py", str(TEXT), str(GATE_STEPS)]
    try:
        exec(compile(source, "lm_bare.py", "exec"), names)
    finally:
        sys.argv = before
    return names


def _first_losses(root: Path) -> tuple[list[float], list[float]]:
    """The bare loop's and ours, from the same weights on the same batches, each with its own model, loss, clipping and optimizer."""
    import numpy as np
    import torch
    from tiny_run import hardware

    from specrun import load_spec
    from specrun.plan.resolve import resolve_schedule
    from specrun.runtime.device import open_device
    from specrun.steps.train.run import build_model, new_state
    from specrun.tasks.opening import open_task
    from specrun.training.loop import train_step

    bare = _bare_namespace()
    _write_data(root, bare["a"][: bare["n"]], sorted(bare["chars"]))
    spec = load_spec(ROOT / "specs" / "gpt_shakespeare.yaml", sets=[f"{name}={value}" for name, value in SETTINGS.items()]).spec
    device = open_device(hardware())
    folders = {kind: root / kind for kind in ("tokens", "tokenizer")}
    task = open_task(spec, folders=folders, facts={}, seed=0, device=device)
    schedule = resolve_schedule(spec.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=LENGTH)
    state = new_state(
        spec, schedule, build_model(spec, sizes={"vocab_size": 65, "sequence_length": LENGTH}, seed=0, device=device), task, device, seed=0
    )
    ours = dict(state.model.named_parameters())
    with torch.no_grad():
        for name, weight in bare["m"].named_parameters():
            block, _, rest = name.rpartition("bs.")[2].partition(".") if name.startswith("bs.") else ("", "", name)
            ours[f"blocks.{block}.{_NAMES[rest]}" if block else _NAMES[rest]].copy_(weight)
    theirs_losses, losses = [], []
    for step in range(GATE_STEPS):
        batch = task.train_batch(step * BATCH, count=BATCH)
        rate = state.learning_rate(step)
        loss = bare["f"](batch.ids[:, :-1], batch.ids[:, 1:])
        loss.backward()
        for group in bare["opt"].param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(bare["m"].parameters(), 1.0)
        bare["opt"].step()
        bare["opt"].zero_grad(set_to_none=True)
        theirs_losses.append(loss.item())
        losses.append(train_step(state, batch).loss.item())
    assert np.isfinite(losses).all()
    return theirs_losses, losses


def _write_data(root: Path, ids: Any, characters: list[str]) -> None:
    from specrun.tokenizers.char.options import Options as Char
    from specrun.tokenizers.contract import save_tokenizer, train_tokenizer
    from specrun.training.token_file import write_tokens

    for kind in ("tokens", "tokenizer"):
        (root / kind).mkdir(parents=True)
    for split, part in (("train", ids), ("validation", ids[:5_000])):
        write_tokens(root / "tokens", split, [(part, len(part), len(part) // 5)], vocab_size=len(characters), unpredicted=lambda _: (1, 0))
    save_tokenizer(train_tokenizer(Char(kind="char"), ["".join(characters)], lambda _: None), root / "tokenizer")


@pytest.mark.benchmark
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the bare loop leaves its text open
@pytest.mark.skipif(not TEXT.is_file(), reason="needs the shared text of Shakespeare")
def test_as_used_against_the_contenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "steps"))
    theirs, ours = _first_losses(tmp_path / "gate")
    gate = max(abs(one - other) for one, other in zip(theirs, ours, strict=True))
    assert gate < 1e-4
    contenders = {
        "bare loop": lambda _: _rival(RIVALS / "lm_bare.py", sys.executable),
        "specrun": _specrun,
        "nanoGPT's recipe": lambda _: _rival(Path(__file__).parent / "contenders" / "nanogpt_recipe.py", sys.executable),
    }
    if trainer := os.environ.get("SPECRUN_BENCH_TRAINER_PYTHON"):
        contenders["Hugging Face Trainer"] = lambda _: _rival(RIVALS / "lm_hf_trainer.py", trainer)
    taken: dict[str, list[Figures]] = {name: [] for name in contenders}
    for block in range(2 * BLOCKS):
        for name in list(contenders) if block % 2 == 0 else reversed(contenders):
            taken[name].append(contenders[name](tmp_path / f"store-{block}"))
    print(f"\nfirst {GATE_STEPS} losses differ by {gate:.1e} at most; {BLOCKS} blocks A B B A")
    for name, figures in taken.items():
        _tell(name, figures, taken["specrun"])
    assert all(len(figures) == 2 * BLOCKS for figures in taken.values())


def _tell(name: str, figures: list[Figures], ours: list[Figures]) -> None:
    """Speed and memory, and the ratio of speeds pair by pair with the middle 80 % of pairs."""
    ratios = sorted(one["ms"] / own["ms"] for one, own in zip(figures, ours, strict=True))
    low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    milliseconds, peak = (statistics.median(one[what] for one in figures) for what in ("ms", "peak"))
    memory = statistics.median(own["peak"] for own in ours) / peak
    print(
        f"{name}: {milliseconds:.2f} ms a step, {peak / 2**20:.0f} MiB; specrun is {statistics.median(ratios):.3f} x as fast "
        f"({low:.3f} to {high:.3f}) and takes {memory:.2f} x its memory"
    )
