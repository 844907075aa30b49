"""The asynchronous instructions of Hopper GPUs, as functions that write one op each.

Barriers, bulk tensor copies and warpgroup products have ops in the nvvm dialect.
"""

from collections.abc import Sequence
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.nvidia.pointer_code import PointerCode, enum
from stepwell.support.bindings import ir, llvm
from stepwell.support.symbolic import Expr

_SHARED_CLUSTER = 7
# Nanoseconds that a waiting thread may sleep before it looks again.
_SLEEP = 10_000_000


class Instructions(PointerCode):
    """Writes instructions through a ``Code``."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self._cluster = llvm.PointerType.get(_SHARED_CLUSTER)

    # Warps

    def warp(self, thread: Expr) -> Any:
        """Return the number of the warp, as a value that the assembler knows to be the same in all its threads."""
        number = self.integer(thread // 32)
        kind = {"kind": enum("#nvvm<shfl_kind idx>")}
        operands = (self.number(-1), number, self.number(0), self.number(31))
        return self.code.effect("nvvm.shfl.sync", operands, [self.i32], kind).results[0]

    def elect(self) -> Any:
        """Return true in one thread of the warp."""
        return self.code.effect("nvvm.elect.sync", (), [ir.IntegerType.get_signless(1)]).results[0]

    def set_registers(self, action: str, count: int) -> None:
        """Let ``action``, "increase" or "decrease", bring the registers of the warpgroup's threads to ``count``."""
        attributes = {"action": enum(f"#nvvm<action {action}>"), "regCount": ir.IntegerAttr.get(self.i32, count)}
        self.code.effect("nvvm.setmaxregister", (), (), attributes)

    # Barriers in shared memory

    def init_barrier(self, barrier: Any, count: int) -> None:
        """Set up a barrier that ``count`` arrivals complete."""
        self.code.effect("nvvm.mbarrier.init", (barrier, self.number(count)))

    def fence_barrier_init(self) -> None:
        """Make initialised barriers visible to asynchronous copies."""
        self.code.effect("nvvm.fence.mbarrier.init", ())

    def wait(self, barrier: Any, parity: Any) -> None:
        """Wait until the phase of ``parity`` is complete."""
        self.code.effect("nvvm.mbarrier.try_wait.parity", (barrier, parity, self.number(_SLEEP)))

    def arrive(self, barrier: Any) -> None:
        """Arrive once."""
        self.code.effect("nvvm.mbarrier.arrive", (barrier,), [self.i64], _cta_scope())

    def arrive_expecting(self, barrier: Any, count: int) -> None:
        """Arrive once, and let the phase wait for ``count`` bytes of copies besides."""
        self.code.effect("nvvm.mbarrier.arrive.expect_tx", (barrier, self.number(count)), (), _cta_scope())

    # Bulk tensor copies

    def prefetch(self, tensor_map: Any) -> None:
        """Fetch a tensor map into its cache."""
        self.code.effect("nvvm.prefetch", (tensor_map,), (), {"tensormap": ir.UnitAttr.get()})

    def copy_box(self, target: Any, tensor_map: Any, coordinates: Sequence[Any], barrier: Any) -> None:
        """Copy a box of a tensor to shared memory; ``barrier`` counts its bytes."""
        there = self.code.op("llvm.addrspacecast", (target,), self._cluster)
        attributes = {
            "isCTAOnly": ir.BoolAttr.get(False),
            "mode": enum("#nvvm.tma_load_mode<tile>"),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 1, len(coordinates), 1, 0, 0, 0, 0]),
        }
        name = "nvvm.cp.async.bulk.tensor.shared.cluster.global"
        self.code.effect(name, (there, tensor_map, *coordinates, barrier), (), attributes)

    # Products of a warpgroup

    def fence_products(self) -> None:
        """Order accesses to registers before the products that follow."""
        self.code.effect("nvvm.wgmma.fence.aligned", ())

    def multiply(self, sums: Any, left: Any, right: Any, shape: "Product") -> Any:
        """Start ``sums += left * right`` on matrices that descriptors describe; return the sums to come."""
        one, plus = enum("#nvvm.wgmma_scale_out<one>"), enum("#nvvm.wgmma_scale_in<one>")
        element = enum(f"#nvvm.wgmma_type<{shape.element}>")
        attributes = {
            "shape": enum(f"#nvvm.shape<m = 64, n = {shape.columns}, k = {shape.depth}>"),
            "layoutA": enum(f"#nvvm.mma_layout<{'row' if shape.left_along_depth else 'col'}>"),
            "layoutB": enum(f"#nvvm.mma_layout<{'col' if shape.right_along_depth else 'row'}>"),
            "scaleA": plus,
            "scaleB": plus,
            "scaleD": one,
            "typeA": element,
            "typeB": element,
            "typeD": enum("#nvvm.wgmma_type<f32>"),
        }
        return self.code.effect("nvvm.wgmma.mma_async", (sums, left, right), [sums.type], attributes).results[0]

    def commit_products(self) -> None:
        """Close a group of products."""
        self.code.effect("nvvm.wgmma.commit.group.sync.aligned", ())

    def wait_products(self, pending: int) -> None:
        """Wait until at most ``pending`` groups are unfinished."""
        group = {"group": ir.IntegerAttr.get(self.i64, pending)}
        self.code.effect("nvvm.wgmma.wait.group.sync.aligned", (), (), group)

    def finish_products(self, sums: Any, count: int) -> list[Any]:
        """Wait for all products; return the ``count`` sums of the thread.

        The wait takes the sums and gives them back, so that no reading of them can move in front of it.
        """
        parts = [self.part(sums, number) for number in range(count)]
        attributes = {
            "asm_string": ir.StringAttr.get("wgmma.wait_group.sync.aligned 0;"),
            "constraints": ir.StringAttr.get(",".join(["=f"] * count + [str(number) for number in range(count)])),
            "has_side_effects": ir.UnitAttr.get(),
        }
        made = self.code.effect("llvm.inline_asm", parts, [sums.type], attributes).results[0]
        return [self.part(made, number) for number in range(count)]

    def zeros(self, count: int) -> Any:
        """Return ``count`` sums of zero, as one value."""
        struct = llvm.StructType.get_literal([self.f32] * count)
        return self.code.effect("llvm.mlir.zero", (), [struct]).results[0]


class Product:
    """The form of one product of a warpgroup: 64 rows by ``columns`` by 32 bytes of depth.

    Attributes:
        columns: a multiple of 8, up to 256.
        element: "f16" or "bf16".
        left_along_depth, right_along_depth: whether neighbours in memory lie along the depth.
    """

    depth = 16

    def __init__(self, columns: int, element: str, left_along_depth: bool, right_along_depth: bool) -> None:
        self.columns, self.element = columns, element
        self.left_along_depth, self.right_along_depth = left_along_depth, right_along_depth


def _cta_scope() -> dict[str, Any]:
    return {"relaxed": ir.BoolAttr.get(False), "scope": enum("#nvvm.mem_scope<cta>")}
