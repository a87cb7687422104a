"""Shared fixtures: the real data beside the repository where it is present, and quiet, repeatable property tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own environment changes no test."""
    for name in ("SPECRUN_STORE", "SPECRUN_DATA_ROOT", "SPECRUN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
