"""Golden files of what `explain` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden_files import Compare, compare_in

GOLDEN = Path(__file__).parent / "golden"
EXPLAINED = Path(__file__).parent / "golden_explain"


@pytest.fixture
def golden_explain() -> Compare:
    return compare_in(EXPLAINED)
