"""Hand-written kernels and plans, so that the runtime is tested without the compiler."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from stepwell.backends.cpu.codegen import assemble
from stepwell.runtime.executable import Executable
from stepwell.runtime.plan import (
    PLAN_VERSION,
    BufferRef,
    KernelInfo,
    Launch,
    Plan,
    Program,
    ReadSize,
    SymbolDef,
    TensorRef,
)
from stepwell.support.dtypes import DType
from stepwell.support.signature import ArgumentSpec, ResultSpec, Signature, SymbolSpec
from stepwell.support.size_guard import SizeGuard
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

ADD = """
define void @add(ptr %a, ptr %b, ptr %out, i64 %n, ptr %workspace, ptr %status) {
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %pa = getelementptr float, ptr %a, i64 %i
  %pb = getelementptr float, ptr %b, i64 %i
  %po = getelementptr float, ptr %out, i64 %i
  %x = load float, ptr %pa
  %y = load float, ptr %pb
  %z = fadd float %x, %y
  store float %z, ptr %po
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

# out[i] = table[index[i]], rows in table; an index out of range gives row 0 and status 1.
TAKE = """
define void @take(ptr %table, ptr %index, ptr %out, i64 %rows, i64 %n, ptr %workspace, ptr %status) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %load ]
  %pi = getelementptr i64, ptr %index, i64 %i
  %k = load i64, ptr %pi
  %bad = icmp uge i64 %k, %rows
  br i1 %bad, label %report, label %load
report:
  store i32 1, ptr %status
  br label %load
load:
  %row = phi i64 [ %k, %loop ], [ 0, %report ]
  %pt = getelementptr float, ptr %table, i64 %row
  %x = load float, ptr %pt
  %po = getelementptr float, ptr %out, i64 %i
  store float %x, ptr %po
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

# Each thread writes its number into its own workspace, then out[thread] = 1 + what it reads back.
THREADS = """
declare void @GOMP_parallel(ptr, ptr, i32, i32)
declare i32 @omp_get_thread_num()
define internal void @body(ptr %record) {
  %out = load ptr, ptr %record
  %second = getelementptr ptr, ptr %record, i64 1
  %workspace = load ptr, ptr %second
  %t = call i32 @omp_get_thread_num()
  %t64 = sext i32 %t to i64
  %offset = mul i64 %t64, 64
  %own = getelementptr i8, ptr %workspace, i64 %offset
  %value = sitofp i32 %t to float
  store volatile float %value, ptr %own
  %back = load volatile float, ptr %own
  %sum = fadd float %back, 1.0
  %place = getelementptr float, ptr %out, i64 %t64
  store float %sum, ptr %place
  ret void
}
define void @threads(ptr %out, ptr %workspace, ptr %status) {
  %record = alloca [2 x ptr]
  store ptr %out, ptr %record
  %second = getelementptr ptr, ptr %record, i64 1
  store ptr %workspace, ptr %second
  call void @GOMP_parallel(ptr @body, ptr %record, i32 0, i32 0)
  ret void
}
"""

SOURCES = {"add": ADD, "take": TAKE, "threads": THREADS}
INFOS = {
    "add": KernelInfo("add", flops=Expr.symbol("n"), schedule="loop", reasons=("nothing else is there",)),
    "take": KernelInfo("take", asserts=("index-out-of-range: index of take",)),
    "threads": KernelInfo("threads", workspace_per_thread=64),
}


@pytest.fixture(scope="session")
def objects() -> dict[str, bytes]:
    """Object files of the hand-written kernels by name."""
    target = Target.parse("cpu:x86-64-v3")
    return {name: assemble(text, target) for name, text in SOURCES.items()}


def tensor(space: str, index: int, *shape: Any, dtype: DType = DType.FLOAT32, offset: Any = 0) -> TensorRef:
    return TensorRef(BufferRef(space, index, Expr.of(offset)), dtype, tuple(map(Expr.of, shape)))


def argument(name: str, *shape: Any, kind: str = "user", dtype: DType = DType.FLOAT32) -> ArgumentSpec:
    return ArgumentSpec(name, kind, dtype, tuple(map(Expr.of, shape)))


def result(*shape: Any, kind: str = "user", target: str = "", dtype: DType = DType.FLOAT32) -> ResultSpec:
    return ResultSpec(kind, target, dtype, tuple(map(Expr.of, shape)))


def call_structure(*positional: Structure, **keyword: Structure) -> Structure:
    args = Structure("tuple", positional)
    kwargs = Structure("dict", tuple(keyword.values()), tuple(keyword))
    return Structure("tuple", (args, kwargs))


def leaves(count: int) -> tuple[Structure, ...]:
    return tuple(map(Structure.leaf, range(count)))


def add(a: TensorRef, b: TensorRef, out: TensorRef, n: Any) -> Launch:
    return Launch("add", (a, b), (out,), (Expr.of(n),), ("add model.py:12",))


N = Expr.symbol("n")


def chain_plan(**changes: Any) -> Plan:
    """y = (x + x) + w * 2, with w * 2 prepared; x and w have a first dimension n and 4."""
    size = 4 * N
    main = Program(
        symbols=(SymbolDef("n", 0, 0),),
        arena_bytes=(4 * size + 63) // 64 * 64,
        steps=(
            add(tensor("argument", 0, N, 4), tensor("argument", 0, N, 4), tensor("arena", 0, N, 4), size),
            add(tensor("arena", 0, N, 4), tensor("argument", 1, N, 4), tensor("result", 0, N, 4), size),
        ),
        results=(tensor("result", 0, N, 4),),
    )
    signature = Signature(
        arguments=(argument("x", N, 4), argument("z", N, 4)),
        results=(result(N, 4),),
        inputs=call_structure(*leaves(2)),
        outputs=Structure.leaf(0),
        symbols=(SymbolSpec("n", 0, 0, 0, 100000),),
    )
    values = {"main": main, "prepare": None, "kernels": {"add": INFOS["add"]}, "signature": signature} | changes
    return Plan(PLAN_VERSION, **values)


K = Expr.symbol("k")


def reading_plan() -> Plan:
    """y = 2 * (x + z)[:k] + x[:k], where k is read from the third argument."""
    size, part = 4 * N, 4 * K
    main = Program(
        symbols=(SymbolDef("n", 0, 0),),
        arena_bytes=(4 * size + 63) // 64 * 64,
        steps=(
            add(tensor("argument", 0, N, 4), tensor("argument", 1, N, 4), tensor("arena", 0, N, 4), size),
            ReadSize(
                "k",
                tensor("argument", 2, dtype=DType.INT64),
                Expr.const(0),
                N,
                (SizeGuard(K, 0, 7, text="k < 8 (model.py:4)"),),
                (4 * part + 63) // 64 * 64,
                ("item model.py:3",),
            ),
            add(tensor("arena", 0, K, 4), tensor("arena", 0, K, 4), tensor("arena", 1, K, 4), part),
            add(tensor("arena", 1, K, 4), tensor("argument", 0, K, 4), tensor("result", 0, K, 4), part),
        ),
        results=(tensor("result", 0, K, 4),),
    )
    signature = Signature(
        arguments=(argument("x", N, 4), argument("z", N, 4), argument("count", dtype=DType.INT64)),
        results=(result(K, 4),),
        inputs=call_structure(*leaves(3)),
        outputs=Structure.leaf(0),
        symbols=(SymbolSpec("n", 0, 0, 0, 100000),),
    )
    return Plan(PLAN_VERSION, main, None, {"add": INFOS["add"]}, signature)


def buffer_plan() -> Plan:
    """count += step, returning the new count; w2 = w + w is prepared and returned + x."""
    main = Program(
        steps=(
            add(tensor("argument", 1, 4), tensor("argument", 2, 4), tensor("result", 1, 4), 4),
            add(tensor("argument", 0, 4), tensor("prepared", 0, 4), tensor("result", 0, 4), 4),
        ),
        results=(tensor("result", 0, 4), tensor("result", 1, 4), tensor("result", 1, 4)),
    )
    prepare = Program(
        steps=(add(tensor("argument", 3, 4), tensor("argument", 3, 4), tensor("result", 0, 4), 4),),
        results=(tensor("result", 0, 4),),
    )
    signature = Signature(
        arguments=(
            argument("x", 4),
            argument("count", 4, kind="buffer"),
            argument("step", 4, kind="constant"),
            argument("w", 4, kind="parameter"),
        ),
        results=(result(4), result(4, kind="buffer", target="count"), result(4)),
        inputs=call_structure(Structure.leaf(0)),
        outputs=Structure("dict", (Structure.leaf(0), Structure.leaf(2)), ("y", "count")),
    )
    return Plan(PLAN_VERSION, main, prepare, {"add": INFOS["add"]}, signature)


def take_plan() -> Plan:
    """table[index], which checks the index; twice."""
    launch = Launch(
        "take",
        (tensor("argument", 0, 5), tensor("argument", 1, N, dtype=DType.INT64)),
        (tensor("result", 0, N),),
        (Expr.const(5), N),
        ("embedding model.py:7",),
    )
    signature = Signature(
        (argument("table", 5), argument("index", N, dtype=DType.INT64)),
        (result(N),),
        call_structure(*leaves(2)),
        Structure.leaf(0),
    )
    main = Program(symbols=(SymbolDef("n", 1, 0),), steps=(launch, launch), results=(tensor("result", 0, N),))
    return Plan(PLAN_VERSION, main, None, {"take": INFOS["take"]}, signature)


@pytest.fixture(scope="session")
def build(objects: Mapping[str, bytes]) -> Callable[..., Executable]:
    """Return a function that makes an executable of a plan and constants."""

    def make(plan: Plan, **constants: Any) -> Executable:
        code = {name: objects[name] for name in plan.kernels}
        return Executable(plan, code, constants, target="cpu:x86-64-v3")

    return make


@pytest.fixture(scope="session")
def kit() -> Any:
    """The helpers of this file, which tests cannot import."""
    return sys.modules[__name__]


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh random numbers; the seed is printed where a test fails."""
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}")
    return np.random.default_rng(seed)
