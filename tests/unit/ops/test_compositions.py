"""Ops that are rewritten as other torch ops when a program is imported, against torch."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases

from stepwell.frontends.torch.compositions import COMPOSITIONS


def test_products_and_distances() -> None:
    draw = Inputs()
    a, b, c = draw.floats(3, 5), draw.floats(2, 3, 7), draw.floats(2, 7, 5)
    x, y = draw.floats(6, 11), draw.floats(4, 11)
    cases = [
        Case("addbmm", lambda a, b, c: torch.addbmm(a, b, c), [a, b, c]),
        Case("addbmm-scaled", lambda a, b, c: torch.addbmm(a, b, c, beta=0.5, alpha=2), [a, b, c]),
        Case(
            "addbmm-whole", lambda a, b, c: torch.addbmm(a, b, c, beta=-1.6, alpha=2.7), [a.long(), b.long(), c.long()]
        ),
        Case("addbmm-alone", lambda a, b, c: torch.addbmm(a, b, c, beta=0), [a * torch.nan, b, c]),
        Case("bilinear", F.bilinear, [draw.floats(3, 4), draw.floats(3, 5), draw.floats(2, 4, 5), draw.floats(2)]),
        Case("norms", lambda x: tuple(torch.linalg.vector_norm(x, p, dim=1) for p in (0, 1, 2, 3, torch.inf)), [x]),
        Case("cdist", lambda x, y: (torch.cdist(x, y), torch.cdist(x, y, p=1)), [x, y]),
        Case("cdist-empty", lambda x, y: torch.cdist(x[:, :0], y[:, :0], p=torch.inf), [x, y]),
        Case("cdist-none", lambda x, y: torch.cdist(x[:0], y, p=torch.inf), [x, y]),
        Case("pdist", torch.pdist, [x]),
        Case("dist", lambda x: torch.dist(x, x + 1), [x]),
    ]
    check_cases("contraction", cases)


def test_grouped_products() -> None:
    draw = Inputs()
    x, y, z = (draw.floats(*shape, dtype=torch.bfloat16) for shape in ((12, 8), (8, 16), (16, 8)))
    weight, ends = draw.floats(3, 8, 16, dtype=torch.bfloat16), torch.tensor([4, 4, 12], dtype=torch.int32)
    cases = [
        Case("rows", _grouped_products, [x, weight, ends]),
        Case("columns", _grouped_products, [weight.mT.contiguous(), y, ends + 4]),
        Case("terms", _grouped_products, [y, z, ends + 4]),
    ]
    check_cases("contraction", cases)


def test_grouped_products_of_transformers() -> None:
    draw = Inputs()
    x, weight, grad = draw.floats(9, 5), draw.floats(4, 5, 3), draw.floats(9, 3)
    # The second group is empty, the last row in none; another's infinity is nobody's.
    weight[3] = torch.inf
    starts, ends = (0, 3, 3, 7), (3, 3, 7, 8)
    offs = torch.tensor(ends, dtype=torch.int32)
    got = COMPOSITIONS["transformers.grouped_mm_fallback.default"](x, weight, offs)
    of_x, of_weight = COMPOSITIONS["transformers.grouped_mm_fallback_backward.default"](x, weight, offs, grad)
    assert not got[8].any()
    for group, (start, end) in enumerate(zip(starts, ends, strict=True)):
        torch.testing.assert_close(got[start:end], x[start:end] @ weight[group], equal_nan=True)
        torch.testing.assert_close(of_x[start:end], grad[start:end] @ weight[group].t(), equal_nan=True)
        torch.testing.assert_close(of_weight[group], x[start:end].t() @ grad[start:end])


def _grouped_products(lhs: torch.Tensor, rhs: torch.Tensor, offs: torch.Tensor) -> torch.Tensor:
    if lhs.dtype is torch.float64:
        # Torch has no such kernel; float32 is exact enough beside bfloat16.
        return F.grouped_mm(lhs.float(), rhs.float(), offs=offs).double()
    return F.grouped_mm(lhs, rhs, offs=offs)


def test_elements() -> None:
    draw = Inputs()
    x = torch.tensor([-1.5, -0.0, 0.0, 2.0, torch.nan, -torch.inf])
    cases = [
        Case("angle", torch.angle, [x]),
        Case("angle-of-integers", torch.angle, [torch.tensor([-2, 0, 3])]),
        Case("rrelu", F.rrelu, [x]),
        Case("ldexp", torch.ldexp, [draw.floats(4, 5), draw.integers(4, 5, low=-9, high=9)]),
        Case(
            "strided",
            lambda x, y: torch.as_strided_scatter(x, y, (2, 2), (7, 2), 1),
            [draw.floats(3, 5), draw.floats(2, 2)],
        ),
    ]
    check_cases("elementwise", cases)


def test_special_functions() -> None:
    draw = Inputs()
    specials = torch.tensor([0.0, -0.0, 1.0, 2.0, -1.0, -3.0, torch.inf, torch.nan])
    x = torch.cat([draw.floats(40, low=-6, high=9), draw.floats(20, low=0.9, high=2.1), specials])
    zeros = torch.tensor([1.0, 2.0]) + torch.tensor([[0.0], [1e-12], [-1e-9], [1e-3], [0.4], [-0.4]]).double()
    y = torch.cat([draw.floats(60, low=-1, high=1), torch.tensor([0.0, -0.0, 1.0, -1.0, 1.5, 0.999999, torch.nan])])
    cases = [
        Case("lgamma", torch.lgamma, [x]),
        Case("lgamma near its zeros", torch.lgamma, [zeros], family="elementwise"),
        Case("digamma", torch.digamma, [x]),
        Case("erfinv", torch.erfinv, [y]),
        Case("half", lambda x: (x.lgamma(), x.digamma()), [draw.floats(20, low=0.1, dtype=torch.float16)]),
        Case("integers", lambda x: (x.lgamma(), x.erfinv()), [draw.integers(9, low=0, high=9)]),
    ]
    check_cases("activation", cases)


def test_histograms() -> None:
    draw = Inputs()
    x = torch.cat([draw.floats(99, low=-2, high=2), torch.tensor([-1.0, 1.0])])
    cases = [
        Case("between", lambda x: torch.histc(x, 8, -1, 1), [x]),
        Case("of-all", lambda x: torch.histc(x, 7), [x]),
        Case("of-equal", lambda x: torch.histc(x, 4), [torch.full((5,), 3.0)]),
        Case("of-none", lambda x: torch.histc(x, 4), [torch.empty(0)]),
    ]
    check_cases("shape", cases)


def test_bags() -> None:
    draw = Inputs()
    weight, indices, scale = draw.floats(9, 5), draw.integers(7, low=0, high=8), draw.floats(7)
    offsets = torch.tensor([0, 3, 3, 5])
    cases = [Case(mode, _bags(mode=mode), [weight, indices, offsets]) for mode in ("sum", "mean", "max")]
    cases += [
        Case("padded", _bags(mode="mean", padding_idx=int(indices[1])), [weight, indices, offsets]),
        Case("end", _bags(mode="sum", include_last_offset=True), [weight, indices, torch.tensor([0, 2, 7])]),
        Case(
            "scaled",
            lambda w, i, o, s: F.embedding_bag(i, w, o, mode="sum", per_sample_weights=s),
            [weight, indices, offsets, scale],
        ),
        Case("rows", lambda w, i: F.embedding_bag(i, w), [weight, draw.integers(3, 4, low=0, high=8)]),
    ]
    check_cases("reduction", cases)


def _bags(**options: object) -> object:
    return lambda weight, indices, offsets: F.embedding_bag(indices, weight, offsets, **options)


def test_resampling() -> None:
    draw = Inputs()
    x = draw.floats(2, 3, 9, 14)
    cases = [
        Case(f"{mode}-{size}", _without_aliases(mode, size), [x])
        for mode in ("bilinear", "bicubic")
        for size in ((4, 5), (12, 20), (9, 3))
    ]
    grid = draw.floats(2, 5, 4, 2, low=-1.2, high=1.2)
    cases.append(Case("grid", lambda x, g: F.grid_sample(x, g, align_corners=False), [x, grid]))
    cases.append(Case("grid-nearest", lambda x, g: F.grid_sample(x, g, "nearest", "border", True), [x, grid]))
    check_cases("resampling", cases)


def _without_aliases(mode: str, size: tuple[int, int]) -> object:
    return lambda x: F.interpolate(x, size, mode=mode, antialias=True)


def test_batch_statistics() -> None:
    draw = Inputs()
    x, w, b, mean, variance = draw.floats(4, 3, 5), *(draw.floats(3, low=0.1, high=2) for _ in range(4))
    cases = [Case(f"saved-{training}", _batch_norm(training), [x, w, b, mean, variance]) for training in (False, True)]
    check_cases("normalization", cases)


def _batch_norm(training: bool) -> object:
    return lambda *tensors: torch.ops.aten._native_batch_norm_legit_functional(*tensors, training, 0.1, 1e-5)
