"""What a launch costs the host, measured without a GPU: the driver's functions on the hot path are machine code.

``cuLaunchKernel`` and its kin are compiled functions that count their calls, add up the words of the parameters, which
the real one has to read too, and return; everything else is the driver of C callbacks.  So the time is that of stepwell
alone, from the call of the executable to its return.
"""

import time
from collections.abc import Callable
from typing import Any

import gpu_kernels
import numpy as np
import pytest
from driver_stub import DriverStub

from stepwell.backends.cpu.codegen import assemble
from stepwell.runtime.elf import Image
from stepwell.runtime.executable import Executable
from stepwell.runtime.plan import Program
from stepwell.support.errors import ObjectError
from stepwell.support.target import Target

_LAUNCH = """
@launches = internal global i64 0
@sum = internal global i64 0
define i32 @cuLaunchKernel(ptr %function, i32 %x, i32 %y, i32 %z, i32 %threads, i32 %p, i32 %q, i32 %shared,
                           ptr %stream, ptr %params, ptr %extra) {
entry:
  %place = getelementptr ptr, ptr %extra, i64 1
  %buffer = load ptr, ptr %place
  %last = getelementptr ptr, ptr %extra, i64 3
  %address = load ptr, ptr %last
  %size = load i64, ptr %address
  br label %loop
loop:
  %offset = phi i64 [ 0, %entry ], [ %next, %loop ]
  %word = getelementptr i8, ptr %buffer, i64 %offset
  %value = load i64, ptr %word
  %old = load i64, ptr @sum
  %new = add i64 %old, %value
  store i64 %new, ptr @sum
  %next = add i64 %offset, 8
  %more = icmp slt i64 %next, %size
  br i1 %more, label %loop, label %done
done:
  %count = load i64, ptr @launches
  %one_more = add i64 %count, 1
  store i64 %one_more, ptr @launches
  ret i32 0
}
define i64 @count() {
  %count = load i64, ptr @launches
  ret i64 %count
}
"""
_NOTHING = "define i32 @{name}({arguments}) {{\n  ret i32 0\n}}\n"
_QUICK = {
    "cuCtxPushCurrent_v2": "i64 %a",
    "cuCtxPopCurrent_v2": "ptr %a",
    "cuMemcpyDtoDAsync_v2": "i64 %a, i64 %b, i64 %c, i64 %d",
    "cuMemcpyDtoHAsync_v2": "i64 %a, i64 %b, i64 %c, i64 %d",
}
LIMIT = 5e-6


def refuse(name: str) -> int:
    raise ObjectError(f"'{name}' is not here")


@pytest.fixture
def native(stub: DriverStub, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Machine code in the place of the functions that tables call."""
    text = _LAUNCH + "".join(_NOTHING.format(name=name, arguments=args) for name, args in _QUICK.items())
    image = Image({"driver": assemble(text, Target.parse("cpu:x86-64-v3"))}, refuse)
    found = stub.find
    names = {"cuLaunchKernel", *_QUICK}
    # The machine code does not tell the others which context is current.
    stub.contexts.append(0xC0)
    monkeypatch.setattr(stub, "find", lambda name: image.address("driver", name) if name in names else found(name))
    return image


def chain_of(kit: Any, count: int) -> Executable:
    """x + z, added to itself again and again: so many launches."""
    size = 4 * gpu_kernels.N
    places = [kit.tensor("arena", 0, gpu_kernels.N, 4, offset=64 * (number % 2)) for number in range(count)]
    places[-1] = kit.tensor("result", 0, gpu_kernels.N, 4)
    inputs = [kit.tensor("argument", 0, gpu_kernels.N, 4), *places]
    launches = [
        kit.add(a, kit.tensor("argument", 1, gpu_kernels.N, 4), b, size) for a, b in zip(inputs, places, strict=False)
    ]
    plan = kit.chain_plan()
    main = Program(plan.main.symbols, (), 128 * gpu_kernels.N, tuple(launches), plan.main.results)
    plan = gpu_kernels.with_info(kit.chain_plan(main=main), add=gpu_kernels.add_info(size))
    return Executable(plan, {"add": gpu_kernels.code(gpu_kernels.ADD)}, {}, target="cuda:sm_80", device="cuda")


class OnGpu:
    """A tensor of 3 rows of 4 floats, without anything else to find out about it."""

    def __init__(self) -> None:
        self.block = np.zeros(1024, np.uint8)
        address = -(-self.block.ctypes.data // 256) * 256
        shape = {"shape": (3, 4), "typestr": "<f4", "strides": None}
        self.__cuda_array_interface__ = {"data": (address, False), "version": 3, "stream": None} | shape


def seconds(function: Callable[[], Any], repeat: int = 200) -> float:
    """Return the least time of a call in several rounds."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeat):
            function()
        best = min(best, (time.perf_counter() - start) / repeat)
    return best


def test_host_cost_of_a_launch(kit: Any, stub: DriverStub, native: Image) -> None:
    from stepwell.runtime.devices.device import PLAIN

    short, long = chain_of(kit, 2), chain_of(kit, 202)
    x, z, out = OnGpu(), OnGpu(), OnGpu()
    spent = {}
    for exe, count in ((short, 2), (long, 202)):
        exe(x, z, out=out)
        arguments, bound = exe.session.accept((x, z), {})
        results = exe.session.outputs.make(arguments, bound, out)
        program = exe.session.program()
        spent[count] = seconds(lambda: program.call(bound, arguments, results, PLAIN))  # noqa: B023
        spent[-count] = seconds(lambda: exe(x, z, out=out))  # noqa: B023
    each = (spent[202] - spent[2]) / 200
    print(f"each launch {each * 1e6:.3f} us")
    for count in (2, 202):
        print(f"{count} launches {spent[count] * 1e6:.1f} us, with the tensors' side {spent[-count] * 1e6:.1f} us")
    assert each < LIMIT
    assert spent[-202] / 202 < LIMIT
