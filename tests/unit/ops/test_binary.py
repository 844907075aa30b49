"""Elementwise functions of two and three operands: against eager torch and float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stepwell as sw

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
SPECIAL = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -2.5)

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "div_floor": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "div_trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "floor_divide": torch.floor_divide,
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "fmax": torch.fmax,
    "fmin": torch.fmin,
    "atan2": torch.atan2,
    "copysign": torch.copysign,
    "xlogy": torch.xlogy,
}
FLOAT_ONLY: dict[str, Callable[..., Any]] = {
    "hypot": torch.hypot,
    "logaddexp": torch.logaddexp,
    "logaddexp2": torch.logaddexp2,
}
BITS: dict[str, Callable[..., Any]] = {
    "and": torch.bitwise_and,
    "or": torch.bitwise_or,
    "xor": torch.bitwise_xor,
}


def nonzero(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor with ones for zeros."""
    return torch.where(tensor == 0, torch.ones_like(tensor), tensor)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats(dtype: torch.dtype) -> None:
    draw = Inputs()
    left = torch.cat([draw.floats(20, dtype=dtype), torch.tensor([a for a in SPECIAL for _ in SPECIAL], dtype=dtype)])
    right = torch.cat([draw.floats(20, dtype=dtype), torch.tensor([b for _ in SPECIAL for b in SPECIAL], dtype=dtype)])
    cases = [Case(f"{name} {dtype}", function, [left, right]) for name, function in ARITHMETIC.items()]
    if dtype is not torch.float16:  # eager torch has no float16 kernel for some of them
        for name, function in FLOAT_ONLY.items():
            # Sums that cancel have errors of the size of what cancelled.
            cases.append(Case(f"{name} {dtype}", function, [left, right], family="activation"))
    check_cases("elementwise", cases)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers(dtype: torch.dtype) -> None:
    draw = Inputs()
    lhs, rhs = draw.like(dtype, 40), nonzero(draw.like(dtype, 40))
    cases = [Case(f"{name} {dtype}", function, [lhs, rhs]) for name, function in {**ARITHMETIC, **BITS}.items()]
    amounts = draw.integers(40, dtype=dtype, low=0, high=8 * dtype.itemsize - 1)
    extreme = torch.tensor([8 * dtype.itemsize, 100, 0], dtype=dtype)
    for name, shift in (("left", torch.bitwise_left_shift), ("right", torch.bitwise_right_shift)):
        cases.append(Case(f"shift {name} {dtype}", shift, [lhs, amounts]))
        cases.append(Case(f"shift {name} out of range, {dtype}", shift, [lhs[:3], extreme]))
    exponents = draw.integers(40, dtype=dtype, low=0, high=9)
    cases.append(Case(f"pow {dtype}", torch.pow, [lhs, exponents]))
    if dtype is not torch.uint8:
        bases = torch.tensor([1, -1, -1, 2, -2, 5], dtype=dtype)
        cases.append(Case("negative powers", torch.pow, [bases, torch.tensor([-3, -3, -4, -1, -2, 0], dtype=dtype)]))
    check_cases("elementwise", cases)


def test_bool() -> None:
    draw = Inputs()
    pair = [draw.bools(9), draw.bools(9)]
    functions = (torch.add, torch.mul, torch.maximum, torch.minimum, torch.div, *BITS.values(), torch.atan2)
    check_cases("elementwise", [Case(f"{f.__name__} bool", f, pair) for f in functions])


def test_promotion() -> None:
    """Dtypes mix by torch's rule: kinds win over sizes, dimensions over none, tensors over numbers."""
    draw = Inputs()
    dtypes = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    cases = []
    for left in dtypes:
        for right in dtypes:
            if dtypes.index(left) <= dtypes.index(right):
                cases.append(Case(f"{left} + {right}", torch.add, [draw.like(left, 5), draw.like(right, 5)]))
            cases.append(Case(f"{left} + 0-d {right}", torch.add, [draw.like(left, 5), draw.like(right)]))
        x = draw.like(left, 5)
        cases += [Case(f"{left} * {number}", lambda x, n=number: x * n, [x]) for number in (2, 2.5, True)]
        cases.append(Case(f"1.5 / {left}", lambda x: 1.5 / (x + 21), [draw.like(left, 5)]))
    check_cases("elementwise", cases)


@pytest.mark.parametrize("dtype", FLOATS[1:], ids=str)
def test_scalars_are_not_rounded(dtype: torch.dtype) -> None:
    """Torch keeps a number in double precision until it computes."""
    x = Inputs().floats(33, dtype=dtype, low=-99, high=99)
    cases = [
        Case("add", lambda x: x + 0.1, [x]),
        Case("mul", lambda x: x * 1.001, [x]),
        Case("div", lambda x: x / 0.3, [x]),
        Case("rsub", lambda x: 0.1 - x, [x]),
        Case("add alpha", lambda x: torch.add(x, x, alpha=0.1), [x]),
        Case("sub alpha", lambda x: torch.sub(x, x, alpha=0.1), [x]),
        Case("lt", lambda x: x / 990 < 0.1, [x]),
        Case("clamp", lambda x: x.clamp(-0.1, 33.3), [x]),
    ]
    check_cases("elementwise", cases)


