"""What a module may hold at each stage: one table, from which the verifiers and their explanations are made.

A module is a program, whose functions are the host's and whose nested modules are kernels, or it is a single kernel, as
the workers get it.  From stage ``kernels`` on, the two hold different ops.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stepwell.passes.transforms.kernel_interface import Fault, is_program
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage

__all__ = ["RULES", "StageRules", "violations"]


@dataclass(frozen=True)
class StageRules:
    """What one stage allows.

    Attributes:
        host: ops and dialects in functions of the host.
        kernel: ops and dialects in functions of kernels.
        launch: further ops and dialects in loops over the blocks of a GPU.
        sized_types: whether tensor types carry the names of their sizes.
        sized_host: the same for functions of the host, where that differs.
        memory: whether values may be memrefs.
        types_by_ops: whether the ops that kernels may hold admit no types but those that are right here.
        why_not: op or dialect -> why it has no place here and what to do, for the ones that are met in practice.
    """

    host: frozenset[str]
    kernel: frozenset[str]
    launch: frozenset[str] = frozenset()
    sized_types: bool = False
    sized_host: bool = False
    memory: bool = False
    types_by_ops: bool = False
    why_not: dict[str, str] = field(default_factory=dict)

    def allowed(self, name: str, in_kernel: bool, in_launch: bool = False) -> bool:
        """Whether op ``name`` may stand in a kernel's function, or in one of the host."""
        table = self.kernel if in_kernel else self.host
        if name in table or name.partition(".")[0] in table:
            return True
        return in_launch and (name in self.launch or name.partition(".")[0] in self.launch)

    def reason(self, name: str) -> str:
        """Return why op ``name`` is refused."""
        return self.why_not.get(name) or self.why_not.get(name.partition(".")[0]) or "it is not in the stage's table"


_KERNEL_MODULES = ("builtin.module", "gpu.module")
_FRAME = frozenset({"builtin.module", "func.func", "func.return"})
_TENSOR_OPS = frozenset(
    f"tensor.{name}"
    for name in (
        "pad",
        "extract_slice",
        "insert_slice",
        "parallel_insert_slice",
        "concat",
        "expand_shape",
        "collapse_shape",
        "empty",
        "dim",
        "extract",
        "insert",
        "yield",
    )
)
_LINALG_OPS = frozenset({"linalg.generic", "linalg.fill", "linalg.index", "linalg.yield"})
_TENSOR_LEVEL = _FRAME | _LINALG_OPS | _TENSOR_OPS | {"arith", "math", "scf", "cf.assert"}

# What templates write that no dialect above has a word for: pointers, fragments of matrices, single instructions.
_LAUNCH_OPS = frozenset({"gpu", "nvgpu", "nvvm"}) | {
    f"llvm.{name}"
    for name in (
        *("addrspacecast", "getelementptr", "load", "store", "ptrtoint", "inttoptr", "bitcast"),
        *("extractvalue", "insertvalue", "extractelement", "insertelement", "shufflevector"),
        *("mlir.zero", "mlir.poison", "mlir.undef", "mlir.constant", "inline_asm", "call_intrinsic"),
    )
}

_GRAPH_LEFT = "no lowering replaced it; convert-graph-to-linalg goes first"
_NAMED = "named linalg ops are spelled as linalg.generic; linalg-generalize-named-ops does that"
_EARLY_MEMORY = "buffers come with the schedules, at stage 'scheduled'"
_CAST_LEFT = "two lowerings disagree on a type; reconcile-unrealized-casts removes the casts that cancel"

