"""Running results, sorting and searching, against torch."""

import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stepwell as sw

WHOLE = (torch.int64, torch.int32, torch.uint8)
NARROW = (torch.float16, torch.bfloat16)


def _with_specials(x: torch.Tensor) -> torch.Tensor:
    """Return ``x`` with ties, NaNs and infinities in its first elements."""
    y = x.round()
    y.view(-1)[:5] = torch.tensor([float("nan"), float("inf"), 0.0, float("nan"), float("-inf")])
    return y


def test_running_results() -> None:
    draw = Inputs()
    x = draw.floats(3, 17, 4)
    cases = [
        Case("cumsum", lambda x: (x.cumsum(0), x.cumsum(-2), x.cumsum(2)), [x]),
        Case("cumprod", lambda x: (x.cumprod(0), x.cumprod(-1)), [x]),
        Case("logcumsumexp", lambda x: (x.logcumsumexp(1), (x * 50).logcumsumexp(-1)), [x]),
        Case("extrema", lambda x: (*x.cummax(1), *x.cummin(0), *x.round().cummax(1)), [x]),
        Case("specials", lambda x: (x.cumsum(0), *x.cummax(0), *x.cummin(0)), [_with_specials(draw.floats(23))]),
        Case("infinities", lambda x: x.logcumsumexp(0), [torch.tensor([float("-inf"), float("-inf"), 1.0, 2.0])]),
        Case("small", lambda x: (x[:0].cumsum(0), x[:, :0].cumsum(0), x[:1].cumsum(0), *x[:0].cummax(0)), [x]),
        Case("scalar", lambda x: (x.cumsum(0), x.cumprod(-1), x.logcumsumexp(0), *x.cummax(0)), [draw.floats()]),
        Case("bools", lambda x: (x.cumsum(0), *x.cummax(0)), [draw.bools(9)]),
        Case(
            "dtypes",
            lambda x: (x.cumsum(0, dtype=torch.float64), x.int().cumsum(1), x.cumsum(1, dtype=torch.int32)),
            [draw.integers(3, 5)],
        ),
    ]
    for dtype in WHOLE:
        x = draw.like(dtype, 4, 9)
        cases.append(Case(f"{dtype}", lambda x: (x.cumsum(1), x.cumprod(0), *x.cummax(1), *x.cummin(1)), [x]))
    for dtype in NARROW:
        x = draw.floats(4, 9, dtype=dtype)
        cases.append(Case(f"{dtype}", lambda x: (x.cumsum(1), x.cumprod(0), *x.cummax(1), x.logcumsumexp(1)), [x]))
    check_cases("ordering", cases)


