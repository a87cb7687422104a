"""CLASS keeps the contract of a model. Run with: pytest test_NAME.py"""

from __future__ import annotations

import pytest
from specrun.testing import MODEL_CHECKS, ModelCase

CASE = ModelCase("NAME:CLASS", interface="table", options={"hidden": 8})


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
def test_the_model_keeps_its_contract(check):
    check(CASE)
