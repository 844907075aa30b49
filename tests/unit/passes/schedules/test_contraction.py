"""Contraction kernels, compiled to native code and compared with numpy in float64."""

import random

import numpy as np
import pytest
from contractions.cases import cases, convolution
from contractions.running import run
from contractions.text import Case

CASES = dict(cases())


@pytest.mark.parametrize("name", CASES)
def test_contraction_agrees_with_numpy(name: str) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    assert run(CASES[name], np.random.default_rng(seed)) == "contraction"


@pytest.mark.parametrize(
    "case",
    [
        Case("m k, m k -> m", {"m": 40, "k": 9}),
        convolution("n c h+y w+x, c y x -> n c h w", n=2, c=5, h=9, w=11, y=3, x=3),
    ],
    ids=["rows-of-dots", "depthwise"],
)
def test_what_reuses_nothing_is_left_to_other_rules(case: Case) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    assert run(case, np.random.default_rng(seed)) != "contraction"
