"""Files named twice, and names that are very like a folder at hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from specrun.sources.existence import file_problems
from specrun.sources.files import matches, real_paths
from specrun.sources.huggingface.options import Options as HuggingFace
from specrun.sources.text.options import Options as Text
from specrun.spec.section import Part, Problem
from tests.spec.specs import MINIMAL, check


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.txt", "ab.txt", "b.txt", "c.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link.txt").symlink_to(tmp_path / "c.md")
    return tmp_path


def found(base: Path, source: Part, data_root: Path | None = None) -> list[Problem]:
    spec: Any = SimpleNamespace(data=SimpleNamespace(source=source, fallback=None, tokenizer=None), model=None)
    return list(file_problems(spec, lambda _: base, data_root))


@pytest.mark.parametrize(
    ("path", "code", "at", "says"),
    [
        (("a.txt", "a.txt"), "file-listed-twice", (1,), "a.txt is in 'a.txt' already"),
        (("a.txt", "./a.txt"), "file-listed-twice", (1,), "a.txt is in 'a.txt' already"),
        (("c.md", "link.txt"), "file-listed-twice", (1,), "link.txt is in 'c.md' already"),
        (("a*.txt", "*b.txt"), "file-listed-twice", (1,), "ab.txt is in 'a*.txt' already"),
        (("?.txt", "a*.txt", "b.txt"), "file-listed-twice", (1,), "a.txt is in '?.txt' already"),
        ({"train": "a*.txt", "validation": "?.txt"}, "file-in-two-splits", ("validation",), "a.txt is in the train split already"),
        ({"train": "*.txt", "test": ("b.txt",)}, "file-in-two-splits", ("test", 0), "b.txt is in the train split already"),
        ({"train": "*.txt", "test": "?.txt"}, "file-in-two-splits", ("test",), "2 files are, such as a.txt, in the train split"),
    ],
)
def test_a_file_that_is_named_twice_is_told_where_the_second_time_is(
    folder: Path, path: Any, code: str, at: tuple[str | int, ...], says: str
) -> None:
    first = found(folder, Text(kind="text", path=path))[0]
    assert (first.code, first.path, first.severity) == (code, ("data", "source", "path", *at), "warning")
    assert says in first.message
    assert first.hint


@pytest.mark.parametrize("path", ["*.txt", ("a.txt", "b.txt"), {"train": "a*.txt", "test": "b.txt"}])
def test_files_that_are_named_once_are_no_problem(folder: Path, path: Any) -> None:
    assert found(folder, Text(kind="text", path=path)) == []


def test_a_file_is_read_once_by_whatever_names_it_is_given(folder: Path) -> None:
    source = Text(kind="text", path=("c.md", "link.txt", "./c.md", "?.md"))
    assert list(source.files(folder).values()) == [(folder / "c.md",)]


def test_a_split_is_its_own_list(folder: Path) -> None:
    files = Text(kind="text", path={"train": ("a.txt", "a.txt"), "test": "a.txt"}).files(folder)
    assert files == {"train": (folder / "a.txt",), "test": (folder / "a.txt",)}


def test_a_file_leads_where_it_resolves_to(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "d.txt").write_text("d")
    (folder / "way").symlink_to(folder / "deep")
    (folder / "deep" / "up.txt").symlink_to("../a.txt")
    files = (*matches("**/*.txt", folder), *matches("way/../*.md", folder), *matches("way/d.txt", folder))
    assert len(files) > 8
    assert tuple(real_paths(files)) == tuple(file.resolve() for file in files)


@pytest.mark.parametrize(("path", "walks"), [("*.txt", 1), (("*.txt", "*.md"), 2), ({"train": "*.txt", "test": "*.txt"}, 1)])
def test_a_pattern_is_looked_for_once(folder: Path, monkeypatch: pytest.MonkeyPatch, path: Any, walks: int) -> None:
    walked: list[str] = []

    def counted(given: str, base: Path) -> tuple[Path, ...]:
        walked.append(given)
        return matches(given, base)

    monkeypatch.setattr("specrun.sources.existence.matches", counted)
    found(folder, Text(kind="text", path=path))
    assert len(walked) == walks


def test_many_files_of_one_folder_are_resolved_with_their_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[Path] = []
    resolve = Path.resolve
    for number in range(100):
        (folder / f"{number}.txt").touch()
    monkeypatch.setattr(Path, "resolve", lambda self: resolved.append(self) or resolve(self))
    found(folder, Text(kind="text", path=("*.txt", "?.md")))
    assert sorted(resolved) == [folder, folder, folder / "link.txt"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Salesforce/wikitex", "Salesforce/wikitext"),
        ("Salesforc/wikitext", "Salesforce/wikitext"),
        ("salesforce/wikitext", "Salesforce/wikitext"),
        ("wikitex", "wikitext"),
        ("Salesforce/wikitext", None),
        ("Salesforce/other", None),
        ("openai/gsm8k", None),
    ],
)
def test_a_name_that_is_like_a_mirror_but_not_there_is_answered_with_the_mirror(tmp_path: Path, name: str, meant: str | None) -> None:
    for there in ("Salesforce/wikitext", "wikitext", "stanfordnlp/imdb"):
        (tmp_path / there).mkdir(parents=True)
    source = HuggingFace(kind="huggingface", path=name)
    for problems in (found(tmp_path / "no", source, tmp_path), found(tmp_path, source)):
        assert [(p.code, p.hint, p.severity) for p in problems] == (
            [("looked-for-on-hub", f"did you mean {meant}?", "warning")] if meant else []
        )


@pytest.mark.parametrize("split", ["", "a.b", "a=b", " a"])
def test_no_hint_sets_a_key_that_set_cannot_name(folder: Path, split: str) -> None:
    for missing in ("aab.txt", "nothing-like-it-at-all"):
        (problem,) = found(folder, Text(kind="text", path={split: missing}))
        assert problem.code == "missing-file"
        assert "--set" not in str(problem.hint)
        assert ".txt" in str(problem.hint)


def test_a_pattern_that_matches_nothing_has_a_remedy(folder: Path) -> None:
    (problem,) = found(folder, Text(kind="text", path="zzzzzz/*.csv"))
    assert problem.code == "empty-glob"
    assert problem.hint


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "~no-such-user-at-all/x.txt", ("a.txt", "a\0"), {"train": "loop", "test": "a.txt"}])
def test_what_can_be_no_path_is_a_finding(folder: Path, path: Any) -> None:
    (folder / "loop").symlink_to(folder / "loop")
    (problem,) = found(folder, Text(kind="text", path=path))
    assert (problem.code, problem.severity) == ("not-a-path", "error")
    assert problem.hint


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "owner/" + "x" * 5000])
def test_a_dataset_that_can_be_no_path_is_a_finding(folder: Path, path: str) -> None:
    for root in (None, folder):
        (problem,) = found(folder, HuggingFace(kind="huggingface", path=path), root)
        assert problem.code == "not-a-path"


def test_a_source_can_be_checked_where_the_data_section_is_invalid() -> None:
    draft = check(MINIMAL.replace("data:\n  source: {kind: synthetic}\n  split: {kind: ratio}", "data: 3")).draft
    assert draft is not None
    assert list(file_problems(draft.spec, draft.provenance.base_folder, None)) == []
