"""What a kernel's code asks of a GPU: its launches, with sizes as expressions over the program's symbols."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.support.symbolic import Expr

_ZERO = Expr.const(0)


@dataclass(frozen=True)
class TensorMap:
    """A tiled view of a tensor argument, as the tensor memory accelerator takes it; dimensions innermost first.

    Attributes:
        argument: number of the kernel's tensor argument (inputs, then outputs) that it views.
        dtype: name of the element type in memory, as in ``DType``.
        sizes: elements per dimension.
        strides: bytes between neighbours, for every dimension but the innermost.
        box: elements of one copy, per dimension.
        swizzle: bytes of the swizzling pattern: 0, 32, 64 or 128.
        element_strides: elements between those taken, per dimension; empty for all ones.
        offset: bytes from the tensor's address to the view's.
    """

    argument: int
    dtype: str
    sizes: tuple[Expr, ...]
    strides: tuple[Expr, ...]
    box: tuple[int, ...]
    swizzle: int = 0
    element_strides: tuple[int, ...] = ()
    offset: Expr = _ZERO

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        sizes, strides = ([expr.to_json() for expr in exprs] for exprs in (self.sizes, self.strides))
        numbers = [list(self.box), self.swizzle, list(self.element_strides)]
        return [self.argument, self.dtype, sizes, strides, *numbers, self.offset.to_json()]

    @classmethod
    def from_json(cls, data: list[Any]) -> "TensorMap":
        """Read what ``to_json`` wrote."""
        argument, dtype, sizes, strides, box, swizzle, steps, offset = data
        exprs = (tuple(map(Expr.from_json, sizes)), tuple(map(Expr.from_json, strides)))
        return cls(argument, dtype, *exprs, tuple(box), swizzle, tuple(steps), Expr.from_json(offset))


@dataclass(frozen=True)
class GridLaunch:
    """One launch of an entry.

    Its parameters are those of kernel ABI v1 (tensor pointers, sizes as i64, workspace pointer, status pointer, 8 bytes
    each), then the tensor maps, 128 bytes each at multiples of 64.

    Attributes:
        entry: name of the entry in the PTX.
        blocks: number of blocks, over the program's symbols; no launch where it is 0.
        threads: threads of a block.
        shared_bytes: dynamic shared memory of a block.
        cluster: blocks of a cluster.
        when: "" for always; "aligned" where all tensor pointers must be multiples of 16, "unaligned" where some is not.
        tensor_maps: what the entry takes beside pointers and sizes.
    """

    entry: str
    blocks: Expr
    threads: int
    shared_bytes: int = 0
    cluster: int = 1
    when: str = ""
    tensor_maps: tuple[TensorMap, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "entry": self.entry,
            "blocks": self.blocks.to_json(),
            "threads": self.threads,
            "shared_bytes": self.shared_bytes,
            "cluster": self.cluster,
            "when": self.when,
            "tensor_maps": [view.to_json() for view in self.tensor_maps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "GridLaunch":
        """Read what ``to_json`` wrote."""
        views = tuple(map(TensorMap.from_json, data["tensor_maps"]))
        threads, shared, cluster = (int(data[name]) for name in ("threads", "shared_bytes", "cluster"))
        return cls(data["entry"], Expr.from_json(data["blocks"]), threads, shared, cluster, data["when"], views)