def test_sort() -> None:
    draw = Inputs()

    def both(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (*x.sort(dim=0, stable=True), *x.sort(dim=-1, stable=True, descending=True))

    cases = [
        Case(
            "distinct",
            lambda x: (*x.sort(1), *x.sort(0, descending=True), x.argsort(-1), x.msort()),
            [draw.floats(5, 33, 3)],
        ),
        Case("ties", both, [draw.integers(4, 65, low=-3, high=3)]),
        Case("specials", both, [_with_specials(draw.floats(3, 37))]),
        Case("argsort", lambda x: x.argsort(dim=1, stable=True, descending=True), [draw.integers(3, 9, low=0, high=2)]),
        Case("bools", both, [draw.bools(3, 11)]),
        Case(
            "small", lambda x: (*x[:0].sort(), *x[:, :0].sort(), *x[:, :1].sort(), *x[0, 0].sort()), [draw.floats(3, 5)]
        ),
    ]
    cases += [Case(f"length-{n}", both, [draw.integers(2, n)]) for n in (2, 3, 4, 5, 15, 16, 17, 64, 257)]
    cases += [Case(f"{dtype}", both, [draw.like(dtype, 3, 19)]) for dtype in (*WHOLE, *NARROW)]
    check_cases("ordering", cases)


def test_selection() -> None:
    draw = Inputs()
    x = draw.permutation(606).view(2, 3, 101).float()
    odd = x[..., :31] + 1
    cases = [
        Case("topk", lambda x: (*x.topk(1), *x.topk(7), *x.topk(64), *x.topk(65), *x.topk(101)), [x]),
        Case("smallest", lambda x: (*x.topk(5, largest=False), *x.topk(90, largest=False), *x.topk(2, 1)), [x]),
        Case("dims", lambda x: (*x.topk(3, 1), *x.topk(2, 0, largest=False), *x.topk(0, 0)), [x]),
        Case("values", lambda x: (x.topk(9)[0], x.topk(9, largest=False)[0]), [_with_specials(draw.floats(3, 40))]),
        Case("kth", lambda x: (*x.kthvalue(1), *x.kthvalue(40, keepdim=True), *x.kthvalue(2, 1)), [x]),
        Case("median", lambda x: (*x.median(2), *x.median(-1, keepdim=True), x[:1, :1].median()), [odd]),
        Case(
            "nanmedian",
            lambda x: (*x.nanmedian(1), x.nanmedian(0, keepdim=True)[0], x.nanmedian()),
            [_with_specials(odd[0])],
        ),
        Case("all-nan", lambda x: (x.nanmedian(1)[0], x.median(1)[0]), [torch.full((2, 3), float("nan"))]),
        Case(
            "mode",
            lambda x: (x.mode(0)[0], *x.mode(1), x.mode(-1, keepdim=True)[0]),
            [draw.integers(5, 9, low=0, high=4)],
        ),
        Case("mode-floats", lambda x: x.mode(0)[0], [draw.floats(40, 3).round()]),
        Case("median-nan", lambda x: (x.median(0)[0], x.median()), [_with_specials(draw.floats(9, 4))]),
        Case("scalar", lambda x: (*x.topk(1), *x.sort(), x.median(), *x.kthvalue(1)), [draw.floats()]),
    ]
    cases += [
        Case(f"{dtype}", lambda x: (x.topk(3)[0], x.topk(70)[0], x.median(1)[0]), [draw.like(dtype, 2, 80)])
        for dtype in (*WHOLE, *NARROW)
    ]
    check_cases("ordering", cases)


def test_search() -> None:
    draw = Inputs()
    line, rows = draw.floats(9).sort()[0], draw.floats(4, 6).sort()[0]
    whole = draw.integers(12, low=-4, high=4).sort()[0]

    def search(b: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.searchsorted(b, v), torch.searchsorted(b, v, right=True), torch.searchsorted(b, v, side="right")

    cases = [
        Case("line", search, [line, draw.floats(3, 5)]),
        Case("hits", search, [line, line.flip(0)]),
        Case("rows", search, [rows, draw.floats(4, 3)]),
        Case("ties", search, [whole, draw.integers(20, low=-5, high=5)]),
        Case("nothing", search, [line[:0], draw.floats(3)]),
        Case("nan", search, [line, torch.tensor([float("nan"), float("inf"), float("-inf")])]),
        Case(
            "dtypes",
            lambda b, v, w: (
                *(torch.bucketize(v, b), torch.searchsorted(b.int(), v), torch.bucketize(w, v.float().sort()[0])),
                *(torch.searchsorted(b, 1.5), torch.bucketize(1.5, b, right=True), torch.bucketize(b, v.sort()[0])),
            ),
            [torch.arange(7), draw.floats(5, low=0, high=6).double(), torch.tensor(1 + 1e-10, dtype=torch.float64)],
        ),
        Case("number", lambda b: (torch.searchsorted(b, 0.25), torch.searchsorted(b, 9, out_int32=True)), [line]),
        Case(
            "bucketize",
            lambda b, v: (torch.bucketize(v, b), torch.bucketize(v, b, out_int32=True, right=True)),
            [line, draw.floats(7)],
        ),
        Case("half", search, [line.half(), draw.floats(7).half()]),
    ]
    check_cases("ordering", cases)


def test_symbolic_sizes() -> None:
    draw = Inputs()
    x, larger = draw.floats(5, 33), draw.floats(9, 130)
    both = {0: {0: "n", 1: "m>=4"}}
    cases = [
        Case("running", lambda x: (x.cumsum(0), x.cumsum(1), *x.cummax(1)), [x], both, [larger]),
        Case("sort", lambda x: (*x.sort(1), *x.sort(0, descending=True)), [x], both, [larger]),
        Case("selection", lambda x: (*x.topk(3), x.median(1)[0], x.kthvalue(2)[0]), [x], both, [larger]),
        Case("search", lambda x: torch.searchsorted(x.sort()[0], x), [x], both, [larger]),
    ]
    check_cases("ordering", cases)


class _OfAnySize(torch.nn.Module):
    def forward(self, x: torch.Tensor, i: torch.Tensor) -> tuple[torch.Tensor, ...]:
        kept = x.index_put((i,), x[i] + 1, accumulate=True)
        return (
            *x.sort(dim=1, stable=True),
            *x.sort(dim=0, stable=True, descending=True),
            *x.cummax(0),
            x.cumsum(1),
            x.topk(2)[0],
            kept,
            torch.cat([x, x.flip(1)], 1).roll(3, 1),
            x.t().reshape(-1),
        )


@pytest.fixture(scope="module")
def compiled_for_any_size() -> sw.Executable:
    sizes = {0: torch.export.Dim("n"), 1: torch.export.Dim("m", min=3)}
    example = (torch.zeros(5, 7, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))
    shapes = (sizes, {0: torch.export.Dim("k")})
    return compile_to_test(torch.export.export(_OfAnySize(), example, dynamic_shapes=shapes))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 40), st.integers(3, 70), st.integers(2, 20), st.integers(0, 2**31))
def test_drawn_sizes(compiled_for_any_size: sw.Executable, n: int, m: int, k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-5, 6, (n, m), generator=generator)
    i = torch.randint(-n, n, (k,), generator=generator)
    for got, expected in zip(compiled_for_any_size(x, i), _OfAnySize()(x, i), strict=True):
        assert torch.equal(got, expected)
