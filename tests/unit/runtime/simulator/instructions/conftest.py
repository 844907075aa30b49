"""Runs pieces of PTX on the simulated device."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.simulator import Simulator, TensorMapValue

_MODULE = """.version 8.6
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 smem[];
.visible .entry k({parameters})
{{
  .reg .b16 %h<32>;
  .reg .b32 %r<400>;
  .reg .b64 %d<64>;
  .reg .f32 %f<400>;
  .reg .f64 %x<32>;
  .reg .pred %p<16>;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, smem;
  setp.eq.u32 %p0, %r0, 0;
{loads}
{body}
  ret;
}}
"""

Execute = Callable[..., np.ndarray]


def ptx(body: str, arrays: int, maps: int) -> str:
    """Return a module with an entry of ``arrays`` pointers, in %d0 and on, and ``maps`` tensor maps, m0 and on.

    %r0 is the thread, %r1 the address of dynamic shared memory, %p0 holds for thread 0. The generic address of tensor
    map number i is in %d(50 + i).
    """
    parameters = [f".param .u64 a{number}" for number in range(arrays)]
    parameters += [f".param .align 64 .b8 m{number}[128]" for number in range(maps)]
    loads = [f"  ld.param.u64 %d{number}, [a{number}];" for number in range(arrays)]
    for number in range(maps):
        loads += [f"  mov.b64 %d{50 + number}, m{number};", f"  cvta.param.u64 %d{50 + number}, %d{50 + number};"]
    return _MODULE.format(parameters=", ".join(parameters), loads="\n".join(loads), body=body)


@pytest.fixture(params=["fast", "strict"])
def execute(request: pytest.FixtureRequest) -> Execute:
    """Return a function that runs a body on arrays, of which the last is what it writes, and returns that one."""

    def run(
        body: str,
        *arrays: np.ndarray,
        threads: int = 32,
        blocks: int = 1,
        cluster: int = 1,
        shared: int = 16384,
        maps: Sequence[tuple[int, dict[str, Any]]] = (),
    ) -> np.ndarray:
        simulator = Simulator("sm_90a", mode=request.param)
        addresses = [simulator.allocate(max(array.nbytes, 1)) for array in arrays]
        for address, array in zip(addresses, arrays, strict=True):
            simulator.write(address, np.ascontiguousarray(array))
        start = -(-8 * len(arrays) // 64) * 64
        values = {
            start + 128 * number: TensorMapValue(addresses[which], **fields)
            for number, (which, fields) in enumerate(maps)
        }
        parameters = np.array(addresses, np.uint64).tobytes()
        if maps:
            parameters = parameters.ljust(start, b"\0") + bytes(128 * len(maps))
        module = simulator.load(ptx(body, len(arrays), len(maps)))
        simulator.launch(
            module, "k", blocks, threads, parameters, shared_bytes=shared, cluster=cluster, tensor_maps=values
        )
        result = arrays[-1]
        return np.frombuffer(simulator.read(addresses[-1], result.nbytes), result.dtype).reshape(result.shape)

    return run
