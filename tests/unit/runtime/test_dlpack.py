"""DLPack capsules: numpy and torch read those of ours, and we read theirs."""

import gc
from typing import Any

import numpy as np
import pytest
import torch

from stepwell.runtime import dlpack
from stepwell.runtime.dlpack import Region, make_capsule, read_capsule
from stepwell.support.dtypes import DType

HOST = (1, 0)


class Exporter:
    """Memory of ours, as another library meets it."""

    def __init__(self, array: Any, dtype: DType, strides: tuple[int, ...] | None = None) -> None:
        self.array = array
        self.region = Region(array.ctypes.data, array.shape, strides, dtype, HOST)

    def __dlpack_device__(self) -> tuple[int, int]:
        return HOST

    def __dlpack__(self, **options: Any) -> Any:
        return make_capsule(self.region, self)


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_torch_reads_ours(dtype: DType, rng: np.random.Generator) -> None:
    array = rng.integers(0, 2, (3, 4)).astype(dtype.numpy)
    tensor = torch.from_dlpack(Exporter(array, dtype))
    assert tensor.dtype == getattr(torch, dtype.label)
    assert tensor.tolist() == array.tolist()
    assert tensor.data_ptr() == array.ctypes.data
    assert len(dlpack._exported) == 1
    del tensor
    gc.collect()
    assert dlpack._exported == {}


def test_shapes_and_strides(rng: np.random.Generator) -> None:
    array = rng.standard_normal((3, 4))
    turned = Exporter(array, DType.FLOAT64, (1, 4))
    turned.region = Region(array.ctypes.data, (4, 3), (1, 4), DType.FLOAT64, HOST)
    np.testing.assert_array_equal(np.from_dlpack(turned), array.T)
    scalar = np.array(2.5)
    assert np.from_dlpack(Exporter(scalar, DType.FLOAT64)) == 2.5
    assert np.from_dlpack(Exporter(np.empty((0, 3), np.float32), DType.FLOAT32)).shape == (0, 3)


def test_a_capsule_nobody_takes_is_dropped() -> None:
    capsule = make_capsule(Exporter(np.zeros(3), DType.FLOAT64).region, object())
    assert len(dlpack._exported) == 1
    del capsule
    gc.collect()
    assert dlpack._exported == {}


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_we_read_torchs(dtype: DType) -> None:
    tensor = torch.zeros(3, 4).to(getattr(torch, dtype.label)).t()[1:]
    region = read_capsule(tensor.__dlpack__())
    assert (region.address, region.shape, region.strides) == (tensor.data_ptr(), (3, 3), (1, 4))
    assert (region.dtype, region.device) == (dtype, HOST)


def test_unknown_types_are_refused() -> None:
    with pytest.raises(KeyError, match="DLPack type 5 of 32 bits"):
        read_capsule(torch.zeros(3, dtype=torch.complex32).__dlpack__())
