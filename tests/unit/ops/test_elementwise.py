"""Elementwise functions of one operand, casts, activations: against eager torch and float64."""

import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test
from torch.nn import functional

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

# Function -> bounds of its operands.
FUNCTIONS = {
    "abs": (-9, 9),
    "neg": (-9, 9),
    "sign": (-2, 2),
    "exp": (-9, 9),
    "exp2": (-9, 9),
    "expm1": (-2, 9),
    "log": (0.01, 99),
    "log2": (0.01, 99),
    "log10": (0.01, 99),
    "log1p": (-0.9, 9),
    "sqrt": (0, 99),
    "rsqrt": (0.01, 99),
    "reciprocal": (0.1, 9),
    "sin": (-9, 9),
    "cos": (-9, 9),
    "tan": (-1.5, 1.5),
    "asin": (-1, 1),
    "acos": (-1, 1),
    "atan": (-9, 9),
    "sinh": (-5, 5),
    "cosh": (-5, 5),
    "tanh": (-5, 5),
    "asinh": (-9, 9),
    "acosh": (1, 9),
    "atanh": (-0.9, 0.9),
    "erf": (-3, 3),
    "erfc": (-3, 3),
    "sigmoid": (-9, 9),
    "relu": (-3, 3),
    "square": (-9, 9),
    "floor": (-9, 9),
    "ceil": (-9, 9),
    "round": (-9, 9),
    "trunc": (-9, 9),
    "frac": (-9, 9),
}
SPECIAL = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -1.5)

TRANSCENDENTAL = [name for name in FUNCTIONS if name not in ("abs", "neg", "sign", "relu")]


def with_special(values: torch.Tensor) -> torch.Tensor:
    """Return the values, and after them NaN, infinities, zeros of both signs and halves."""
    return torch.cat([values, torch.tensor(SPECIAL, dtype=values.dtype)])


ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "hardtanh": lambda x: functional.hardtanh(x, -0.3, 1.7),
    "relu6": functional.relu6,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
    "elu": lambda x: functional.elu(x, 0.7),
    "selu": functional.selu,
    "celu": lambda x: functional.celu(x, 1.3),
    "softplus": lambda x: functional.softplus(x, beta=2, threshold=5),
    "mish": functional.mish,
    "log_sigmoid": functional.logsigmoid,
    "logit": lambda x: torch.logit(x / 8 + 0.5, eps=0.01),
    "softsign": functional.softsign,
    "tanhshrink": functional.tanhshrink,
    "hardshrink": functional.hardshrink,
    "softshrink": functional.softshrink,
    "threshold": lambda x: functional.threshold(x, 0.5, -2.0),
    "prelu": lambda x: functional.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    "nan_to_num": lambda x: torch.nan_to_num(x, nan=0.5),
}


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_functions_of_floats(dtype: torch.dtype) -> None:
    draw = Inputs()
    cases = [
        Case(f"{name} {dtype}", getattr(torch, name), [with_special(draw.floats(15, dtype=dtype, low=low, high=high))])
        for name, (low, high) in FUNCTIONS.items()
    ]
    check_cases("elementwise", cases)


@pytest.mark.parametrize("dtype", (*INTEGERS, torch.bool), ids=str)
def test_functions_of_integers_give_floats(dtype: torch.dtype) -> None:
    draw = Inputs()
    cases = []
    for name in TRANSCENDENTAL:
        if name in ("floor", "ceil", "round", "trunc", "frac", "square") or (name == "neg" and dtype is torch.bool):
            continue
        operand = draw.integers(7, dtype=torch.int64, low=0, high=6).to(dtype)
        cases.append(Case(f"{name} {dtype}", getattr(torch, name), [operand]))
    check_cases("elementwise", cases)


def test_functions_of_integers() -> None:
    draw = Inputs()
    names = ("abs", "sign", "neg", "relu", "floor", "ceil", "round", "trunc", "square", "bitwise_not")
    cases = [
        Case(f"{name} {dtype}", getattr(torch, name), [draw.like(dtype, 9)]) for dtype in INTEGERS for name in names
    ]
    cases += [Case(f"{name} bool", getattr(torch, name), [draw.bools(9)]) for name in ("sign", "bitwise_not")]
    extremes = torch.tensor([-128, 127, 0], dtype=torch.int8)
    cases += [Case(f"{name} of extremes", getattr(torch, name), [extremes]) for name in ("abs", "neg")]
    check_cases("elementwise", cases)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_activations(dtype: torch.dtype) -> None:
    draw = Inputs()
    values = with_special(draw.floats(36, dtype=dtype))
    finite = values[~torch.isinf(values)]
    cases = [Case(f"{name} {dtype}", act, [finite]) for name, act in ACTIVATIONS.items()]
    check_cases("activation", cases)


