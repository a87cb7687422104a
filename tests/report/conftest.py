"""Views of invented runs, made once: rendering a report takes a second."""

from __future__ import annotations

import pytest

from specrun.report.render import html, text
from specrun.report.run_view import run_view
from specrun.report.views import RunView
from tests.report.report_fakes import RUN_ID, FakeRecords, a_run


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
