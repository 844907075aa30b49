"""Histograms, segments, drawn windows, bags and their gradients, divisors."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases, gradients


def test_histograms() -> None:
    draw = Inputs()
    x, weight = draw.floats(30, 3), draw.floats(30, 3, low=0)
    edges = torch.tensor([-2.0, -0.5, 0.0, 1.0])
    cases = [
        Case("of-all", lambda x: torch.histogram(x, 7), [x]),
        Case("between", lambda x, w: torch.histogram(x, 7, range=(-1.0, 1.0), weight=w, density=True), [x, weight]),
        Case("given", lambda x, e: torch.histogram(x, e), [x, edges]),
        Case("of-rows", lambda x: (lambda h: (h.hist, *h.bin_edges))(torch.histogramdd(x, [3, 2, 4])), [x]),
    ]
    check_cases("reduction", cases)


def test_selections() -> None:
    draw = Inputs()
    x, y = draw.floats(2, 3, 9, 11), draw.floats(1, 2, 5, 6, 7)
    samples, deep = draw.floats(2, 3, 2, low=0, high=1), draw.floats(1, 2, 3, low=0, high=1)
    pool2d, pool3d = F.fractional_max_pool2d_with_indices, F.fractional_max_pool3d_with_indices
    cases = [
        Case("first", lambda x: torch.nonzero_static(x, size=4), [draw.bools(5, 6)]),
        Case("all", lambda x: torch.nonzero_static(x, size=40, fill_value=-7), [draw.integers(5, 3, low=0, high=1)]),
        Case("drawn", lambda x, s: pool2d(x, (3, 2), (4, 5), _random_samples=s), [x, samples]),
        Case("drawn-3d", lambda x, s: pool3d(x, 2, (3, 3, 5), _random_samples=s), [y, deep]),
        # Samples of more batches than the operand has: torch draws them so, and reads the first.
        Case("drawn-alone", lambda x, s: pool3d(x[0], 2, (3, 3, 5), _random_samples=s), [y, deep.repeat(3, 1, 1)]),
        Case(
            "gradient", gradients(lambda x, s: pool2d(x, 2, 5, _random_samples=s.detach())[0] + s.sum()), [x, samples]
        ),
        Case("smaller", lambda x: torch.ops.aten.resize(x, [2, 3]), [draw.floats(3, 4)]),
    ]
    check_cases("pooling", cases)


def test_segments() -> None:
    draw = Inputs()
    x, y = draw.floats(8, 3), draw.floats(2, 3, 4)
    lengths, offsets, rows = torch.tensor([3, 0, 4, 1]), torch.tensor([0, 3, 3, 7, 8]), torch.tensor([[1, 2], [3, 0]])
    cases = []
    for reduce in ("sum", "mean", "max", "min", "prod"):
        options = {"reduce": reduce, "unsafe": True}
        cases += [
            Case(reduce, lambda x, n, o=options: torch.segment_reduce(x, lengths=n, **o), [x, lengths]),
            Case(f"{reduce}-axis", lambda x, n, o=options: torch.segment_reduce(x, lengths=n, axis=1, **o), [y, rows]),
            Case(
                f"{reduce}-gradient",
                gradients(lambda x, n, o=options: torch.segment_reduce(x, offsets=n, initial=1.5, **o)),
                [x, offsets],
            ),
        ]
    check_cases("reduction", cases)


def test_gradients_of_bags() -> None:
    draw = Inputs()
    weight, indices, scale = draw.floats(9, 5), draw.integers(7, low=0, high=8), draw.floats(7)
    offsets = torch.tensor([0, 3, 3, 5])
    cases = [
        Case(mode, gradients(lambda w, i, o, m=mode: F.embedding_bag(i, w, o, mode=m)), [weight, indices, offsets])
        for mode in ("sum", "mean", "max")
    ]
    # Eager torch on the CPU divides the gradient of the n-th distinct row by how often the n-th index of all, sorted,
    # is used: right only where no row but the last one is used twice.
    repeated = torch.tensor([8, *draw.permutation(8)[:4].tolist(), 8, 8])
    padding, unused = int(indices[1]), int(repeated[1])
    cases += [
        Case(
            "scaled",
            gradients(lambda w, i, o, s: F.embedding_bag(i, w, o, mode="sum", per_sample_weights=s)),
            [weight, indices, offsets, scale],
        ),
        Case(
            "padded",
            gradients(lambda w, i, o: F.embedding_bag(i, w, o, padding_idx=unused, scale_grad_by_freq=True)),
            [weight, repeated, offsets],
        ),
        Case("table", gradients(lambda w, i: F.embedding(i, w, padding_idx=padding)), [weight, indices]),
    ]
    check_cases("reduction", cases)


def test_divisors() -> None:
    draw = Inputs()
    cases = [
        Case(
            str(dtype),
            lambda a, b: (torch.gcd(a, b), torch.lcm(a, b)),
            [draw.integers(40, dtype=dtype, low=low), draw.integers(40, dtype=dtype, low=low)],
        )
        for dtype, low in ((torch.int64, -90), (torch.uint8, 0))
    ]
    check_cases("indexing", cases)
