"""Rows in the data step: what is stored and counted, what is left out, and what is said of rows that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_chain import Chain, part
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.models.gpt.options import Options as Gpt
from specrun.sources.contract import Table
from specrun.spec.document import Spec
from specrun.spec.sections.checks import Checks
from specrun.spec.sections.data import Columns, Data
from specrun.spec.units import parse_quantity
from specrun.steps.data.step import STEP
from specrun.steps.data.tables import common_schema
from tests.golden_files import compare_in

GOLDEN = Path(__file__).with_name("golden")
HEADER = "when,animal,weight,colour,id\n"
KINDS = ["cat", "dog", "cow"]


def lines(count: int) -> str:
    """Rows an hour apart, a class each, none like another."""
    return HEADER + "".join(
        f"2024-01-{1 + n // 24:02} {n % 24:02}:00,{KINDS[n % 3]},{n}.5,{'red' if n % 2 else ''},{n}\n" for n in range(count)
    )


def spec_of(path: str | Mapping[str, str], *, split: Mapping[str, Any], task: str = "tabular", columns: Mapping[str, Any] | None = None,
            **data: Any) -> Spec:  # fmt: skip
    """A spec of a task that reads rows from files of comma-separated values."""
    roles = columns or {"target": "animal", "numbers": ("weight",), "categories": ("colour",), "time": "when"}
    section = Data(source=part("source", {"kind": "csv", "path": path}), split=part("split", split), columns=Columns(**roles), **data)
    return Spec.model_construct(
        version=1, name="rows", seeds=(0,), task=part("task", {"kind": task}), data=section, model=Gpt(kind="gpt"),
    )  # fmt: skip


def run(folder: Path, text: str, **options: Any) -> tuple[Mapping[str, Any], dict[str, pa.Table], Chain]:
    """Values of the step, the rows of each split, and the chain that ran it."""
    (folder / "a.csv").write_text(text)
    options.setdefault("split", {"kind": "ratio", "validation": 0.25, "test": 0.25})
    chain = Chain(spec_of("a.csv", **options), folder)
    values = chain.run("data").values
    return values, {name: pq.read_table(folder / "data" / f"{name}.parquet") for name in values["splits"]}, chain


def test_rows_are_stored_in_order_with_their_numbers_and_counted(tmp_path: Path) -> None:
    values, tables, _ = run(tmp_path, lines(24))
    assert [table.num_rows for table in tables.values()] == [12, 6, 6]
    assert [table["__row__"].to_pylist() for table in tables.values()] == [[*range(1, 13)], [*range(13, 19)], [*range(19, 25)]]
    assert tables["train"].column_names == ["animal", "weight", "colour", "__row__"]
    assert values["roles"] == {"target": ["animal"], "numbers": ["weight"], "categories": ["colour"]}
    assert values["columns"] == {"animal": "string", "weight": "double", "colour": "string"}
    train = values["profile"]["train"]
    assert train["animal"]["classes"] == {"cat": 4, "cow": 4, "dog": 4}
    assert (train["weight"]["min"], train["weight"]["max"], train["weight"]["mean"]) == (0.5, 11.5, 6.0)
    assert train["weight"]["std"] == pytest.approx(np.std(np.arange(12)))
    assert train["colour"]["missing"] == 6
    assert values["leakage"] == {"train/validation": 0, "train/test": 0, "validation/test": 0}
    assert "left_out" not in values


@given(st.sampled_from(["ratio", "hash", "group", "time", "kfold"]), st.integers(0, 10**6), st.booleans(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_each_row_is_in_one_split_or_counted_as_left_out(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, deduplicate: bool, sample: bool
) -> None:
    options = {"kind": kind, **({"fold": 1 + seed % 5} if kind == "kfold" else {"validation": 0.2})}
    if kind == "time":
        options |= {"test": 0.2, "gap": parse_quantity("2 rows")}
    elif kind != "kfold":
        options["seed"] = seed
    text = lines(60) + "".join(lines(60).splitlines(keepends=True)[1:11])
    columns = {"target": "animal", "numbers": ("weight",), "categories": ("colour",), "time": "when", "group": "id"}
    values, tables, _ = run(
        tmp_path_factory.mktemp("rows"), text, split=options, columns=columns, deduplicate=deduplicate,
        sample=parse_quantity("60%") if sample else None,
    )  # fmt: skip
    numbers = [number for table in tables.values() for number in table["__row__"].to_pylist()]
    assert len(set(numbers)) == len(numbers)
    left_out = values.get("left_out", {})
    assert len(numbers) + sum(left_out.values()) == 70
    assert left_out.get("duplicates", 0) == (10 if deduplicate else 0)
    assert ("unsampled" in left_out) == (sample and left_out["unsampled"] > 0)
    if deduplicate:
        assert values["leakage"].get("train/validation") == 0


def test_the_same_rows_give_the_same_files_and_another_order_another_digest(tmp_path: Path) -> None:
    digests = []
    for name, text in (("one", lines(24)), ("two", lines(24)), ("three", HEADER + "".join(reversed(lines(24).splitlines(True)[1:])))):
        (tmp_path / name).mkdir()
        values, _, _ = run(tmp_path / name, text)
        digests.append((values["splits"]["train"]["sha256"], (tmp_path / name / "data" / "train.parquet").read_bytes()))
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]


def test_a_share_is_held_out_of_a_given_train_split(tmp_path: Path) -> None:
    for name, count in (("train", 90), ("test", 30)):
        (tmp_path / f"{name}.csv").write_text(lines(count))
    split = {"kind": "given", "validation": 0.2, "test": "test", "stratify": True}
    chain = Chain(spec_of({"train": "train.csv", "test": "test.csv"}, split=split, checks=Checks(leakage="off")), tmp_path)
    values = chain.run("data").values
    assert {name: facts["rows"] for name, facts in values["splits"].items()} == {"train": 72, "validation": 18, "test": 30}
    assert values["profile"]["validation"]["animal"]["classes"] == {"cat": 6, "cow": 6, "dog": 6}
    assert values["leakage"] == {}


def test_the_limit_and_a_smoke_run_take_the_first_rows_of_each_split(tmp_path: Path) -> None:
    _, tables, _ = run(tmp_path, lines(60), split={"kind": "ratio", "validation": 0.5}, limit=3)
    assert [table["__row__"].to_pylist() for table in tables.values()] == [[1, 2, 3], [31, 32, 33]]
    chain = Chain(spec_of("a.csv", split={"kind": "ratio"}), tmp_path / "smoke", base=tmp_path, smoke=True)
    (tmp_path / "smoke").mkdir()
    assert chain.run("data").values["splits"]["train"]["rows"] == 54


def test_rows_of_few_different_values_are_no_leak(tmp_path: Path) -> None:
    text = "animal,weight\n" + "cat,1\ndog,2\n" * 20
    values, _, chain = run(tmp_path, text, split={"kind": "ratio"}, columns={"target": "animal", "numbers": ("weight",), "categories": ()})
    assert values["leakage"]["train/validation"] == 4
    assert not chain.alerts


def test_equal_rows_in_two_splits_are_warned_of_or_refused(tmp_path: Path) -> None:
    text = lines(40) + lines(2).partition("\n")[2]
    split = {"kind": "ratio", "validation": 0.1}
    _, _, chain = run(tmp_path, text, split=split)
    assert chain.alerts == ["duplicate-across-splits"]
    (tmp_path / "again").mkdir()
    with pytest.raises(DataError, match=r"2 rows of validation \(40.0%\) also in train.*the first is row 41 of the source") as caught:
        run(tmp_path / "again", text, split=split, checks=Checks(leakage="fail"))
    assert caught.value.code == "leaking-split"


def test_expectations_that_hold_are_told_and_leave_nothing_behind(tmp_path: Path) -> None:
    checks = Checks(nulls={"colour": 0.5}, ranges={"weight": (0, 100)}, values={"animal": ("cat", "dog", "cow")}, unique=("id",),
                    increasing=True, frequency=parse_quantity("1h"), min_rows=24, max_rows=24)  # fmt: skip
    values, tables, _ = run(tmp_path, lines(24), checks=checks)
    assert values["checks"] == ["nulls.colour", "ranges.weight", "values.animal", "unique", "increasing", "frequency"]
    assert tables["train"].column_names == ["animal", "weight", "colour", "__row__"]
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"train.parquet", "validation.parquet", "test.parquet", "data.json"}


def test_only_where_columns_are_expected_the_step_has_a_process_of_its_own() -> None:
    """The process of a training must not import duckdb."""
    assert callable(STEP.isolated)
    assert STEP.isolated(spec_of("a.csv", split={"kind": "ratio"}, checks=Checks(unique=("id",))))
    assert not STEP.isolated(spec_of("a.csv", split={"kind": "ratio"}, checks=Checks(leakage="fail", min_rows=1)))


ROWS = lines(24)
BAD: dict[str, dict[str, Any]] = {
    "a missing column": {"columns": {"target": "animl"}},
    "a missing column of numbers": {"columns": {"target": "animal", "numbers": ("weight", "hight")}},
    "a missing column of the split": {"split": {"kind": "group"}, "columns": {"target": "animal", "group": "herd"}},
    "no value where there must be one": {"text": ROWS.replace(",cat,", ",,")},
    "no number where there must be one": {"text": ROWS.replace(",7.5,", ",,"), "columns": {"target": "weight"}},
    "a class of one row": {"text": ROWS.replace("cow,2.5", "zebra,2.5"), "split": {"kind": "ratio", "stratify": True}},
    "measurements to stratify by": {"columns": {"target": "weight"}, "split": {"kind": "ratio", "stratify": True}},
    "a row without its group": {"split": {"kind": "group"}, "columns": {"target": "animal", "group": "colour"}},
    "a row without its time": {"text": ROWS.replace("2024-01-01 04:00", ""), "split": {"kind": "time"}},
    "a row whose time is none": {"text": ROWS.replace("2024-01-01 04:00", "yesterday"), "split": {"kind": "time"}},
    "a time that no row has": {"split": {"kind": "time", "validation": "2025-01-01"}},
    "too few groups": {"split": {"kind": "group"}, "columns": {"target": "animal", "group": "colour"}, "text": ROWS.replace(",,", ",red,")},
    "an empty split": {"split": {"kind": "hash", "validation": 1e-9}},
    "a split that a gap empties": {"split": {"kind": "time", "validation": 0.2, "test": 0.2, "gap": parse_quantity("1 day")}},
    "a source without rows": {"text": HEADER},
    "too few rows": {"checks": Checks(min_rows=100)},
    "a leaking split": {"text": ROWS + ROWS.partition("\n")[2], "checks": Checks(leakage="fail")},
    "expectations": {"checks": Checks(nulls={"colour": 0}, ranges={"weight": (0, 20)}, values={"animal": ("cat", "dog")},
                                      unique=("animal",), frequency=parse_quantity("2h"))},
    "an expectation of another type": {"checks": Checks(ranges={"animal": (0, 20)})},
    "an expectation of no column": {"checks": Checks(unique=("ident",))},
    "a reserved column": {"text": ROWS.replace("colour,id", "colour,__row__")},
    "text that is none": {"task": "text_classification", "columns": {"text": "weight", "label": "animal"}},
}  # fmt: skip


def test_what_is_wrong_with_rows_reads_as_the_golden_file_says(tmp_path: Path) -> None:
    told = []
    for place, (what, options) in enumerate(BAD.items()):
        folder = tmp_path / str(place)
        folder.mkdir()
        with pytest.raises(DataError) as caught:
            run(folder, **{"text": ROWS, **options})
        told.append(f"{what}\n  {caught.value}\n".replace(str(folder), "FOLDER"))
    compare_in(GOLDEN)("bad_rows.txt", "\n".join(told))


def test_an_encoding_error_names_its_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(ROWS.encode().replace(b"dog,4.5", b"d\xf6g,4.5"))
    with pytest.raises(DataError, match=r"a\.csv") as caught:
        Chain(spec_of("a.csv", split={"kind": "ratio"}), tmp_path).run("data")
    assert caught.value.code == "wrong-encoding"


def test_columns_of_two_types_in_two_splits_are_refused() -> None:
    kinds = {"train": pa.int64(), "test": pa.string()}
    with pytest.raises(DataError, match="column 'weight' holds int64 in train and string in test"):
        common_schema({name: Table(pa.schema([("weight", kind)]), lambda _: iter(())) for name, kind in kinds.items()})


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Measured in processes of their own: 100 MB more of text take less than a third of that, for what is kept of each row."""
    code = (
        "import resource, sys, pathlib; sys.path.insert(0, '.'); import test_data_tables as t, pyarrow as pa, pyarrow.parquet as pq\n"
        "folder, rows = pathlib.Path(sys.argv[1]), int(sys.argv[2])\n"
        "schema = pa.schema([('label', pa.string()), ('text', pa.string())])\n"
        "with pq.ParquetWriter(folder / 'a.parquet', schema) as file:\n"
        "    for first in range(0, rows, 10000):\n"
        "        file.write_table(pa.table({'label': ['a', 'b'] * 5000, 'text': [f'{first + n:01000}' for n in range(10000)]}, schema))\n"
        "data = t.Data(source=t.part('source', {'kind': 'parquet', 'path': 'a.parquet'}), columns=t.Columns(),\n"
        "              split=t.part('split', {'kind': 'ratio', 'stratify': True}), deduplicate=True)\n"
        "spec = t.Spec.model_construct(version=1, name='r', seeds=(0,), task=t.part('task', {'kind': 'text_classification'}), data=data,\n"
        "                              model=t.Gpt(kind='gpt'))\n"
        "t.Chain(spec, folder).run('data'); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    peaks = []
    for rows in (100_000, 200_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        done = subprocess.run([sys.executable, "-c", code, str(folder), str(rows)], check=True, capture_output=True, text=True,
                              cwd=Path(__file__).parent)  # fmt: skip
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 100_000_000 / 3, peaks
