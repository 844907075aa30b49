"""The driver API's numbers, as NVIDIA's own bindings have them."""

from types import ModuleType

import pytest

from stepwell.runtime.devices import cuda_graph, cuda_steps, cuda_table
from stepwell.runtime.driver import codes, gpu, modules, tensor_maps


@pytest.fixture(scope="module")
def api() -> ModuleType:
    """The driver API of cuda-bindings, which needs no driver for its enumerations."""
    return pytest.importorskip("cuda.bindings.driver")


def test_numbers(api: ModuleType) -> None:
    attribute, function = api.CUdevice_attribute, api.CUfunction_attribute
    option, launch = api.CUjit_option, api.CUlaunchAttributeID
    pairs = [
        (gpu._MAJOR, attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
        (gpu._MINOR, attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        (gpu._MULTIPROCESSORS, attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        (gpu._RELEASE_THRESHOLD, api.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD),
        (gpu._NON_BLOCKING, api.CUstream_flags.CU_STREAM_NON_BLOCKING),
        (cuda_graph._NON_BLOCKING, api.CUstream_flags.CU_STREAM_NON_BLOCKING),
        (cuda_graph._THREAD_LOCAL, api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
        (gpu.NO_TIMING, api.CUevent_flags.CU_EVENT_DISABLE_TIMING),
        (cuda_steps._TIMING, api.CUevent_flags.CU_EVENT_DEFAULT),
        (gpu._NOT_READY, api.CUresult.CUDA_ERROR_NOT_READY),
        (modules._MAX_DYNAMIC_SHARED, function.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES),
        (modules._NON_PORTABLE_CLUSTERS, function.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED),
        (modules._ERROR_LOG, option.CU_JIT_ERROR_LOG_BUFFER),
        (modules._ERROR_LOG_BYTES, option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES),
        (cuda_table._CLUSTER_DIMENSION, launch.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION),
        (cuda_table._END, api.CU_LAUNCH_PARAM_END),
        (cuda_table._BUFFER, api.CU_LAUNCH_PARAM_BUFFER_POINTER),
        (cuda_table._BUFFER_SIZE, api.CU_LAUNCH_PARAM_BUFFER_SIZE),
        (tensor_maps._L2_256_BYTES, api.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B),
    ]
    assert [(ours, int(theirs)) for ours, theirs in pairs if ours != int(theirs)] == []


def test_tensor_maps(api: ModuleType) -> None:
    for name, number in tensor_maps._DTYPES.items():
        assert number == getattr(api.CUtensorMapDataType, f"CU_TENSOR_MAP_DATA_TYPE_{name.upper()}"), name
    for span, number in tensor_maps._SWIZZLES.items():
        name = f"{span}B" if span else "NONE"
        assert number == getattr(api.CUtensorMapSwizzle, f"CU_TENSOR_MAP_SWIZZLE_{name}")
    assert api.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE == 0
    assert api.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE == 0


def test_error_codes(api: ModuleType) -> None:
    names = {int(code): code.name for code in api.CUresult}
    for number, words in {
        2: "OUT_OF_MEMORY",
        34: "STUB_LIBRARY",
        46: "DEVICE_UNAVAILABLE",
        100: "NO_DEVICE",
        101: "INVALID_DEVICE",
        209: "NO_BINARY_FOR_GPU",
        218: "INVALID_PTX",
        222: "UNSUPPORTED_PTX_VERSION",
        700: "ILLEGAL_ADDRESS",
        701: "LAUNCH_OUT_OF_RESOURCES",
        702: "LAUNCH_TIMEOUT",
        714: "HARDWARE_STACK_ERROR",
        715: "ILLEGAL_INSTRUCTION",
        716: "MISALIGNED_ADDRESS",
        717: "INVALID_ADDRESS_SPACE",
        718: "INVALID_PC",
        719: "LAUNCH_FAILED",
        802: "SYSTEM_NOT_READY",
        803: "SYSTEM_DRIVER_MISMATCH",
    }.items():
        assert names[number] == f"CUDA_ERROR_{words}"
    listed = {*codes._FIXES, *codes._BROKEN, *codes._REFUSED}
    assert sorted(listed - set(names)) == []
