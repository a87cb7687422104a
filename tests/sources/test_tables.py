"""Any source as a table and as texts: the one is the other, and a column that cannot be used is answered with those that can."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from specrun.errors import DataError
from specrun.sources.columns import check_flat, is_image, text_batches
from specrun.sources.contract import LoadedTable, SourceRequest, load_table, load_text
from specrun.sources.huggingface.options import Options as HuggingFace
from specrun.sources.text.options import Options as Text


def rows(loaded: LoadedTable, split: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    return [row for batch in loaded.splits[split].read(columns) for row in batch.to_pylist()]


@given(st.lists(st.text(max_size=20), max_size=30))
def test_documents_make_a_column_of_texts_in_their_order(documents: list[str]) -> None:
    assert [text for batch in text_batches(documents) for text in batch.column("text").to_pylist()] == documents


def test_a_source_of_texts_is_a_table_of_one_column(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    options, request = Text(kind="text", path="a.txt", documents="lines"), SourceRequest(tmp_path, lambda _: None)
    loaded = load_table(options, request)
    assert loaded.splits["whole"].schema.names == ["text"]
    assert (
        [row["text"] for row in rows(loaded, "whole", ["text"])] == list(load_text(options, request).splits["whole"]) == ["one\n", "two\n"]
    )
    assert rows(loaded, "whole", ["text"]) == rows(loaded, "whole", ["text"])


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the Hub has it: images, classes by number, a text, a list."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    stream = io.BytesIO()
    Image.new("L", (2, 2), 7).save(stream, "PNG")
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "image": datasets.Image(),
            "text": datasets.Value("string"),
            "tags": datasets.List(datasets.Value("string")),
        }
    )
    values = {
        "label": [1, 0],
        "image": [{"bytes": stream.getvalue(), "path": f"{n}.png"} for n in range(2)],
        "text": ["a", None],
        "tags": [["x"], []],
    }
    (tmp_path / "own" / "pets").mkdir(parents=True)
    datasets.Dataset.from_dict(values, features=features).to_parquet(tmp_path / "own" / "pets" / "train.parquet")
    return tmp_path


def test_a_dataset_of_the_hub_has_all_its_columns_images_with_their_bytes_and_classes_with_their_names(dataset: Path) -> None:
    loaded = load_table(HuggingFace(kind="huggingface", path="own/pets"), SourceRequest(dataset, lambda _: None))
    table = loaded.splits["train"]
    assert table.rows == 2
    assert set(table.schema.names) == {"label", "image", "text", "tags"}
    assert loaded.facts["class_names"] == {"label": ["cat", "dog"]}
    first, second = rows(loaded, "train", ["image", "label"])
    assert list(first) == ["image", "label"]
    assert (first["label"], second["label"]) == (1, 0)
    assert Image.open(io.BytesIO(first["image"]["bytes"])).getpixel((0, 0)) == 7
    assert is_image(table.schema.field("image").type)
    with pytest.raises(DataError, match="'tags' holds list") as caught:
        check_flat(table.schema, "tags", key="data.columns.numbers")
    assert caught.value.code == "nested-column"
    check_flat(table.schema, "image", key="data.columns.image")


def test_images_that_lie_beside_a_dataset_are_read_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for name, shade in (("cat", 1), ("dog", 2)):
        (tmp_path / "pets" / "train" / name).mkdir(parents=True)
        Image.new("L", (1, 1), shade).save(tmp_path / "pets" / "train" / name / "0.png")
    loaded = load_table(HuggingFace(kind="huggingface", path="./pets"), SourceRequest(tmp_path, lambda _: None))
    found = rows(loaded, "train", ["image", "label"])
    shades = {
        loaded.facts["class_names"]["label"][row["label"]]: Image.open(io.BytesIO(row["image"]["bytes"])).getpixel((0, 0)) for row in found
    }
    assert shades == {"cat": 1, "dog": 2}


def test_texts_of_a_table_are_its_text_column(dataset: Path) -> None:
    options = HuggingFace(kind="huggingface", path="own/pets")
    assert list(load_text(options, SourceRequest(dataset, lambda _: None)).splits["train"]) == ["a", ""]
    with pytest.raises(DataError) as caught:
        load_text(options, SourceRequest(dataset, lambda _: None, "image"))
    assert (caught.value.code, caught.value.hint) == ("column-not-text", "set data.columns.text: text")


def test_a_table_without_texts_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "numbers").mkdir()
    pq.write_table(pa.table({"a": pa.array([1, 2])}), tmp_path / "numbers" / "train.parquet")
    for column, code in (("text", "missing-column"), ("a", "column-not-text")):
        with pytest.raises(DataError) as caught:
            load_text(HuggingFace(kind="huggingface", path="./numbers"), SourceRequest(tmp_path, lambda _: None, column))
        assert (caught.value.code, caught.value.hint) == (code, "name a source with a column of text")
