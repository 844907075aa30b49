"""Give launch functions their bodies: threads of the process's OpenMP runtime share the iterations of a parallel loop.

Takes and gives stage ``target``; runs when functions are in the llvm dialect already.  ``cpu-outline-parallel`` left
declarations ``@k0_launch_0(..., count)`` with the attribute ``stepwell.launch``; each becomes

* serial where ``count <= grain``, where we are inside a parallel region, or where there is one thread:
  ``body(..., 0, count)``;
* else ``GOMP_parallel`` over a worker function.  With ``parts = min(threads, ceil(count / grain))``, thread t runs the
  contiguous iterations ``t*count/parts`` to ``(t+1)*count/parts`` and gets the workspace at ``t * bytes``.

The team always has all threads: libgomp ends and recreates threads when team sizes change, which costs more than waking
a few for nothing.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.conversion.cpu_outline_parallel import LAUNCH
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage

RUNTIME_FUNCTIONS = (
    "llvm.func @GOMP_parallel(!llvm.ptr, !llvm.ptr, i32, i32)",
    "llvm.func @omp_get_max_threads() -> i32",
    "llvm.func @omp_in_parallel() -> i32",
    "llvm.func @omp_get_thread_num() -> i32",
    "llvm.func @omp_get_num_threads() -> i32",
)
"""What the loader must resolve: the interface of libgomp that launches use."""


@register_pass
@dataclass(frozen=True)
class CpuLowerLaunchesPass(Pass):
    """Define the launch functions of parallel loops through ``GOMP_parallel``."""

    name: ClassVar[str] = "cpu-lower-launches"
    summary: ClassVar[str] = "define the launch functions of parallel loops through GOMP_parallel"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    def apply(self, op: "ir.Operation") -> None:
        """Define every launch function that the module declares."""
        block = op.regions[0].blocks[0]
        launches = [child.operation for child in block.operations if LAUNCH in child.operation.attributes]
        for launch in launches:
            if launch.name != "llvm.func":
                fail(launch, "expects launch functions in the llvm dialect; convert-func-to-llvm comes first")
        known = {child.operation.attributes["sym_name"].value for child in block.operations}
        for launch in launches:
            known.remove(launch.attributes["sym_name"].value)
            made = launch_module(launch)
            for function in [child.operation for child in made.body.operations]:
                name = function.attributes["sym_name"].value
                if name not in known:
                    known.add(name)
                    function.move_before(launch)
            launch.erase()


def launch_module(launch: Any) -> "ir.Module":
    """Return a module with the function that ``launch`` declares, its worker, and declarations of what they call."""
    name = launch.attributes["sym_name"].value
    facts = launch.attributes[LAUNCH]
    function_type = str(launch.attributes["function_type"].value)
    # "!llvm.func<void (ptr, i64)>": no parameter of a launch holds a comma of its own.
    types = function_type[function_type.index("(") + 1 : function_type.rindex(")")].split(", ")[:-1]
    types = [f"!llvm.{kind}" if kind == "ptr" else kind for kind in types]
    body = f"@{facts['body'].value}"
    grain, workspace = facts["grain"].value, facts["workspace"].value
    record = f"!llvm.struct<({', '.join([*types, 'i64'])})>"
    functions = (
        *RUNTIME_FUNCTIONS,
        f"llvm.func {body}({', '.join([*types, 'i64', 'i64'])})",
        _launch_text(name, body, types, record, grain),
        _worker_text(name, body, types, record, grain, facts["workspace_argument"].value, workspace),
    )
    with launch.context, launch.location:
        # Calls are checked as they are parsed, so that all the functions stand in one module.
        return ir.Module.parse("\n".join(functions))


def _call(body: str, values: list[str], types: list[str], low: str, high: str) -> str:
    return f"llvm.call {body}({', '.join([*values, low, high])}) : ({', '.join([*types, 'i64', 'i64'])}) -> ()"


def _launch_text(name: str, body: str, types: list[str], record: str, grain: int) -> str:
    values = [f"%arg{i}" for i in range(len(types))]
    parameters = ", ".join(f"{value}: {kind}" for value, kind in zip(values, types, strict=True))
    stores = "\n".join(
        f"%p{i} = llvm.getelementptr %record[0, {i}] : (!llvm.ptr) -> !llvm.ptr, {record}\n"
        f"llvm.store {value}, %p{i} : {kind}, !llvm.ptr"
        for i, (value, kind) in enumerate(zip([*values, "%count"], [*types, "i64"], strict=True))
    )
    return f"""
