"""The git repository that a run was made in: its commit, and its uncommitted changes as a patch that `git apply` takes."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

PATCH_LIMIT_BYTES = 1_000_000
_TIMEOUT_SECONDS = 20
_DIFF = (
    "diff", "HEAD", "--binary", "--unified=3", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative",
    "--submodule=short", "--ignore-submodules=dirty", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Whatever the user's configuration makes of `git diff` for reading, this is the form that can be applied."""
_OF_THE_FORM = ("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_PAGER")


@dataclass(frozen=True, slots=True)
class GitState:
    """commit: None outside a repository. patch: the uncommitted changes of tracked files; its bytes are
    `patch.encode(patch_encoding)`. Both are None where there is nothing to keep, and patch_reason says why where there are changes."""

    commit: str | None
    dirty: bool
    patch: str | None = None
    patch_encoding: str | None = None
    patch_reason: str | None = None


def git_state(folder: Path) -> GitState:
    """The repository around a folder, as git tells; no git is the same as no repository. Changes nothing in it, its index included."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return GitState(None, dirty=False)
    name = commit.decode("ascii", "replace").strip()
    if not _git(folder, "status", "--porcelain", "--untracked-files=no"):
        return GitState(name, dirty=False)
    changes = _git(folder, *_DIFF, limit_bytes=PATCH_LIMIT_BYTES)
    if changes is None:
        return GitState(name, dirty=True, patch_reason=f"git gave no patch within {_TIMEOUT_SECONDS} seconds")
    if len(changes) > PATCH_LIMIT_BYTES:
        return GitState(name, dirty=True, patch_reason=f"the patch is larger than {PATCH_LIMIT_BYTES:,} bytes; commit large files")
    if not changes:
        return GitState(name, dirty=True, patch_reason="only what submodules hold is changed")
    patch, encoding = _text(changes)
    return GitState(name, dirty=True, patch=patch, patch_encoding=encoding)


def _text(data: bytes) -> tuple[str, str]:
    """Bytes as text that JSON can hold, and the encoding that gives them back. Latin-1 has a character for every byte."""
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _git(folder: Path, *arguments: str, limit_bytes: int = PATCH_LIMIT_BYTES) -> bytes | None:
    """What git prints, but no more than limit_bytes + 1; None where it fails or hangs."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_THE_FORM} | {"GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)  # noqa: S603 - fixed arguments, git from PATH as the user has it
    except OSError:
        return None
    with process:
        timer = threading.Timer(_TIMEOUT_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            said = process.stdout.read(limit_bytes + 1)
            if len(said) > limit_bytes:
                process.kill()
                return said
            return said if process.wait() == 0 else None
        finally:
            timer.cancel()
            process.kill()
