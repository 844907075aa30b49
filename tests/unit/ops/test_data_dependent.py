"""Ops whose results have sizes that depend on data, and programs that go on computing with such sizes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test
from harness.execution import DEVICE

import stepwell as sw
from stepwell.support.errors import ArgumentError, RuntimeFailure

NUMBERS = (torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8)


class _Module(torch.nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def _export(function: Callable[..., Any], *inputs: torch.Tensor, **options: Any) -> Any:
    return torch.export.export(_Module(function), inputs, **options)


def _masks(draw: Inputs, *shape: int) -> list[torch.Tensor]:
    return [draw.bools(*shape), torch.ones(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)]


def _loss_without_a_class(x: torch.Tensor, classes: torch.Tensor, ignored: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(x, classes, ignore_index=ignored.item())  # type: ignore[arg-type]


def test_choosing_elements() -> None:
    draw = Inputs()
    cases = []
    for number, mask in enumerate(_masks(draw, 5, 7)):
        x = draw.floats(5, 7)
        cases += [
            Case(f"nonzero {number}", lambda m: (m.nonzero(), *torch.where(m)), [mask]),
            Case(f"masked {number}", lambda x, m: (x[m], x.masked_select(m), x.masked_select(m[:, :1])), [x, mask]),
            Case(f"rows {number}", lambda x, m: x[m], [x, mask[:, 3]]),
            Case(f"columns {number}", lambda x, m: x[:, m], [x, mask[2]]),
        ]
    cases += [
        Case("dtypes", lambda *xs: tuple(x.nonzero() for x in xs), [draw.like(dtype, 9) for dtype in NUMBERS]),
        Case(
            "ranks",
            lambda x, y, z: (x.nonzero(), y.nonzero(), z.nonzero()),
            [draw.floats(), draw.floats(0, 3), draw.bools(2, 3, 4)],
        ),
        Case(
            "static", lambda m: (m.nonzero_static(size=20), m.nonzero_static(size=2, fill_value=7)), [draw.bools(3, 4)]
        ),
        Case("inner mask", lambda x, m: x[:, m], [draw.floats(2, 3, 4), draw.bools(3, 4)]),
    ]
    check_cases("indexing", cases)


def test_many_elements_are_counted_in_blocks() -> None:
    x = Inputs().floats(3, 5000)
    check_cases("indexing", [Case("blocks", lambda x: (x[x > 1], (x > 0.5).nonzero()), [x])])


def test_writing_under_masks() -> None:
    draw = Inputs()
    cases = []
    for number, mask in enumerate(_masks(draw, 4, 6)):
        x, v = draw.floats(4, 6), draw.floats(6)
        cases += [
            Case(f"same {number}", lambda x, m: x.index_put((m,), x[m] * 2), [x, mask]),
            Case(f"added {number}", lambda x, m: x.index_put((m,), x[m] * 2, accumulate=True), [x, mask]),
            Case(
                f"rows {number}", lambda x, m, v: (x.index_put((m,), v), x.index_put((m,), v, True)), [x, mask[:, 1], v]
            ),
            Case(f"one {number}", lambda x, m, v: x.index_put((m,), v[:1]), [x, mask, v]),
        ]
    check_cases("indexing", cases)


def test_repeating_and_counting() -> None:
    draw = Inputs()
    x, repeats = draw.floats(3, 4), torch.tensor([2, 0, 3])
    cases = [
        Case("repeat", lambda x, r: (x.repeat_interleave(r, 0), torch.repeat_interleave(r)), [x, repeats]),
        Case("int32", lambda x, r: x.repeat_interleave(r, 1), [x, torch.tensor([0, 0, 1, 2], dtype=torch.int32)]),
        Case("nothing", lambda x, r: x.repeat_interleave(r, 0), [x, torch.zeros(3, dtype=torch.int64)]),
        Case("known", lambda x, r: x.repeat_interleave(r, 0, output_size=5), [x, repeats]),
        Case(
            "bincount",
            lambda n, w: (n.bincount(), n.bincount(minlength=9), n.bincount(w)),
            [draw.integers(11, low=0, high=5), draw.floats(11)],
        ),
        Case("no numbers", lambda n: (n.bincount(), n.bincount(minlength=2)), [torch.zeros(0, dtype=torch.int64)]),
    ]
    check_cases("indexing", cases)


def _unique(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (*torch.unique(x, return_inverse=True, return_counts=True), torch.unique(x))


def _consecutive(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (*torch.unique_consecutive(x, return_inverse=True, return_counts=True), torch.unique_consecutive(x))


def test_unique() -> None:
    draw = Inputs()
    cases = []
    for dtype in NUMBERS:
        x = draw.integers(4, 5, low=0, high=4).to(dtype)
        cases += [Case(f"unique {dtype}", _unique, [x]), Case(f"consecutive {dtype}", _consecutive, [x])]
    for name, x in {
        "bools": draw.bools(9),
        "equal": torch.ones(6),
        "one": torch.ones(1),
        "none": torch.ones(0),
    }.items():
        cases += [Case(f"unique {name}", _unique, [x]), Case(f"consecutive {name}", _consecutive, [x])]
    nans = torch.tensor([1.0, float("nan"), 0.0, 1.0, float("nan")])
    cases.append(Case("nans", _unique, [nans]))
    check_cases("ordering", cases)


def test_unique_rows() -> None:
    draw = Inputs()
    x = draw.integers(7, 3, low=0, high=2)
    options = {"return_inverse": True, "return_counts": True}

    def both(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            *torch.unique(x, dim=0, **options),
            *torch.unique_consecutive(x, dim=1, **options),
            torch.unique_consecutive(x, dim=-1),
        )

    cases = [Case("rows", both, [x]), Case("columns", lambda x: torch.unique(x, dim=1), [x.float()])]
    cases.append(Case("vector", lambda x: torch.unique(x, dim=0, **options), [x[:, 0]]))
    long = draw.integers(9, 5, 40, low=0, high=2)[[0, 1, 2, 1, 3, 0, 4, 5, 4]]
    cases.append(Case("long-rows", lambda x: torch.unique(x, dim=0, **options), [long]))
    wider = draw.integers(30, 6, low=0, high=2)
    sizes = {0: {0: "rows", 1: "columns"}}
    cases.append(Case("symbolic", lambda x: torch.unique(x, dim=0, **options), [wider[:9, :5].clone()], sizes, [wider]))
    check_cases("ordering", cases)


def test_computing_with_sizes_that_are_read() -> None:
    draw = Inputs()

    def compute(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
        kept, picked = x[x[:, 0] > 0], w.masked_select(w > 0)
        scores = torch.softmax(kept @ w, dim=-1)
        unique = torch.unique((picked * 3).to(torch.int64))
        return (
            kept.sum(0),
            scores,
            torch.cat([picked, picked]),
            picked.softmax(0),
            unique,
            torch.outer(picked, kept[:, 0]),
        )

    x, w = draw.floats(9, 5), draw.floats(5, 6)
    others = [x, -x.abs(), x.abs()]
    cases = [Case(f"mixture {number}", compute, [each, w]) for number, each in enumerate(others)]
    check_cases("contraction", cases)


def test_dynamic_sizes_beside_sizes_that_are_read() -> None:
    draw = Inputs()

    def compute(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        kept = x[x > 0]
        return kept, kept.sort().values, (x > 0).nonzero(), torch.unique(x.round())

    cases = [Case("batch", compute, [draw.floats(6, 4)], dynamic={0: {0: "n"}}, others=[draw.floats(11, 4)])]
    check_cases("ordering", cases)


def test_numbers() -> None:
    draw = Inputs()
    x = draw.floats(8, 3)
    cases = [
        Case(
            "value",
            lambda x, n, f: (x * n.item(), x + f.item(), x - n.item() * f.item()),
            [x, torch.tensor(3), torch.tensor(2.5)],
        ),
        Case(
            "written",
            lambda x, f: (
                x.scatter(0, torch.tensor([[1, 2]]), f.item()),
                x.scatter(1, torch.tensor([[1], [2]]), f.item(), reduce="add"),
            ),
            [x, torch.tensor(0.75)],
        ),
        Case("around", lambda x, f: torch.constant_pad_nd(x, (1, 2, -1, 3), f.item()), [x, torch.tensor(0.75)]),
        Case("flag", lambda b: torch.full((3,), b.item()), [torch.tensor(True)]),
        Case("size", lambda x, n: (x[: n.item()], x[n.item() :], x[-n.item() :]), [x, torch.tensor(5)]),
        Case("negative", lambda x, n: (x[: n.item()], x[n.item() :]), [x, torch.tensor(-3)]),
        Case("too far", lambda x, n: (x[: n.item()], x[n.item() :]), [x, torch.tensor(100)]),
        Case("narrow", lambda x, a, n: x.narrow(0, a.item(), n.item()), [x, torch.tensor(2), torch.tensor(4)]),
        Case("arange", lambda n: torch.arange(n.item()), [torch.tensor(7)]),
        Case("row", lambda x, n: x[n.item()], [x, torch.tensor(2)]),
        Case("top", lambda x, n: x[:, 0].topk(n.item())[0], [x, torch.tensor(4)]),
        Case("repeats", lambda x, n: (x.repeat(n.item(), 2), torch.roll(x, n.item(), 0)), [x, torch.tensor(3)]),
        Case("view", lambda x, n: torch.ops.aten._unsafe_view(x, [n.item(), -1]), [x[:6], torch.tensor(3)]),
        Case("bins", lambda x, n: torch.bincount(x, minlength=n.item()), [torch.arange(4), torch.tensor(9)]),
        # Calls that are decomposed one by one take the number, or compute a size of it.
        Case("band", lambda x, n: (x.tril(n.item()), x.triu(n.item())), [x, torch.tensor(-1)]),
        Case("parts", lambda x, n: torch.tensor_split(x, [n.item(), n.item() + 2]), [x, torch.tensor(3)]),
        Case("classes", _loss_without_a_class, [x, draw.integers(x.shape[0], low=0, high=2), torch.tensor(1)]),
        Case("slope", lambda x, f: torch.nn.functional.softplus(x, f.item()), [x, torch.tensor(0.3)]),
        Case("split", lambda x, n: tuple(x.split(n.tolist())), [x, torch.tensor([3, 0, 5])]),
    ]
    check_cases("elementwise", cases)


def test_numbers_are_returned_as_python_numbers() -> None:
    def numbers(x: torch.Tensor, n: torch.Tensor, f: torch.Tensor, b: torch.Tensor) -> Any:
        return n.item(), f.item(), b.item(), x[x > 0].shape[0] + 1

    inputs = (torch.tensor([1.0, -1.0, 2.0]), torch.tensor(3), torch.tensor(2.5), torch.tensor(True))
    found = compile_to_test(_export(numbers, *inputs))(*inputs)
    assert found == (3, 2.5, True, 3)
    assert list(map(type, found)) == [int, float, bool, int]


def _checked(x: torch.Tensor, n: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    k = n.item()
    torch._check(k >= 2)
    torch._check(k <= x.shape[0])
    torch._check(f.item() < 10.0)
    return x[:k] * f.item()


def test_checks() -> None:
    x, two, one = torch.arange(6.0), torch.tensor(2), torch.tensor(1.0)
    executable = compile_to_test(_export(_checked, x, two, one))
    assert torch.equal(executable(x, torch.tensor(5), one), x[:5])
    line = rf"{Path(__file__).name}:\d+"
    with pytest.raises(RuntimeFailure, match=rf"size 'u0' must be at least 2, got 1 \(from .*{line}\)"):
        executable(x, torch.tensor(1), one)
    with pytest.raises(RuntimeFailure, match=rf"size 'u0' must be at most 6, got 7 \(from .*{line}\)"):
        executable(x, torch.tensor(7), one)
    with pytest.raises(RuntimeFailure, match=rf"zuf0 < 10.0 \({line}\) does not hold"):
        executable(x, two, torch.tensor(11.0))
    # A failure leaves nothing behind.
    assert torch.equal(executable(x, two, one), x[:2])


def test_checks_of_several_sizes() -> None:
    x, sizes = torch.arange(8.0), torch.tensor([3, 5])
    executable = compile_to_test(_export(lambda x, n: tuple(x.split(n.tolist())), x, sizes))
    assert [part.shape[0] for part in executable(x, torch.tensor([8, 0]))] == [8, 0]
    with pytest.raises(RuntimeFailure, match=r"Eq\(u0 \+ u1, 8\) \(.*\) does not hold: u0 = 3, u1 = 4"):
        executable(x, torch.tensor([3, 4]))


def test_negative_repeats_are_refused() -> None:
    inputs = torch.arange(3.0), torch.tensor([1, 0, 2])
    executable = compile_to_test(_export(lambda x, r: x.repeat_interleave(r), *inputs))
    with pytest.raises(RuntimeFailure, match="must be at least 0, got -1"):
        executable(inputs[0], torch.tensor([3, -1, 2]))


def test_out_takes_sizes_that_are_read() -> None:
    x = torch.tensor([1.0, -1.0, 2.0])
    executable = compile_to_test(_export(lambda x: x[x > 0] * 2, x))
    out = torch.empty(2)
    assert executable(x, out=out) is out
    assert torch.equal(out, torch.tensor([2.0, 4.0]))
    with pytest.raises(ArgumentError, match="'out' must be a contiguous float32 tensor of shape"):
        executable(x, out=torch.empty(3))


def test_artifact_and_threads(tmp_path: Path) -> None:
    x = Inputs().floats(40, 6)
    exported = _export(
        lambda x: (x[x[:, 0] > 0] @ x.t(), torch.unique(x.round())),
        x,
        dynamic_shapes=({0: torch.export.Dim("n")},) if False else None,
    )
    executable = compile_to_test(exported)
    executable.save(tmp_path / "program.swx")
    loaded = sw.load(tmp_path / "program.swx", device=DEVICE)
    assert loaded.plan == executable.plan
    inputs = [x * (1 if number % 2 else -1) for number in range(8)]
    wanted = [exported.module()(each) for each in inputs]
    faults: list[str] = []

    def run(number: int) -> None:
        for _ in range(5):
            for got, want in zip(loaded(inputs[number]), wanted[number], strict=True):
                if got.shape != want.shape or not torch.allclose(got, want, rtol=1e-4, atol=1e-5):
                    faults.append(f"input {number}: {got} is not {want}")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[0]


def test_every_pass_keeps_the_results() -> None:
    def compute(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        k = n.item()
        torch._check(k >= 0)
        torch._check(k <= 3)
        return x[:k].exp().sum(0)

    inputs = torch.ones(3, 2), torch.tensor(1)
    sw.compile(_export(compute, *inputs), pipeline="zero", check="each-pass")


def test_simulated_gpu() -> None:
    draw = Inputs()
    cases = [
        Case(
            "sim",
            lambda x: (x[x > 0], (x > 0).nonzero(), torch.unique(x.round()), x[x[:, 0] > 0].sum(0)),
            [draw.floats(6, 4)],
        ),
        Case("item", lambda x, n: x[: n.item()] * n.item(), [draw.floats(6, 4), torch.tensor(3)]),
    ]
    check_cases("ordering", cases, device="sim", third_opinion=False)
