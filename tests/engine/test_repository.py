"""The repository a run was made in: the recorded patch makes the tree again, however git is configured."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from specrun.engine import repository as repository_module
from specrun.engine.repository import git_state

CONFIGURATIONS = {
    "plain": {},
    "colour": {"color.ui": "always", "color.diff": "always"},
    "external": {"diff.external": "/bin/false"},
    "prefixes": {"diff.noprefix": "true", "diff.mnemonicPrefix": "true"},
    "no context": {"diff.context": "0", "diff.renames": "copies"},
    "text conversion": {"diff.upper.textconv": "tr a-z A-Z <"},
    "relative": {"diff.relative": "true"},
}


def git(folder: Path, *arguments: str, data: bytes | None = None) -> bytes:
    name = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True, input=data).stdout


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository with a commit, untouched by the configuration of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "inner").mkdir()
    (folder / "a.txt").write_text("".join(f"line {number}\n" for number in range(20)))
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "latin").write_bytes(b"caf\xe9\nsecond\n")
    (folder / "gone.txt").write_text("goes\n")
    (folder / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "inner" / "caf\xe9 b.txt").write_text("deep\n")
    (folder / ".gitattributes").write_text("*.txt diff=upper\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def edit(folder: Path) -> None:
    """Change a tree in every way that a patch can hold."""
    text = (folder / "a.txt").read_text()
    (folder / "a.txt").write_text(text.replace("line 10\n", "line ten\r\n").removesuffix("\n"))
    (folder / "binary").write_bytes(bytes(reversed(range(256))))
    (folder / "latin").write_bytes(b"caf\xe9\nth\xe9\n\x0cx\n")
    (folder / "gone.txt").unlink()
    (folder / "tool.sh").chmod(0o755)
    (folder / "inner" / "caf\xe9 b.txt").write_text("deeper \u6587\n")
    (folder / "new.txt").write_text("new\n")
    git(folder, "add", "new.txt")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode & 0o100) for path in files}


@pytest.mark.parametrize("settings", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_recorded_patch_makes_the_tree_again_however_git_is_configured(tree, tmp_path, settings):
    git(tmp_path, "clone", "--quiet", str(tree), "again")
    for name, value in settings.items():
        git(tree, "config", name, value)
    edit(tree)
    state = git_state(tree / "inner")
    assert state.patch is not None
    assert state.patch_encoding is not None
    git(tmp_path / "again", "apply", data=state.patch.encode(state.patch_encoding))
    assert contents(tmp_path / "again") == contents(tree)


def test_a_patch_that_is_text_is_recorded_as_it_reads(tree):
    (tree / "a.txt").write_text("\u00e9t\u00e9\n")
    state = git_state(tree)
    assert (state.dirty, state.patch_encoding, state.patch_reason) == (True, "utf-8", None)
    assert "+\u00e9t\u00e9\n" in state.patch


def test_a_clean_repository_has_a_commit_and_no_patch(tree):
    (tree / "untracked").write_text("x")
    state = git_state(tree)
    assert len(state.commit) == 40
    assert (state.dirty, state.patch, state.patch_reason) == (False, None, None)


def test_a_patch_that_is_too_large_is_left_out_and_the_reason_recorded(tree, monkeypatch):
    monkeypatch.setattr(repository_module, "PATCH_LIMIT_BYTES", 100)
    edit(tree)
    state = git_state(tree)
    assert (state.dirty, state.patch) == (True, None)
    assert state.patch_reason == "the patch is larger than 100 bytes; commit large files"


def test_looking_at_a_repository_leaves_its_index_alone(tree):
    edit(tree)
    before = (tree / ".git" / "index").read_bytes()
    git_state(tree)
    assert (tree / ".git" / "index").read_bytes() == before


def test_outside_a_repository_and_before_a_first_commit_there_is_no_state(tmp_path):
    assert git_state(tmp_path).commit is None
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path).commit is None
