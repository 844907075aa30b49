"""Branches and loops of exported programs: what they compute, on several devices, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._higher_order_ops.map import map as map_along
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch.export import Dim
from torch.utils import _pytree as pytree

import stepwell as sw
from stepwell.frontends.torch import from_exported_program
from stepwell.support.errors import InvalidOptionError, RuntimeFailure, UnsupportedOpError


def same(got: Any, want: Any) -> None:
    """Compare two nests of tensors and numbers."""
    got_leaves, want_leaves = pytree.tree_leaves(got), pytree.tree_leaves(want)
    assert len(got_leaves) == len(want_leaves)
    for mine, theirs in zip(got_leaves, want_leaves, strict=True):
        if isinstance(theirs, torch.Tensor):
            assert mine.dtype == theirs.dtype
            torch.testing.assert_close(mine, theirs, rtol=2e-5, atol=2e-5)
        else:
            assert mine == theirs


class Branches(torch.nn.Module):
    """Branches of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.second = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, flag: torch.Tensor) -> Any:
        def then(x: torch.Tensor) -> Any:
            # A parameter, a size, an input as it is, a constant, one value twice, another dtype.
            y = self.first(x).relu() * x.shape[0]
            return y, x.clone(), torch.ones(3), y + 0, (x > 0), 3

        def otherwise(x: torch.Tensor) -> Any:
            y = torch.nn.functional.layer_norm(self.second(x), (4,))
            return y, x * 2, x[0, :3] + 2, y.flip(0), (x < 0), 5

        one = torch.cond(x.sum() > 0, then, otherwise, (x,))
        # A predicate of one element, no operands but what is caught.
        (two,) = torch.cond(flag, lambda: (x * x,), lambda: (x + 1,), ())
        # A predicate of sizes; results whose sizes differ.
        three = torch.cond(x.shape[0] > 4, lambda x: x + 1, lambda x: x * 2, (x,))
        four = torch.cond(flag, lambda x: x[:2].clone(), lambda x: x[1:] * 2, (x,))
        return one, two, three, four * 2, one[5]


