"""A sample of the op tests on a GPU: data types, sizes of 0 and 1, and what an op reports at run time.

All op tests run there with ``make ops-gpu``.
"""

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases, compile_to_test

import stepwell as sw
from stepwell.support.errors import RuntimeFailure

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
WHOLE = (torch.int64, torch.int8, torch.uint8)


class _Model(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def _compiled(function: Any, inputs: tuple[torch.Tensor, ...], device: str, **options: Any) -> sw.Executable:
    return compile_to_test(torch.export.export(_Model(function), inputs), device, options=options)


def test_data_types(device: str) -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS:
        x, y = draw.floats(3, 37, dtype=dtype), draw.floats(37, dtype=dtype, low=0.5)
        cases.append(
            Case(f"{dtype}", lambda x, y: (x / y, x.amax(1), *x.max(0), x.floor().int(), x.isnan()), [x, y]),
        )
    for kind in WHOLE:
        x, y = draw.like(kind, 3, 37), draw.integers(37, dtype=kind, low=1)
        cases.append(
            Case(f"{kind}", lambda x, y: (x * y, x // y, x % y, x.sum(1), x.float() / 3, x > y), [x, y]),
        )
    a, b = draw.bools(4, 9), draw.bools(4, 9)
    cases.append(Case("bool", lambda a, b: (a & b, a ^ b, ~a, a.any(1), a.sum(), torch.where(a, 1, -1)), [a, b]))
    check_cases("elementwise", cases, third_opinion=False, device=device)


def test_sizes(device: str) -> None:
    draw = Inputs()
    cases = [
        Case("no elements", lambda x: (x.exp(), x.t().contiguous(), x.sum(0), x.sum(1)), [draw.floats(0, 3)]),
        Case("no terms", torch.matmul, [draw.floats(3, 0), draw.floats(0, 5)]),
        Case("rank 0", lambda x: (x * 2, x.sum(), x.argmax()), [draw.floats()]),
        Case("pool", lambda x: F.avg_pool2d(x, 3, 2, 1), [draw.floats(1, 2, 9, 11)], family="pooling"),
        Case(
            "symbolic",
            lambda x: (x.sum(), x.cumsum(1), x.flip(0), x.softmax(-1)),
            [draw.floats(3, 5, low=0.2)],
            {0: {0: "n", 1: "m"}},
            [draw.floats(8, 33, low=0.2)],
        ),
    ]
    check_cases("reduction", cases, third_opinion=False, device=device)


def test_faults_are_reported_at_run_time(device: str) -> None:
    x, i, d = torch.arange(12.0).view(4, 3), torch.tensor([3, -4]), torch.tensor([2, -3])

    def function(x: torch.Tensor, i: torch.Tensor, d: torch.Tensor) -> Any:
        return x[i], x.index_put((i,), x[:2]), torch.tensor([7, -7]) // d

    run = _compiled(function, (x, i, d), device)
    for places, divisors, message in (
        (torch.tensor([0, 4]), d, "index-out-of-range: index"),
        (torch.tensor([-5, 0]), d, "index-out-of-range: index"),
        (i, torch.tensor([1, 0]), "integer-division-by-zero"),
    ):
        with pytest.raises(RuntimeFailure, match=message):
            run(x, places, divisors)
        for got, expected in zip(run(x, i, d), function(x, i, d), strict=True):
            assert torch.equal(got, expected)


def test_products_and_sums_round_apart_where_asked(device: str) -> None:
    draw = Inputs()
    x, y, z = draw.floats(5, 40), draw.floats(5, 40), draw.floats(5, 40)

    def function(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return x * y + z

    for contract in (True, False):
        run = _compiled(function, (x, y, z), device, contract=contract)
        assert bool(re.search(r"\bfma\.", "".join(map(run.asm, run.kernels)))) is contract
    assert torch.equal(run(x, y, z), function(x, y, z))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_op_rounds_where_asked(device: str, dtype: torch.dtype) -> None:
    draw = Inputs()
    x, y = draw.floats(5, 40, dtype=dtype), draw.floats(5, 40, dtype=dtype)

    def function(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x * y + x) * y - x

    run = _compiled(function, (x, y), device, keep_roundings=True)
    assert torch.equal(run(x, y), function(x, y))
