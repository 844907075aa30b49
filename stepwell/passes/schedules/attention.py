"""What an attention is: two contractions with a softmax along the rows between them.

::

    scores  = contraction(query, key)                 over [batch..., rows, columns], depth = the width of a head
    masked  = pointwise(scores, ...)                  scaled, masked, biased: anything element by element
    highest = max over columns of masked
    powers  = exp(masked - highest)
    total   = sum over columns of powers
    weights = powers / total                          perhaps rounded
    output  = contraction(weights, value)             depth = columns

``find_attention`` recognises it from the last contraction upwards.  Rows that are masked altogether may be guarded:
``highest`` of minus infinity counts as 0 in the subtraction, and ``total`` of 0 gives weights of 0.
"""

import math
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.body_values import CASTS, scalar_number, starts_from, uncast
from stepwell.passes.schedules.contraction import match_product
from stepwell.passes.schedules.kernel import Kernel, Refusal, defining, indexing_maps, is_reduction, iterator_types
from stepwell.support.bindings import ir

MOST_WIDTH = 128
"""Elements of a head, at most: a thread keeps its part of a row of the output in registers."""

_EQUAL = 1


@dataclass(frozen=True)
class Attention:
    """The parts of an attention; ops are linalg.generic ops.

    Attributes:
        scores: the contraction of queries and keys.
        masked: the tensor that the softmax is taken of, made from the scores element by element.
        between: the pointwise ops from the scores to ``masked``.
        softmax: the other ops, up to the weights.
        weights: the left operand of ``output``.
        output: the contraction of weights and values.
        causal: whether column ``c`` of row ``r`` is masked where ``c > r``.
        guarded: whether rows that are masked altogether give zeros, and not NaN.
    """

    scores: Any
    masked: Any
    between: tuple[Any, ...]
    softmax: tuple[Any, ...]
    weights: Any
    output: Any
    causal: bool
    guarded: bool

    @property
    def ops(self) -> tuple[Any, ...]:
        """All ops, operands before users."""
        return (self.scores, *self.between, *self.softmax, self.output)


def find_attention(output: Any) -> Attention:
    """Return the attention that ends in contraction ``output``; raises Refusal."""
    match_product(output)
    _, weights = _left(output)
    softmax: list[Any] = []
    current = weights
    divided = _pointwise(current)
    while _is_cast(divided):
        softmax.append(divided)
        current = divided.operands[0]
        divided = _pointwise(current)
    powers, total, total_guarded = _quotient(divided)
    softmax.append(divided)
    sums = _row_reduction(total, "arith.addf", 0.0)
    if sums.operands[0] != powers:
        raise Refusal("the sum is not of the powers")
    softmax.append(sums)
    exponential = _pointwise(powers)
    masked, highest, highest_guarded = _exponential(exponential)
    softmax.append(exponential)
    maximum = _row_reduction(highest, "arith.maximumf", -math.inf)
    if maximum.operands[0] != masked:
        raise Refusal("the maximum is not of the scores")
    softmax.append(maximum)
    between, scores = _chain(masked)
    if not (starts_from(scores, 0.0) and starts_from(output, 0.0)):
        raise Refusal("a contraction adds to something else than zeros")
    if total_guarded != highest_guarded:
        raise Refusal("a row that is masked altogether is guarded in one place only")
    return Attention(
        scores=scores,
        masked=masked,
        between=tuple(reversed(between)),
        softmax=tuple(reversed(softmax)),
        weights=weights,
        output=output,
        # Ops after the mask could let what it hides through again.
        causal=bool(between) and _is_causal(between[0]),
        guarded=total_guarded,
    )


def attention_of(kernel: Kernel) -> Attention:
    """Return the attention that a kernel consists of, pointwise ops after it aside; raises Refusal."""
    ops = [op.operation for op in kernel.function.regions[0].blocks[0].operations]
    reductions = [op for op in ops if is_reduction(op)]
    if len(reductions) != 4:
        raise Refusal(f"an attention holds four reductions, not {len(reductions)}")
    return find_attention(reductions[-1])


def _left(output: Any) -> tuple[int, Any]:
    """Return the operand of a contraction that is computed by a softmax: number and tensor."""
    for number in (0, 1):
        op = defining(output.operands[number])
        if op is not None and op.name == "linalg.generic" and not is_reduction(op):
            return number, output.operands[number]
    raise Refusal("no operand of the contraction is computed")


