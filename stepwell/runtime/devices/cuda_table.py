"""A program's launches as rows of the launcher's table: one call from Python enqueues them all.

The table begins with data (parameters, tensor maps, launch attributes) and goes on with rows, which call functions of
the driver.  Every word that is an address is patched for each call; those within the table are relative to its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepwell.runtime.binding import Bases, Copy, Place
from stepwell.runtime.devices.grid_program import WORD, BoundGrid, BoundMap
from stepwell.runtime.launcher import argument_position, row

_END, _BUFFER, _BUFFER_SIZE = 0, 1, 2
_CLUSTER_DIMENSION = 4
# CUlaunchConfig is seven 32-bit numbers, the stream, the attributes' address and their number.
_CONFIG_WORDS, _ATTRIBUTE_WORDS = 7, 9


@dataclass(frozen=True)
class MapSlot:
    """A tensor map in a table.

    Attributes:
        word: its first word.
        base, offset: where the viewed tensor starts.
        view: what to encode.
        number: of the launch.
        encoded: the words by address, for those addresses that calls have had.
    """

    word: int
    base: int
    offset: int
    view: BoundMap
    number: int
    encoded: dict[int, NDArray[np.int64]] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class LaunchTable:
    """The rows of a program for one set of sizes and one way in which pointers lie.

    Attributes:
        words: data, then rows.
        first: number of words before the rows.
        patches: indices of the words that an address must be added to.
        patch_bases: number of the base whose address it is, for each of them.
        maps: the tensor maps.
        launches: (number, first word, last word exclusive) of the rows of each launch, in order.
    """

    words: NDArray[np.int64]
    first: int
    patches: NDArray[np.int64]
    patch_bases: NDArray[np.int64]
    maps: tuple[MapSlot, ...]
    launches: tuple[tuple[int, int, int], ...]

    def launch_at(self, word: int) -> int | None:
        """Return the number of the launch that has a row there; None for other rows."""
        return next((number for number, first, last in self.launches if first <= word < last), None)


@dataclass
class TableWriter:
    """Writes a table.

    Args:
        driver: address of each function of the driver that rows call.
        stream: number of the base that is the stream.
        table: number of the base that is the table's own address.
    """

    driver: Mapping[str, int]
    stream: int
    table: int
    _data: list[int] = field(default_factory=list)
    _data_patches: list[tuple[int, int]] = field(default_factory=list)
    _rows: list[int] = field(default_factory=list)
    _row_patches: list[tuple[int, int]] = field(default_factory=list)
    _maps: list[MapSlot] = field(default_factory=list)
    _launches: list[tuple[int, int, int]] = field(default_factory=list)

    def call(self, function: str, *arguments: Place | int) -> None:
        """Write a row."""
        start = len(self._rows)
        places = [Place(Bases.FIXED, argument) if isinstance(argument, int) else argument for argument in arguments]
        self._rows += row(self.driver[function], [place.offset for place in places])
        self._row_patches += [
            (start + argument_position(position), place.base)
            for position, place in enumerate(places)
            if place.base != Bases.FIXED
        ]

    def copy(self, copy: Copy) -> None:
        """Write a copy within the device."""
        if copy.size:
            self.call("cuMemcpyDtoDAsync_v2", copy.target, copy.source, copy.size, Place(self.stream, 0))

    def launch(self, bound: BoundGrid, function: int) -> None:
        """Write the launch of an entry."""
        start = len(self._rows)
        grid = bound.grid
        extra = self._extra(bound)
        if grid.cluster > 1:
            self.call("cuLaunchKernelEx", self._config(bound), function, 0, extra)
        else:
            shape = (bound.blocks, 1, 1, grid.threads, 1, 1, grid.shared_bytes)
            self.call("cuLaunchKernel", function, *shape, Place(self.stream, 0), 0, extra)
        self._launches.append((bound.number, start, len(self._rows)))

    def room(self, words: int) -> Place:
        """Return the place of data that a driver function writes."""
        return self._data_place(self._write([0] * words))

    def finish(self) -> LaunchTable:
        """Return the table."""
        first = len(self._data)
        patches = [*self._data_patches, *((first + position, base) for position, base in self._row_patches)]
        return LaunchTable(
            np.array([*self._data, *self._rows], np.int64),
            first,
            np.array([position for position, _ in patches], np.int64),
            np.array([base for _, base in patches], np.int64),
            tuple(self._maps),
            tuple((number, first + start, first + end) for number, start, end in self._launches),
        )

    def _write(self, words: Sequence[Place | int]) -> int:
        """Append data; return the number of its first word."""
        start = len(self._data)
        for word in words:
            if isinstance(word, Place) and word.base != Bases.FIXED:
                self._data_patches.append((len(self._data), word.base))
            self._data.append(word.offset if isinstance(word, Place) else word)
        return start

    def _data_place(self, word: int) -> Place:
        return Place(self.table, WORD * word)

    def _extra(self, bound: BoundGrid) -> Place:
        """Write the parameters of a launch, and what tells the driver where they are."""
        start = self._write(bound.words)
        if bound.maps:
            self._write([0] * (bound.parameter_bytes // WORD - len(bound.words)))
            self._maps += [
                MapSlot(start + view.position // WORD, view.place.base, view.place.offset, view, bound.number)
                for view in bound.maps
            ]
        size = self._write([bound.parameter_bytes])
        keys: list[Place | int] = [_BUFFER, self._data_place(start), _BUFFER_SIZE, self._data_place(size), _END]
        return self._data_place(self._write(keys))

    def _config(self, bound: BoundGrid) -> Place:
        """Write a CUlaunchConfig with the size of the clusters."""
        grid = bound.grid
        attribute = [_CLUSTER_DIMENSION, grid.cluster | 1 << 32, 1]
        attributes = self._write([*attribute, *[0] * (_ATTRIBUTE_WORDS - len(attribute))])
        numbers = [bound.blocks, 1, 1, grid.threads, 1, 1, grid.shared_bytes]
        assert len(numbers) == _CONFIG_WORDS
        pairs = [low | high << 32 for low, high in zip(numbers[::2], [*numbers[1::2], 0], strict=True)]
        return self._data_place(self._write([*pairs, Place(self.stream, 0), self._data_place(attributes), 1]))