@pytest.mark.parametrize("dtype", FLOATS[:3], ids=str)
def test_powers(dtype: torch.dtype) -> None:
    draw = Inputs()
    positive = draw.floats(17, dtype=dtype, low=0.1, high=4)
    special = torch.tensor(SPECIAL, dtype=dtype)
    cases = [Case("tensors", torch.pow, [positive, draw.floats(17, dtype=dtype)])]
    for exponent in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.7, 2.5):
        cases.append(Case(f"** {exponent}", lambda x, e=exponent: x**e, [positive]))
        cases.append(Case(f"special ** {exponent}", lambda x, e=exponent: x**e, [special]))
    exponents = draw.floats(9, dtype=dtype)
    cases += [Case(f"{base} **", lambda x, b=base: b**x, [exponents]) for base in (1, 2, 0.5, 10)]
    check_cases("activation", cases)


def test_three_operands() -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS:
        x, y, z = (draw.floats(4, 3, dtype=dtype) for _ in range(3))
        weight = draw.floats(3, dtype=dtype, low=-0.5, high=1.5)
        positive = z.abs() + 0.5
        cases += [
            Case(f"lerp {dtype}", torch.lerp, [x, y, weight]),
            Case(f"lerp 0.3 {dtype}", lambda x, y: torch.lerp(x, y, 0.3), [x, y]),
            Case(f"addcmul {dtype}", lambda x, y, z: torch.addcmul(x, y, z, value=0.7), [x, y, z]),
            Case(f"addcdiv {dtype}", lambda x, y, z: torch.addcdiv(x, y, z, value=-2), [x, y, positive]),
            Case(f"clamp {dtype}", lambda x: torch.clamp(x, -1, 1.5), [x]),
            Case(f"clamp min {dtype}", lambda x: torch.clamp(x, min=-1), [x]),
            Case(f"clamp max {dtype}", lambda x: torch.clamp(x, max=1), [x]),
            Case(f"clamp tensors {dtype}", lambda x, y, z: torch.clamp(x, y, z), [x, y, z]),
            Case(f"clamp crossed {dtype}", lambda x: torch.clamp(x, 1, -1), [x]),
        ]
    whole = draw.integers(9)
    cases += [
        Case("addcmul int", lambda x, y, z: torch.addcmul(x, y, z, value=3), [whole, whole, whole]),
        Case("clamp int", lambda x: torch.clamp(x, -3, 7), [whole]),
        Case("clamp int by float", lambda x: torch.clamp(x, -3.5, 7.5), [whole]),
        Case("add alpha int", lambda x, y: torch.add(x, y, alpha=-3), [whole, whole]),
        Case("clamp NaN", lambda x, y: torch.clamp(x, min=y), [torch.tensor(SPECIAL), torch.tensor(SPECIAL[::-1])]),
    ]
    check_cases("activation", cases)


def test_symbolic_sizes() -> None:
    draw = Inputs()
    # Sums that nearly cancel would keep no digit of a product that one side rounds.
    cases = [
        Case(
            "broadcast",
            torch.add,
            [draw.floats(3, 1), draw.floats(5)],
            {0: {0: "n"}, 1: {0: "m"}},
            [draw.floats(9, 1), draw.floats(2)],
        ),
        Case(
            "same",
            torch.mul,
            [draw.floats(4, 3), draw.floats(4, 3)],
            {0: {0: "n"}, 1: {0: "n"}},
            [draw.floats(7, 3), draw.floats(7, 3)],
        ),
        Case(
            "float of a size",
            lambda x: x * x.shape[0] ** -0.5 + 1 / x.shape[0],
            [draw.floats(5, low=0)],
            {0: {0: "n"}},
            [draw.floats(8, low=0)],
        ),
        Case(
            "size as number",
            lambda x: x * x.shape[0] + x.shape[0] // 2,
            [draw.floats(5, low=0)],
            {0: {0: "n"}},
            [draw.floats(8, low=0)],
        ),
    ]
    check_cases("elementwise", cases)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_broadcasting(data: st.DataObject) -> None:
    """Shapes are drawn: sizes 0 and 1 among them, ranks differ."""
    draw = Inputs()
    cases = []
    for number in range(6):
        shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
        other = [1 if data.draw(st.booleans()) else size for size in shape]
        other = other[data.draw(st.integers(0, len(other))) :]
        cases.append(Case(f"{number}: {shape} {other}", torch.sub, [draw.floats(*shape), draw.floats(*other)]))
    check_cases("elementwise", cases)


@pytest.mark.parametrize(
    "function",
    (torch.floor_divide, torch.remainder, torch.fmod, ARITHMETIC["div_trunc"]),
    ids=("floor_divide", "remainder", "fmod", "div_trunc"),
)
def test_integer_division_by_zero_is_reported(function: Callable[..., Any]) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return function(x, y)

    x, y = torch.tensor([5, -7, 9]), torch.tensor([2, 2, 1])
    executable = compile_to_test(torch.export.export(Model(), (x, y)))
    assert torch.equal(executable(x, y), function(x, y))
    with pytest.raises(sw.errors.RuntimeFailure, match="integer-division-by-zero"):
        executable(x, torch.tensor([2, 0, 1]))
    # The executable is as good as new.
    assert torch.equal(executable(x, y), function(x, y))


def test_the_most_negative_integer_by_minus_one_wraps() -> None:
    """Eager torch dies of a machine trap here."""

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
            return torch.floor_divide(x, y), torch.remainder(x, y)

    lowest = torch.iinfo(torch.int64).min
    x, y = torch.tensor([lowest, 6]), torch.tensor([-1, 4])
    quotient, rest = compile_to_test(torch.export.export(Model(), (x, y)))(x, y)
    assert quotient.tolist() == [lowest, 1]
    assert rest.tolist() == [0, 2]
