"""Small kernels for the strict simulator: bodies in PTX with the registers that most of them need."""

import numpy as np

from stepwell.runtime.simulator import Simulator

_FRAME = """.version 8.6
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 source, .param .u64 target)
{{
  .reg .b16 %h<8>;
  .reg .b32 %r<64>;
  .reg .b64 %d<32>;
  .reg .f32 %f<64>;
  .reg .pred %p<16>;
  .shared .align 1024 .b8 tile[8192];
  .shared .align 8 .b8 gate[64];
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, tile;
  shl.b32 %r3, %r0, 2;
  add.u32 %r3, %r3, %r2;
  xor.b32 %r4, %r0, 32;
  shl.b32 %r4, %r4, 2;
  add.u32 %r4, %r4, %r2;
  mov.u32 %r5, gate;
  ld.param.u64 %d0, [source];
  ld.param.u64 %d1, [target];
  mul.wide.u32 %d2, %r0, 4;
  add.u64 %d3, %d0, %d2;
  add.u64 %d4, %d1, %d2;
  setp.eq.u32 %p0, %r0, 0;
{body}
  ret;
}}
"""


def kernel(body: str) -> str:
    """Return a module around a body.

    %r0 is the thread, %r1 the block, %r2 the address of 8 KiB of shared memory, %r3 that of the thread's word there,
    %r4 that of the word of the thread 32 away, %r5 that of space for mbarriers; %d0 and %d1 are the parameters, %d3 and
    %d4 the thread's words there; %p0 holds for thread 0.
    """
    return _FRAME.format(body=body)


def run(body: str, *, threads: int = 64, blocks: int = 1, seed: int = 0, cluster: int = 1) -> np.ndarray:
    """Run a body on 4096 numbers, strictly; return the 4096 words of its target."""
    simulator = Simulator("sm_90a", mode="strict", seed=seed)
    source, target = simulator.allocate(16384), simulator.allocate(16384)
    simulator.write(source, np.arange(4096, dtype=np.uint32))
    simulator.write(target, np.zeros(4096, np.uint32))
    module = simulator.load(kernel(body))
    parameters = np.array([source, target], np.uint64).tobytes()
    simulator.launch(module, "k", blocks, threads, parameters, cluster=cluster)
    return np.frombuffer(simulator.read(target, 16384), np.uint32)
