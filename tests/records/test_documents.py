"""The law of a run's documents: no damage passes for a record, and none takes down more than the document that has it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError
from specrun.records.check import check
from specrun.records.documents import encode_document, is_sealed, read_document
from specrun.records.queries import open_records
from specrun.records.store import merge

from .dumps import snapshot_dump

NewRun = Callable[..., Any]
DOCUMENT = {"format_version": 1, "name": "é", "seed": 3, "rate": 1e-4, "nan": float("inf"), "tags": ["a"]}


def is_noticed(path: Path) -> bool:
    try:
        read_document(path)
    except StoreError as error:
        return error.code == "damaged-record"
    return not is_sealed(path)


def test_a_document_is_given_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(encode_document(DOCUMENT))
    assert read_document(path) == DOCUMENT
    assert not is_noticed(path)


def test_every_flipped_bit_of_a_document_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    whole = encode_document({"name": "é"})
    for place in range(len(whole) * 8):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        assert is_noticed(path), bytes(data)


def test_every_truncation_of_a_document_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    whole = encode_document(DOCUMENT)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert is_noticed(path), length


def test_a_document_of_another_program_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"name": "x"}', encoding="utf-8")
    assert read_document(path) == {"name": "x"}
    assert not is_sealed(path)


@pytest.mark.parametrize("text", ['{"name": "\\ud800"}', '{"non_finite": [[["a", "b"], "nan"]]}', '{"non_finite": 1}', "[" * 100_000])
def test_json_that_is_no_document_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match="damaged-record"):
        read_document(tmp_path / "run.json")


def survives(store: Path, path: Path) -> bool:
    """With a damaged document of one run: the others are listed, the damaged one too, and the doctor tells."""
    for snapshot in (*store.glob("store-*"), *store.glob("CURRENT")):
        snapshot.unlink()
    with open_records(store) as records:
        assert {run.run_id for run in records.runs()} == {"r", "whole"}
        assert [point.step for point in records.series("r")["train/loss"]] == [1, 2]
        assert records.best("train/loss", "minimize")
        assert len(records.steps("r")) in {0, 2}
    assert path.name in {Path(finding.place).name for finding in check(store)}
    return True


def two_runs(store: Path, new_run: NewRun) -> Path:
    new_run("whole").log(1, train_loss=1.0).end()
    folder: Path = new_run("r").log(1, train_loss=1.0).log(2, train_loss=1.0).end(metrics={"test/loss": 1.0}).folder
    return folder


def flips_survive(store: Path, folder: Path, trials: int, *, seed: int = 0) -> bool:
    rng = random.Random(seed)
    for trial in range(trials):
        path = folder / ("run.json", "final.json")[trial % 2]
        whole = path.read_bytes()
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        assert survives(store, path), bytes(data)
        path.write_bytes(whole)
    return True


def test_a_flipped_bit_in_a_document_takes_nothing_else_down(store: Path, new_run: NewRun) -> None:
    assert flips_survive(store, two_runs(store, new_run), 4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_the_same_over_a_thousand_flips(seed: int, store: Path, new_run: NewRun) -> None:
    assert flips_survive(store, two_runs(store, new_run), 250, seed=seed)


WRONG = {
    "run.json": {
        "format_version": "x", "name": 1, "task": [], "seed": "x", "started_at": "2026-11=20T10:00:00Z", "tags": {"a": 1},
        "comparable": "yes", "smoke": 3, "parent": {}, "spec_digest": 7, "experiment": [], "spec": [1], "plan": [{"id": 3}], "trial": {},
    },
    "final.json": {
        "status": "done", "reason": 3, "finished_at": 5, "duration_s": "long", "metrics": {"a": "b"}, "spec": 1, "experiment": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_fields_of_the_wrong_form_are_left_out_each_for_itself_and_named_by_the_doctor(store: Path, new_run: NewRun, name: str) -> None:
    path = two_runs(store, new_run) / name
    document = json.loads(path.read_bytes())
    del document["crc"]
    path.write_text(json.dumps(document | WRONG[name]), encoding="utf-8")
    assert survives(store, path)
    told = " ".join(finding.message for finding in check(store) if finding.code == "damaged-record")
    assert all(field in told for field in WRONG[name])


@pytest.mark.parametrize("seed", [2**63, -(2**70), True, 1.5])
def test_a_number_that_no_table_holds_is_left_out(store: Path, new_run: NewRun, seed: object) -> None:
    new_run("r", seed=seed).log(1, train_loss=1.0).end()
    merge(store)
    assert len(snapshot_dump(store)["runs"]) == 1
    assert "its field seed is not what it must be" in [finding.message for finding in check(store)]
