"""The store on disk: results that are whole count, damaged ones do not, run ids are unique and found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.engine.workspace import Workspace
from specrun.errors import StoreError
from specrun.plan.step import Step, StepResult

KEY = "ab12cd34" * 8


@pytest.fixture
def workspace(tmp_path):
    found = Workspace(tmp_path / "store")
    found.prepare()
    return found


def step(key=KEY, kind="tokens"):
    return Step(kind, kind, key, (), {"a": 1}, {"x.txt": "d"}, {"name": "tiny"})


def finished(workspace, key=KEY):
    """A shared step that has left one file behind."""
    made = step(key)
    folder = workspace.new_shared_folder(made)
    (folder / "train.bin").write_bytes(b"12345678")
    kept = workspace.keep_shared(made, folder)
    result = StepResult("tokens", "tokens", key, str(kept.relative_to(workspace.store)), {"count": 4},
                        {"train.bin": {"sha256": "s", "bytes": 8, "role": "tokens"}}, 1.5, "2026-01-01T00:00:00Z")  # fmt: skip
    workspace.save_result(made, result, version=3)
    return result


def test_a_result_comes_back_as_it_was_saved(workspace):
    saved = finished(workspace)
    assert workspace.result("tokens", KEY) == saved
    (earlier,) = workspace.earlier("tokens")
    assert (earlier.key, earlier.version, earlier.options, earlier.inputs, earlier.name) == (KEY, 3, {"a": 1}, {"x.txt": "d"}, "tiny")
    assert workspace.earlier("data") == []


@pytest.mark.parametrize("damage", ["shorten", "remove", "remove-folder", "garble"])
def test_a_result_whose_files_are_not_whole_does_not_count(workspace, damage):
    finished(workspace)
    (file,) = workspace.store.glob("steps/tokens-*/train.bin")
    if damage == "shorten":
        file.write_bytes(b"123")
    elif damage == "garble":
        next(workspace.store.glob("results/tokens-*")).write_text("{")
    else:
        file.unlink()
        if damage == "remove-folder":
            file.parent.rmdir()
    assert workspace.result("tokens", KEY) is None


def test_a_key_that_only_begins_alike_is_another_result(workspace):
    finished(workspace)
    other = KEY[:20] + "f" * 44
    assert workspace.result("tokens", other) is None


def test_a_step_run_again_replaces_what_it_left_before(workspace):
    finished(workspace)
    folder = workspace.new_shared_folder(step())
    (folder / "new").write_text("")
    kept = workspace.keep_shared(step(), folder)
    assert [path.name for path in kept.iterdir()] == ["new"]
    assert [path.name for path in (workspace.store / "steps").iterdir()] == [kept.name]


def test_a_run_is_found_again_by_the_key_it_trains(workspace):
    run_id = workspace.new_run("gpt wiki", KEY)
    assert run_id == "gpt-wiki-ab12"
    assert workspace.run_of_key(KEY) == run_id
    assert workspace.run_of_key("0" * 64) is None


def test_a_removed_run_is_not_found(workspace):
    run_id = workspace.new_run("gpt", KEY)
    (workspace.runs / run_id).rmdir()
    assert workspace.run_of_key(KEY) is None


def test_keys_that_begin_alike_get_ids_of_their_own(workspace):
    ids = [workspace.new_run("gpt", "ab12" + tail * 60) for tail in "cde"]
    assert len(set(ids)) == 3
    assert ids[0] == "gpt-ab12"


@given(st.text(max_size=30))
def test_any_name_gives_a_folder_inside_the_store(tmp_path_factory, name):
    found = Workspace(tmp_path_factory.mktemp("store"))
    found.prepare()
    run_id = found.new_run(name, KEY)
    assert (found.runs / run_id).resolve().parent == found.runs.resolve()
    assert not run_id.startswith(".")


def test_looking_at_a_store_creates_nothing(tmp_path):
    found = Workspace(tmp_path / "absent")
    assert found.result("tokens", KEY) is None
    assert found.earlier("tokens") == []
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(("content", "code"), [('{"format_version": 2}', "newer-store"), ("{", "store-damaged"), ("[]", "store-damaged")])
def test_a_store_that_cannot_be_understood_is_refused(tmp_path, content, code):
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError) as caught:
        Workspace(tmp_path)
    assert caught.value.code == code


def test_a_format_that_the_machine_does_not_let_be_read_has_the_code_of_any_such_store(tmp_path):
    (tmp_path / "store.json").mkdir()
    with pytest.raises(StoreError, match="store-not-readable"):
        Workspace(tmp_path)


def test_preparing_twice_keeps_what_is_there(workspace):
    finished(workspace)
    workspace.prepare()
    assert json.loads((workspace.store / "store.json").read_text()) == {"format_version": 1}
    assert workspace.result("tokens", KEY) is not None


def test_a_run_whose_key_cannot_be_kept_leaves_no_folder(workspace, monkeypatch):
    def full(path, content):
        raise StoreError("full", code="disk-full")

    with monkeypatch.context() as patched:
        patched.setattr("specrun.engine.workspace.atomic_write", full)
        with pytest.raises(StoreError):
            workspace.new_run("gpt", KEY)
    assert list(workspace.runs.iterdir()) == []
    assert workspace.run_for("gpt", KEY) == workspace.run_for("gpt", KEY) == f"gpt-{KEY[:4]}"


def test_a_run_removed_meanwhile_disturbs_neither_a_plan_nor_another_removal(workspace):
    saved = finished(workspace)
    kept, gone = workspace.run_for("tiny", KEY), workspace.run_for("other", "cd" * 32)
    for listed_and_gone in ("results/tokens-gone.json", "run-keys/gone"):
        (workspace.store / listed_and_gone).symlink_to("nothing")
    half_written = workspace.store / "run-keys" / ".key.abcd.part"
    half_written.write_text(gone)
    assert [earlier.key for earlier in workspace.earlier("tokens")] == [saved.key]
    workspace.forget_run(gone)
    assert workspace.run_of_key("cd" * 32) is None
    assert workspace.run_of_key(KEY) == kept
    assert half_written.exists(), "it is another process's"


def test_a_kill_while_a_run_is_made_leaves_none_behind(workspace, monkeypatch):
    def killed(self, **_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.new_run("tiny", KEY)
    assert workspace.run_of_key(KEY) is None
    assert list(workspace.runs.iterdir()) == []
    assert workspace.run_for("tiny", KEY) == "tiny-ab12"


def test_an_id_that_another_process_takes_at_the_same_moment_is_its_own(workspace, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda _: False)
        (workspace.runs / "tiny-ab12").mkdir()
        assert workspace.new_run("tiny", KEY) == "tiny-ab12cd"
    assert workspace.run_of_key(KEY) == "tiny-ab12cd"
