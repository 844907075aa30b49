"""The instructions that warps multiply small matrices with, and the asynchronous copies that feed them (sm_80).

Fragments are those of ``mma.sync.m16n8k16`` (PTX ISA, "Matrix fragments for mma.m16n8k16"): with ``g = lane // 4`` and
``t = lane % 4``, a thread holds

    left    rows g and g + 8, depth 2t, 2t + 1 and 2t + 8, 2t + 9:  4 registers of 2 elements
    right   column g, the same depths:                              2 registers
    sums    rows g and g + 8, columns 2t and 2t + 1:                4 numbers
"""

from collections.abc import Sequence
from typing import Any

from stepwell.passes.schedules.nvidia.pointer_code import PointerCode, enum
from stepwell.support.bindings import ir, llvm


class WarpMatrices(PointerCode):
    """Writes instructions through a ``Code``."""

    # Matrices

    def load_matrices(self, pointer: Any, count: int, *, transposed: bool = False) -> list[Any]:
        """Load ``count`` (1, 2 or 4) matrices of 8x8 16-bit elements from shared memory.

        Args:
            pointer: of lane ``l``: the address of row ``l % 8`` of matrix ``l // 8``, a multiple of 16 bytes.
            count: how many.
            transposed: whether each matrix is transposed on the way.

        Returns:
            ``count`` registers: of matrix i, row ``lane // 4``, elements ``2 * (lane % 4)`` and the next.
        """
        attributes = {
            "num": ir.IntegerAttr.get(self.i32, count),
            "layout": enum(f"#nvvm.mma_layout<{'col' if transposed else 'row'}>"),
            "shape": enum("#nvvm.ld_st_matrix_shape<m = 8, n = 8>"),
            "eltType": enum("#nvvm.ld_st_matrix_elt_type<b16>"),
        }
        type_ = self.i32 if count == 1 else llvm.StructType.get_literal([self.i32] * count)
        made = self.code.effect("nvvm.ldmatrix", (pointer,), [type_], attributes).results[0]
        return [made] if count == 1 else [self.part(made, number, self.i32) for number in range(count)]

    def multiply(self, element: Any, left: Sequence[Any], right: Sequence[Any], sums: Sequence[Any]) -> list[Any]:
        """Return ``sums + left * right``: 4 numbers from 4 and 2 registers of two ``element``s, f16 or bf16.

        For f32, registers hold one element each, rounded by ``round_to_tf32``, and the depth is 8.
        """
        halves = ir.VectorType.get([2], element)
        is_half, is_single = isinstance(element, ir.F16Type), isinstance(element, ir.F32Type)
        operands = [self.code.op("llvm.bitcast", (r,), halves) if is_half else r for r in (*left, *right)]
        kind = enum(f"#nvvm.mma_type<{'tf32' if is_single else element}>")
        attributes = {
            "layoutA": enum("#nvvm.mma_layout<row>"),
            "layoutB": enum("#nvvm.mma_layout<col>"),
            "multiplicandAPtxType": kind,
            "multiplicandBPtxType": kind,
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([4, 2, 4]),
            "shape": enum(f"#nvvm.shape<m = 16, n = 8, k = {8 if is_single else 16}>"),
        }
        type_ = llvm.StructType.get_literal([self.f32] * 4)
        made = self.code.effect("nvvm.mma.sync", (*operands, *sums), [type_], attributes).results[0]
        return [self.part(made, number) for number in range(4)]

    def round_to_tf32(self, register: Any) -> Any:
        """Return an f32 in a register rounded to the nearest number with 10 bits of fraction."""
        number = self.code.op("llvm.bitcast", (register,), self.f32) if register.type != self.f32 else register
        attributes = {"rnd": enum("#nvvm.fp_rnd_mode<rna>"), "sat": enum("#nvvm.sat_mode<none>")}
        return self.code.op("nvvm.convert.float.to.tf32", (number,), self.i32, attributes)

    def zero(self) -> Any:
        """Return an f32 zero, to start sums from."""
        return self.code.constant(ir.FloatAttr.get(self.f32, 0.0))

    def pack(self, element: Any, first: Any, second: Any) -> Any:
        """Return two f32 numbers, rounded to ``element``, in one register; ``first`` in the low half."""
        pair = self.code.op("vector.from_elements", (first, second), ir.VectorType.get([2], self.f32))
        rounded = self.code.op("arith.truncf", (pair,), ir.VectorType.get([2], element))
        return self.code.op("llvm.bitcast", (rounded,), self.i32)

    # Asynchronous copies

    def copy(self, target: Any, source: Any, size: int, present: Any = None) -> None:
        """Start a copy of ``size`` bytes (4, 8 or 16) from global to shared memory.

        Args:
            target, source: pointers, multiples of ``size``.
            size: bytes to write.
            present: how many of them to read, a 32-bit integer; the others are zero.  None for all.
        """
        attributes = {
            "size": ir.IntegerAttr.get(self.i32, size),
            # Only copies of 16 bytes may pass by the first-level cache.
            "modifier": enum(f"#nvvm<load_cache_modifier {'cg' if size == 16 else 'ca'}>"),
        }
        operands = (target, source) if present is None else (target, source, present)
        self.code.effect("nvvm.cp.async.shared.global", operands, (), attributes)

    def commit_copies(self) -> None:
        """Close a group of copies."""
        self.code.effect("nvvm.cp.async.commit.group", ())

    def wait_copies(self, pending: int) -> None:
        """Wait until at most ``pending`` groups of this thread are unfinished."""
        self.code.effect("nvvm.cp.async.wait.group", (), (), {"n": ir.IntegerAttr.get(self.i32, pending)})
