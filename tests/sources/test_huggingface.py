"""The huggingface source: a folder, a mirror and a Hub on the loopback interface give the same rows; every failure says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_double import COMMIT, FILES, NAME

from specrun.errors import DataError
from specrun.events import Event, Message
from specrun.sources.contract import LoadedText, SourceRequest, SourceUnavailable, load_text
from specrun.sources.huggingface.options import Options

HUB_DOUBLE = Path(__file__).with_name("hub_double.py")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
    return iter(())


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    """A data root with the Hub double's dataset in it."""
    for name, content in FILES.items():
        path = tmp_path / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def load(mirrors: Path, *, column: str = "text", path: str = NAME, emit: Any = lambda _: None, **options: Any) -> LoadedText:
    return load_text(Options(kind="huggingface", path=path, **options), SourceRequest(mirrors, emit, column, mirrors))


def on_the_hub(folder: Path, modes: str, **options: Any) -> list[dict[str, Any]]:
    """What loading from the Hub double gives, an outcome a mode. In a process of its own: the libraries read their settings once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HTTP", "http"))}
    process = subprocess.run(
        [sys.executable, str(HUB_DOUBLE), modes, str(folder), json.dumps(options)],
        check=True, capture_output=True, text=True, env=environment, cwd=folder,
    )  # fmt: skip
    assert process.stderr == ""
    return [json.loads(line) for line in process.stdout.splitlines()]


def test_a_mirror_gives_the_splits_of_the_default_configuration(mirrors: Path) -> None:
    events: list[Event] = []
    loaded = load(mirrors, emit=events.append)
    assert {name: list(split) for name, split in loaded.splits.items()} == {"train": ["one", "", "two"], "validation": ["three"]}
    assert list(loaded.splits["train"]) == list(loaded.splits["train"])
    assert (loaded.facts["config"], loaded.facts["origin"], loaded.facts["rows"]) == ("small", "local", {"train": 3, "validation": 1})
    assert loaded.variant is None
    assert any(isinstance(event, Message) for event in events)


def test_a_folder_takes_the_same_path_as_a_mirror(mirrors: Path) -> None:
    folder = load_text(Options(kind="huggingface", path=f"./{NAME}"), SourceRequest(mirrors, lambda _: None))
    assert list(folder.splits["train"]) == list(load(mirrors).splits["train"])
    assert folder.facts["revision"] == load(mirrors).facts["revision"]


def test_joined_rows_are_one_document_a_split(mirrors: Path) -> None:
    loaded = load(mirrors, documents="joined")
    assert {name: list(split) for name, split in loaded.splits.items()} == {"train": ["onetwo"], "validation": ["three"]}


def test_a_missing_text_is_an_empty_document(mirrors: Path) -> None:
    (mirrors / NAME / "small" / "train.jsonl").write_text('{"text": null, "number": 1}\n{"text": "a", "number": 1}\n')
    assert list(load(mirrors).splits["train"]) == ["", "a"]


def test_a_changed_file_changes_the_rows_and_the_revision(mirrors: Path) -> None:
    before = load(mirrors)
    path = mirrors / NAME / "small" / "train.jsonl"
    path.write_text('{"text": "changed", "number": 1}\n')
    os.utime(path, ns=(10**18, 10**18))
    after = load(mirrors)
    assert list(after.splits["train"]) == ["changed"]
    assert after.facts["revision"] != before.facts["revision"]


@pytest.mark.parametrize(
    ("options", "code", "message", "hint"),
    [
        ({"config": "smal"}, "unknown-config", "no configuration 'smal'; it has other and small", "set data.source.config: small"),
        ({"column": "txet"}, "missing-column", "no column 'txet'; it has text and number", "set data.columns.text: text"),
        ({"column": "number"}, "column-not-text", "column 'number' holds int64, not text", "set data.columns.text: text"),
    ],
)
def test_a_wrong_name_is_answered_with_those_there_are(mirrors: Path, options: dict[str, Any], code: str, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        load(mirrors, **options)
    assert not isinstance(caught.value, SourceUnavailable)
    assert (caught.value.code, caught.value.hint) == (code, hint)
    assert message in caught.value.message


def test_several_configurations_without_a_default_ask_for_one(mirrors: Path) -> None:
    readme = mirrors / NAME / "README.md"
    readme.write_text(readme.read_text().replace("  default: true\n", ""))
    with pytest.raises(DataError, match="several configurations and no default: other and small") as caught:
        load(mirrors)
    assert (caught.value.code, caught.value.hint) == ("missing-config", "set data.source.config: other")


@pytest.mark.parametrize(
    ("damage", "code"),
    [("empty", "not-a-dataset"), ("program", "not-a-dataset"), ("garbage", "unreadable-dataset"), ("lost", "not-a-dataset")],
)
def test_a_folder_that_cannot_be_read_is_one_clear_error(mirrors: Path, damage: str, code: str) -> None:
    folder = mirrors / NAME
    if damage == "lost":
        (folder / "small" / "train.jsonl").unlink()
    elif damage == "garbage":
        (folder / "small" / "train.jsonl").write_bytes(b"\x00\xff{{{")
    else:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if damage == "program":
            (folder / "corpus.py").write_text("raise SystemExit('this must never run')")
    with pytest.raises(DataError) as caught:
        load(mirrors)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_cache_that_cannot_be_written_is_named(mirrors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    (mirrors / "file").touch()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(mirrors / "file" / "cache"))
    with pytest.raises(DataError) as caught:
        load(mirrors)
    assert caught.value.code == "unwritable-cache"
    assert "HF_HOME" in str(caught.value.hint)


def test_a_file_that_cannot_be_read_is_named(mirrors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(files: object) -> str:
        raise PermissionError(13, "Permission denied", "train.jsonl")

    monkeypatch.setattr("specrun.sources.huggingface.build.digest_files", refuse)
    with pytest.raises(SourceUnavailable, match=r"train\.jsonl: Permission denied") as caught:
        load(mirrors)
    assert caught.value.code == "unreadable-file"


def test_a_missing_folder_lets_a_fallback_stand_in(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        load(tmp_path, path="./no")
    assert caught.value.code == "missing-folder"


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_without_a_socket_the_error_names_three_ways_out_and_the_nearest_mirror(mirrors: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"cannot be reached for owner/corpsu") as caught:
        load(mirrors, path="owner/corpsu")
    assert caught.value.code == "hub-unreachable"
    assert f"but {mirrors / NAME}" in caught.value.message
    assert all(way in str(caught.value.hint) for way in ("HF_HUB_OFFLINE=1", "--data-root DIR", "data.fallback"))


def test_a_folder_of_that_name_where_paths_do_not_start_is_not_taken(mirrors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mirrors)
    with pytest.raises(DataError) as caught:
        load_text(Options(kind="huggingface", path=NAME), SourceRequest(mirrors / "elsewhere", lambda _: None))
    assert caught.value.code == "ambiguous-dataset"


def test_the_hub_gives_what_a_mirror_gives_and_its_commit_and_then_the_cache_does(tmp_path: Path, mirrors: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    hub, cache = on_the_hub(tmp_path / "elsewhere", "serve,refused")
    assert hub["splits"] == cache["splits"] == {name: list(split) for name, split in load(mirrors).splits.items()}
    assert hub["facts"]["revision"] == cache["facts"]["revision"] == COMMIT
    assert (hub["facts"]["origin"], cache["facts"]["origin"]) == ("hub", "cache of the hub")
    assert hub["variant"] == f"revision {COMMIT}"


@pytest.mark.slow
def test_a_cache_of_another_commit_never_stands_for_the_one_asked_for(tmp_path: Path) -> None:
    on_the_hub(tmp_path, "serve")
    (outcome,) = on_the_hub(tmp_path, "refused", revision="f" * 40)
    assert outcome["code"] == "hub-unreachable"


def test_a_revision_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (outcome,) = on_the_hub(tmp_path, "serve", revision="v9")
    assert outcome["code"] == "unknown-revision"
    assert "'v9'" in outcome["message"]


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ("refused", "SourceUnavailable", "hub-unreachable"),
        ("captive", "SourceUnavailable", "hub-unreachable"),
        ("hang", "SourceUnavailable", "hub-unreachable"),
        ("404:RepoNotFound", "SourceUnavailable", "unknown-dataset"),
        ("401", "SourceUnavailable", "unknown-dataset"),
        ("403:GatedRepo", "SourceUnavailable", "gated-dataset"),
    ],
)
def test_each_way_a_hub_fails_has_its_code_and_costs_seconds(tmp_path: Path, mode: str, error: str, code: str) -> None:
    (outcome,) = on_the_hub(tmp_path, mode)
    assert (outcome["error"], outcome["code"]) == (error, code)
    assert outcome["hint"]
    assert "\n" not in outcome["message"]


def test_wikitext_from_its_mirror_has_its_rows(shared_data: Path) -> None:
    options = Options(kind="huggingface", path="Salesforce/wikitext", config="wikitext-2-v1")
    loaded = load_text(options, SourceRequest(shared_data, lambda _: None, "text", shared_data / "hub"))
    assert loaded.facts["rows"] == {"train": 3760, "validation": 2159, "test": 2199}
    assert len(list(loaded.splits["train"])) == 3760
