"""Tensor maps and clusters in launches: what stands where in the parameters, and what the driver is asked to encode."""

from dataclasses import replace
from typing import Any

import gpu_kernels
import numpy as np
import pytest
from driver_stub import DriverStub
from foreign_tensors import Foreign

from stepwell.runtime.executable import Executable
from stepwell.runtime.grids import GridLaunch, TensorMap
from stepwell.runtime.plan import KernelInfo
from stepwell.support.errors import LaunchError
from stepwell.support.symbolic import Expr

N = gpu_kernels.N


def mapped(kit: Any, **changes: Any) -> Executable:
    """The chain of two additions, whose kernel also takes maps of its first input and of its output."""
    view = TensorMap(
        0,
        "float32",
        (Expr.const(4), N),
        (Expr.const(16),),
        (4, 8),
        swizzle=32,
        element_strides=(1, 1),
        offset=16 * N - 16,
    )
    out = replace(view, argument=2, dtype="int16", element_strides=(), swizzle=128, offset=Expr.const(0))
    grid = GridLaunch("add_one", 2 * N, 384, 200_000, cluster=2, tensor_maps=(view, out))
    plan = gpu_kernels.with_info(kit.chain_plan(), add=KernelInfo("add", grids=(replace(grid, **changes),)))
    return Executable(plan, {"add": gpu_kernels.code(gpu_kernels.ADD)}, {}, target="cuda:sm_80", device="cuda")


def test_maps_and_clusters(stub: DriverStub, kit: Any) -> None:
    exe = mapped(kit)
    x = Foreign(np.ones((3, 4), np.float32))
    y = exe(x, x)
    assert y.numpy().tolist() == [[3.0] * 4] * 3
    first, second = stub.launches
    assert (first.blocks, first.threads, first.shared, first.cluster) == (6, 384, 200_000, 2)
    # Six words are 48 bytes; the maps begin at the next multiple of 64.
    assert len(first.parameters) == 64 + 2 * 128
    encoded = [args for name, args in stub.calls if name == "cuTensorMapEncodeTiled"]
    # The second launch's first map views what the first launch's second does, as another type.
    assert [args[3] for args in encoded] == [x.address + 32, first.words[2], first.words[2] + 32, y.address]
    assert [(args[1], args[2], args[8], args[9]) for args in encoded[:2]] == [(7, 2, 0, 1), (1, 2, 0, 3)]
    for launch, start in ((first, 0), (second, 2)):
        for number, word in enumerate((8, 24)):
            assert launch.words[word : word + 2] == (0x7E45, encoded[start + number][3])
    shared = [args for name, args in stub.calls if name == "cuFuncSetAttribute"]
    assert [args[1:] for args in shared] == [(8, 200_000)]


def test_maps_are_encoded_once_per_address(stub: DriverStub, kit: Any) -> None:
    exe = mapped(kit)
    x, out = Foreign(np.ones((3, 4), np.float32)), Foreign(np.ones((3, 4), np.float32))
    exe(x, x, out=out)
    stub.forget()
    exe(x, x, out=out)
    assert stub.counts()["cuTensorMapEncodeTiled"] == 0
    exe(Foreign(np.ones((3, 4), np.float32)), x, out=out)
    assert stub.counts()["cuTensorMapEncodeTiled"] == 1


def test_a_map_without_elements_is_not_encoded(stub: DriverStub, kit: Any) -> None:
    exe = mapped(kit, tensor_maps=(TensorMap(0, "uint8", (Expr.const(0),), (), (16,)),))
    x = np.ones((3, 4), np.float32)
    exe(x, x)
    assert stub.counts()["cuTensorMapEncodeTiled"] == 0
    assert stub.launches[0].words[8:] == (0,) * 16


def test_a_map_that_the_driver_refuses(stub: DriverStub, kit: Any) -> None:
    exe = mapped(kit)
    x = np.ones((3, 4), np.float32)
    stub.fail["cuTensorMapEncodeTiled"] = 1
    text = r"the driver refuses a tensor map of kernel 'add', from add model.py:12: CUDA_ERROR_1: .* sizes \(4, 3\)"
    with pytest.raises(LaunchError, match=text):
        exe(x, x)
    assert exe(x, x).tolist() == [[3.0] * 4] * 3
    assert stub.contexts == []


def test_clusters_that_the_gpu_does_not_have(stub: DriverStub, kit: Any) -> None:
    stub.fail_code = 1
    stub.fail_when = lambda name: name == "cuFuncSetAttribute"
    with pytest.raises(
        Exception, match="kernel 'add' needs 200000 bytes of shared memory, which Stub GPU does not give"
    ):
        mapped(kit)
    with pytest.raises(Exception, match="kernel 'add' needs clusters of 16 blocks, which Stub GPU does not have"):
        mapped(kit, shared_bytes=0, cluster=16)