class Loops(torch.nn.Module):
    """Loops of all kinds, and in each other."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, n: torch.Tensor, h: torch.Tensor, x: torch.Tensor) -> Any:
        counted = while_loop(
            lambda i, v: i < n, lambda i, v: (i + 1, torch.nn.functional.layer_norm(v * 2, (4,)) + i), (n * 0, x)
        )
        fibonacci = while_loop(lambda i, a, b: i < 7, lambda i, a, b: (i + 1, b + 0, a + b), (0, x, x + 1))

        def step(h: torch.Tensor, row: Any) -> Any:
            h = torch.tanh(self.linear(h) + row["a"])
            return h, {"out": h * 2, "sum": row["b"].sum() + h.sum()}

        rows = {"a": x, "b": x.to(torch.float64)}
        forward = scan(step, h, rows)
        backward = scan(step, h, rows, reverse=True)

        def settle(h: torch.Tensor, row: torch.Tensor) -> Any:
            def body(i: torch.Tensor, v: torch.Tensor) -> Any:
                half = torch.cond(v.sum() > 1, lambda v: v * 0.5, lambda v: self.linear(v) - 1, (v,))
                return i + 1, half

            i, v = while_loop(
                lambda i, v: (i < 3) & (v.sum() < 10), body, (torch.zeros((), dtype=torch.int64), h + row)
            )
            return v, v + i

        nested = scan(settle, h, x)
        mapped = map_along(lambda row, h: (row + h, row.sum()), x, h)
        return counted, fibonacci, forward, backward, nested, mapped


@pytest.fixture(scope="module")
def branches() -> tuple[Any, sw.Executable]:
    torch.manual_seed(0)
    model = Branches().eval()
    shapes = {"x": {0: Dim("b", min=3)}, "flag": None}
    program = torch.export.export(model, (torch.randn(5, 4), torch.tensor([True])), dynamic_shapes=shapes)
    return model, sw.compile(program)


@pytest.fixture(scope="module")
def loops() -> tuple[Any, sw.Executable]:
    torch.manual_seed(0)
    # Torch does not export a scan that would need gradients.
    model = Loops().eval().requires_grad_(False)
    shapes = {"n": None, "h": None, "x": {0: Dim("b")}}
    arguments = torch.tensor(3), torch.randn(4), torch.randn(5, 4)
    return model, sw.compile(torch.export.export(model, arguments, dynamic_shapes=shapes))


def test_branches(branches: tuple[Any, sw.Executable]) -> None:
    model, exe = branches
    for rows in (3, 4, 5, 9):
        for sign in (1, -1):
            for flag in (True, False):
                x = sign * torch.rand(rows, 4)
                same(exe(x, torch.tensor([flag])), model(x, torch.tensor([flag])))


def test_loops(loops: tuple[Any, sw.Executable]) -> None:
    model, exe = loops
    for rows, n in ((1, 0), (2, 1), (5, 2), (8, 5)):
        arguments = torch.tensor(n), torch.randn(4), torch.randn(rows, 4)
        with torch.no_grad():
            same(exe(*arguments), model(*arguments))


def test_no_rounds(loops: tuple[Any, sw.Executable]) -> None:
    _, exe = loops
    h = torch.randn(4)
    counted, fibonacci, forward, _, nested, mapped = exe(torch.tensor(0), h, torch.empty(0, 4))
    assert counted[1].shape == fibonacci[1].shape == nested[1].shape == mapped[0].shape == (0, 4)
    assert forward[1]["out"].shape == (0, 4)
    assert forward[1]["sum"].shape == (0,)
    same((counted[0], fibonacci[0], forward[0], nested[0]), (torch.tensor(0), 7, h, h))


def test_threads(loops: tuple[Any, sw.Executable]) -> None:
    model, exe = loops
    cases = [(torch.tensor(n % 4), torch.randn(4), torch.randn(n + 1, 4)) for n in range(12)]
    with torch.no_grad():
        wanted = [model(*case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        for got, want in zip(pool.map(lambda case: exe(*case), cases * 3), wanted * 3, strict=True):
            same(got, want)


def test_artifact(branches: tuple[Any, sw.Executable], loops: tuple[Any, sw.Executable], tmp_path: Path) -> None:
    for (_, exe), arguments in (
        (branches, (torch.randn(4, 4), torch.tensor([False]))),
        (loops, (torch.tensor(2), torch.randn(4), torch.randn(3, 4))),
    ):
        exe.save(tmp_path / "program.swx")
        loaded = sw.load(tmp_path / "program.swx")
        assert loaded.plan == exe.plan
        same(loaded(*arguments), exe(*arguments))


def test_what_a_program_tells(branches: tuple[Any, sw.Executable], loops: tuple[Any, sw.Executable]) -> None:
    _, exe = branches
    assert "layer_norm" in exe.explain()
    assert "prepare" in exe.explain()
    assert "func.func @main_cond_true" in exe.ir("graph")
    assert "plan.branch" in exe.ir("kernels")
    report = exe.profile(torch.ones(4, 4), torch.tensor([True]), repeat=2)
    measured = {source for launch in report.launches if launch.seconds is not None for source in launch.source}
    idle = {source for launch in report.launches if launch.seconds is None for source in launch.source}
    assert any("relu" in source for source in measured)
    assert any("layer_norm" in source for source in idle)
    _, exe = loops
    report = exe.profile(torch.tensor(2), torch.ones(4), torch.ones(6, 4), repeat=1)
    assert all(launch.seconds is not None for launch in report.launches if "tanh" in " ".join(launch.source))


class Heavy(torch.nn.Module):
    """A weight that a branch wants in panels."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: self.linear(x).relu(), lambda x: x * 2, (x,))


def test_constants_of_bodies_are_prepared() -> None:
    program = torch.export.export(Heavy(), (torch.randn(64, 64),))
    text = str(sw.lower(program, target="cpu:x86-64-v3", to="kernels"))
    prepare = text.partition("func.func @prepare(")[2].partition("func.func")[0]
    assert prepare.startswith("%arg0: tensor<64x64xf32> {stepwell.argument = ")
    assert "plan.prepared" in text.partition("func.func @main_cond_true")[2].partition("func.func")[0]


