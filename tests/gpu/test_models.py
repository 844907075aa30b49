"""Whole models against eager on a GPU; the simulated one gets smaller ones in tests/models."""

import pytest
from zoo import CASES, ModelCase
from zoo.comparison import check


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_model(case: ModelCase, device: str, target: str) -> None:
    check(case, target=target, device=device)
