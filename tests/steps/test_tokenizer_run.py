"""The tokenizer step: texts of documents and of a table's columns, what the task needs, and a file that was made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from data_chain import Chain, part, spec_of
from tokenizers import Tokenizer

from specrun.spec.document import Spec
from specrun.spec.sections.data import Columns
from specrun.steps.contract import StepOutput
from specrun.tasks.masked_lm.options import Options as MaskedLM
from specrun.tasks.seq2seq.options import Options as Seq2Seq

SOURCE = {"kind": "synthetic", "characters": 4000}


def changed(spec: Spec, task: Any, **data: Any) -> Spec:
    return spec.model_copy(update={"task": task, "data": spec.data.model_copy(update=data)})


def test_what_the_task_needs_is_added_and_counted(tmp_path: Path) -> None:
    spec = changed(spec_of(SOURCE, tokenizer={"kind": "bpe", "vocab_size": 300}), MaskedLM(kind="masked_lm"))
    values = Chain(spec, tmp_path).run("data", "tokenizer").values
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer" / "tokenizer.json"))
    assert tokenizer.token_to_id("[MASK]") == values["vocab_size"] - 1
    assert values["vocab_size"] <= 300
    assert values["end_of_text_id"] == tokenizer.token_to_id("<|endoftext|>")


def test_of_a_table_the_columns_of_the_tasks_texts_are_read_and_what_is_missing_is_left_out(tmp_path: Path) -> None:
    spec = changed(spec_of(SOURCE, tokenizer={"kind": "char"}), Seq2Seq(kind="seq2seq"), columns=Columns(source="en", target="de"))
    chain = Chain(spec, tmp_path)
    (tmp_path / "data").mkdir()
    table = {"en": ["ab", None, ""], "de": ["c", "d", "e"], "other": ["x", "y", "z"], "__row__": [1, 2, 3]}
    pq.write_table(pa.table(table), tmp_path / "data" / "train.parquet")
    chain.outputs["data"] = StepOutput({"splits": {"train": {}}})
    chain.run("tokenizer")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer" / "tokenizer.json"))
    assert sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__) == ["a", "b", "c", "d", "e", "<|endoftext|>"]


def test_a_tokenizer_that_was_made_elsewhere_gives_the_tokens_and_has_its_rows(tmp_path: Path) -> None:
    spec = spec_of(SOURCE, tokenizer={"kind": "bpe", "vocab_size": 280})
    made = Chain(spec, tmp_path / "made")
    (tmp_path / "made").mkdir()
    made.all()
    (tmp_path / "taken").mkdir()
    path = str(tmp_path / "made" / "tokenizer")
    taken = Chain(changed(spec, spec.task, tokenizer=part("tokenizer", {"kind": "pretrained", "path": path})), tmp_path / "taken")
    taken.all()
    assert taken.outputs["tokens"].values["splits"] == made.outputs["tokens"].values["splits"]
    assert taken.outputs["tokenizer"].values | {"kind": "bpe"} == dict(made.outputs["tokenizer"].values)


def test_text_that_is_not_covered_has_tokens_and_no_bytes(tmp_path: Path) -> None:
    spec = spec_of(SOURCE, tokenizer={"kind": "wordpiece", "vocab_size": 80, "end_of_text": False})
    values = Chain(spec, tmp_path).all().values["splits"]["train"]
    assert values["count"] > 0
    assert (values["bytes"], values["words"], values["predicted_bytes"]) == (0, 0, 0)
