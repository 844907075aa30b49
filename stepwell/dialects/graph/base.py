"""What the ops of the graph dialect share: inference of result types, numpy semantics, checks.

An op family is one file.  An op declares its fields, its rule and its meaning::

    class NegOp(Unary, name="neg"):
        \"\"\"``-operand``.\"\"\"

        evaluate = staticmethod(np.negative)

``infer`` is the one home of the rule for shape and element type: the verifier, the builder ``create`` and the importer
(which compares it with torch's own metadata) all use it.  It sees any object with the op's fields as attributes.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from stepwell.dialects.definition import OperationBase, VerificationError
from stepwell.dialects.graph.dialect import Graph
from stepwell.dialects.graph.types import Shape, TensorMeta, meta_of, tensor_type
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

Tensor = ir.RankedTensorType


class GraphOperation(OperationBase, dialect=Graph):
    """Base of all graph ops."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Return shape and dtype of each result; raises ValueError with a reason phrase where the op is not valid."""
        raise NotImplementedError

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        """Compute the op on numpy arrays, one per operand; returns an array or a tuple of arrays."""
        raise NotImplementedError

    def verify_invariants(self) -> None:
        """Recompute the result types and compare; raises VerificationError."""
        try:
            expected = self.infer(self)
            found = tuple(meta_of(result) for result in self.operation.results)
        except ValueError as error:
            raise VerificationError(str(error)) from error
        if len(expected) != len(found):
            raise VerificationError(f"must have {len(expected)} results, got {len(found)}")
        for number, (want, got) in enumerate(zip(expected, found, strict=True)):
            if want != got:
                raise VerificationError(f"result {number} must be {want}, got {got}")

    @classmethod
    def create(cls, *args: Any, loc: Any = None, ip: Any = None, **kwargs: Any) -> Any:
        """Build the op with inferred result types; operands and attributes by position or name."""
        names = [field.name for field in cls.fields if field.kind in ("operand", "attribute")]
        if len(args) > len(names):
            raise TypeError(f"{cls.OPERATION_NAME} takes {', '.join(names)}; got {len(args)} positional values")
        values: dict[str, Any] = dict.fromkeys(names)
        values.update(zip(names, args, strict=False))
        values.update(kwargs)
        types = [tensor_type(meta) for meta in cls.infer(SimpleNamespace(**values))]
        results = cls.of_kind("result")
        if len(results) != len(types):
            raise TypeError(f"{cls.OPERATION_NAME} infers {len(types)} results and declares {len(results)}")
        return cls(**values, **{field.name: kind for field, kind in zip(results, types, strict=True)}, loc=loc, ip=ip)


def same_dtype(op: str, *metas: TensorMeta) -> DType:
    """Return the common element type; raises ValueError naming the op where they differ."""
    dtypes = {meta.dtype for meta in metas}
    if len(dtypes) != 1:
        raise ValueError(f"operands of '{op}' must have one dtype, got {', '.join(str(meta.dtype) for meta in metas)}")
    return dtypes.pop()


def normalize_dim(dim: int, rank: int) -> int:
    """Return ``dim`` counted from the front; raises ValueError where it is out of range (a 0-d tensor has dim 0)."""
    bound = max(rank, 1)
    if not -bound <= dim < bound:
        raise ValueError(f"dimension {dim} is out of range for rank {rank}")
    return dim % bound


def integers(attribute: Any) -> list[int]:
    """Return the values of a dense i64 array attribute."""
    return [int(value) for value in ir.DenseI64ArrayAttr(attribute)]


def sizes_attribute(sizes: Sequence[Expr | int]) -> "ir.ArrayAttr":
    """Return size expressions as an array attribute of texts; ``sizes_of`` reads it."""
    return ir.ArrayAttr.get([ir.StringAttr.get(str(size)) for size in sizes])


def sizes_of(attribute: Any) -> Shape:
    """Return the size expressions that ``sizes_attribute`` wrote."""
    return tuple(Expr.parse(ir.StringAttr(text).value) for text in ir.ArrayAttr(attribute))
