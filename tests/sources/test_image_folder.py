"""A folder of images is a table of its files; what is amiss is named before anything is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from specrun.errors import DataError
from specrun.sources.contract import WHOLE, LoadedTable, SourceRequest, SourceUnavailable, load_table
from specrun.sources.image_folder import build as building
from specrun.sources.image_folder.options import Options
from specrun.sources.inputs import input_digests

FLOWERS = {"rose/b.png": b"1", "rose/a.JPG": b"22", "aster/z.webp": b"333"}


def made(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def options(path: str = "flowers") -> Options:
    return Options(kind="image_folder", path=path)


def loaded(base: Path) -> LoadedTable:
    return load_table(options(), SourceRequest(base_folder=base, emit=lambda event: None))


def rows(table: Any, *columns: str) -> list[dict[str, Any]]:
    return [row for batch in table.read(columns) for row in batch.to_pylist()]


def test_folders_are_classes_and_files_are_rows_by_name(tmp_path: Path) -> None:
    made(tmp_path / "flowers", FLOWERS)
    found = loaded(tmp_path)
    assert list(found.splits) == [WHOLE]
    table = found.splits[WHOLE]
    assert rows(table, "label", "image") == [
        {"label": "aster", "image": {"bytes": b"333", "path": "aster/z.webp"}},
        {"label": "rose", "image": {"bytes": b"22", "path": "rose/a.JPG"}},
        {"label": "rose", "image": {"bytes": b"1", "path": "rose/b.png"}},
    ]
    assert rows(table, "label") == [{"label": "aster"}, {"label": "rose"}, {"label": "rose"}]
    assert (table.rows, table.schema.names) == (3, ["image", "label"])
    assert table.schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert found.facts == {"rows": {WHOLE: 3}, "classes": {WHOLE: {"aster": 1, "rose": 2}}, "strays": 0}
    assert found.warnings == ()


def test_folders_of_classes_in_folders_are_splits(tmp_path: Path) -> None:
    made(tmp_path / "flowers", {f"{split}/{name}": data for split in ("train", "test") for name, data in FLOWERS.items()})
    found = loaded(tmp_path)
    assert {split: [row["label"] for row in rows(table, "label")] for split, table in found.splits.items()} == {
        "test": ["aster", "rose", "rose"], "train": ["aster", "rose", "rose"],
    }  # fmt: skip
    extents = options().extents(base=tmp_path, data_root=None)
    assert {split: (extent.size_bytes, extent.documents) for split, extent in extents.items()} == {"test": (6, 3), "train": (6, 3)}


def test_rows_are_read_some_at_a_time_and_no_file_before_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path / "flowers", {f"rose/{number}.png": bytes(10) for number in range(7)} | {"aster/0.png": bytes(100)})
    monkeypatch.setattr(building, "_ROWS_AT_ONCE", 3)
    monkeypatch.setattr(building, "_BYTES_AT_ONCE", 25)
    batches = iter(loaded(tmp_path).splits[WHOLE].read(["image"]))
    assert len(next(batches)) == 1  # a large one alone
    (folder / "rose/6.png").unlink()
    assert [len(next(batches)) for _ in range(2)] == [3, 3]
    with pytest.raises(DataError, match="No such file"):
        next(batches)


def test_other_files_are_left_out_and_named_and_hidden_ones_are_not(tmp_path: Path) -> None:
    others = dict.fromkeys(("notes.txt", "rose/Thumbs.db", "rose/x.json", "aster/y", ".git/a.png", "rose/.DS_Store"), b"")
    made(tmp_path / "flowers", FLOWERS | others)
    ((code, text),) = loaded(tmp_path).warnings
    assert (code, text) == ("stray-files", "no images by their names, and left out: aster/y, notes.txt, rose/Thumbs.db and 1 more")
    assert [path.name for path in options().local_inputs(base=tmp_path, data_root=None)] == ["z.webp", "a.JPG", "b.png"]


def test_links_are_followed_and_broken_ones_named(tmp_path: Path) -> None:
    made(tmp_path, {"elsewhere/1.png": b"7", "one.png": b"8"})
    folder = made(tmp_path / "flowers", FLOWERS)
    (folder / "tulip").symlink_to(tmp_path / "elsewhere")
    (folder / "rose" / "c.png").symlink_to(tmp_path / "one.png")
    assert [row["image"]["bytes"] for row in rows(loaded(tmp_path).splits[WHOLE], "image")] == [b"333", b"22", b"1", b"8", b"7"]
    (tmp_path / "one.png").unlink()
    (problem,) = problems(tmp_path)
    assert problem.code == "broken-link"
    assert f"c.png leads to {tmp_path / 'one.png'}" in problem.message


def problems(base: Path, path: str = "flowers") -> list[Any]:
    return list(options(path).file_problems(("data", "source"), base, None, "error"))


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"notes.txt": b""}, "no-images", "flowers holds no image; images end in .bmp, "),
        (FLOWERS | {"c.png": b""}, "image-without-class", "c.png is in no folder of a class"),
        (FLOWERS | {"train/rose/c.png": b""}, "mixed-layout", "aster/z.webp is in <class>/, train/rose/c.png is in <split>/<class>/"),
        ({"a/b/c/d.png": b"", "a/b/e.png": b""}, "folder-in-a-class", "flowers/a/b/c is a folder within a class"),
        (FLOWERS | {"tulip/readme.txt": b""}, "empty-class", "flowers/tulip holds no image"),
    ],
)
def test_what_is_amiss_is_said_when_the_spec_is_checked_and_when_it_is_read(
    tmp_path: Path, files: dict[str, bytes], code: str, words: str
) -> None:
    made(tmp_path / "flowers", files)
    (found,) = problems(tmp_path)
    assert (found.code, found.severity, found.path) == (code, "error", ("data", "source", "path"))
    assert words in found.message
    with pytest.raises(DataError) as caught:
        loaded(tmp_path)
    assert (caught.value.code, caught.value.message, caught.value.hint) == (code, found.message, found.hint)


def test_a_folder_that_is_not_there_is_unavailable_and_one_like_it_is_named(tmp_path: Path) -> None:
    made(tmp_path / "flower", FLOWERS)
    (found,) = problems(tmp_path)
    assert found.code == "missing-folder"
    assert "flower" in str(found.hint)
    with pytest.raises(SourceUnavailable):
        loaded(tmp_path)
    made(tmp_path, {"flowers": b""})
    assert [problem.code for problem in problems(tmp_path)] == ["file-not-folder"]
    assert [problem.code for problem in problems(tmp_path, "a\0b")] == ["not-a-path"]
    assert options("none").extents(base=tmp_path, data_root=None) == {}


@pytest.mark.skipif(os.sep == "\\", reason="names are text there")
def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "flowers", FLOWERS)
    (folder / "rose" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    assert [problem.code for problem in problems(tmp_path)] == ["name-not-utf-8"]


def test_the_key_goes_by_names_and_contents_and_not_by_the_place(tmp_path: Path) -> None:
    def digests(base: Path) -> set[str]:
        found = input_digests(options(), base=base, data_root=None, digest_all=lambda files: {it: it.read_bytes().hex() for it in files})
        return set(found.values())

    for place in ("here", "there", "renamed", "other"):
        made(tmp_path / place / "flowers", FLOWERS)
    (tmp_path / "renamed/flowers/rose").rename(tmp_path / "renamed/flowers/tulip")
    (tmp_path / "other/flowers/rose/b.png").write_bytes(b"4")
    assert digests(tmp_path / "here") == digests(tmp_path / "there")
    assert digests(tmp_path / "here") not in (digests(tmp_path / "renamed"), digests(tmp_path / "other"))
