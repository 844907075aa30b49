"""Branches and loops: calls by the host of functions that are lowered as ``@main`` is."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.control import CondOp, ScanOp, WhileLoopOp, callees, given_symbols
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.dialects.plan import BranchOp, LoopOp
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


@lowers(CondOp)
def lower_cond(build: Builder, op: Any, predicate: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    metas = _result_metas(op)
    made = BranchOp(
        predicate=predicate.value,
        inputs=[tensor.value for tensor in inputs],
        sizes=_sizes(build, op),
        then=op.then,
        otherwise=op.otherwise,
        result_sizes=_size_texts(metas),
        outputs=[build.type_of(meta) for meta in metas],
    )
    return _results(made, metas)


@lowers(WhileLoopOp)
def lower_while_loop(build: Builder, op: Any, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    none = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 0)
    return _loop(build, op, inputs, condition=op.condition, scanned=none)


@lowers(ScanOp)
def lower_scan(build: Builder, op: Any, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    trips = inputs[op.carried.value].meta.shape[0]
    return _loop(build, op, inputs, trips=ir.StringAttr.get(str(trips)), scanned=op.scanned)


def _loop(build: Builder, op: Any, inputs: Sequence[Tensor], **fields: Any) -> tuple[Tensor, ...]:
    metas = _result_metas(op)
    made = LoopOp(
        inputs=[tensor.value for tensor in inputs],
        sizes=_sizes(build, op),
        body=op.body,
        carried=op.carried,
        result_sizes=_size_texts(metas),
        outputs=[build.type_of(meta) for meta in metas],
        **fields,
    )
    return _results(made, metas)


def _result_metas(op: Any) -> list[TensorMeta]:
    return [meta_of(value) for value in op.operation.results]


def _sizes(build: Builder, op: Any) -> list[Any]:
    """Return the sizes that the called functions take, those of the first one first."""
    names = [name for function in callees(op) for name in given_symbols(function)]
    return [build.size(Expr.symbol(name)) for name in names]


def _size_texts(metas: Sequence[TensorMeta]) -> Any:
    return ir.ArrayAttr.get(
        [ir.ArrayAttr.get([ir.StringAttr.get(str(s)) for s in meta.shape if not s.is_constant]) for meta in metas]
    )


def _results(made: Any, metas: Sequence[TensorMeta]) -> tuple[Tensor, ...]:
    return tuple(Tensor(value, meta) for value, meta in zip(made.operation.results, metas, strict=True))
