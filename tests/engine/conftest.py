"""A tiny experiment that trains for real in a second, and a store in which it has been applied once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from specrun.engine.api import apply

TINY = """\
version: 1
name: tiny
task: {kind: causal_lm, sample_tokens: 8}
data:
  source: {kind: synthetic, characters: 6000, document_characters: 200, states: 8}
  split: {kind: ratio, validation: 0.2, test: 0.1}
  tokenizer: {kind: char, end_of_text: true}
  sequence_length: 16
model: {kind: gpt, num_layers: 1, width: 16, num_heads: 2}
hardware: {threads: 1, profile: cpu}
schedule:
  duration: 12 steps
  batch_size: 4
  optimizer: {kind: adamw, learning_rate: 1e-2}
  evaluate: {every: 4 steps, max_batches: 4}
  checkpoint: {every: 4 steps}
  log_every: 2 steps
expect: ["validation/loss < 100"]
report: {formats: [md]}
"""


@pytest.fixture(scope="session")
def tiny_text() -> str:
    return TINY


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def applied_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the tiny experiment has been applied. To be copied, not changed."""
    folder = tmp_path_factory.mktemp("applied")
    (folder / "tiny.yaml").write_text(TINY)
    outcome = apply(folder / "tiny.yaml", store=folder / "store")
    assert outcome.exit_code == 0, outcome
    return folder / "store"


@pytest.fixture
def store(applied_store: Path, tmp_path: Path) -> Path:
    """A copy of the applied store, to be worked in."""
    copy = tmp_path / "store"
    shutil.copytree(applied_store, copy)
    return copy
