"""The software that a run was made with: Python, packages, git commit and uncommitted changes."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PATCH_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class GitState:
    """commit: None outside a repository. patch: the uncommitted changes of tracked files, None where there are none or
    where they are too large to keep."""

    commit: str | None
    dirty: bool
    patch: str | None


def git_state(folder: Path) -> GitState:
    """The repository around a folder, as git tells; no git is the same as no repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return GitState(None, dirty=False, patch=None)
    dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    patch = _git(folder, "diff", "HEAD") if dirty else None
    if patch is not None and len(patch) > _PATCH_LIMIT_BYTES:
        patch = None
    return GitState(commit.strip(), dirty, patch)


def packages() -> dict[str, str]:
    """Installed distributions and their versions, sorted by name."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def python_version() -> str:
    """Implementation and version, such as CPython 3.11.7."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603, S607 - fixed arguments, git from PATH as the user has it
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout
