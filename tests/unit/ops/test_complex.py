"""Complex tensors against eager torch: arithmetic, functions, what treats both parts alike, reductions, products."""

import math

import pytest
import torch
from harness import Case, Inputs, check_cases
from torch.nn import functional

from stepwell.frontends.torch.complex_compositions import COMPLEX_COMPOSITIONS

DTYPES = (torch.complex64, torch.complex128)
# Function -> size of its operands.
FUNCTIONS = {
    "abs": 9.0,
    "angle": 9.0,
    "sgn": 2.0,
    "neg": 2.0,
    "conj_physical": 2.0,
    "reciprocal": 9.0,
    "square": 9.0,
    "sqrt": 9.0,
    "rsqrt": 9.0,
    "exp": 5.0,
    "exp2": 5.0,
    "expm1": 2.0,
    "log": 9.0,
    "log2": 9.0,
    "log10": 9.0,
    "log1p": 2.0,
    "sin": 4.0,
    "cos": 4.0,
    "tan": 4.0,
    "sinh": 4.0,
    "cosh": 4.0,
    "tanh": 4.0,
    "asin": 3.0,
    "acos": 3.0,
    "atan": 3.0,
    "asinh": 3.0,
    "acosh": 3.0,
    "atanh": 3.0,
    "sigmoid": 4.0,
    "isnan": 1.0,
    "isinf": 1.0,
    "isfinite": 1.0,
    "logical_not": 1.0,
}
# What breaks careless formulas: the axes, branch cuts, tiny and huge numbers.
POINTS = [0, 1, -1, 1j, -1j, 0.5, -2, 2j, -2.5j, 1 + 1e-3j, 1e-18 + 1e-19j, 3e18 - 2e18j, -1e18 + 1e-18j]
# Infinite numbers of which torch and these functions say the same.
ENDLESS = [complex(math.inf, 1), complex(-math.inf, -2), complex(1, math.inf), complex(-1, -math.inf)]
_OF_ENDLESS = ("abs", "angle", "neg", "sqrt", "log", "isinf", "isfinite", "isnan")


def _operand(draw: Inputs, dtype: torch.dtype, name: str, size: float) -> torch.Tensor:
    points = [*POINTS, *ENDLESS] if name in _OF_ENDLESS else POINTS
    # Squares and powers of these leave float32.
    kept = [point for point in points if name not in ("square", "exp", "exp2", "expm1") or abs(point) < 1e18]
    kept = [
        point for point in kept if not name.endswith(("sin", "cos", "tan", "sinh", "cosh", "oid")) or abs(point) < 9
    ]
    return torch.cat([draw.complexes(15, dtype=dtype, size=size), torch.tensor(kept, dtype=dtype)])


def test_functions() -> None:
    draw = Inputs()
    cases = [
        Case(name, getattr(torch, name), [_operand(draw, torch.complex64, name, size)])
        for name, size in FUNCTIONS.items()
    ]
    check_cases("activation", cases)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if f"aten.{name}.default" in COMPLEX_COMPOSITIONS])
def test_compositions_in_double(name: str) -> None:
    """On their own, where cuts and signed zeros show: equal but for the last digits of each element's size."""
    draw = Inputs()
    zeros = [complex(a, b) for a in (0.0, -0.0, 2.0, -2.0, 0.5, -0.5) for b in (0.0, -0.0)]
    cuts = torch.tensor([z * turn for z in zeros for turn in (1, 1j)], dtype=torch.complex128)
    operand = torch.cat([draw.complexes(500, dtype=torch.complex128, size=FUNCTIONS[name]), cuts])
    found = COMPLEX_COMPOSITIONS[f"aten.{name}.default"](operand)
    wanted = getattr(torch, name)(operand)
    assert found.dtype is wanted.dtype
    known = wanted.abs().isfinite() if wanted.dtype is not torch.bool else torch.ones_like(wanted)
    torch.testing.assert_close(found[known], wanted[known], rtol=1e-13, atol=1e-300)


