"""check="each-pass" names the pass that breaks a program, at whatever stage it works."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.backends.checking.comparison import difference
from stepwell.backends.checking.inputs import input_sets
from stepwell.passes.base import Pass, register_pass
from stepwell.passes.pipelines import Pipeline
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import InvalidOptionError, PassFailure
from stepwell.support.signature import ArgumentSpec, Signature, SymbolSpec
from stepwell.support.size_guard import SizeGuard
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr


def replace_first(root: Any, old: str, new: str) -> None:
    """Replace the first op called ``old`` by one called ``new`` with the same operands and type."""
    found: list[Any] = []

    def visit(op: Any) -> Any:
        if op.name == old:
            found.append(op)
        return ir.WalkResult.ADVANCE

    root.operation.walk(visit)
    for op in found[:1]:
        with op.location, ir.InsertionPoint(op):
            made = ir.Operation.create(new, [r.type for r in op.results], list(op.operands))
        op.results[0].replace_all_uses_with(made.results[0])
        op.erase()


@register_pass
@dataclass(frozen=True)
class TestBreakGraphPass(Pass):
    """Turns an addition of the graph dialect into a subtraction."""

    __test__ = False
    name: ClassVar[str] = "test-break-graph"
    summary: ClassVar[str] = "break a program at stage graph"

    def apply(self, op: Any) -> None:
        """Break it."""
        replace_first(op, "graph.add", "graph.sub")


@register_pass
@dataclass(frozen=True)
class TestBreakScalarsPass(Pass):
    """Turns a floating-point maximum into one that drops NaN, at any stage below."""

    __test__ = False
    name: ClassVar[str] = "test-break-scalars"
    summary: ClassVar[str] = "lose NaN in a maximum"

    def apply(self, op: Any) -> None:
        """Break it."""
        replace_first(op, "arith.maximumf", "arith.maxnumf")


class Small(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        # The sum is a 0-d tensor between kernels; where it is NaN it changes nothing.
        return torch.where(y.sum() > 1e9, x, torch.amax(x + y, -1, keepdim=True) + torch.sigmoid(x))


class Relu(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)


@pytest.fixture(scope="module")
def program() -> Any:
    example = (torch.randn(4, 6), torch.randn(4, 6))
    return torch.export.export(Small(), example, dynamic_shapes=({0: torch.export.Dim("n")},) * 2)


def compile_checked(program: Any, pipeline: Any) -> Any:
    return sw.compile(program, pipeline=pipeline, check="each-pass", progress=False)


def test_good_passes_pass(program: Any) -> None:
    executable = compile_checked(program, "default")
    x, y = torch.randn(3, 6), torch.randn(3, 6)
    torch.testing.assert_close(executable(x, y), Small()(x, y))


def test_names_a_pass_that_breaks_the_graph(program: Any) -> None:
    pipeline = Pipeline.named("default").insert_after("graph-cse", "test-break-graph")
    with pytest.raises(
        PassFailure, match="pass 'test-break-graph' changes the results of the program on random values"
    ):
        compile_checked(program, pipeline)


def test_the_lowering_itself_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwell.passes.conversion.convert_graph_to_linalg import ConvertGraphToLinalgPass

    convert = ConvertGraphToLinalgPass.apply

    def break_after(self: Any, op: Any) -> None:
        convert(self, op)
        replace_first(op, "arith.addf", "arith.subf")

    monkeypatch.setattr(ConvertGraphToLinalgPass, "apply", break_after)
    static = torch.export.export(Small(), (torch.randn(4, 6), torch.randn(4, 6)))
    with pytest.raises(PassFailure, match="pass 'convert-graph-to-linalg' changes the results of the program"):
        compile_checked(static, "default")


def test_names_a_pass_that_breaks_tensors_only_for_nan(program: Any) -> None:
    pipeline = Pipeline.named("default").insert_after("verify-linalg", "test-break-scalars")
    with pytest.raises(PassFailure, match="pass 'test-break-scalars' changes the results of the program on NaN"):
        compile_checked(program, pipeline)


def test_names_a_pass_that_breaks_a_scheduled_kernel(program: Any) -> None:
    pipeline = Pipeline.named("default").insert_after("lower-asserts", "test-break-scalars")
    with pytest.raises(PassFailure, match="pass 'test-break-scalars' changes the results of kernel"):
        compile_checked(program, pipeline)


@pytest.mark.parametrize("behind", ["verify-scheduled", "gpu-outline-launches"])
def test_names_a_pass_that_breaks_a_kernel_for_a_gpu(behind: str) -> None:
    program = torch.export.export(Relu(), (torch.randn(8, 6),))
    pipeline = Pipeline.named("default", target="cuda:sm_80").insert_after(behind, "test-break-scalars")
    with pytest.raises(PassFailure, match=r"pass 'test-break-scalars' changes the results of kernel '\w+' on what .*"):
        sw.compile(program, target="cuda:sm_80", device="sim", pipeline=pipeline, check="each-pass")


def test_unknown_checks_are_refused(program: Any) -> None:
    with pytest.raises(InvalidOptionError, match="unknown check 'every-pass'"):
        sw.compile(program, check="every-pass")


def signature(
    *specs: ArgumentSpec, symbols: tuple[SymbolSpec, ...] = (), guards: tuple[SizeGuard, ...] = ()
) -> Signature:
    return Signature(specs, (), Structure.leaf(0), Structure.leaf(0), symbols, guards)


def test_inputs_take_allowed_sizes_and_special_values() -> None:
    size = Expr.symbol("s0")
    specs = (
        ArgumentSpec("x", "user", DType.FLOAT32, (size, Expr.const(64))),
        ArgumentSpec("i", "user", DType.INT64, (Expr.const(64),)),
        ArgumentSpec("w", "parameter", DType.FLOAT32, (Expr.const(2),)),
    )
    weight = np.array([3.0, 4.0], np.float32)
    sets = input_sets(signature(*specs, symbols=(SymbolSpec("s0", 0, 0, minimum=1, divisor=2),)), {"w": weight})
    assert [s.arrays[0].shape[0] for s in sets] == [6, 2, 6]
    adversarial = sets[-1].arrays
    assert np.isnan(adversarial[0]).any()
    assert (adversarial[1] < 0).any()
    assert all((s.arrays[2] == weight).all() for s in sets)


def guarded(guard: SizeGuard) -> Signature:
    """Return the signature of ``f(x: (s0,), y: (s1,))``."""
    names = ("s0", "s1")
    specs = [ArgumentSpec(f"x{name}", "user", DType.FLOAT32, (Expr.symbol(name),)) for name in names]
    return signature(*specs, symbols=tuple(SymbolSpec(n, i, 0) for i, n in enumerate(names)), guards=(guard,))


def test_inputs_satisfy_the_guards() -> None:
    s0, s1 = Expr.symbol("s0"), Expr.symbol("s1")
    sets = input_sets(guarded(SizeGuard(s0 * s1 - s0, minimum=2)), {})
    assert [tuple(array.shape[0] for array in s.arrays) for s in sets] == [(5, 5), (1, 3), (5, 5)]
    sets = input_sets(guarded(SizeGuard(s0 - s1, minimum=7, maximum=7)), {})
    assert all(s.arrays[0].shape[0] == s.arrays[1].shape[0] + 7 for s in sets)


def test_guards_that_no_small_size_satisfies() -> None:
    message = "no small sizes satisfy what the program asks of its sizes: the size"
    with pytest.raises(PassFailure, match=message):
        input_sets(guarded(SizeGuard(Expr.symbol("s0"), minimum=10**6, text="the size")), {})


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ([1.0, 2.0], [1.0, 2.0], ""),
        ([1.0, 2.0], [1.0 + 1e-5, 2.0], ""),
        ([1.0, 2.0], [1.0, 2.1], "result 0 at [1] was 2.0 and became 2.1"),
        ([np.nan, 1.0], [np.nan, 1.0], ""),
        ([np.nan, 1.0], [0.0, 1.0], "result 0 at [0] was nan"),
        ([np.inf, 1.0], [-np.inf, 1.0], "result 0 at [0] was inf"),
        ([1e-9, 1.0], [0.0, 1.0], ""),
    ],
)
def test_comparison(old: list[float], new: list[float], phrase: str) -> None:
    found = difference([np.array(old)], [np.array(new)], 256.0, 2.0**-24)
    assert found.startswith(phrase)
    assert bool(found) == bool(phrase)


def test_comparison_of_integers_and_shapes() -> None:
    assert difference([np.array([1, 2])], [np.array([1, 2])], 256.0, 2.0**-24) == ""
    assert "was 2 and became 3" in difference([np.array([1, 2])], [np.array([1, 3])], 256.0, 2.0**-24)
    assert "was int64[2] and became int64[3]" in difference([np.zeros(2, int)], [np.zeros(3, int)], 256.0, 1e-7)
    assert difference([], [np.zeros(3)], 256.0, 1e-7) == "0 results became 1"
