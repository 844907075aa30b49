"""Tensor maps: which bytes a box copy reads and where it puts them, and what the driver would refuse."""

import math
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.simulator.tensor_maps import TensorMapValue
from stepwell.support.errors import ArgumentError


def _strides(sizes: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Row-major byte strides, innermost first, rounded up to the 16 bytes that tensor maps ask for."""
    strides, step = [], itemsize
    for size in sizes[:-1]:
        step = -(-step * size // 16) * 16
        strides.append(step)
    return tuple(strides)


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_boxes_of_every_rank(rank: int) -> None:
    seed = 100 + rank
    print("seed", seed)
    rng = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in rng.integers(9, 20, rank))
    box = (8, *(int(extent) for extent in rng.integers(1, 4, rank - 1)))
    tensor_map = TensorMapValue(4096, "bfloat16", sizes, _strides(sizes, 2), box)
    start = tuple(int(at) for at in rng.integers(-3, 15, rank))
    addresses, inside = tensor_map.pieces(start, 2)
    strides = (2, *tensor_map.strides)
    for position, place in enumerate(np.ndindex(*reversed(box))):
        index = tuple(at + i for at, i in zip(start, reversed(place), strict=True))
        row, column = divmod(position, box[0])
        assert inside[row, column] == all(0 <= i < size for i, size in zip(index, sizes, strict=True))
        assert addresses[row, column] == 4096 + sum(i * stride for i, stride in zip(index, strides, strict=True))
    assert tensor_map.copy_bytes == math.prod(box) * 2


def test_element_strides() -> None:
    """ceil(box / stride) elements per dimension, but every one of the innermost."""
    tensor_map = TensorMapValue(0, "float32", (64, 64), (256,), (8, 5), element_strides=(3, 2))
    assert tensor_map.extents == (8, 3)
    assert tensor_map.copy_bytes == 8 * 3 * 4
    addresses, inside = tensor_map.pieces((4, -2), 4)
    assert (addresses // 256).tolist()[0][0] == -2
    assert (addresses[:, 0] - 16).tolist() == [-512, 0, 512]
    assert np.diff(addresses[1]).tolist() == [4] * 7
    assert inside.all(axis=1).tolist() == [False, True, True]


def test_pieces_of_sixteen_bytes() -> None:
    """They are the elements' addresses, eight at a time, where no piece is half inside."""
    tensor_map = TensorMapValue(0, "float16", (40, 64), (96,), (32, 4), 64)
    assert tensor_map.piece_bytes((16, 0)) == 16
    assert tensor_map.piece_bytes((17, 0)) == 2
    assert TensorMapValue(0, "float16", (41, 64), (96,), (32, 4), 64).piece_bytes((16, 0)) == 2
    for coordinates in ((16, 0), (-8, 62)):
        single, inside = tensor_map.pieces(coordinates, 2)
        whole, whole_inside = tensor_map.pieces(coordinates, 16)
        assert np.array_equal(whole, single[:, ::8])
        assert np.array_equal(np.repeat(whole_inside, 8, axis=1), inside)
    assert np.array_equal(tensor_map.shared_addresses(512, 16), tensor_map.shared_addresses(512, 2)[:, ::8])


@pytest.mark.parametrize("span", [0, 32, 64, 128])
def test_shared_addresses(span: int) -> None:
    """Row r of a box is row r of span bytes; its 16-byte cells change places with the number of their 128-byte line."""
    inner = span or 80
    tensor_map = TensorMapValue(0, "float16", (256, 64), (512,), (inner // 2, 16), span)
    places = tensor_map.shared_addresses(3072, 2)
    for row in range(16):
        for column in range(inner // 2):
            byte = 3072 + row * inner + column * 2
            cell, line = byte // 16, byte // 128
            assert places[row, column] == (cell ^ (line % (span // 16) if span else 0)) * 16 + byte % 16


def test_a_narrow_row_fills_its_span() -> None:
    tensor_map = TensorMapValue(0, "float16", (256, 64), (512,), (16, 16), 64)
    assert tensor_map.shared_addresses(0, 2)[1, 0] == 64
    assert tensor_map.copy_bytes == 512


VALID = {"address": 256, "dtype": "float16", "sizes": (64, 64), "strides": (128,), "box": (64, 64), "swizzle": 128}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "bool"}, "element type 'bool'"),
        ({"address": 8}, "address 0x8 is not a multiple of 16"),
        ({"sizes": (64,)}, "1 sizes"),
        ({"sizes": (0, 64)}, "must be from 1 to 2"),
        ({"strides": (136,)}, "multiples of 16"),
        ({"strides": (1 << 40,)}, "multiples of 16 below"),
        ({"box": (64, 257)}, "extents from 1 to 256"),
        ({"box": (4, 64)}, "innermost box extent is 8 bytes"),
        ({"box": (128, 64)}, "beyond the swizzle span of 128"),
        ({"swizzle": 96}, "swizzle 96"),
        ({"element_strides": (1, 9)}, "from 1 to 8"),
        ({"element_strides": (1,)}, "must be 2 numbers"),
    ],
)
def test_what_the_driver_refuses(change: dict[str, Any], message: str) -> None:
    TensorMapValue(**VALID)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=message):
        TensorMapValue(**{**VALID, **change})
