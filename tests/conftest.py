"""Shared fixtures: the real data beside the repository where it is present, and quiet, repeatable property tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.golden_files import Compare, compare_in

settings.register_profile("specrun", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("specrun")

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside a developer's checkout; skips where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder (../shared/data) is not beside this checkout")
    return SHARED_DATA


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Compare:
    """Compare a text with a file of the folder `golden` beside the test; SPECRUN_UPDATE_GOLDEN=1 writes it again."""
    return compare_in(request.path.parent / "golden")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-k golden` selects whatever compares with golden files, by whatever name."""
    for item in items:
        if any(name.startswith("golden") for name in getattr(item, "fixturenames", ())):
            item.extra_keyword_matches.add("golden")


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own environment changes no test."""
    for name in ("SPECRUN_STORE", "SPECRUN_DATA_ROOT", "SPECRUN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
