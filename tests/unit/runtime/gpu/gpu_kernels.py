"""Hand-written PTX kernels, and plans that use them: the GPU's side of the runtime's tests."""

from dataclasses import replace
from typing import Any

from stepwell.runtime.gpu_code import GpuCode, PtxasReport
from stepwell.runtime.grids import GridLaunch
from stepwell.runtime.plan import KernelInfo
from stepwell.support.symbolic import Expr

_HEAD = """.version 7.0
.target sm_80
.address_size 64
"""

_PARAMETERS = """.visible .entry {name}(
  .param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u64 p3, .param .u64 p4, .param .u64 p5{more}
)
"""

_ADD_BODY = """{{
  .reg .pred %p<3>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<12>;
  .reg .f32 %f<12>;
  ld.param.u64 %rd1, [p0];
  ld.param.u64 %rd2, [p1];
  ld.param.u64 %rd3, [p2];
  ld.param.u64 %rd4, [p3];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  mul.wide.s32 %rd5, %r4, {width};
  setp.ge.s64 %p1, %rd5, %rd4;
  @%p1 bra DONE;
  shl.b64 %rd6, %rd5, 2;
  add.s64 %rd7, %rd1, %rd6;
  add.s64 %rd8, %rd2, %rd6;
  add.s64 %rd9, %rd3, %rd6;
{body}
DONE:
  ret;
}}
"""

_ONE = """  ld.global.f32 %f1, [%rd7];
  ld.global.f32 %f2, [%rd8];
  add.f32 %f3, %f1, %f2;
  st.global.f32 [%rd9], %f3;"""

_FOUR = """  ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd7];
  ld.global.v4.f32 {%f5, %f6, %f7, %f8}, [%rd8];
  add.f32 %f1, %f1, %f5;
  add.f32 %f2, %f2, %f6;
  add.f32 %f3, %f3, %f7;
  add.f32 %f4, %f4, %f8;
  st.global.v4.f32 [%rd9], {%f1, %f2, %f3, %f4};"""

# The sizes of these plans are multiples of 4.
ADD = (
    _HEAD
    + _PARAMETERS.format(name="add_one", more="")
    + _ADD_BODY.format(width=1, body=_ONE)
    + _PARAMETERS.format(name="add_four", more="")
    + _ADD_BODY.format(width=4, body=_FOUR)
)

# out[i] = table[index[i]]; an index out of range gives element 0 and status 1.
TAKE = (
    _HEAD
    + _PARAMETERS.format(name="take", more=", .param .u64 p6")
    + """{
  .reg .pred %p<4>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<16>;
  .reg .f32 %f<2>;
  ld.param.u64 %rd1, [p0];
  ld.param.u64 %rd2, [p1];
  ld.param.u64 %rd3, [p2];
  ld.param.u64 %rd4, [p3];
  ld.param.u64 %rd5, [p4];
  ld.param.u64 %rd6, [p6];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  cvt.s64.s32 %rd7, %r4;
  setp.ge.s64 %p1, %rd7, %rd5;
  @%p1 bra DONE;
  shl.b64 %rd8, %rd7, 3;
  add.s64 %rd9, %rd2, %rd8;
  ld.global.u64 %rd10, [%rd9];
  setp.lt.u64 %p2, %rd10, %rd4;
  @%p2 bra LOAD;
  mov.u32 %r5, 1;
  atom.global.max.u32 %r6, [%rd6], %r5;
  mov.u64 %rd10, 0;
LOAD:
  shl.b64 %rd11, %rd10, 2;
  add.s64 %rd12, %rd1, %rd11;
  ld.global.f32 %f1, [%rd12];
  shl.b64 %rd13, %rd7, 2;
  add.s64 %rd14, %rd3, %rd13;
  st.global.f32 [%rd14], %f1;
DONE:
  ret;
}
"""
)

N = Expr.symbol("n")


def blocks(size: Any, per_block: int) -> Expr:
    return (Expr.of(size) + (per_block - 1)) // per_block


def add_info(size: Any) -> KernelInfo:
    """An addition of so many floats, with a wide variant for aligned pointers."""
    return KernelInfo(
        "add",
        schedule="loop",
        reasons=("nothing else is there",),
        flops=Expr.of(size),
        grids=(
            GridLaunch("add_four", blocks(size, 4 * 64), 64, when="aligned"),
            GridLaunch("add_one", blocks(size, 128), 128, when="unaligned"),
        ),
    )


TAKE_INFO = KernelInfo(
    "take", asserts=("index-out-of-range: index of take",), grids=(GridLaunch("take", blocks(N, 64), 64),)
)


def code(ptx: str, *, arch: str = "sm_80", cubins: tuple[str, ...] = (), ptxas: str = "13.0.88") -> bytes:
    """Return PTX, and what stands for machine code, as a kernel's bytes."""
    reports = {name: PtxasReport(name, ptxas) for name in cubins}
    return GpuCode(arch, ptx, {name: f"elf {name}".encode() for name in cubins}, reports).to_bytes()


def with_info(plan: Any, **infos: KernelInfo) -> Any:
    """Return a plan whose kernels are for a GPU."""
    return replace(plan, kernels=infos)