llvm.func internal @{name}({parameters}{", " if parameters else ""}%count: i64) {{
  %zero = llvm.mlir.constant(0 : i64) : i64
  %zero32 = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i32) : i32
  %grain = llvm.mlir.constant({grain} : i64) : i64
  %small = llvm.icmp "sle" %count, %grain : i64
  llvm.cond_br %small, ^serial, ^ask
^ask:
  %threads = llvm.call @omp_get_max_threads() : () -> i32
  %inside = llvm.call @omp_in_parallel() : () -> i32
  %alone = llvm.icmp "sle" %threads, %one : i32
  %nested = llvm.icmp "ne" %inside, %zero32 : i32
  %no = llvm.or %alone, %nested : i1
  llvm.cond_br %no, ^serial, ^parallel
^serial:
  {_call(body, values, types, "%zero", "%count")}
  llvm.return
^parallel:
  %record = llvm.alloca %one x {record} {{alignment = 64 : i64}} : (i32) -> !llvm.ptr
  {stores}
  %worker = llvm.mlir.addressof @{name}_worker : !llvm.ptr
  llvm.call @GOMP_parallel(%worker, %record, %zero32, %zero32) : (!llvm.ptr, !llvm.ptr, i32, i32) -> ()
  llvm.return
}}"""


def _worker_text(
    name: str, body: str, types: list[str], record: str, grain: int, workspace_argument: int, workspace: int
) -> str:
    loads = "\n".join(
        f"%p{i} = llvm.getelementptr %record[0, {i}] : (!llvm.ptr) -> !llvm.ptr, {record}\n"
        f"%v{i} = llvm.load %p{i} : !llvm.ptr -> {kind}"
        for i, kind in enumerate([*types, "i64"])
    )
    values = [f"%v{i}" if i != workspace_argument else "%own" for i in range(len(types))]
    count = f"%v{len(types)}"
    return f"""
llvm.func internal @{name}_worker(%record: !llvm.ptr) {{
  {loads}
  %thread32 = llvm.call @omp_get_thread_num() : () -> i32
  %threads32 = llvm.call @omp_get_num_threads() : () -> i32
  %thread = llvm.sext %thread32 : i32 to i64
  %threads = llvm.sext %threads32 : i32 to i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %grain = llvm.mlir.constant({grain} : i64) : i64
  %bytes = llvm.mlir.constant({workspace} : i64) : i64
  %less = llvm.sub {count}, %one : i64
  %full = llvm.sdiv %less, %grain : i64
  %chunks = llvm.add %full, %one : i64
  %parts = llvm.intr.smin(%threads, %chunks) : (i64, i64) -> i64
  %idle = llvm.icmp "sge" %thread, %parts : i64
  llvm.cond_br %idle, ^done, ^work
^work:
  %next = llvm.add %thread, %one : i64
  %low_scaled = llvm.mul %thread, {count} : i64
  %low = llvm.sdiv %low_scaled, %parts : i64
  %high_scaled = llvm.mul %next, {count} : i64
  %high = llvm.sdiv %high_scaled, %parts : i64
  %offset = llvm.mul %thread, %bytes : i64
  %own = llvm.getelementptr %v{workspace_argument}[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  {_call(body, values, types, "%low", "%high")}
  llvm.br ^done
^done:
  llvm.return
}}"""