def test_shapes() -> None:
    """Rank 0, no elements, one element, odd sizes, and a symbolic size at two values."""
    draw = Inputs()
    cases = []
    for name in ("exp", "relu", "floor", "neg"):
        function = getattr(torch, name)
        shapes = ((), (0,), (1,), (3, 0, 2), (1, 17), (2, 3, 5, 7))
        cases += [Case(f"{name} {shape}", function, [draw.floats(*shape)]) for shape in shapes]
        cases.append(Case(f"{name} dynamic", function, [draw.floats(3, 5)], {0: {0: "n"}}, [draw.floats(13, 5)]))
    check_cases("elementwise", cases)


def test_round_to_decimals() -> None:
    draw = Inputs()
    cases = [
        Case(
            f"round to {decimals}", lambda x, d=decimals: torch.round(x, decimals=d), [draw.floats(9, low=-99, high=99)]
        )
        for decimals in (0, 1, 3, -1)
    ]
    check_cases("elementwise", cases)


def test_casts() -> None:
    """Every pair of dtypes; floats out of an integer's range are undefined in torch and left out."""
    draw = Inputs()
    dtypes = (*FLOATS, *INTEGERS, torch.bool)
    cases = []
    for source in dtypes:
        values = draw.like(source, 4, 3) * (3 if source.is_floating_point else 1)
        if source.is_floating_point:
            values = values.abs()
        cases += [Case(f"{source} to {target}", lambda x, target=target: x.to(target), [values]) for target in dtypes]
    special = torch.tensor([float("nan"), float("inf"), -0.0, 0.0, 0.3])
    cases += [Case(f"special to {t}", lambda x, t=t: x.to(t), [special]) for t in (*FLOATS, torch.bool)]
    wide = torch.tensor([300, -1, 2**40 + 5, -(2**33)])
    cases += [Case(f"wide to {t}", lambda x, t=t: x.to(t), [wide]) for t in INTEGERS]
    # Rounds to even, overflows to infinity, becomes subnormal.
    edges = torch.tensor([2049.0, 2051.0, 65519.0, 65520.0, 6e-8, 1e-10, 3.0e38, -1e39])
    cases += [Case(f"edges to {t}", lambda x, t=t: x.to(t), [edges]) for t in (torch.float16, torch.bfloat16)]
    check_cases("elementwise", cases)


class _Bits(torch.nn.Module):
    def forward(self, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
        return [view for x, y in pairs for view in (x.view(y.dtype), y.view(x.dtype))]


class _ThereAndBack(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        narrow = [x.to(torch.float16), x.to(torch.bfloat16)]
        return [result for y in narrow for result in (x - y.float(), y.double(), y.float().t().contiguous())]


def test_casts_of_the_program_round() -> None:
    """What a program loses by narrowing is lost, though the kernel that widens again holds the number itself."""
    x = Inputs().floats(9, 33)
    found = compile_to_test(torch.export.export(_ThereAndBack(), (x,)))(x)
    for got, wanted in zip(found, _ThereAndBack()(x), strict=True):
        assert torch.equal(got, wanted)


def test_bits_as_other_dtypes() -> None:
    """Float64 has no say in it: bits are compared as they are."""
    draw = Inputs()
    dtypes = [(torch.float32, torch.int32), (torch.float64, torch.int64), (torch.bfloat16, torch.int16)]
    dtypes += [(torch.int8, torch.uint8), (torch.float16, torch.bfloat16)]
    pairs = [(draw.like(a, 3, 4), draw.like(b, 3, 4)) for a, b in dtypes]
    pairs.append((draw.bools(5), draw.integers(5, low=0, high=1).to(torch.uint8)))
    found = compile_to_test(torch.export.export(_Bits(), (pairs,)))(pairs)
    for got, wanted in zip(found, _Bits()(pairs), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0, equal_nan=True)
