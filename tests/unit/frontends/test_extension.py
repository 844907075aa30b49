"""Ops of the user's own: converters for all imports and for one, tables of decompositions, ops with a lowering."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.dialects.definition import Operand, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor
from stepwell.dialects.graph.binary import SubOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.frontends.torch.compositions import COMPOSITIONS
from stepwell.frontends.torch.decompositions import decompositions_for
from stepwell.frontends.torch.registry import CONVERTERS, DEFAULT_RULES
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, lowers, result_meta
from stepwell.support.bindings import arith

lib = torch.library.Library("stepwell_tests", "DEF")
lib.define("twice_plus(Tensor x, Tensor y, float scale=1.0) -> Tensor")
lib.define("split_sign(Tensor x) -> (Tensor, Tensor)")
lib.impl("twice_plus", lambda x, y, scale=1.0: 2 * x + scale * y, "CompositeExplicitAutograd")
lib.impl("split_sign", lambda x: (x.relu(), (-x).relu()), "CompositeExplicitAutograd")


class Model(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = torch.ops.stepwell_tests.twice_plus(x, y, 0.5)
        low, high = torch.ops.stepwell_tests.split_sign(z)
        return low * high + low - high


def twice_plus(importer: Any, node: Any, x: Any, y: Any, scale: float = 1.0) -> Any:
    scaled = importer.emit(MulOp, y, importer.constant(scale, meta_of(y).dtype))
    return importer.emit(AddOp, importer.emit(AddOp, x, x), scaled)


class SplitSignOp(GraphOperation, name="stepwell_tests_split_sign"):
    """The positive and the negative part: an op of the user's own, with a lowering."""

    operand: Operand[Tensor]
    low: Result[Tensor]
    high: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        return meta_of(op.operand), meta_of(op.operand)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.maximum(arrays[0], 0), np.maximum(-arrays[0], 0)


@lowers(SplitSignOp)
def lower_split_sign(build: Builder, op: Any, operand: Any) -> Any:
    zero = lambda x: arith.constant(x.type, 0.0)  # noqa: E731
    low = build.pointwise(result_meta(op), [operand], lambda x: arith.maximumf(x, zero(x)))
    high = build.pointwise(result_meta(op), [operand], lambda x: arith.maximumf(arith.negf(x), zero(x)))
    return low, high


def split_sign(importer: Any, node: Any, x: Any) -> Any:
    return importer.emit(SplitSignOp, x)


@pytest.fixture
def registry() -> Iterator[None]:
    """Put the table of converters back after a test."""
    before = dict(CONVERTERS)
    yield
    CONVERTERS.clear()
    CONVERTERS.update(before)


@pytest.fixture(scope="module")
def program() -> Any:
    return torch.export.export(Model(), (torch.ones(3, 5), torch.ones(3, 5)))


def check(module: Any) -> None:
    x, y = torch.randn(3, 5), torch.randn(3, 5)
    torch.testing.assert_close(sw.compile(module)(x, y), Model()(x, y))


@pytest.mark.usefixtures("registry")
def test_registered_converters(program: Any) -> None:
    with pytest.raises(sw.errors.UnsupportedOpError, match=r"stepwell_tests\.split_sign\.default x1"):
        sw.from_exported_program(program)
    sw.register_converter("stepwell_tests::twice_plus")(twice_plus)
    sw.register_converter(torch.ops.stepwell_tests.split_sign.default)(split_sign)
    check(sw.from_exported_program(program))
    with pytest.raises(sw.errors.InvalidOptionError, match=r"'stepwell_tests\.twice_plus\.default' has a converter"):
        sw.register_converter("stepwell_tests::twice_plus.default")(twice_plus)
    sw.register_converter("stepwell_tests::twice_plus", replace=True)(twice_plus)


def test_converters_of_one_import(program: Any) -> None:
    own = {"stepwell_tests::twice_plus": twice_plus, "stepwell_tests::split_sign": split_sign}
    check(sw.from_exported_program(program, custom_converters=own))
    assert "stepwell_tests.twice_plus.default" not in CONVERTERS


def test_a_custom_converter_comes_before_ours() -> None:
    class Silu(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.silu(x)

    program = torch.export.export(Silu(), (torch.ones(4),))
    module = sw.from_exported_program(
        program, custom_converters={"aten::silu": lambda importer, node, x: importer.emit(SubOp, x, x)}
    )
    assert sw.compile(module)(torch.ones(4)).tolist() == [0.0] * 4


def test_a_table_of_decompositions(program: Any) -> None:
    table = sw.default_decompositions()
    table[torch.ops.stepwell_tests.twice_plus.default] = lambda x, y, scale=1.0: x + x + y * scale
    table[torch.ops.stepwell_tests.split_sign.default] = lambda x: (x.clamp(min=0), (-x).clamp(min=0))
    module = sw.from_exported_program(program, decompositions=table)
    assert "clamp" in str(module)
    check(module)


@pytest.mark.parametrize("name", ["twice", "a::b::c", "mylib::op.a.b", "", "a b::c"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(sw.errors.InvalidOptionError, match="names no op"):
        sw.register_converter(name)


def test_a_converter_that_breaks_is_named(program: Any) -> None:
    def broken(importer: Any, node: Any, x: Any) -> Any:
        raise RuntimeError("no such luck")

    own = {"stepwell_tests::twice_plus": twice_plus, "stepwell_tests::split_sign": broken}
    with pytest.raises(sw.errors.ImportProgramError, match=r"split_sign\.default' raised RuntimeError: no such"):
        sw.from_exported_program(program, custom_converters=own)


def test_a_converter_with_a_wrong_type_is_named(program: Any) -> None:
    own = {"stepwell_tests::twice_plus": twice_plus, "stepwell_tests::split_sign": lambda importer, node, x: x}
    with pytest.raises(sw.errors.ImportProgramError, match="split_sign"):
        sw.from_exported_program(program, custom_converters=own)


def test_ops_that_torch_learns_of_between_two_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    def thrice(x: torch.Tensor) -> torch.Tensor:
        return x * 3

    monkeypatch.setitem(COMPOSITIONS, "stepwell_tests.thrice.default", thrice)
    decompositions_for(DEFAULT_RULES)
    lib.define("thrice(Tensor x) -> Tensor")
    assert decompositions_for(DEFAULT_RULES)[torch.ops.stepwell_tests.thrice.default] is thrice