RULES: dict[Stage, StageRules] = {
    Stage.GRAPH: StageRules(
        host=_FRAME | {"graph"},
        kernel=_FRAME | {"graph"},
        sized_types=True,
        why_not={
            "tensor": "torch's operations are ops of the graph dialect here",
            "linalg": "linalg ops come after this stage",
            "arith": "scalars are graph.constant ops of rank 0",
            "memref": _EARLY_MEMORY,
        },
    ),
    Stage.LINALG: StageRules(
        host=_TENSOR_LEVEL | {"plan.read_size", "plan.branch", "plan.loop"},
        kernel=_TENSOR_LEVEL,
        why_not={
            "graph": _GRAPH_LEFT,
            "linalg": _NAMED,
            "memref": _EARLY_MEMORY,
            "bufferization": _EARLY_MEMORY,
            "affine": "index arithmetic is spelled with arith; lower-affine does that",
            "plan": "the host's program is formed by form-kernels, after this stage",
        },
    ),
    Stage.KERNELS: StageRules(
        sized_host=True,
        host=_FRAME | {"plan"},
        kernel=_TENSOR_LEVEL,
        why_not={
            "graph": _GRAPH_LEFT,
            "plan": "ops of the host have no place in a kernel",
            "linalg": "computing belongs into kernels, as linalg.generic; form-kernels moves it there",
            "tensor": "computing belongs into kernels; form-kernels moves it there",
            "arith": "sizes of the host are plan.symbol ops, and computing belongs into kernels",
            "memref": _EARLY_MEMORY,
            "affine": "index arithmetic is spelled with arith; lower-affine does that",
        },
    ),
    Stage.SCHEDULED: StageRules(
        sized_host=True,
        host=_FRAME | {"plan"},
        kernel=_FRAME
        | {
            "func.call",
            "scf",
            "vector",
            "memref",
            "arith",
            "math",
            "index",
            "affine",
            "ub",
            "tile",
            "cf.assert",
        },
        launch=_LAUNCH_OPS,
        memory=True,
        why_not={
            "linalg": "a schedule left it without loops",
            "tensor": "a schedule left it without a buffer",
            "bufferization": "one-shot-bufferize turns tensors into buffers before this stage ends",
            "plan": "ops of the host have no place in a kernel",
            "llvm": "the llvm dialect comes after this stage; only launches may hold its pointer and assembler ops",
            "gpu": "it belongs into a loop over threads, mapped to #gpu.thread<x>",
            "nvgpu": "it belongs into a loop over threads, mapped to #gpu.thread<x>",
            "nvvm": "it belongs into a loop over threads, mapped to #gpu.thread<x>",
            "builtin.unrealized_conversion_cast": _CAST_LEFT,
        },
    ),
    Stage.TARGET: StageRules(
        sized_host=True,
        host=_FRAME | {"plan"},
        kernel=frozenset({"builtin.module", "llvm", "gpu.module", "gpu.module_end", "nvvm"}),
        memory=True,
        types_by_ops=True,
        why_not={
            "builtin.unrealized_conversion_cast": _CAST_LEFT,
            "func": "convert-func-to-llvm lowers functions",
            "arith": "convert-arith-to-llvm lowers it",
            "math": "convert-math-to-llvm lowers it",
            "memref": "finalize-memref-to-llvm lowers it",
            "vector": "convert-vector-to-llvm lowers it",
            "scf": "convert-scf-to-cf lowers loops",
            "cf": "convert-cf-to-llvm lowers branches",
        },
    ),
}


def violations(module: "ir.Operation", stage: Stage) -> list[Fault]:
    """Return every op below ``module`` that ``stage`` does not allow; what is inside such an op is not looked at."""
    return _faults_inside(module, stage, in_kernel=not is_program(module))


def _faults_inside(op: Any, stage: Stage, *, in_kernel: bool, in_launch: bool = False) -> list[Fault]:
    rules = RULES[stage]
    faults: list[Fault] = []
    allowed: dict[str, bool] = {}
    # Few types stand behind many values.
    fine: set[Any] = set()

    def visit(child: Any) -> Any:
        name = child.name
        inside = in_kernel or name in _KERNEL_MODULES
        if name not in allowed:
            allowed[name] = rules.allowed(name, inside, in_launch)
        if not allowed[name]:
            faults.append(Fault(child, f"is not allowed at stage '{stage.label}': {rules.reason(name)}"))
            return ir.WalkResult.SKIP
        if not (inside and rules.types_by_ops):
            sized = rules.sized_types or (rules.sized_host and not inside)
            for kind in _types(child):
                if kind in fine:
                    continue
                fault = _type_fault(kind, rules, sized)
                if fault:
                    faults.append(Fault(child, f"{fault} at stage '{stage.label}'"))
                    break
                fine.add(kind)
        launch = in_launch or (name == "scf.forall" and "mapping" in child.attributes)
        if (inside, launch) == (in_kernel, in_launch):
            return ir.WalkResult.ADVANCE
        faults.extend(_faults_inside(child, stage, in_kernel=inside, in_launch=launch))
        return ir.WalkResult.SKIP

    # A walk calls back for the op that it starts from, too.
    for child in (child.operation for region in op.regions for block in region.blocks for child in block.operations):
        child.walk(visit, ir.WalkOrder.PRE_ORDER)
    return faults


def _types(op: Any) -> Iterator[Any]:
    for value in op.results:
        yield value.type
    for region in op.regions:
        for block in region.blocks:
            for argument in block.arguments:
                yield argument.type


def _type_fault(kind: Any, rules: StageRules, sized: bool) -> str:
    if isinstance(kind, ir.RankedTensorType):
        if not sized and kind.encoding is not None:
            return f"has type {kind}: types carry no names of sizes"
        dynamic = sum(kind.is_dynamic_dim(i) for i in range(kind.rank))
        if sized and dynamic != (len(kind.encoding) if kind.encoding is not None else 0):
            return f"has type {kind}: types carry one name for each dynamic size"
    elif isinstance(kind, ir.UnrankedTensorType):
        return f"has type {kind}: ranks are known"
    elif isinstance(kind, ir.MemRefType | ir.UnrankedMemRefType) and not rules.memory:
        return f"has type {kind}: buffers have no place"
    return ""
