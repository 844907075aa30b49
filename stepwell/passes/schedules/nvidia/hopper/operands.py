"""The operands of a contraction as the tensor memory accelerator and ``wgmma`` see them.

An operand that lies in one buffer, with unit stride along its free loop or along the depth and all other strides
multiples of 16 bytes, is a tensor map; boxes of it land in shared memory as tiles of 128-byte lines under the 128-byte
swizzle, and matrix descriptors say so to ``wgmma``.  Both follow the PTX ISA, chapters "Tensor swizzling modes" and
"Shared memory matrix layout".
"""

from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.contraction import Contraction, Factor, variable
from stepwell.passes.schedules.contraction_accesses import accesses
from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, coefficient
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.passes.schedules.steps import apply_map
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

LINE = 128
"""Bytes of a line of a tile: the width of the swizzling pattern."""
LINE_ELEMENTS = LINE // 2
"""16-bit elements of a line."""
ALIGNMENT = 1024
"""Bytes after which the swizzling pattern repeats; tiles start at multiples."""
_UNIT = 16
_CASTS = ("arith.extf",)
_SWIZZLE_128 = 1 << 62


@dataclass(frozen=True)
class Operand:
    """One operand as a tensor map.

    Attributes:
        argument: number of the kernel's tensor argument that holds it.
        element: "f16" or "bf16".
        along_depth: whether neighbours in memory lie along the depth, and not along the free loop.
        loops: the loop that each dimension of the map walks, innermost first; the free and the depth loops are the
            first two.
        sizes: elements per dimension.
        strides: bytes between neighbours, for all dimensions but the innermost.
        offset: bytes from the argument's address to the first element.
    """

    argument: int
    element: str
    along_depth: bool
    loops: tuple[int, ...]
    sizes: tuple[Expr, ...]
    strides: tuple[Expr, ...]
    offset: Expr

    def boxes(self, free: int) -> int:
        """Return how many boxes a tile of ``free`` rows or columns takes."""
        return 1 if self.along_depth else free // LINE_ELEMENTS

    def box(self, free: int) -> tuple[int, ...]:
        """Return the elements of one box of a tile of ``free`` rows or columns and a line of depth."""
        return (LINE_ELEMENTS, free if self.along_depth else LINE_ELEMENTS, *[1] * (len(self.loops) - 2))

    @property
    def descriptor(self) -> int:
        """The bits of a matrix descriptor besides the address."""
        # Along the free loop a product spans several boxes, each of 64 lines; groups of 8 lines are 1024 bytes apart.
        leading = _UNIT if self.along_depth else LINE_ELEMENTS * LINE
        return (leading // _UNIT) << 16 | (ALIGNMENT // _UNIT) << 32 | _SWIZZLE_128

    @property
    def depth_step(self) -> int:
        """What 16 elements of depth add to a descriptor."""
        return (32 if self.along_depth else 16 * LINE) // _UNIT


def find_operand(kernel: Kernel, contraction: Contraction, factor: Factor, free: tuple[int, ...]) -> Operand:
    """Return ``factor`` as a tensor map, with ``free`` as its rows or columns; raises Refusal."""
    element = str(factor.value.type.element_type)
    if element not in ("f16", "bf16") or [op.name for op in factor.casts] != list(_CASTS):
        raise Refusal("an operand is no float16 or bfloat16 that is widened")
    if not free or not contraction.depth:
        raise Refusal("an operand is a vector")
    if not (factor.free_merges and factor.depth_merges):
        raise Refusal("the loops of an operand do not merge in memory")
    place = _place(kernel, contraction, factor)
    value, position = place
    strides = {dim: _stride(position, dim) for dim in (*contraction.outer, free[-1], contraction.depth[-1])}
    inner, other = contraction.depth[-1], free[-1]
    along_depth = strides[inner] == ONE
    if not along_depth:
        inner, other = other, inner
    if strides[inner] != ONE:
        raise Refusal("an operand is contiguous neither along the depth nor along its free loop")
    outer = [dim for dim in contraction.outer if strides[dim] != ZERO]
    loops = (inner, other, *reversed(outer))
    if len(loops) > 5:
        raise Refusal("an operand has more than five loops")
    counts = {free[-1]: contraction.count(free), contraction.depth[-1]: contraction.count(contraction.depth)}
    size = bytes_of(factor.value.type.element_type)
    start = position
    for dim in range(len(contraction.extents)):
        start = start.substitute({variable(dim): ZERO})
    found = Operand(
        argument=kernel.tensors.index(value),
        element=element,
        along_depth=along_depth,
        loops=loops,
        sizes=tuple(counts.get(dim, contraction.extents[dim]) for dim in loops),
        strides=tuple(strides[dim] * size for dim in loops[1:]),
        offset=start * size,
    )
    for distance in (*found.strides, found.offset):
        if not is_multiple(distance, _UNIT):
            raise Refusal(f"an operand has a distance of {distance} bytes, no multiple of 16")
    return found


def _place(kernel: Kernel, contraction: Contraction, factor: Factor) -> tuple[Any, Expr]:
    """Return the kernel argument that holds a factor, and the position in it at the contraction's loops."""
    ranges = Ranges()
    for dim, extent in enumerate(contraction.extents):
        ranges.limit(variable(dim), ZERO, extent)
    loops = tuple(Expr.symbol(variable(dim)) for dim in range(len(contraction.extents)))
    found = accesses(kernel, ranges, factor.value, apply_map(factor.map, loops, ranges))
    if not found.plain or found.items[0].value not in kernel.tensors:
        raise Refusal("an operand is computed on the way")
    return found.items[0].value, found.items[0].position


def _stride(position: Expr, dim: int) -> Expr:
    factor = coefficient(position, variable(dim))
    if factor is None:
        raise Refusal("an operand is no strided view")
    return factor


def is_multiple(expr: Expr, divisor: int) -> bool:
    """Tell whether ``expr`` is a multiple of ``divisor`` whatever its symbols are."""
    return all(factor % divisor == 0 for _, factor in expr.terms)


def tensor_map_attribute(operand: Operand, free: int) -> Any:
    """Return what the host needs to know to make the tensor map: the argument attribute ``stepwell.tensor_map``."""
    i64 = ir.IntegerType.get_signless(64)
    texts = {
        name: ir.ArrayAttr.get([ir.StringAttr.get(str(expr)) for expr in getattr(operand, name)])
        for name in ("sizes", "strides")
    }
    return ir.DictAttr.get(
        {
            "argument": ir.IntegerAttr.get(i64, operand.argument),
            "dtype": ir.StringAttr.get({"f16": "float16", "bf16": "bfloat16"}[operand.element]),
            **texts,
            "box": ir.DenseI64ArrayAttr.get(list(operand.box(free))),
            "swizzle": ir.IntegerAttr.get(i64, LINE),
            "offset": ir.StringAttr.get(str(operand.offset)),
        }
    )
