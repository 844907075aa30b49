"""Tensor maps, as launches pass them, and the addresses that one tensor copy touches.

Source: PTX ISA, "Tensors" (tiled mode, traversal strides, out-of-bounds access, "Swizzling Modes"), and what the
driver's cuTensorMapEncodeTiled requires, which is checked when a value is made. Interleaved layouts and im2col modes
are not part of it.
"""

from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Addresses, Array
from stepwell.runtime.simulator.matrices.swizzles import SPANS, swizzle
from stepwell.support.errors import ArgumentError

_ITEM_BYTES = {
    **dict.fromkeys(("uint8",), 1),
    **dict.fromkeys(("uint16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64"), 8),
}
_MAX_RANK, _MAX_BOX, _MAX_STEP, _MAX_SIZE, _MAX_STRIDE = 5, 256, 8, 1 << 32, 1 << 40


@dataclass(frozen=True)
class TensorMapValue:
    """A tiled tensor map, innermost dimension first; raises ArgumentError where the driver would refuse it.

    Attributes:
        address: byte address of the tensor in global memory.
        dtype: name of the element type, such as "bfloat16".
        sizes: elements per dimension.
        strides: bytes between neighbours, for every dimension but the innermost.
        box: elements traversed per dimension.
        swizzle: bytes of the swizzling pattern: 0, 32, 64 or 128.
        element_strides: elements between those taken, per dimension; empty for all ones.
    """

    address: int
    dtype: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: int = 0
    element_strides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ArgumentError(f"a tensor map is refused: {problem}")

    def _problem(self) -> str:
        """Return the first requirement that does not hold, or ""."""
        rank, steps = len(self.sizes), self.element_strides
        if self.dtype not in _ITEM_BYTES:
            return f"element type '{self.dtype}' is none of {', '.join(_ITEM_BYTES)}"
        if not 1 <= rank <= _MAX_RANK or len(self.strides) != rank - 1 or len(self.box) != rank:
            return f"{rank} sizes (1 to {_MAX_RANK}), {len(self.strides)} strides, {len(self.box)} box extents"
        if steps and (len(steps) != rank or not all(1 <= step <= _MAX_STEP for step in steps)):
            return f"element strides {steps} must be {rank} numbers from 1 to {_MAX_STEP}"
        if self.address % 16:
            return f"address {self.address:#x} is not a multiple of 16"
        if not all(1 <= size <= _MAX_SIZE for size in self.sizes):
            return f"sizes {self.sizes} must be from 1 to 2**32"
        if not all(stride % 16 == 0 and 0 <= stride < _MAX_STRIDE for stride in self.strides):
            return f"strides {self.strides} must be multiples of 16 below 2**40"
        if not all(1 <= extent <= _MAX_BOX for extent in self.box):
            return f"box {self.box} must have extents from 1 to {_MAX_BOX}"
        return self._inner_problem()

    def _inner_problem(self) -> str:
        """Return what is wrong with the innermost extent of the box, or ""."""
        inner = self.box[0] * self.itemsize
        if inner % 16:
            return f"the innermost box extent is {inner} bytes, not a multiple of 16"
        if self.swizzle not in SPANS:
            return f"swizzle {self.swizzle} is none of {SPANS}"
        if self.swizzle and inner > self.swizzle:
            return f"the innermost box extent is {inner} bytes, beyond the swizzle span of {self.swizzle}"
        return ""

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.sizes)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return _ITEM_BYTES[self.dtype]

    @property
    def extents(self) -> tuple[int, ...]:
        """Elements that one copy moves, per dimension: the box over the element strides, rounded up."""
        steps = self._steps()
        return tuple(-(-extent // step) for extent, step in zip(self.box, steps, strict=True))

    @property
    def row_bytes(self) -> int:
        """Bytes from one innermost row to the next in shared memory: a swizzled row fills its span."""
        return self.swizzle or self.extents[0] * self.itemsize

    @property
    def copy_bytes(self) -> int:
        """Bytes that one copy reports to its mbarrier: all of the box, inside or out of bounds."""
        return int(np.prod(self.extents)) * self.itemsize

    def _steps(self) -> tuple[int, ...]:
        # "The first element of this array is ignored since TMA doesn't support the stride for dimension zero."
        return (1, *self.element_strides[1:]) if self.element_strides else (1,) * self.rank

    def piece_bytes(self, coordinates: tuple[int, ...]) -> int:
        """Return the size of pieces of a box of which each lies wholly inside or outside: 16 bytes, or one element."""
        whole = coordinates[0] * self.itemsize % 16 == 0 and self.sizes[0] * self.itemsize % 16 == 0
        return 16 if whole else self.itemsize

    def pieces(self, coordinates: tuple[int, ...], size: int) -> tuple[Addresses, Array]:
        """Return (global addresses, inside the tensor?) of a box's pieces as [row, innermost].

        Args:
            coordinates: those of the box's first element, innermost first; they may be negative.
            size: bytes of a piece, as ``piece_bytes`` gives them, or those of an element.
        """
        per_piece = size // self.itemsize
        address = np.zeros(1, np.int64)
        inside = np.ones(1, np.bool_)
        strides = (self.itemsize, *self.strides)
        dimensions = zip(coordinates, self._steps(), self.extents, self.sizes, strides, strict=True)
        for number, (start, step, extent, limit, stride) in reversed(tuple(enumerate(dimensions))):
            index = start + step * np.arange(0, extent, per_piece if number == 0 else 1, dtype=np.int64)
            address = (address[:, None] + index * stride).reshape(-1)
            inside = (inside[:, None] & (index >= 0) & (index < limit)).reshape(-1)
        shape = (-1, self.extents[0] // per_piece)
        return self.address + address.reshape(shape), inside.reshape(shape)

    def shared_addresses(self, start: int, size: int) -> Addresses:
        """Return the shared memory addresses of a box's pieces as [row, innermost], in the order of ``pieces``."""
        rows = int(np.prod(self.extents[1:]))
        row = np.arange(rows, dtype=np.int64)[:, None] * self.row_bytes
        inner = np.arange(0, self.extents[0] * self.itemsize, size, dtype=np.int64)[None, :]
        return swizzle(start + row + inner, self.swizzle)
