"""A corpus larger than memory trains: what data, tokenizer, tokens and training hold does not grow with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("bounded_memory.py")
LIMIT_BYTES = 96 << 20
"""Of memory that the corpus may cost beyond what a small one costs."""
SPEC = """\
version: 1
name: {name}
task: {{kind: causal_lm}}
data:
  source: {{kind: {kind}, path: {{train: {name}.{kind}, validation: validation.{kind}}}}}
  columns: {{text: body}}
  tokenizer: {{kind: byte}}
  sequence_length: 32
model: {{kind: gpt, num_layers: 1, width: 16, num_heads: 2}}
hardware: {{profile: cpu, compile: "off"}}
schedule:
  duration: 4 steps
  batch_size: 4
  micro_batch_size: 4
  optimizer: {{kind: adamw, learning_rate: 1e-3}}
  evaluate: {{every: 4 steps, max_batches: 2, samples: 0}}
"""


def write_corpus(path: Path, size_bytes: int) -> None:
    """Rows of a number and a text of some kilobytes, with quotes and line ends in it."""
    block = "".join(f'{n},"row {n} of a corpus, with a ""quote"", {"many words " * 300}and\n another line"\n' for n in range(100))
    with path.open("w") as stream:
        stream.write("id,body\n")
        for _ in range(-(-size_bytes // len(block))):
            stream.write(block)


@pytest.mark.slow
def test_a_corpus_twice_the_limit_of_memory_trains_within_it(tmp_path: Path) -> None:
    for name, size in (("small", 1 << 20), ("large", 2 * LIMIT_BYTES), ("validation", 1 << 16)):
        write_corpus(tmp_path / f"{name}.csv", size)
        (tmp_path / f"{name}.yaml").write_text(SPEC.format(name=name, kind="csv"))
    assert (tmp_path / "large.csv").stat().st_size >= 2 * LIMIT_BYTES
    # The allocator of the system gives back what is freed, so that what is measured is what is held.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, str(PROGRAM), str(tmp_path), "small.yaml", "large.yaml"]
    process = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    (small, base), (large, peak) = json.loads(process.stdout.splitlines()[-1])
    assert small == large == "completed"
    assert peak - base < LIMIT_BYTES