def test_arithmetic() -> None:
    draw, dtype = Inputs(), torch.complex64
    z, w = draw.complexes(4, 5, dtype=dtype), draw.complexes(5, dtype=dtype)
    x, n = draw.floats(4, 5, dtype=dtype.to_real(), low=0.5), draw.integers(4, 5, low=1)
    ends = torch.complex(torch.tensor([-math.inf, math.inf, 2.0, math.nan]), torch.randn(4))
    cases = [
        Case("add", torch.add, [z, w]),
        Case("add scaled", lambda a, b: torch.add(a, b, alpha=2 - 1j), [z, w]),
        Case("sub", lambda a, b: (torch.sub(a, b, alpha=3), torch.rsub(a, b)), [z, w]),
        Case("mul", torch.mul, [z, w]),
        Case("div", torch.div, [z, w]),
        Case("with real ones", lambda a, b: (a * b, a / b, b / a, b - a, a + b), [z, x]),
        Case("with integers", lambda a, b: (a * b, a / b, b - a), [z, n]),
        Case("with numbers", lambda a: (a * 2, a + 1j, 3 / a, 1 - a, a / (2 - 1j), 2j * a), [z]),
        Case("real with complex numbers", lambda a: (a * 1j, a + (1 - 2j), a / 2j), [x]),
        Case("pow", lambda a, b: (a**b, a**2, a**3, a**0.5, a**-1, a**1.7, 2**a, a ** (1 - 1j)), [z, w]),
        Case("eq", lambda a, b: (a == b, a != b, a == a.clone(), a == 1, a != 1j), [z, w]),
        Case("isclose", lambda a, b: torch.isclose(a, b), [z, w]),
        Case("parts", lambda a: (a.real, a.imag, torch.view_as_real(a), a.conj().imag), [z]),
        Case("complex", torch.complex, [x, x.flip(0)]),
        Case("bits", lambda z, x: (z.view(x.dtype), x[:, :4].clone().view(z.dtype), x.view(torch.int32)), [z, x]),
        Case("polar", torch.polar, [x, x.flip(1)]),
        Case("view_as_complex", lambda a: torch.view_as_complex(a.reshape(10, 2)), [x]),
        Case("addcmul", lambda a, b: torch.addcmul(a, b, a, value=2 - 1j), [z, w]),
        Case("addcdiv", lambda a, b: torch.addcdiv(a, a, b, value=0.5), [z, w]),
        Case("lerp", lambda a, b, c: (torch.lerp(a, b, c), torch.lerp(a, b, 0.25 + 0j)), [z, z.flip(0), z / 4]),
        Case("logic", lambda a, b: (torch.logical_and(a, b), torch.logical_or(a, b), torch.logical_xor(a, b)), [z, w]),
        Case("casts", lambda a, b: (*((a + b).to(dtype) for dtype in DTYPES), b.to(a.dtype), a.bool()), [z, n]),
        Case("logaddexp", torch.logaddexp, [z, z.flip(0)]),
        Case("infinities", torch.logaddexp, [ends.repeat(4), ends.repeat_interleave(4)]),
    ]
    check_cases("activation", cases)


def test_both_parts_alike() -> None:
    draw = Inputs()
    z, w, x = draw.complexes(3, 4, 2), draw.complexes(3, 4, 2), draw.floats(3, 4, 2)
    mask, places = draw.bools(3, 4, 2), torch.tensor([2, 0, 1])
    everywhere = draw.integers(3, 2, 2, low=0, high=3)
    cases = [
        Case("views", lambda a: (a.reshape(2, 12).t(), a.permute(2, 0, 1), a[1:, ::2], a[:, 1].unsqueeze(0)), [z]),
        Case("unbind", lambda a: (*a.unbind(2), *a.split([1, 3], 1)), [z]),
        Case("sections", lambda a, i: torch.tensor_split(a, i, 1), [z, torch.tensor([1, 1, -1])]),
        Case("expand", lambda a: (a[:, :1].expand(3, 5, 2), a.repeat(2, 1, 1), a.flip(0), a.roll(3, 1)), [z]),
        Case("cat", lambda a, b: (torch.cat([a, b], 1), torch.stack([a, b.conj()]), torch.cat([a, a.real])), [z, w]),
        Case("index", lambda a, i: (a[i], a[:, i], a.index_select(1, i), torch.take(a, i)), [z, places]),
        Case("gather", lambda a, i: torch.gather(a, 1, i), [z, everywhere]),
        Case("scatter", lambda a, i, b: a.scatter(1, i, b[:, :2]), [z, everywhere.unique(dim=1)[:, :2], w]),
        Case(
            "scatter-number",
            lambda a, i: (a.scatter(1, i, 1.5 - 1j, reduce="multiply"), a.scatter(1, i, 2.5, reduce="add")),
            [z, everywhere],
            family="activation",
        ),
        Case("scatter_add", lambda a, i, b: a.scatter_add(1, i, b[:, :2]), [z, everywhere, w]),
        Case("index_put", lambda a, i, b: a.index_put((i,), b, accumulate=True), [z, places, w]),
        Case("index_add", lambda a, i, b: a.index_add(0, i, b, alpha=2), [z, places, w]),
        Case("index_fill", lambda a, i: a.index_fill(0, i[:2], 1 - 2j), [z, places]),
        Case(
            "where",
            lambda m, a, b, c: (torch.where(m, a, b), torch.where(m, a, c), torch.where(m, a, 1j)),
            [mask, z, w, x],
        ),
        Case("masked_scatter", lambda a, m, b: a.masked_scatter(m, b), [z, mask, w]),
        Case("masked_fill", lambda a, m: (a.masked_fill(m, 2j), a.masked_fill(m, 3)), [z, mask]),
        Case("pad", lambda a: (functional.pad(a, (1, 2)), functional.pad(a, (0, 1), value=2)), [z]),
        Case("pad edges", lambda a: functional.pad(a, (1, 1), mode="reflect"), [z[0].t()]),
        Case(
            "full",
            lambda a: (torch.full((2,), 1 - 1j), torch.ones_like(a), torch.zeros_like(a), a.new_full((2,), 2j)),
            [z],
        ),
        Case("triangles", lambda a: (a[0].tril(), a[0].triu(1), a[0].diagonal()), [z]),
        Case("slices", lambda a, b: (a.slice_scatter(b[:, :2], 1, 0, 2), a.select_scatter(b[0], 0, 1)), [z, w]),
        Case("copies", lambda a, b: (a.clone().copy_(b), a.clone().zero_().add_(b.real)), [z, w]),
        Case("sums", lambda a: (a.sum(), a.sum(1), a.mean((0, 2)), a.cumsum(1), a.sum(dtype=torch.complex128)), [z]),
        Case("empty", lambda a: (a[:0] * 2, a[:0].sum(0)), [z]),
        Case("0-d", lambda a: (a[0, 0, 0] * a[1, 1, 1], a[0, 0, 0].abs()), [z]),
    ]
    check_cases("indexing", cases)


