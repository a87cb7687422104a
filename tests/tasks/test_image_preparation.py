"""Images are decoded once, all of one size and colour; what is wrong with one is said with its row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from specrun.errors import DataError
from specrun.tasks.image_classification.options import Options
from tests.tasks.image_files import encoded, prepared, random_images, store

GREY = random_images(6)
LABELS = ["b", "a", "b", "a", "b", "a"]


def stored(
    folder: Path, images: list[bytes | None] | None = None, labels: list[Any] | None = None, *, judged: list[bytes | None] | None = None
) -> None:
    """Six grey images of two classes, in both splits, or others. judged: those of the validation split."""
    plain = changed(-1, None)
    store(folder / "data", "train", images or plain, labels or LABELS)
    store(folder / "data", "validation", judged or plain, LABELS)


def changed(number: int, data: bytes | None) -> list[bytes | None]:
    return [data if place == number else encoded(pixels) for place, pixels in enumerate(GREY)]


def test_what_is_prepared_are_the_pixels_the_labels_and_their_statistics(tmp_path: Path) -> None:
    stored(tmp_path)
    found = prepared(tmp_path)
    folder = tmp_path / "examples"
    assert np.array_equal(np.load(folder / "train.images.npy", mmap_mode="r")[:, 0], np.stack(GREY))
    assert np.load(folder / "train.labels.npy").tolist() == [1, 0, 1, 0, 1, 0]
    assert np.load(folder / "validation.rows.npy").tolist() == [1, 2, 3, 4, 5, 6]
    assert found.values["sizes"] == {"channels": 1, "height": 6, "width": 8, "num_classes": 2}
    assert found.values["splits"]["train"] == {"samples": 6, "predictions": 6, "positions": 6}
    assert (found.values["classes"], found.values["class_counts"]["train"]) == (["a", "b"], [3, 3])
    assert found.values["mean"] == [pytest.approx(np.stack(GREY).mean() / 255, rel=1e-12)]
    assert found.values["std"] == [pytest.approx(np.stack(GREY).std() / 255, rel=1e-12)]
    assert sorted(found.artifacts) == sorted(path.name for path in folder.iterdir())


def test_numbers_with_names_are_classes_in_the_sources_order(tmp_path: Path) -> None:
    stored(tmp_path, labels=[2, 0, 2, 0, 2, 0])
    store(tmp_path / "data", "validation", changed(0, encoded(GREY[0])), [0, 2, 0, 2, 0, 2])
    found = prepared(tmp_path, facts={"class_names": {"label": ["zebra", "yak", "ape"]}})
    assert found.values["classes"] == ["zebra", "yak", "ape"]
    assert found.values["sizes"]["num_classes"] == 3
    ((code, text),) = found.warnings
    assert (code, "yak" in text) == ("class-without-samples", True)


@pytest.mark.parametrize(("labels", "classes"), [([10, 9, 10, 9, 9, 9], ["9", "10"]), ([True, False] * 3, ["False", "True"])])
def test_numbers_are_classes_in_their_order(tmp_path: Path, labels: list[Any], classes: list[str]) -> None:
    stored(tmp_path, labels=labels)
    store(tmp_path / "data", "validation", changed(0, encoded(GREY[0])), labels)
    assert prepared(tmp_path).values["classes"] == classes


@pytest.mark.parametrize(("size", "shape"), [(4, (4, 4)), ((6, 3), (6, 3))])
def test_images_of_mixed_sizes_are_brought_to_the_size_that_is_said(tmp_path: Path, size: Any, shape: tuple[int, int]) -> None:
    stored(tmp_path, changed(3, encoded(random_images(1, height=9, width=5)[0])))
    prepared(tmp_path, Options(kind="image_classification", size=size))
    images = np.load(tmp_path / "examples" / "train.images.npy")
    assert images.shape == (6, 1, *shape)


def test_a_scaled_image_keeps_its_proportions_and_loses_its_edges(tmp_path: Path) -> None:
    wide = np.full((8, 32), 200, dtype=np.uint8)
    wide[:, :8] = wide[:, -8:] = 0
    stored(tmp_path, [encoded(wide)] * 6)
    prepared(tmp_path, Options(kind="image_classification", size=8))
    assert (np.load(tmp_path / "examples" / "train.images.npy") == 200).all()


@pytest.mark.parametrize(("color", "channels"), [("grey", 1), ("rgb", 3)])
def test_images_of_mixed_modes_become_what_is_said(tmp_path: Path, color: Any, channels: int) -> None:
    see_through = Image.fromarray(GREY[2]).convert("RGBA")
    stream = io.BytesIO()
    see_through.save(stream, "PNG")
    stored(tmp_path, changed(2, stream.getvalue()), judged=changed(1, encoded(random_images(1, channels=3)[0])))
    assert prepared(tmp_path, Options(kind="image_classification", color=color)).values["sizes"]["channels"] == channels
    train = np.load(tmp_path / "examples" / "train.images.npy")
    assert all(np.array_equal(train[:, channel], np.stack(GREY)) for channel in range(channels))


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    turned, stream = Image.fromarray(np.rot90(GREY[0]).copy()), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # what is shown is to be turned by 90 degrees clockwise
    turned.save(stream, "PNG", exif=exif)
    stored(tmp_path, changed(0, stream.getvalue()))
    prepared(tmp_path)
    assert np.array_equal(np.load(tmp_path / "examples" / "train.images.npy")[0, 0], GREY[0])


def test_a_smoke_run_takes_the_first_rows(tmp_path: Path) -> None:
    count = 300
    store(tmp_path / "data", "train", [encoded(GREY[0])] * count, ["a", "b"] * 150)
    store(tmp_path / "data", "validation", [encoded(GREY[0])] * 4, ["a", "b"] * 2)
    assert {split: facts["samples"] for split, facts in prepared(tmp_path, smoke=True).values["splits"].items()} == {
        "train": 256, "validation": 4,
    }  # fmt: skip


def _sixteen_bits() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 8), 1000, dtype=np.uint16)).save(stream, "PNG")
    return stream.getvalue()


def _see_through() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(GREY[0]).convert("RGBA").save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "code", "words", "remedy"),
    [
        (b"GIF89a and then nothing", "undecodable-image", "row 4 of train (train/3.png)", "repair it"),
        (b"words", "undecodable-image", "it is of no format that is known", "leave the row out"),
        (encoded(GREY[0])[:60], "undecodable-image", "row 4 of train", "repair it"),
        (None, "missing-image", "row 4 of train (train/3.png) has no image", "leave such rows out"),
        (encoded(random_images(1, height=9, width=5)[0]), "mixed-sizes", "row 1 of train (train/0.png) has 6 x 8 pixels, row 4 of train "
         "(train/3.png) has 9 x 5", "set task.size: [6, 5]"),
        (encoded(random_images(1, channels=3)[0]), "mixed-modes", "row 1 of train (train/0.png) is grey (L), row 4 of train "
         "(train/3.png) is in colour (RGB)", "task.color: rgb"),
        (_see_through(), "transparent-image", "row 4 of train", "task.color: rgb"),
        (_sixteen_bits(), "deep-image", "row 4 of train (train/3.png) has more than 8 bits a channel", "8 bits"),
    ],
    ids=["broken", "no-image", "truncated", "none", "size", "mode", "transparent", "deep"],
)  # fmt: skip
def test_a_bad_image_is_named_by_its_row(tmp_path: Path, data: bytes | None, code: str, words: str, remedy: str) -> None:
    stored(tmp_path, changed(3, data))
    with pytest.raises(DataError) as caught:
        prepared(tmp_path)
    assert caught.value.code == code
    assert words in caught.value.message
    assert remedy in str(caught.value.hint)


def test_sizes_and_modes_are_the_same_in_every_split(tmp_path: Path) -> None:
    stored(tmp_path, judged=changed(1, encoded(random_images(1, height=9, width=5)[0])))
    with pytest.raises(DataError, match="row 2 of validation") as caught:
        prepared(tmp_path)
    assert caught.value.code == "mixed-sizes"


@pytest.mark.parametrize(
    ("train", "validation", "code", "words"),
    [
        (LABELS, ["b", "a", "aa", "a", "b", "a"], "unseen-label", "label in row 3 of validation is 'aa'"),
        (["b", "a", None, "a", "b", "a"], LABELS, "missing-label", "label in row 3 of train is empty"),
        (["b"] * 6, LABELS, "one-class", "all are 'b'"),
        ([1.5, 1.0, 1.0, 2.0, 1.0, 2.0], LABELS, "label-not-a-class", "label in row 1 of train is 1.5"),
    ],
)
def test_a_bad_label_is_named_by_its_row(tmp_path: Path, train: list[Any], validation: list[Any], code: str, words: str) -> None:
    stored(tmp_path, labels=train)
    store(tmp_path / "data", "validation", changed(0, encoded(GREY[0])), validation)
    with pytest.raises(DataError) as caught:
        prepared(tmp_path)
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_column_of_words_is_no_column_of_images(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored(tmp_path)
    table = pa.table({"image": ["a.png"] * 6, "label": LABELS, "__row__": list(range(1, 7))})
    pq.write_table(table, tmp_path / "data" / "train.parquet")
    with pytest.raises(DataError, match="holds string, not encoded images") as caught:
        prepared(tmp_path)
    assert caught.value.code == "column-not-images"
