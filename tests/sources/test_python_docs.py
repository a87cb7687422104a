"""The documentation source: enough English text, the same each time, from files that are read and not imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from specrun.sources.contract import WHOLE, SourceRequest, SourceUnavailable, load_text
from specrun.sources.python_docs import build
from specrun.sources.python_docs.build import docstrings, topics
from specrun.sources.python_docs.options import Options, library_files

REQUEST = SourceRequest(Path(), lambda _: None)


def test_the_topics_are_at_least_400_kilobytes_of_english_in_the_same_order_each_time() -> None:
    loaded = load_text(Options(kind="python_docs"), REQUEST)
    documents = list(loaded.splits[WHOLE])
    assert sum(len(document.encode()) for document in documents) >= 400_000
    assert documents == list(loaded.splits[WHOLE])
    words = " ".join(documents).split()
    assert words.count("the") / len(words) > 0.03


def test_docstrings_come_in_the_order_they_stand_without_their_indentation(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text('"""Module."""\nclass A:\n    """Class.\n\n    More.\n    """\n    def f(self):\n        "Method."\n\ndef g(): pass\n')
    assert list(docstrings(path)) == ["Module.\n", "Class.\n\nMore.\n", "Method.\n"]


@pytest.mark.parametrize("content", [b"def (", b"\xff\xfe\x00", b'"""\xff"""', b'"\\ud800"', b"", b'""'])
def test_a_file_that_does_not_parse_or_says_nothing_gives_no_docstring(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(content)
    assert list(docstrings(path)) == []


def test_an_escape_that_python_warns_about_is_read_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text('"""A \\d."""\n')
    assert list(docstrings(path)) == ["A \\d.\n"]


def test_reading_docstrings_imports_no_module_of_the_library() -> None:
    name, path = next((name, path) for name, path in library_files() if name == "antigravity.py")
    list(docstrings(path))
    assert name.removesuffix(".py") not in sys.modules


def test_tests_and_installed_packages_are_no_documentation() -> None:
    names = [name for name, _ in library_files()]
    assert "pathlib.py" in names or "pathlib/__init__.py" in names
    assert names == sorted(names)
    assert not any("site-packages" in name or "/test/" in f"/{name}" for name in names)


def test_a_python_without_topics_lets_a_fallback_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "topics_file", lambda: None)
    with pytest.raises(SourceUnavailable) as caught:
        load_text(Options(kind="python_docs"), REQUEST)
    assert caught.value.code == "missing-topics"


@pytest.mark.slow
def test_the_docstrings_of_the_library_are_over_a_megabyte() -> None:
    loaded = load_text(Options(kind="python_docs", include=("docstrings",)), REQUEST)
    assert sum(len(document) for document in loaded.splits[WHOLE]) > 1_000_000


def test_a_topic_that_stands_under_two_names_comes_once():
    texts = list(topics())
    assert len(texts) == len(set(texts))