def test_reductions_and_products() -> None:
    draw, dtype = Inputs(), torch.complex128
    z, x = draw.complexes(3, 7, dtype=dtype), draw.floats(3, 7, dtype=dtype.to_real())
    a, b, c = (draw.complexes(*shape, dtype=dtype) for shape in ((4, 5), (5, 6), (4, 6)))
    many, other = draw.complexes(2, 4, 5, dtype=dtype), draw.complexes(2, 5, 3, dtype=dtype)
    image, kernel, bias = (draw.complexes(*shape, dtype=dtype) for shape in ((2, 4, 9), (6, 2, 3), (6,)))
    cases = [
        Case("prod", lambda z: (z.prod(), z.prod(1), z.prod(0, keepdim=True), z[:, :0].prod(1)), [z]),
        Case("cumprod", lambda z: (z.cumprod(0), z.cumprod(1)), [z]),
        Case("var", lambda z: (z.var(), z.std(1), *torch.var_mean(z, 0, correction=0)), [z]),
        Case(
            "norms", lambda z: (z.norm(), torch.linalg.vector_norm(z, 1, 1), torch.linalg.vector_norm(z, math.inf)), [z]
        ),
        Case("any", lambda z: (z.any(), z.all(1), torch.count_nonzero(z)), [torch.where(x > 1, z, 0)]),
        Case("logsumexp", lambda z: torch.logsumexp(z, 1), [z]),
        Case("logcumsumexp", lambda z: (z.logcumsumexp(1), (z * 40).logcumsumexp(0), z[:, :0].logcumsumexp(1)), [z]),
        Case("phases", lambda z: (1j * z.imag * 9).logcumsumexp(1), [z]),
        Case("mm", lambda a, b: (a @ b, a.conj() @ b, a.real.to(a.dtype) @ b), [a, b]),
        Case("bmm", torch.bmm, [many, other]),
        Case("vectors", lambda a, b: (a[0] @ a[1], torch.vdot(a[0], a[1]), a @ b[:, 0]), [a, b]),
        Case("addmm", lambda c, a, b: torch.addmm(c, a, b, beta=2j, alpha=1 - 1j), [c, a, b]),
        Case("linear", functional.linear, [a, b.t(), b[0]]),
        Case("einsum", lambda x, y: torch.einsum("bij,bjk->bik", x, y), [many, other]),
        Case(
            "convolution",
            lambda i, k, v: functional.conv1d(i, k, v, stride=2, padding=1, groups=2),
            [image, kernel, bias],
        ),
        Case("transposed", lambda i, k: functional.conv_transpose1d(i, k), [image[:, :2], kernel[:2]]),
    ]
    check_cases("contraction", cases)


def test_sizes_that_depend_on_data() -> None:
    draw = Inputs()
    z = draw.complexes(4, 5)
    cases = [
        Case("masks", lambda z: (z[z.real > 0], torch.masked_select(z, z.imag > 0)), [z]),
        Case("nonzero", lambda z: torch.nonzero(torch.where(z.real > 0, z, 0)), [z]),
    ]
    check_cases("indexing", cases, third_opinion=False)


def test_symbolic_sizes() -> None:
    draw = Inputs()
    z, longer = draw.complexes(4, 3), draw.complexes(9, 3)

    def function(z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return z * z.conj(), torch.exp(z).sum(0), z.reshape(-1).abs(), torch.cat([z, z.imag], 1), z @ z.t()

    check_cases("contraction", [Case("symbolic", function, [z], {0: {0: "n"}}, [longer])])
