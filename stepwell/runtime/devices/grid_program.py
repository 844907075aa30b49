"""Programs of GPU kernels with their sizes filled in: which entries to launch, and what their parameters are.

A launch of the plan runs all grids of its kernel, in order, with the same parameters: kernel ABI v1 packed into 8 bytes
each, then the tensor maps, 128 bytes each at multiples of 64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepwell.runtime.binding import BoundProgram, Place, ProgramBinder
from stepwell.runtime.grids import GridLaunch, TensorMap
from stepwell.runtime.plan import Launch

WORD = 8
MAP_BYTES = 128
MAP_ALIGNMENT = 64
WIDE = 16
"""Bytes; "aligned" pointers are multiples of it."""

# A copy moves bytes: element types that tensor maps do not have go as integers of their size.
_SAME_SIZE = {"int8": "uint8", "bool": "uint8", "int16": "uint16"}


@dataclass(frozen=True)
class BoundMap:
    """A tensor map with its sizes.

    Attributes:
        position: its first byte in the parameters.
        place: where the viewed tensor starts.
        dtype: name of an element type that tensor maps have.
        sizes, strides, box, swizzle, element_strides: as in ``TensorMap``.
    """

    position: int
    place: Place
    dtype: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: int
    element_strides: tuple[int, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to copy; no driver encodes such a map, and no kernel uses it."""
        return 0 in self.sizes


@dataclass(frozen=True)
class BoundGrid:
    """A launch of an entry with its sizes.

    Attributes:
        number: of the launch in the program.
        kernel: name of the kernel.
        grid: what does not depend on sizes.
        blocks: number of blocks, at least 1.
        words: the parameters before the tensor maps.
        pointers: how many of them are tensors.
        maps: the tensor maps.
    """

    number: int
    kernel: str
    grid: GridLaunch
    blocks: int
    words: tuple[Place, ...]
    pointers: int
    maps: tuple[BoundMap, ...]

    @property
    def parameter_bytes(self) -> int:
        """Size of the packed parameters."""
        return self.maps[-1].position + MAP_BYTES if self.maps else WORD * len(self.words)

    def runs(self, bases: Sequence[int]) -> bool:
        """Tell whether this is the variant for tensors that lie like these."""
        if not self.grid.when:
            return True
        places = self.words[: self.pointers]
        aligned = all((int(bases[place.base]) + place.offset) % WIDE == 0 for place in places)
        return aligned == (self.grid.when == "aligned")


@dataclass(frozen=True)
class BoundGrids(BoundProgram):
    """A program for one set of argument shapes.

    Attributes:
        workspace: bytes of scratch memory that the hungriest launch needs.
        grids: what may run, in order; of two variants of one launch, one does.
    """

    workspace: int
    grids: tuple[BoundGrid, ...]


class GridBinder(ProgramBinder):
    """Fills sizes into a program of GPU kernels."""

    def bind(self, sizes: Mapping[str, int]) -> BoundGrids:
        """Return the program for these sizes."""
        grids: list[BoundGrid] = []
        workspace = 0
        for number, launch in self.launches(sizes):
            info = self.infos[launch.kernel]
            words = tuple(self.arguments(number, launch, sizes))
            grids += self._grids(number, launch, info.grids, words, sizes)
            workspace = max(workspace, info.workspace.evaluate(sizes))
        return BoundGrids(**vars(super().bind(sizes)), workspace=workspace, grids=tuple(grids))

    def _grids(
        self,
        number: int,
        launch: Launch,
        grids: Sequence[GridLaunch],
        words: tuple[Place, ...],
        sizes: Mapping[str, int],
    ) -> list[BoundGrid]:
        found = []
        pointers = len(launch.inputs) + len(launch.outputs)
        for grid in grids:
            blocks = grid.blocks.evaluate(sizes)
            if blocks > 0:
                maps = _maps(grid.tensor_maps, words, sizes)
                found.append(BoundGrid(number, launch.kernel, grid, blocks, words, pointers, maps))
        return found


def _maps(maps: Sequence[TensorMap], words: Sequence[Place], sizes: Mapping[str, int]) -> tuple[BoundMap, ...]:
    start = -(-WORD * len(words) // MAP_ALIGNMENT) * MAP_ALIGNMENT
    found = []
    for number, view in enumerate(maps):
        tensor = words[view.argument]
        place = Place(tensor.base, tensor.offset + view.offset.evaluate(sizes))
        extents = tuple(size.evaluate(sizes) for size in view.sizes)
        strides = tuple(stride.evaluate(sizes) for stride in view.strides)
        found.append(
            BoundMap(
                start + MAP_BYTES * number,
                place,
                _SAME_SIZE.get(view.dtype, view.dtype),
                extents,
                strides,
                view.box,
                view.swizzle,
                view.element_strides,
            )
        )
    return tuple(found)
