"""The task CLASS keeps the contract of a task. Run with: pytest test_NAME.py"""

from __future__ import annotations

from pathlib import Path

import pytest
from specrun.testing import TASK_CHECKS, open_task_case

SPEC = Path(__file__).with_name("NAME.yaml")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The task of the spec, opened on its data, with the spec's model."""
    return open_task_case(SPEC, folder=tmp_path_factory.mktemp("store"), allow_code=["NAME"], sets=["data.source.rows=400"])


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
def test_the_task_keeps_its_contract(case, check):
    check(case)
