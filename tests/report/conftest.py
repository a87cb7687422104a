"""Views of invented runs, made once: rendering a report takes a second."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from specrun.report.render import html, text
from specrun.report.run_view import run_view
from specrun.report.views import RunView
from tests.report.report_fakes import RUN_ID, FakeRecords, a_run

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def good() -> tuple[FakeRecords, dict[str, dict[str, object]]]:
    """Records of a run that went well, to be changed at will, and its steps' values."""
    return a_run()


@pytest.fixture(scope="session")
def good_view() -> RunView:
    records, results = a_run()
    return run_view(records, RUN_ID, results=results)


@pytest.fixture(scope="session")
def good_page(good_view: RunView) -> str:
    return html(good_view)


@pytest.fixture(scope="session")
def good_text(good_view: RunView) -> str:
    return text(good_view)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare with a golden file; SPECRUN_UPDATE_GOLDEN=1 writes it again."""

    def compare(name: str, content: str) -> None:
        path = GOLDEN / name
        if os.environ.get("SPECRUN_UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        assert content == path.read_text(encoding="utf-8"), f"{path} differs; `just golden` writes it again"

    return compare
