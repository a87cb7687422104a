"""Which paths can be a store: nothing yet, an empty folder, a store; and what is said of the others."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from specrun.errors import SpecrunError, StoreError, UsageError
from specrun.records.place import check_place, command_on, smoke_stores, store_of, unreadable


@pytest.mark.parametrize(
    "names", [(), (".gitignore",), ("lost+found",), ("store.json", "notes.txt"), ("fingerprints.json",), ("steps", "results")]
)
def test_what_is_empty_or_a_store_is_a_place_for_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).touch()
    check_place(tmp_path)
    check_place(tmp_path / "absent" / "deeper")


@pytest.mark.parametrize(
    "names",
    [
        (".store.json.ab12_x9z.part",),
        (".writable-42",),
        ("steps", ".store.json.ab12_x9z.part"),
        ("steps", "results", "runs", ".writable-42", ".gitignore"),
        ("fingerprints.lock", ".fingerprints.json.ab12_x9z.part"),
        ("runs", "merge.lock", ".store-000001-42.duckdb", ".spill-42-ab12cd34"),
    ],
)
def test_a_store_whose_making_goes_on_or_was_cut_short_is_a_place_for_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).touch()
    check_place(tmp_path)
    (tmp_path / "setup.py").touch()
    assert "it holds setup.py\n" in refused(tmp_path, UsageError, "not-a-store")


@pytest.mark.parametrize("name", [".notes.part", ".writable", ".writable-x", ".storage", "thesis.part"])
def test_what_only_looks_like_a_leftover_makes_no_store(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refused(tmp_path, UsageError, "not-a-store")


def _check_often(store: Path, times: int) -> None:
    for _ in range(times):
        check_place(store)


def test_whoever_looks_while_a_store_is_made_takes_it_for_one(tmp_path: Path) -> None:
    from specrun.engine.workspace import Workspace

    store = tmp_path / "store"
    store.mkdir()
    watcher = multiprocessing.get_context("fork").Process(target=_check_often, args=(store, 1_000))
    watcher.start()
    while watcher.is_alive():
        Workspace(store).prepare()
        (store / "store.json").unlink()
    watcher.join()
    assert watcher.exitcode == 0


def test_runs_make_a_store_whatever_lies_beside_them(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with pytest.raises(UsageError):
        check_place(tmp_path)
    (tmp_path / "runs" / "a" / "run.json").touch()
    check_place(tmp_path)


def refused(place: Path, kind: type[SpecrunError], code: str) -> str:
    with pytest.raises(kind) as caught:
        check_place(place)
    assert caught.value.code == code
    return f"{caught.value.message}\n{caught.value.hint}"


def test_a_folder_of_something_else_is_refused_with_what_is_there(tmp_path: Path) -> None:
    for name in "edcba":
        (tmp_path / name).touch()
    said = refused(tmp_path, UsageError, "not-a-store")
    assert "it holds a, b, c and 2 more" in said
    assert "--store" in said


def test_a_folder_that_happens_to_hold_tests_called_smoke_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "smoke").mkdir()
    check_place(tmp_path)
    (tmp_path / "setup.py").touch()
    refused(tmp_path, UsageError, "not-a-store")


def test_the_store_above_or_below_is_named(tmp_path: Path) -> None:
    store = tmp_path / ".specrun"
    (store / "runs" / "a").mkdir(parents=True)
    (store / "store.json").touch()
    (store / "runs" / "a" / "run.json").touch()
    for place in (tmp_path, store / "runs", store / "runs" / "a"):
        assert f"did you mean --store {store}?" in refused(place, UsageError, "not-a-store")


def test_a_file_is_refused_by_its_own_name_also_from_below(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "deeper" / "still"):
        assert f"{tmp_path / 'file'} is a file" in refused(place, UsageError, "store-not-a-folder")


def test_a_link_to_nothing_and_a_name_that_cannot_be_are_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    refused(tmp_path / "link", UsageError, "store-not-a-folder")
    refused(tmp_path / ("x" * 300), UsageError, "bad-store")
    refused(tmp_path / "a\0b", UsageError, "bad-store")


def test_a_folder_that_the_machine_refuses_is_no_mistake_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "permission denied" in refused(tmp_path, StoreError, "store-not-readable")


def test_an_empty_name_is_not_the_current_folder() -> None:
    for text in ("", "  "):
        with pytest.raises(UsageError, match="--store is empty"):
            store_of(text)
    assert store_of(".") == Path()


def test_smoke_stores_are_folders_in_the_order_of_their_making(tmp_path: Path) -> None:
    assert smoke_stores(tmp_path) == []
    for name in ("200-7", "100-9"):
        (tmp_path / "smoke" / name).mkdir(parents=True)
        (tmp_path / "smoke" / f"{name}.lock").touch()
    assert [path.name for path in smoke_stores(tmp_path)] == ["100-9", "200-7"]


def test_the_remedy_names_the_folder_that_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert f"make {tmp_path} readable" in refused(tmp_path / "inside" / "deeper", StoreError, "store-not-readable")
    (spaced := tmp_path / "two words").mkdir()
    assert f"chmod u+rwX '{spaced}';" in refused(spaced, StoreError, "store-not-readable")


def test_a_command_in_a_remedy_names_the_store_where_it_is_not_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPECRUN_STORE", raising=False)
    for usual in (Path(".specrun"), tmp_path / ".specrun"):
        assert command_on(usual, "runs", "list") == "specrun runs list"
    assert command_on(Path("my runs"), "runs", "remove", "a") == "specrun runs remove a --store 'my runs'"
    monkeypatch.setenv("SPECRUN_STORE", "my runs")
    assert command_on(Path("my runs"), "store", "doctor") == "specrun store doctor"
    assert command_on(Path(".specrun"), "store", "doctor") == "specrun store doctor --store .specrun"


def test_what_cannot_be_read_has_one_code_and_a_command_for_what_is_locked(tmp_path: Path) -> None:
    (file := tmp_path / "store.json").touch()
    error = unreadable(file, PermissionError(13, "Permission denied"))
    assert (error.code, error.message) == ("store-not-readable", f"{file} cannot be read: permission denied")
    assert f"chmod u+rwX {file};" in str(error.hint)