def _pointwise(value: Any) -> Any:
    op = defining(value)
    if op is None or op.name != "linalg.generic" or is_reduction(op) or len(op.results) != 1:
        raise Refusal("the weights are not computed element by element")
    return op


def _is_cast(op: Any) -> bool:
    names = {child.operation.name for child in op.regions[0].blocks[0].operations}
    return len(op.operands) == 2 and names - {"linalg.yield"} <= CASTS and _reads_in_place(op, 0)


def _reads_in_place(op: Any, number: int) -> bool:
    maps = indexing_maps(op)
    return bool(maps[number] == maps[-1] == ir.AffineMap.get_identity(maps[-1].n_dims))


def _reads_row(op: Any, number: int) -> bool:
    """Tell whether operand ``number`` is read at the row of the element: all loops but the last."""
    maps = indexing_maps(op)
    read = [ir.AffineDimExpr(e).position for e in maps[number].results if isinstance(e, ir.AffineDimExpr)]
    rows = list(range(maps[-1].n_dims - 1))
    rest = [e for e in maps[number].results if not isinstance(e, ir.AffineDimExpr)]
    return read == rows and all(isinstance(e, ir.AffineConstantExpr) for e in rest)


def _operand(op: Any, value: Any) -> int:
    """Return the number of the operand that a body value is, casts aside, or -1."""
    value = uncast(value)
    owner = value.owner
    if isinstance(owner, ir.Block) and owner == op.regions[0].blocks[0]:
        return int(ir.BlockArgument(value).arg_number)
    return -1


def _yielded(op: Any) -> Any:
    return uncast(list(op.regions[0].blocks[0].operations)[-1].operands[0])


