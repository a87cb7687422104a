"""The contract of tasks: built-in tasks keep it, and each check finds the task that does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from specrun.testing import TASK_CHECKS, TaskCase, check_task, open_task_case
from specrun.testing import tasks as laws

HEAD = "version: 1\nname: checked\nhardware: {profile: cpu, threads: 1}\nschedule: {batch_size: 8, duration: 4 steps}\n"
TEXT = "tokenizer: {kind: char}\n  sequence_length: 16\n  split: {kind: ratio, validation: 0.3}"
SPLIT = "split: {kind: ratio, validation: 0.3, shuffle: true}"
SPECS = {
    "tabular": f"{HEAD}task: {{kind: tabular, objective: regression}}\nmodel: {{kind: mlp, width: 8}}\n"
    f"data:\n  source: {{kind: synthetic_table, rows: 100}}\n  columns: {{target: y}}\n  {SPLIT}\n",
    "causal_lm": f"{HEAD}task: {{kind: causal_lm, sample_tokens: 4}}\nmodel: {{kind: gpt, width: 8, num_layers: 1, num_heads: 2}}\n"
    f"data:\n  source: {{kind: synthetic, characters: 6000}}\n  {TEXT}\n",
    "masked_lm": f"{HEAD}task: {{kind: masked_lm}}\nmodel: {{kind: encoder, width: 8, num_layers: 1, num_heads: 2}}\n"
    f"data:\n  source: {{kind: synthetic, characters: 6000}}\n  {TEXT}\n",
    "text_classification": f"{HEAD}task: {{kind: text_classification}}\nmodel: {{kind: encoder, width: 8, num_layers: 1, num_heads: 2}}\n"
    f"data:\n  source: {{kind: synthetic_texts, content: keyword, rows: 200}}\n  columns: {{text: text, label: label}}\n  {TEXT}\n",
    "seq2seq": f"{HEAD}task: {{kind: seq2seq}}\n"
    "model: {kind: encoder_decoder, width: 8, num_encoder_layers: 1, num_decoder_layers: 1, num_heads: 2}\n"
    f"data:\n  source: {{kind: synthetic_texts, rows: 100}}\n  columns: {{source: source, target: target}}\n  {TEXT}\n",
    "image_classification": f"{HEAD}task: {{kind: image_classification}}\nmodel: {{kind: cnn, widths: [4], norm: group, groups: 2}}\n"
    f"data:\n  source: {{kind: synthetic_images, rows: 100}}\n  columns: {{image: image, label: label}}\n  {SPLIT}\n",
    "forecasting": f"{HEAD}task: {{kind: forecasting, context: 24, horizon: 8}}\nmodel: {{kind: dlinear}}\n"
    "data:\n  source: {kind: synthetic_series, groups: 2, steps: 300}\n  columns: {time: time, target: y, group: series}\n"
    "  split: {kind: ratio, validation: 0.3}\n",
}


def opened(kind: str, folder: Path) -> TaskCase:
    spec = folder / "spec.yaml"
    spec.write_text(SPECS[kind])
    return open_task_case(spec, folder=folder / "store")


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> TaskCase:
    torch.set_num_threads(1)
    return opened("tabular", tmp_path_factory.mktemp("tabular"))


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
def test_the_tabular_task_keeps_the_contract(tabular: TaskCase, check: Callable[[TaskCase], None]) -> None:
    check(tabular)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SPECS if kind != "tabular"])
def test_a_built_in_task_keeps_the_contract(kind: str, tmp_path: Path) -> None:
    check_task(opened(kind, tmp_path))


class Wrapped:
    """The task itself, but for what a subclass does otherwise."""

    def __init__(self, task: Any, seed: int) -> None:
        self.task, self.seed = task, seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


class Advances(Wrapped):
    """Gives the next samples, whichever are asked for."""

    at = 0

    def train_batch(self, first: int, *, count: int) -> Any:
        self.at += count
        return self.task.train_batch(self.at, count=count)


class OneOrder(Wrapped):
    def train_batch(self, first: int, *, count: int) -> Any:
        return self.task._batch(self.task._train, list(range(count)))


class MeanLoss(Wrapped):
    def loss_sum(self, model: Any, batch: Any) -> Any:
        return self.task.loss_sum(model, batch) / batch.weight


class Detached(Wrapped):
    def loss_sum(self, model: Any, batch: Any) -> Any:
        return self.task.loss_sum(model, batch).detach().requires_grad_()


class Noisy(Wrapped):
    def evaluate(self, model: Any, split: str, **options: Any) -> Any:
        return {**self.task.evaluate(model, split, **options), "noise": float(torch.rand(()))}


class Deaf(Wrapped):
    """Each worker keeps its sums."""

    def evaluate(self, model: Any, split: str, **options: Any) -> Any:
        found = self.task.evaluate(model, split, **options)
        rank = options["workers"].rank if "workers" in options else 0
        return {**found, "loss": [loss * (1 + rank) for loss in found["loss"]]}


class Undeclared(Wrapped):
    def metrics(self, sums: Any) -> Any:
        return {**self.task.metrics(sums), "beauty": 1.0}


class LeavesMode(Wrapped):
    def evaluate(self, model: Any, split: str, **options: Any) -> Any:
        found = self.task.evaluate(model, split, **options)
        model.eval()
        return found


class TooMany(Wrapped):
    def examples(self, model: Any, *, count: int, **options: Any) -> Any:
        return self.task.examples(model, count=count + 1, **options)


BROKEN: list[tuple[type[Wrapped], Callable[[TaskCase], None]]] = [
    (Advances, laws.the_same_seed_gives_the_same_batches),
    (OneOrder, laws.another_seed_gives_another_order),
    (MeanLoss, laws.parts_are_the_whole_batch),
    (Detached, laws.the_loss_is_a_number_to_descend),
    (Noisy, laws.an_evaluation_is_repeatable),
    (Deaf, laws.an_evaluation_adds_up_over_workers),
    (Undeclared, laws.metrics_are_those_declared),
    (LeavesMode, laws.the_model_keeps_its_mode),
    (TooMany, laws.examples_are_short_texts),
]


@pytest.mark.parametrize(("task", "law"), BROKEN, ids=lambda it: it.__name__)
def test_each_law_finds_the_task_that_breaks_it(tabular: TaskCase, task: type[Wrapped], law: Callable[[TaskCase], None]) -> None:
    broken: Any = lambda seed: task(tabular.open(seed), seed)  # noqa: E731 - a case of its own
    with pytest.raises(AssertionError):
        law(dataclasses.replace(tabular, open=broken))


def test_every_law_is_broken_by_some_task_here() -> None:
    assert {law for _, law in BROKEN} == set(TASK_CHECKS)
