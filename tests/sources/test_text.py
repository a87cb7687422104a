"""The text source: what a document is, strict decoding, and messages that say which byte is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.sources import decoding
from specrun.sources.contract import WHOLE, LoadedText, SourceRequest, SourceUnavailable, load_text
from specrun.sources.text.build import lines, paragraphs, whole
from specrun.sources.text.options import Options

plain = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200)


def load(folder: Path, path: Any, **options: Any) -> LoadedText:
    return load_text(Options(kind="text", path=path, **options), SourceRequest(folder, lambda _: None))


def documents(folder: Path, path: Any = "a.txt", **options: Any) -> list[str]:
    return list(load(folder, path, **options).splits[WHOLE])


def blocks_of(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def without_blank_lines(text: str) -> str:
    return "".join(line for line in text.replace("\n", "\n\0").split("\0") if not line.isspace())


@given(plain.filter(lambda text: text and not text.startswith("\ufeff")), st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-16-le"]))
def test_what_is_decoded_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str) -> None:
    folder = tmp_path_factory.mktemp("text")
    (folder / "a.txt").write_bytes(text.encode(encoding))
    assert "".join(documents(folder, encoding=encoding)) == text


@given(plain, st.integers(1, 7))
def test_lines_and_paragraphs_together_are_the_text_without_its_blank_lines(text: str, size: int) -> None:
    assert "".join(lines(blocks_of(text, size))) == without_blank_lines(text)
    assert "".join(paragraphs(blocks_of(text, size))) == without_blank_lines(text)
    assert list(whole(blocks_of(text, size))) == [text]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("files", ["one\ntwo\r\n\n \nthree\rfour\n"]),
        ("lines", ["one\n", "two\r\n", "three\rfour\n"]),
        ("paragraphs", ["one\ntwo\r\n", "three\rfour\n"]),
    ],
)
def test_newlines_stay_as_they_are(tmp_path: Path, kind: str, expected: list[str]) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\r\n\n \nthree\rfour\n")
    assert documents(tmp_path, documents=kind) == expected


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffwörter".encode())
    assert documents(tmp_path) == ["wörter"]


def test_documents_can_be_read_more_than_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    loaded = load(tmp_path, "a.txt", documents="lines")
    assert list(loaded.splits[WHOLE]) == list(loaded.splits[WHOLE]) == ["one\n", "two\n"]


def test_files_come_in_the_order_written_and_those_of_a_glob_by_name_each_once(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(name)
    (tmp_path / "folder.txt").mkdir()
    assert documents(tmp_path, ("c.txt", "*.txt")) == ["c", "a", "b"]


def test_two_stars_cross_folders_and_a_name_with_brackets_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x.txt").write_text("x")
    (tmp_path / "a[1].txt").write_text("brackets")
    assert documents(tmp_path, "**/x.txt") == ["x"]
    assert documents(tmp_path, "a[1].txt") == ["brackets"]


def test_a_folder_whose_own_name_has_wildcards_is_searched(tmp_path: Path) -> None:
    odd = tmp_path / "runs [old]*"
    odd.mkdir()
    (odd / "x.txt").write_text("x")
    assert documents(odd, "*.txt") == ["x"]


def test_a_mapping_gives_the_splits(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("train")
    (tmp_path / "v.txt").write_text("validation")
    loaded = load(tmp_path, {"train": "t.txt", "validation": ("v.txt",)})
    assert {name: list(split) for name, split in loaded.splits.items()} == {"train": ["train"], "validation": ["validation"]}
    assert loaded.facts["bytes"] == 15


@given(st.binary(max_size=40), st.integers(1, 9))
def test_a_wrong_byte_is_named_where_it_is_whatever_the_blocks(tmp_path_factory: pytest.TempPathFactory, before: bytes, size: int) -> None:
    good = before.decode("utf-8", "ignore").replace("\0", "").replace("\ufeff", "").encode()
    folder = tmp_path_factory.mktemp("text")
    (folder / "a.txt").write_bytes(good + b"\xff" + b"after")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", size)
        with pytest.raises(DataError) as caught:
            documents(folder)
    assert caught.value.code == "wrong-encoding"
    line = good.count(b"\n") + 1
    assert f"byte {len(good)} is 0xff (line {line})" in caught.value.message


@pytest.mark.parametrize(
    ("content", "code", "message", "hint"),
    [
        (b"caf\xe9\n", "wrong-encoding", "byte 3 is 0xe9 (line 1), which is not utf-8", "cp1252"),
        (b"a\nb\xc3", "wrong-encoding", "byte 3 is 0xc3 (line 2)", "cp1252"),
        (b"caf\xe9 \x81", "wrong-encoding", "byte 3 is 0xe9", "latin-1"),
        ("hi".encode("utf-16"), "binary-file", "a zero byte at byte 3", "set data.source.encoding: utf-16"),
        ("hi there".encode("utf-16-le"), "binary-file", "a zero byte at byte 1", "utf-16-le"),
        ("\u65e5\u672c".encode("utf-16"), "wrong-encoding", "byte 0 is 0xff", "set data.source.encoding: utf-16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00text and more text", "binary-file", "a zero byte at byte 8", "leave it out"),
    ],
)
def test_each_way_of_not_being_text_has_its_place_and_remedy(tmp_path: Path, content: bytes, code: str, message: str, hint: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError) as caught:
        documents(tmp_path)
    assert caught.value.code == code
    assert message in caught.value.message
    assert str(tmp_path / "a.txt") in caught.value.message
    assert hint in str(caught.value.hint)


def test_files_that_are_all_empty_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match="every file of split 'whole' is empty") as caught:
        load(tmp_path, "a.txt")
    assert caught.value.code == "empty-corpus"


@pytest.mark.parametrize(("path", "code"), [("no.txt", "missing-file"), ("*.no", "missing-file"), (".", "folder-not-file")])
def test_a_missing_file_lets_a_fallback_stand_in(tmp_path: Path, path: str, code: str) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        load(tmp_path, path)
    assert caught.value.code == code


def test_a_file_that_vanishes_before_it_is_read_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    loaded = load(tmp_path, "a.txt")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(SourceUnavailable, match="No such file"):
        list(loaded.splits[WHOLE])
