"""Reads and writes at positions given by tensors, against torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases, compile_to_test, gradients, import_cases
from harness.evaluation import evaluate

from stepwell.support.errors import RuntimeFailure

DTYPES = (torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


def _positions(draw: Inputs, size: int, *shape: int, wrap: bool = False) -> torch.Tensor:
    return draw.integers(*shape, low=-size if wrap else 0, high=size - 1)


def test_index() -> None:
    draw = Inputs()
    x = draw.floats(4, 5, 6)
    i, j = _positions(draw, 4, 7, wrap=True), _positions(draw, 4, 2, 1, wrap=True)
    cases = [
        Case("one", lambda x, i: (x[i], x[:, i], x[..., i], x[1:, i], x[:, i, None], x[i, 1]), [x, i]),
        Case("two", lambda x, i, j: (x[i, j], x[:, i, j], x[i, :, j], x[j, i, 2:], x[i, None, j]), [x, i, j]),
        Case("three", lambda x, i, j: (x[i, i, i], x[i, j, i]), [x, i, j]),
        Case("narrow", lambda x, i: x[i.int()], [x, i]),
        Case("take", lambda x, i: torch.take(x, i), [x, i]),
        Case("nothing", lambda x, i: (x[i], x[:, i], x[:, :, i]), [x, torch.zeros(0, dtype=torch.int64)]),
        Case("zero-size", lambda x, i: (x[:, i], x[i]), [draw.floats(4, 5, 0), i]),
    ]
    cases += [Case(f"dtype-{dtype}", lambda x, i: x[i, :, i], [draw.like(dtype, 4, 3, 5), i]) for dtype in DTYPES]
    check_cases("indexing", cases)


def test_gathers() -> None:
    draw = Inputs()
    x, rows = draw.floats(4, 5, 6), _positions(draw, 4, 2, 5, 3)
    line, none = _positions(draw, 4, 9), torch.zeros(2, 0, dtype=torch.uint8)
    cases = [
        Case("gather", lambda x, g: (x.gather(0, g), x.gather(-2, g), x.gather(2, g[:, :, :0])), [x, rows]),
        Case("take-along", lambda x, g: torch.take_along_dim(x, g - 4, 0), [x, _positions(draw, 4, 2, 5, 6)]),
        Case("select", lambda x, i: (x.index_select(0, i), x.index_select(-1, i), x.index_select(1, i[0])), [x, line]),
        Case(
            "embedding",
            lambda w, i: (F.embedding(i, w), F.embedding(i[None].int(), w, padding_idx=1)),
            [x[0], line.clamp(max=3)],
        ),
        Case("one-hot", lambda i: (F.one_hot(i, 4), F.one_hot(i[:0], 9), F.one_hot(i.view(3, 3), 7)), [line]),
        Case("no-index", lambda x, i: (x.gather(1, i), x[0].gather(0, i)), [x, none]),
        Case("gradient-of-none", gradients(lambda x, i: x.gather(1, i)), [draw.floats(3, 4), none]),
        Case(
            "none-written", lambda x, i: (x.scatter(1, i, x), x.scatter_add(0, i, x)), [draw.floats(3, 4), none.long()]
        ),
        Case("scalars", lambda x, i: (x.gather(0, i), x.index_select(0, i)), [draw.floats(), torch.tensor(0)]),
    ]
    cases += [
        Case(
            f"dtype-{dtype}", lambda x, g: (x.gather(1, g), x.index_select(0, g[0])), [draw.like(dtype, 5, 4), rows[0]]
        )
        for dtype in DTYPES
    ]
    check_cases("indexing", cases)


def test_index_put() -> None:
    draw = Inputs()
    x, i = draw.floats(4, 5, 6), draw.permutation(4)[:3] - 4
    repeated = torch.tensor([0, 3, 0, 0, -1])

    def put(where: object, value: object) -> object:
        def function(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
            y = x.clone()
            y[where(i)] = value(x) if callable(value) else value  # type: ignore[operator]
            return y

        return function

    cases = [
        Case("scalar", put(lambda i: i, 1.5), [x, i]),
        Case("rows", put(lambda i: i, lambda x: x[1]), [x, i]),
        Case("columns", put(lambda i: (slice(None), i), lambda x: x[:, :3]), [x, i]),
        Case("apart", put(lambda i: (i, slice(None), i), lambda x: x[0, :, :3].T), [x, i]),
        Case("add", lambda x, i: x.index_put((i,), x[0] * 1, accumulate=True), [x, repeated]),
        Case("add-pairs", lambda x, i: x.index_put((i, i), x[0, 0], accumulate=True), [x, repeated]),
        Case("nothing", lambda x, i: (x.index_put((i,), x[:0]), x.index_add(0, i, x[:0])), [x, i[:0]]),
        Case("put", lambda x, i: x.put(i, i.to(x.dtype), accumulate=True), [x, repeated]),
        Case("index-add", lambda x, i: (x.index_add(1, i, x[:, :3]), x.index_add(1, i, x[:, :3], alpha=2)), [x, i + 4]),
        Case("index-copy", lambda x, i: (x.index_copy(1, i, x[:, :3]), x.index_copy(-1, i, x[..., :3])), [x, i + 4]),
        Case("index-fill", lambda x, i: (x.index_fill(1, i, 7.0), x.index_fill(0, i, x[0, 0, 0])), [x, i]),
        Case("mask", lambda x, i: put(lambda _: x > 0, 0.5)(x, i), [x, i]),  # type: ignore[operator]
        Case("masked-rows-set", lambda x, i: put(lambda _: x[:, 0, 0] > 0, lambda x: x[0])(x, i), [x, i]),  # type: ignore[operator]
        Case(
            "index-reduce",
            lambda x, i: tuple(
                x.index_reduce(1, i, x[:, :5], r, include_self=keep)
                for r in ("mean", "amax", "prod")
                for keep in (True, False)
            ),
            [x, repeated % 4],
        ),
        Case("masked-scatter", lambda x, y: x.masked_scatter(x > 0, y), [x, draw.floats(150)]),
        Case("masked-rows", lambda x, y: x.masked_scatter(x[0] > 0, y), [x, draw.floats(5, 5, 6)]),
    ]
    cases += [
        Case(
            f"dtype-{dtype}", lambda x, i: x.index_put((i,), x[[3, 1, 2]], accumulate=True), [draw.like(dtype, 4, 3), i]
        )
        for dtype in DTYPES
    ]
    check_cases("indexing", cases)


def test_scatter() -> None:
    draw = Inputs()
    reductions = ("sum", "prod", "mean", "amax", "amin")

    def reduce_all(x: torch.Tensor, g: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x.scatter_reduce(0, g, s, r, include_self=keep) for r in reductions for keep in (True, False))

    x, g, s = draw.floats(4, 5, 6), _positions(draw, 4, 3, 5, 2), draw.floats(3, 5, 4)
    once = torch.stack([draw.permutation(5) for _ in range(3)])
    cases = [
        Case("src", lambda x, i, s: x.scatter(1, i, s), [draw.floats(3, 5), once, draw.floats(3, 5)]),
        Case("value", lambda x, g: (x.scatter(0, g, 2.5), x.scatter(0, g, 2.0, reduce="multiply")), [x, g]),
        Case("add", lambda x, g, s: (x.scatter_add(0, g, s), x.scatter(0, g, s, reduce="add")), [x, g, s]),
        Case("reduce", reduce_all, [x, g, s]),
        Case("nothing", lambda x, g, s: (x.scatter(0, g[:0], s), x.scatter_add(0, g[:, :0], s)), [x, g, s]),
        Case(
            "scalars", lambda x, i: (x.scatter(0, i, x * 2), x.scatter_add(0, i, x)), [draw.floats(), torch.tensor(0)]
        ),
        Case("nan", reduce_all, [x, g, torch.where(s > 2, float("nan"), s)]),
    ]
    cases += [
        Case(f"reduce-{dtype}", reduce_all, [draw.like(dtype, 4, 5, 6), g, draw.like(dtype, 3, 5, 4)])
        for dtype in (torch.int64, torch.uint8, torch.int32)
    ]
    unique = torch.stack([draw.permutation(6) for _ in range(4)])
    cases += [
        Case(f"dtype-{dtype}", lambda x, i: x.scatter(1, i, x), [draw.like(dtype, 4, 6), unique])
        for dtype in (torch.float16, torch.bfloat16, torch.bool)
    ]
    check_cases("indexing", cases)


def test_symbolic_sizes() -> None:
    draw = Inputs()
    x, i = draw.floats(6, 5), _positions(draw, 6, 4)
    longer, more = draw.floats(11, 5), _positions(draw, 11, 9)
    both, put = {0: {0: "n"}, 1: {0: "m"}}, torch.ops.aten.index_put
    cases = [
        Case("reads", lambda x, i: (x[i], x.index_select(0, i), F.embedding(i, x)), [x, i], both, [longer, more]),
        Case("gather", lambda x, i: x.gather(0, i[:, None].expand(-1, 5)), [x, i], both, [longer, more]),
        Case(
            "writes",
            lambda x, i: (x.index_put((i,), x[i] + 1, accumulate=True), x.index_fill(0, i, 1.0)),
            [x, i],
            both,
            [longer, more],
        ),
        Case("scatter", lambda x, i: x.scatter_add(0, i[:, None].expand(-1, 5), x[i]), [x, i], both, [longer, more]),
        Case(
            "masks",
            lambda x, m, v: (x.index_put((m,), v), x.index_put((m,), v[0]), put(x.t(), (None, m), v[0, 0])),
            [x, torch.arange(6) % 2 == 0, draw.floats(3, 5)],
            {0: {0: "n"}, 1: {0: "n"}, 2: {0: "m"}},
            [longer, torch.arange(11) % 2 == 0, draw.floats(6, 5)],
        ),
    ]
    check_cases("indexing", cases)


class _EveryRead(torch.nn.Module):
    """One op per position tensor, so that one compiled program serves every fault."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor, places: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        columns = {name: place[:, None] for name, place in places.items()}
        return (
            x[places["index"]],
            x.index_put((places["index_put"],), x[:2]),
            x.index_select(0, places["index_select"]),
            x.gather(0, columns["gather"]),
            F.embedding(places["embedding"], x),
            F.one_hot(places["one_hot"], 4),
            x.scatter(0, columns["scatter"], 1.0),
            x.scatter_add(0, columns["scatter_add"], x),
            x.masked_scatter(mask, x[:2]),
        )


