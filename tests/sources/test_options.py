"""Options of sources: what they mean on disk, what enters keys, and the checks that need no file to be opened."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from specrun.engine.fingerprints import Fingerprints
from specrun.sources.contract import WHOLE
from specrun.sources.existence import file_problems
from specrun.sources.huggingface.options import Options as HuggingFace
from specrun.sources.inputs import input_digests
from specrun.sources.python_docs.options import Options as PythonDocs
from specrun.sources.synthetic.options import Options as Synthetic
from specrun.sources.text.options import Options as Text
from specrun.spec.parts import kinds
from specrun.spec.section import Part, Problem
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.ratio import Options as Ratio

NO_ENCODINGS = ("klingon", "base64", "hex", "rot13", "undefined", "idna")
ENCODINGS = [("utf8x", "utf"), ("latin_2", "latin"), ("a\0b", ""), *((name, "use utf-8") for name in NO_ENCODINGS)]


def fake_spec(source: Part, *, split: Part | None = None, fallback: Part | None = None) -> Any:
    return SimpleNamespace(
        data=SimpleNamespace(source=source, fallback=fallback, split=split or Ratio(kind="ratio"), tokenizer=None), model=None
    )


def problems(source: Part, split: Part) -> list[Problem]:
    return list(source.problems(fake_spec(source, split=split), ("data", "source")))


def missing(base: Path, source: Part, *, fallback: Part | None = None, data_root: Path | None = None) -> list[Problem]:
    return list(file_problems(fake_spec(source, fallback=fallback), lambda _: base, data_root))


def digests(base: Path, source: Part, data_root: Path | None = None) -> list[str]:
    """What enters a key: the digests in no order."""
    cache = Fingerprints(base / "fingerprints.cache")
    return sorted(input_digests(source, base=base, data_root=data_root, digest_all=cache.digest_all).values())


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "b.txt").write_text("second")
    return tmp_path


def test_files_that_change_places_change_what_enters_the_key(two_files: Path) -> None:
    one = Text(kind="text", path={"train": "a.txt", "validation": "b.txt"})
    other = Text(kind="text", path={"train": "b.txt", "validation": "a.txt"})
    assert digests(two_files, one) != digests(two_files, other)
    assert digests(two_files, Text(kind="text", path=("a.txt", "b.txt"))) != digests(two_files, Text(kind="text", path=("b.txt", "a.txt")))


def test_a_file_that_is_moved_or_renamed_leaves_the_key_as_it_is(two_files: Path) -> None:
    before = digests(two_files, Text(kind="text", path={"train": "a.txt", "validation": "b.txt"}))
    (two_files / "deep").mkdir()
    (two_files / "a.txt").rename(two_files / "deep" / "z.txt")
    assert digests(two_files, Text(kind="text", path={"train": "deep/z.txt", "validation": "b.txt"})) == before


def test_a_file_in_two_splits_counts_with_both_parts(two_files: Path) -> None:
    once = digests(two_files, Text(kind="text", path={"train": "a.txt", "validation": "b.txt"}))
    twice = digests(two_files, Text(kind="text", path={"train": "a.txt", "validation": ("b.txt", "a.txt")}))
    assert once != twice


def test_local_inputs_are_the_files_themselves_sorted(two_files: Path) -> None:
    options = Text(kind="text", path=("b.txt", "*.txt", "no.txt"))
    assert options.local_inputs(base=two_files, data_root=None) == (two_files / "a.txt", two_files / "b.txt")


def test_a_mirror_stands_for_the_hub_and_its_hidden_files_do_not_count(tmp_path: Path) -> None:
    mirror = tmp_path / "hub" / "owner" / "name"
    (mirror / ".git").mkdir(parents=True)
    (mirror / ".git" / "HEAD").write_text("x")
    (mirror / "train.parquet").write_text("x")
    options = HuggingFace(kind="huggingface", path="owner/name")
    assert options.folder(base=tmp_path, data_root=tmp_path / "hub") == mirror
    assert options.local_inputs(base=tmp_path, data_root=tmp_path / "hub") == (mirror / "train.parquet",)
    assert options.local_inputs(base=tmp_path, data_root=None) == ()


def test_a_mirror_is_known_by_its_files_names_inside_it_not_by_where_it_lies(tmp_path: Path) -> None:
    for root in ("one", "two"):
        (tmp_path / root / "owner" / "name").mkdir(parents=True)
        (tmp_path / root / "owner" / "name" / "train.parquet").write_text("x")
    options = HuggingFace(kind="huggingface", path="owner/name")
    before = digests(tmp_path, options, tmp_path / "one")
    assert digests(tmp_path, options, tmp_path / "two") == before
    (tmp_path / "two" / "owner" / "name" / "train.parquet").rename(tmp_path / "two" / "owner" / "name" / "test.parquet")
    assert digests(tmp_path, options, tmp_path / "two") != before


def test_a_path_that_climbs_out_of_the_mirrors_is_no_hub_name() -> None:
    assert HuggingFace(kind="huggingface", path="owner/name").is_hub_name
    assert not any(
        HuggingFace(kind="huggingface", path=path).is_hub_name for path in ("../name", "a/../b", "/abs/x", "./x", "a/b/c", "a/..")
    )


@pytest.mark.parametrize("options", [PythonDocs(kind="python_docs"), Synthetic(kind="synthetic")])
def test_sources_without_files_have_no_local_inputs_but_an_estimate(tmp_path: Path, options: Any) -> None:
    assert options.local_inputs(base=tmp_path, data_root=None) == ()
    assert options.extents(base=tmp_path, data_root=None)[WHOLE].size_bytes > 100_000


def test_the_identity_of_the_documentation_names_the_python_and_digests() -> None:
    both = PythonDocs(kind="python_docs", include=("topics", "docstrings")).identity()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in both["python"]
    assert len(both["topics"]) == len(both["library"]) == 64


def test_options_of_sources_import_nothing_heavy() -> None:
    import subprocess

    modules = [f"specrun.sources.{kind}.options" for kind in kinds("source")]
    heavy = ("torch", "datasets", "pyarrow", "tokenizers", "numpy")
    code = f"import sys, {', '.join([*modules, 'specrun.sources.existence'])}; sys.exit(bool(set(sys.modules) & set({heavy})))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", f"import numpy; {code}"], check=False).returncode == 1


@pytest.mark.parametrize(
    ("path", "split", "code", "at"),
    [
        ("a.txt", Given(kind="given"), "split-not-given", ("data", "split")),
        ({"train": "a", "valid": "b"}, Given(kind="given"), "missing-split", ("data", "split", "validation")),
        ({"train": "a", "validation": "b"}, Given(kind="given", test="test"), "missing-split", ("data", "split", "test")),
        ({"train": "a", "validation": "b"}, Ratio(kind="ratio"), "splits-already-given", ("data", "split")),
        ({"train": "a", "validation": "b"}, Hash(kind="hash"), "splits-already-given", ("data", "split")),
    ],
)
def test_splits_that_do_not_go_with_the_paths_are_found_without_a_file(path: Any, split: Part, code: str, at: tuple[str, ...]) -> None:
    (found,) = problems(Text(kind="text", path=path), split)
    assert (found.code, found.path) == (code, at)
    assert found.hint


def test_splits_that_go_with_the_paths_are_no_problem() -> None:
    assert problems(Text(kind="text", path={"train": "a", "validation": "b"}), Given(kind="given")) == []
    assert problems(Text(kind="text", path="a.txt"), Ratio(kind="ratio")) == []


@pytest.mark.parametrize(("encoding", "hint"), ENCODINGS)
def test_an_encoding_that_is_none_is_found_without_a_file(encoding: str, hint: str) -> None:
    (found,) = problems(Text(kind="text", path="a.txt", encoding=encoding), Ratio(kind="ratio"))
    assert found.code == "unknown-encoding"
    assert hint in str(found.hint)


def test_an_address_instead_of_a_name_is_answered_with_the_name() -> None:
    source = HuggingFace(kind="huggingface", path="https://huggingface.co/datasets/owner/name")
    (found,) = problems(source, Given(kind="given"))
    assert (found.code, found.hint) == ("url-not-a-name", "use owner/name")


def test_a_revision_of_a_folder_is_a_problem() -> None:
    (found,) = problems(HuggingFace(kind="huggingface", path="./local", revision="main"), Given(kind="given"))
    assert found.code == "revision-of-a-folder"


@pytest.mark.parametrize(
    ("path", "code", "at", "hint"),
    [
        ("a.tx", "missing-file", ("data", "source", "path"), "a.txt"),
        (("a.txt", "c.md"), "missing-file", ("data", "source", "path", 1), None),
        ({"train": "a.txt", "validation": "nowhere/*.txt"}, "empty-glob", ("data", "source", "path", "validation"), None),
        ({"train": ("a.txt", "x.txt")}, "missing-file", ("data", "source", "path", "train", 1), "a.txt"),
        ("../{name}", "folder-not-file", ("data", "source", "path"), "*.txt"),
    ],
)
def test_a_missing_file_is_pointed_at_with_the_nearest_name(
    two_files: Path, path: Any, code: str, at: tuple[Any, ...], hint: str | None
) -> None:
    written = path.format(name=two_files.name) if isinstance(path, str) else path
    (found,) = missing(two_files, Text(kind="text", path=written))
    assert (found.code, found.path, found.severity) == (code, at, "error")
    assert hint is None or hint in str(found.hint)


@pytest.mark.parametrize(
    ("path", "looked_for", "hint"),
    [
        ("../data/no.txt", "data/no.txt", "give another with: --set data.source.path=PATH"),
        ("../data/corpu s.txt", "data/corpu s.txt", "did you mean data/corpus.txt? give it with: --set data.source.path=data/corpus.txt"),
        ({"train": "../data/no.txt"}, "data/no.txt", "give another with: --set data.source.path.train=PATH"),
        (("../data/corpus.txt", "../data/no.txt"), "data/no.txt", "give another with: --set 'data.source.path=[PATH, ...]'"),
        ("../../out.txt", "{above}/out.txt", "give another with: --set data.source.path=PATH"),
        ("/no/where.txt", "/no/where.txt", "give another with: --set data.source.path=PATH"),
    ],
)
def test_a_missing_file_is_named_as_one_would_open_it_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Any, looked_for: str, hint: str
) -> None:
    here = tmp_path / "here"
    (here / "specs").mkdir(parents=True)
    (here / "data").mkdir()
    (here / "data" / "corpus.txt").write_text("text")
    monkeypatch.chdir(here)
    (found,) = missing(Path("specs"), Text(kind="text", path=path))
    assert found.code == "missing-file"
    assert found.message.endswith(f" does not exist; looked for {looked_for.format(above=tmp_path)}")
    assert found.hint == hint


def test_a_missing_file_behind_a_link_is_looked_for_where_the_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere" / "specs").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "specs").symlink_to(tmp_path / "elsewhere" / "specs")
    monkeypatch.chdir(tmp_path / "here")
    (found,) = missing(Path("specs"), Text(kind="text", path="../no.txt"))
    assert found.message.endswith(f"looked for {tmp_path / 'elsewhere' / 'no.txt'}")


def test_with_a_fallback_a_missing_file_is_a_warning_and_a_missing_fallback_an_error(two_files: Path) -> None:
    lost = Text(kind="text", path="no.txt")
    (found,) = missing(two_files, lost, fallback=PythonDocs(kind="python_docs"))
    assert found.severity == "warning"
    severities = {problem.path[1]: problem.severity for problem in missing(two_files, lost, fallback=lost)}
    assert severities == {"source": "warning", "fallback": "error"}


def test_a_missing_folder_and_a_missing_data_root_are_found(tmp_path: Path) -> None:
    (found,) = missing(tmp_path, HuggingFace(kind="huggingface", path="./no"))
    assert found.code == "missing-folder"
    (found,) = missing(tmp_path, HuggingFace(kind="huggingface", path="owner/name"), data_root=tmp_path / "no")
    assert found.code == "missing-data-root"
    assert missing(tmp_path, HuggingFace(kind="huggingface", path="owner/name")) == []


@pytest.mark.parametrize("kind", [Ratio, Hash])
def test_shares_that_leave_nothing_to_train_on_are_a_problem(kind: Any) -> None:
    name = kind.__module__.rsplit(".", 1)[1]
    (found,) = kind(kind=name, validation=0.5, test=0.5).problems(None, ("data", "split"))
    assert (found.code, found.path) == ("shares-leave-no-train", ("data", "split", "validation"))
    assert list(kind(kind=name, validation=0.5, test=0.4).problems(None, ("data", "split"))) == []
