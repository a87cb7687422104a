"""Owns joining a name from outside to a folder, so that it cannot lead anywhere else. Standard library only."""

from __future__ import annotations

from pathlib import Path

from specrun.errors import StoreError

__all__ = ["safe_join"]


def safe_join(folder: Path, *names: str) -> Path:
    """The path of `names` inside `folder`, which need not exist. Raises StoreError `unsafe-path` for names with separators,
    `..`, control characters or nothing in them, and for a path that goes through a symbolic link."""
    path = folder
    for name in names:
        if name in {"", ".", ".."} or any(sign in "/\\\0" or not sign.isprintable() for sign in name):
            raise StoreError(
                f"{name!r} is not the name of a file in {folder}", code="unsafe-path", hint="give a plain name, without / or .."
            )
        path = path / name
        if path.is_symlink():
            raise StoreError(
                f"{path} is a symbolic link", code="unsafe-path", hint="links inside a store are not followed; remove it by hand"
            )
    return path