def test_positions_out_of_range_are_reported_at_run_time() -> None:
    x, mask = torch.arange(12.0).view(4, 3), torch.zeros(4, 3, dtype=torch.bool)
    names = ("index", "index_put", "index_select", "gather", "embedding", "one_hot", "scatter", "scatter_add")
    good = {name: torch.tensor([1, 3]) for name in names}
    module = _EveryRead()
    compiled = compile_to_test(torch.export.export(module, (x, mask, good)))

    def check_good() -> None:
        for got, expected in zip(compiled(x, mask, good), module(x, mask, good), strict=True):
            torch.testing.assert_close(got, expected)

    check_good()
    for name in names:
        for position in (4, 2**62, -5):
            with pytest.raises(RuntimeFailure, match=f"index-out-of-range: {name} "):
                compiled(x, mask, good | {name: torch.tensor([0, position])})
    with pytest.raises(RuntimeFailure, match="index-out-of-range: masked_scatter"):
        compiled(x, ~mask, good)
    check_good()


@pytest.mark.parametrize(
    ("function", "position"),
    [
        (lambda x, i: x[i], 4),
        (lambda x, i: x[i], -5),
        (lambda x, i: x.index_select(0, i), -1),
        (lambda x, i: x.gather(0, i[:, None]), 4),
        (lambda x, i: F.embedding(i, x), 4),
        (lambda x, i: x.scatter(0, i[:, None], 1.0), 4),
    ],
)
def test_numpy_semantics_refuse_what_torch_refuses(function: object, position: int) -> None:
    x, i = torch.ones(4, 3), torch.tensor([0, 1])
    module = import_cases([Case("range", function, [x, i])])  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        evaluate(module, [x.numpy(), np.array([0, position])])


def test_one_bfloat16_everywhere() -> None:
    # LLVM reads it once, and keeps it while the loop runs.
    draw = Inputs()
    x, value = draw.floats(5, 5, dtype=torch.bfloat16), draw.floats(dtype=torch.bfloat16)
    cases = [Case("fill", lambda x, i, value: x.index_fill(-1, i, value), [x, _positions(draw, 5, 5), value])]
    check_cases("indexing", cases)