class Take(torch.nn.Module):
    """A branch that fails where an index is out of range."""

    def forward(self, flag: torch.Tensor, index: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return torch.cond(flag, lambda i, t: t[i] + 0, lambda i, t: t[0:1] + i, (index, table))


def test_only_one_branch_runs() -> None:
    arguments = torch.tensor(True), torch.tensor([1]), torch.randn(3, 4)
    exe = sw.compile(torch.export.export(Take(), arguments))
    same(exe(*arguments), Take()(*arguments))
    wrong = torch.tensor([7])
    same(exe(torch.tensor(False), wrong, arguments[2]), arguments[2][0:1] + 7)
    with pytest.raises(RuntimeFailure, match="index"):
        exe(torch.tensor(True), wrong, arguments[2])
    same(exe(*arguments), Take()(*arguments))


class Small(torch.nn.Module):
    """One step of each kind."""

    def forward(self, n: torch.Tensor, x: torch.Tensor) -> Any:
        halved = torch.cond(x.sum() > 0, lambda x: x * 0.5, lambda x: x - 1, (x,))
        i, v = while_loop(lambda i, v: i < n, lambda i, v: (i + 1, v * 2), (n * 0, halved))
        return i, scan(lambda h, row: (h + row, h * row), v[0] + 0, v)


@pytest.fixture(scope="module")
def small() -> Any:
    shapes = {"n": None, "x": {0: Dim("b")}}
    return torch.export.export(Small(), (torch.tensor(2), torch.randn(3, 4)), dynamic_shapes=shapes)


def test_on_a_simulated_gpu(small: Any) -> None:
    exe = sw.compile(small, target="cuda:sm_80", device="sim")
    for n, rows in ((0, 2), (3, 5)):
        arguments = torch.tensor(n), torch.randn(rows, 4)
        same(exe(*arguments), Small()(*arguments))


class Smallest(torch.nn.Module):
    """As few kernels as there can be."""

    def forward(self, flag: torch.Tensor, h: torch.Tensor, x: torch.Tensor) -> Any:
        start = torch.cond(flag, lambda h: h.clone(), lambda h: h * h, (h,))
        return scan(lambda h, row: (h * row, row.clone()), start, x)


def test_every_pass() -> None:
    arguments = torch.tensor(True), torch.randn(4), torch.randn(3, 4)
    exe = sw.compile(torch.export.export(Smallest(), arguments), check="each-pass")
    same(exe(*arguments), Smallest()(*arguments))


@pytest.mark.parametrize("to", ["linalg", "kernels", "scheduled", "target"])
def test_every_stage(small: Any, to: str) -> None:
    text = str(sw.lower(small, to=to))
    assert "main_scan_body" in text
    assert "graph." not in text.replace("stepwell.stage", "")


def test_semantics_of_the_graph_stage(rng: np.random.Generator) -> None:
    from stepwell.backends.checking.graph import is_static_graph, run_graph

    x = torch.tensor(rng.standard_normal((5, 4)).astype(np.float32))
    module = from_exported_program(torch.export.export(Small(), (torch.tensor(2), x)))
    main = module.operation.regions[0].blocks[0].operations[0]
    assert is_static_graph(main)
    want = pytree.tree_leaves(Small()(torch.tensor(2), x))
    for got, leaf in zip(run_graph(main, [np.array(2), x.numpy()]), want, strict=True):
        np.testing.assert_allclose(got, leaf.numpy(), rtol=1e-5, atol=1e-6)


class Refused(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def bad(x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(x).sum() + x

        return torch.cond(x.sum() > 0, bad, lambda x: torch.linalg.eigvalsh(x).sum() + x, (x,))  # refused


def test_unsupported_ops_in_branches_are_named() -> None:
    program = torch.export.export(Refused(), (torch.randn(4, 4),))
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith("# refused"))
    with pytest.raises(UnsupportedOpError, match="2 unsupported ops in 2 places") as caught:
        from_exported_program(program)
    assert "aten._linalg_svd" in caught.value.message
    assert "aten._linalg_eigh" in caught.value.message
    assert f"test_control_flow.py:{line}" in caught.value.message


def test_no_cuda_graph(small: Any) -> None:
    with pytest.raises(InvalidOptionError, match="no CUDA graphs"):
        sw.compile(small, target="cuda:sm_80", device="sim").cuda_graph(torch.tensor(1), torch.randn(2, 4))
