"""Golden files: what a person reads is compared as a whole. SPECRUN_UPDATE_GOLDEN=1 writes them again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


EXPLAINED = Path(__file__).parent / "golden_explain"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    return _compare_in(GOLDEN)


@pytest.fixture
def golden_explain() -> Callable[[str, str], None]:
    return _compare_in(EXPLAINED)


def _compare_in(folder: Path) -> Callable[[str, str], None]:
    def compare(name: str, text: str) -> None:
        file = folder / name
        if os.environ.get("SPECRUN_UPDATE_GOLDEN"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{file} is missing; write it with SPECRUN_UPDATE_GOLDEN=1 and read it"
        assert text == file.read_text(encoding="utf-8")

    return compare
