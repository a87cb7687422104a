"""Golden files: what a person reads is compared as a whole. SPECRUN_UPDATE_GOLDEN=1 writes them again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

Compare = Callable[[str, str], None]


def compare_in(folder: Path) -> Compare:
    """A check of (file's name, text) against the files of a folder."""

    def compare(name: str, text: str) -> None:
        file = folder / name
        if os.environ.get("SPECRUN_UPDATE_GOLDEN"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{file} is missing; write it with `just golden` and read it"
        assert text == file.read_text(encoding="utf-8"), f"{file} differs; `just golden` writes it again"

    return compare
