"""Documents on disk: what is written is read, in pieces that split no word, and the digest is of the documents alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.sources import document_file
from specrun.sources.document_file import DocumentWriter, Written, pieces, read_documents, read_pieces

valid = st.characters(exclude_categories=["Cs"])
document = st.text(valid, min_size=1, max_size=120) | st.text("ab \n\t\u2028", min_size=1, max_size=120)


def write(path: Path, documents: list[str]) -> Written:
    with DocumentWriter(path) as writer:
        for text in documents:
            writer.add(text)
    return writer.written


@given(document, st.integers(1, 30))
def test_pieces_are_the_text_and_split_no_word(text: str, size: int) -> None:
    parts = list(pieces(text, size=size))
    assert "".join(parts) == text
    assert all(parts)
    assert sum(len(part.split()) for part in parts) == len(text.split())
    assert all(part[0] in " \n" for part in parts[1:])


def test_a_text_without_white_space_is_one_piece_and_others_are_about_as_long_as_asked() -> None:
    assert list(pieces("x" * 1000, size=10)) == ["x" * 1000]
    assert max(len(part) for part in pieces("word " * 1000, size=100)) <= 100


@given(st.lists(document, max_size=8), st.integers(1, 40), st.integers(1, 60))
def test_documents_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str], piece: int, flush: int
) -> None:
    path = tmp_path_factory.mktemp("documents") / "train.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_file, "PIECE_CHARACTERS", piece)
        patch.setattr(document_file, "_FLUSH_CHARACTERS", flush)
        patch.setattr(pieces, "__kwdefaults__", {"size": piece})
        written = write(path, documents)
    assert list(read_documents(path)) == documents
    assert (written.documents, written.characters) == (len(documents), sum(map(len, documents)))
    assert written.bytes == sum(len(text.encode()) for text in documents)
    assert written.words == sum(len(text.split()) for text in documents)
    starts = [row.part for group in read_pieces(path) for row in group].count(0)
    assert starts == len(documents)
    assert written == write(path, documents)


def test_the_digest_tells_where_documents_end(tmp_path: Path) -> None:
    assert write(tmp_path / "a", ["ab", "c"]).sha256 != write(tmp_path / "b", ["a", "bc"]).sha256


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, ["one", "two " * 100])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_writing_and_reading_import_no_pandas(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from specrun.sources.document_file import DocumentWriter, read_documents
with DocumentWriter(Path({str(tmp_path / "a.parquet")!r})) as writer:
    writer.add("one two")
assert list(read_documents(Path({str(tmp_path / "a.parquet")!r}))) == ["one two"]
sys.exit("pandas" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