def _maker(value: Any, name: str) -> Any:
    """Return the op ``name`` that makes a body value; raises Refusal."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.operation.name != name:
        raise Refusal(f"the softmax has no '{name}' where one is expected")
    return owner.operation


def _guard(value: Any, special: float) -> tuple[Any, Any] | None:
    """Return (tested, other) where ``value`` is ``select(tested == special, 0, other)``; None where it is no select.

    Raises Refusal for any other select.
    """
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.operation.name != "arith.select":
        return None
    condition, chosen, other = owner.operation.operands
    test = _maker(condition, "arith.cmpf")
    is_equal = int(test.attributes["predicate"].value) == _EQUAL
    if not is_equal or scalar_number(test.operands[1]) != special or scalar_number(chosen) != 0.0:
        raise Refusal("the softmax chooses by another test than that for rows that are masked altogether")
    return test.operands[0], other


def _quotient(op: Any) -> tuple[Any, Any, bool]:
    """Match ``powers / total``; return both tensors, and whether a total of zero is guarded."""
    value = _yielded(op)
    guard = _guard(value, 0.0)
    divide = _maker(value if guard is None else guard[1], "arith.divf")
    numbers = [_operand(op, operand) for operand in divide.operands]
    if -1 in numbers or (guard is not None and _operand(op, guard[0]) != numbers[1]):
        raise Refusal("the weights are no quotient of two tensors")
    if not _reads_in_place(op, numbers[0]) or not _reads_row(op, numbers[1]):
        raise Refusal("the weights are not divided by a number per row")
    return op.operands[numbers[0]], op.operands[numbers[1]], guard is not None


def _exponential(op: Any) -> tuple[Any, Any, bool]:
    """Match ``exp(masked - highest)``; return both tensors, and whether minus infinity is guarded."""
    exp = _maker(_yielded(op), "math.exp")
    subtract = _maker(exp.operands[0], "arith.subf")
    number = _operand(op, subtract.operands[0])
    guard = _guard(subtract.operands[1], -math.inf)
    row = _operand(op, subtract.operands[1] if guard is None else guard[1])
    if -1 in (number, row) or (guard is not None and _operand(op, guard[0]) != row):
        raise Refusal("the powers are not of a difference of two tensors")
    if not _reads_in_place(op, number) or not _reads_row(op, row):
        raise Refusal("a number per row is not subtracted from the scores")
    return op.operands[number], op.operands[row], guard is not None


def _row_reduction(value: Any, name: str, start: float) -> Any:
    """Match a reduction along the last dimension by the op ``name``, from ``start`` on."""
    op = defining(value)
    if op is None or not is_reduction(op) or len(op.operands) != 2:
        raise Refusal("the softmax does not reduce along rows")
    kinds = iterator_types(op)
    if kinds != ["parallel"] * (len(kinds) - 1) + ["reduction"] or not indexing_maps(op)[
        0
    ] == ir.AffineMap.get_identity(len(kinds)):
        raise Refusal("the softmax is not along the last dimension")
    body = [child.operation.name for child in op.regions[0].blocks[0].operations]
    if [found for found in body if found not in CASTS] != [name, "linalg.yield"]:
        raise Refusal(f"the softmax reduces by more than '{name}'")
    if not starts_from(op, start):
        raise Refusal(f"the softmax reduces from something else than {start}")
    return op


def _chain(masked: Any) -> tuple[list[Any], Any]:
    """Return the pointwise ops from ``masked`` up to the contraction that its scores come from, and that."""
    ops: list[Any] = []
    value = masked
    while True:
        op = defining(value)
        if op is None or op.name != "linalg.generic" or len(op.results) != 1:
            raise Refusal("the scores are no contraction")
        if is_reduction(op):
            match_product(op)
            return ops, op
        ops.append(op)
        inputs = [o for n, o in enumerate(list(op.operands)[:-1]) if _reads_in_place(op, n) and _depends_on_product(o)]
        if len(inputs) != 1:
            raise Refusal("the masked scores come from more than one contraction, or none")
        value = inputs[0]


def _depends_on_product(value: Any) -> bool:
    op = defining(value)
    if op is None or op.name != "linalg.generic":
        return False
    if is_reduction(op):
        return True
    return any(_depends_on_product(operand) for operand in list(op.operands)[:-1])


def _is_causal(op: Any) -> bool:
    """Tell whether a body lets only columns up to the row through: ``select(column <= row, x, -inf)``."""
    block = op.regions[0].blocks[0]
    last = len(iterator_types(op)) - 1
    for child in block.operations:
        select = child.operation
        if select.name != "arith.select" or isinstance(select.operands[0].owner, ir.Block):
            continue
        test = select.operands[0].owner.operation
        if test.name != "arith.cmpi" or int(test.attributes["predicate"].value) != 3:
            continue
        dims = [_loop(operand) for operand in test.operands]
        lowest = select.operands[2].owner
        hides = not isinstance(lowest, ir.Block) and "0xFF800000" in str(lowest)
        if dims == [last, last - 1] and hides and select.results[0] == _yielded(op):
            return True
    return False


def _loop(value: Any) -> int:
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.operation.name != "linalg.index":
        return -1
    return int(owner.operation.attributes["dim"].value)


def check_fused(kernel: Kernel, attention: Attention) -> None:
    """Refuse an attention that the flash template is not written for.

    It takes float16 and bfloat16 tensors of the form ``[batch..., rows, width]``, with widths that are known, multiples
    of 8 and at most 128.
    """
    for op, name in ((attention.scores, "scores"), (attention.output, "output")):
        maps = indexing_maps(op)
        dims = maps[-1].n_dims
        if iterator_types(op) != ["parallel"] * (dims - 1) + ["reduction"]:
            raise Refusal(f"the loops of the {name} are not batch, rows, columns and depth")
        if maps[-1] != ir.AffineMap.get(dims, 0, [ir.AffineDimExpr.get(dim) for dim in range(dims - 1)]):
            raise Refusal(f"the {name} are transposed")
        elements = {str(operand.type.element_type) for operand in list(op.operands)[:2]}
        if len(elements) != 1 or not elements <= {"f16", "bf16"}:
            raise Refusal(f"the operands of the {name} are no float16 or bfloat16 tensors")
    read = indexing_maps(attention.scores)[0]
    if read.results[-1] != ir.AffineDimExpr.get(read.n_dims - 1):
        raise Refusal("the queries are transposed")
    for tensor in (attention.scores.operands[0], attention.output.results[0]):
        width = kernel.shape(tensor)[-1]
        if not width.is_constant or width.constant % 8 or not 0 < width.constant <= MOST_WIDTH:
            raise Refusal(f"a head is {width} wide: known multiples of 8 up to {MOST_WIDTH} are taken")
    if attention.weights != attention.output.operands[0]:
        raise Refusal("the weights are the right operand of the output")
