"""The key of the tokenizer step: what a task asks of its tokenizer is in it, and nothing else of the task."""

from __future__ import annotations

from typing import Any

from specrun.plan.step import Step
from tests.plan.conftest import DOCUMENT, plan_of, spec_of


def step(kind: str = "tokenizer", **changes: Any) -> Step:
    document = {name: value for name, value in DOCUMENT.items() if name != "expect"} | changes
    return next(step for step in plan_of(spec_of(document)).steps if step.kind == kind)


DATA: Any = DOCUMENT["data"]
ENCODER = {"kind": "encoder", "num_layers": 1, "width": 16, "num_heads": 2}


def test_a_task_that_reads_texts_alone_and_needs_no_special_token_is_not_in_it() -> None:
    assert set(step().options) == {"data.tokenizer"}
    assert step(task={"kind": "causal_lm", "label_smoothing": 0.1, "prompt": "a"}).key == step().key


def test_special_tokens_are_in_it() -> None:
    masked = step(task={"kind": "masked_lm"}, model=ENCODER)
    assert masked.options["task"] == {"special_tokens": ["mask"]}
    assert masked.key != step().key
    assert step("data", task={"kind": "masked_lm"}, model=ENCODER).key == step("data").key
    assert step(task={"kind": "masked_lm", "mask_fraction": 0.3}, model=ENCODER).key == masked.key


def test_the_columns_whose_texts_it_learns_are_in_it() -> None:
    data = DATA | {"columns": {"source": "en", "target": "de"}, "source": {"kind": "huggingface", "path": "a/b"},
                               "split": {"kind": "given"}}  # fmt: skip
    pairs = step(task={"kind": "seq2seq"}, data=data, model={"kind": "encoder_decoder", "width": 16, "num_heads": 2})
    assert pairs.options["task"] == {"special_tokens": ["end"], "text_roles": ["source", "target"]}


def test_a_local_file_is_in_it_by_what_it_holds() -> None:
    data = DATA | {"tokenizer": {"kind": "pretrained", "path": "tokenizer.json"}}
    spec = spec_of({**DOCUMENT, "data": data})
    keys = {
        next(step for step in plan_of(spec, digests={"/tokenizer.json": digest}).steps if step.kind == "tokenizer").key
        for digest in ("one", "two")
    }
    assert len(keys) == 2
