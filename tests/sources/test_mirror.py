"""A local copy of a dataset is held against the revision that is asked for, as far as the copy says what it holds."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from huggingface_hub._local_folder import write_download_metadata

from specrun.errors import DataError
from specrun.sources.contract import SourceRequest, load_text
from specrun.sources.files import folder_files
from specrun.sources.huggingface.mirror import Traces, check_revision, traces
from specrun.sources.huggingface.options import Options
from specrun.sources.huggingface.reach import library

ONE, OTHER = "1" * 40, "2" * 40
FILES = ("README.md", "data/train.jsonl")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "owner" / "corpus"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"text": "one"}\n' if name.endswith("l") else "")
    return folder


def fetched(copy: Path, *found: str) -> None:
    """Leave the traces of a download, as the Hub's own library does."""
    for name, commit in zip(FILES, found, strict=True):
        write_download_metadata(copy, name, commit, "etag")


def held(copy: Path) -> Traces:
    return traces(copy, (file.relative_to(copy).as_posix() for file in folder_files(copy)))


def check(copy: Path, revision: str | None):
    return check_revision(Options(kind="huggingface", path="owner/corpus", revision=revision), copy, held(copy), key="data.source")


def test_the_commit_is_what_the_library_wrote_when_it_fetched_the_files(copy: Path) -> None:
    assert held(copy).commits == ()
    fetched(copy, ONE, ONE)
    assert held(copy).commits == (ONE,)
    fetched(copy, ONE, OTHER)
    assert held(copy).commits == (ONE, OTHER)


def test_traces_of_files_that_are_gone_do_not_count(copy: Path) -> None:
    fetched(copy, ONE, OTHER)
    (copy / FILES[1]).unlink()
    assert held(copy).commits == (ONE,)


@pytest.mark.parametrize(
    ("added", "says"), [(("extra.jsonl",), "where extra.jsonl came"), (("data/a.txt", "b.md"), "where b.md and 1 more came")]
)
def test_a_file_that_was_added_by_hand_leaves_the_revision_unchecked(copy: Path, added: tuple[str, ...], says: str) -> None:
    fetched(copy, ONE, ONE)
    for name in added:
        (copy / name).touch()
    assert held(copy) == Traces((ONE,), tuple(sorted(added)))
    ((code, text),) = check(copy, ONE)
    assert code == "revision-not-checked"
    assert says in text
    with pytest.raises(DataError, match="mirror-of-another-revision"):
        check(copy, OTHER)


def test_the_command_that_fetches_the_other_commit_can_be_pasted(copy: Path) -> None:
    spaced = copy.rename(copy.with_name("my corpus"))
    fetched(spaced, ONE, ONE)
    with pytest.raises(DataError) as caught:
        check(spaced, OTHER)
    command = str(caught.value.hint).partition("fetch the other: ")[2]
    assert shlex.split(command)[-2:] == ["--local-dir", str(spaced)]


def test_a_snapshot_of_the_hubs_cache_is_its_commit(tmp_path: Path, copy: Path) -> None:
    snapshot = tmp_path / "datasets--owner--corpus" / "snapshots" / ONE
    snapshot.parent.mkdir(parents=True)
    copy.rename(snapshot)
    copy.symlink_to(snapshot)
    assert held(copy).commits == (ONE,)


def test_a_copy_of_the_commit_that_is_asked_for_passes_in_silence(copy: Path) -> None:
    fetched(copy, ONE, ONE)
    assert check(copy, ONE) == ()
    assert check(copy, None) == ()


@pytest.mark.parametrize("found", [(OTHER, OTHER), (ONE, OTHER)])
def test_a_copy_of_another_commit_is_an_error_that_names_both(copy: Path, found: tuple[str, str]) -> None:
    fetched(copy, *found)
    with pytest.raises(DataError) as caught:
        check(copy, ONE)
    assert caught.value.code == "mirror-of-another-revision"
    assert ONE in caught.value.message
    assert OTHER in caught.value.message
    assert f"--revision {ONE}" in str(caught.value.hint)


@pytest.mark.parametrize(("found", "asked"), [((), ONE), ((), "v1"), ((ONE, ONE), "v1")])
def test_what_cannot_be_compared_is_warned_of_once(copy: Path, found: tuple[str, ...], asked: str) -> None:
    if found:
        fetched(copy, *found)
    ((code, text),) = check(copy, asked)
    assert code == "revision-not-checked"
    assert asked in text
    assert str(copy) in text


def test_the_source_hands_the_warning_on(tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library().config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    options = Options(kind="huggingface", path="owner/corpus", revision=ONE)
    request = SourceRequest(tmp_path, lambda _: None, data_root=tmp_path)
    loaded = load_text(options, request)
    assert [code for code, _ in loaded.warnings] == ["revision-not-checked"]
    assert loaded.facts["commits"] == []
    assert "files_without_commit" not in loaded.facts
    fetched(copy, ONE, ONE)
    again = load_text(options, request)
    assert (again.warnings, again.facts["commits"]) == ((), [ONE])
    assert "files_without_commit" not in again.facts
    (copy / "data" / "validation.jsonl").write_text('{"text": "two"}\n')
    mixed = load_text(options, request)
    assert (mixed.facts["commits"], mixed.facts["files_without_commit"]) == ([ONE], 1)
    assert [code for code, _ in mixed.warnings] == ["revision-not-checked"]
