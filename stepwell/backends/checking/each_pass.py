"""The instrument behind ``check="each-pass"``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from stepwell.backends.checking.comparison import DEFAULT_TOLERANCE, difference
from stepwell.backends.checking.gpu_kernels import SimulatedKernel, is_on_gpu
from stepwell.backends.checking.graph import is_static_graph, run_graph
from stepwell.backends.checking.host import run_host
from stepwell.backends.checking.inputs import InputSet, input_sets
from stepwell.backends.checking.kernels import CheckedKernel
from stepwell.backends.cpu.reference import ReferenceFunction
from stepwell.backends.nvidia.in_process import Interface
from stepwell.backends.plan_translation import host_functions, kernel_modules
from stepwell.passes.pipelines import Instrument, Pipeline
from stepwell.passes.pipelines.instruments import PassEvent
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import ir
from stepwell.support.errors import PassFailure
from stepwell.support.module import Module
from stepwell.support.target import Target

_EPSILONS = {"bf16": 2.0**-8, "f16": 2.0**-11, "f32": 2.0**-24, "f64": 2.0**-53}


@dataclass
class Call:
    """One call of a kernel that the host made: what went in, and what came out before any kernel pass ran."""

    inputs: list[Array]
    scalars: list[int]
    outputs: list[Array]


@dataclass
class EachPassCheck(Instrument):
    """Compares a program's results before and after every pass on it; ``check_kernels`` does so for each kernel.

    Attributes:
        sets: what the program is run on.
        epsilon: rounding unit of the coarsest float type in the program.
        calls: kernel name -> the calls that the last run of the host made.
    """

    sets: list[InputSet]
    epsilon: float
    calls: dict[str, list[Call]] = field(default_factory=dict)
    _last: list[list[Array]] | None = None

    @classmethod
    def of(cls, module: Module) -> "EachPassCheck":
        """Make the check for a program, whose signature says what it takes."""
        assert module.signature is not None
        return cls(input_sets(module.signature, module.parameters), coarsest_unit(module.operation))

    def before(self, event: PassEvent) -> None:
        """Run the program once before the first pass."""
        if self._last is None:
            self._last = self._results(_root(event.op))

    def after(self, event: PassEvent) -> None:
        """Run the program and compare; raises PassFailure where the pass changed it."""
        if event.name.startswith("verify-"):
            return
        new = self._results(_root(event.op))
        for inputs, old_results, new_results in zip(self.sets, self._last or [], new, strict=True):
            phrase = difference(old_results, new_results, _tolerance(event.step), self.epsilon)
            if phrase:
                raise _failure(event.name, "the program", phrase, inputs.name)
        self._last = new

    def _results(self, root: Any) -> list[list[Array]]:
        if kernel_modules(root):
            kernels = {name: CheckedKernel(op, _kernel_function(op)) for name, op in kernel_modules(root).items()}
            self.calls = {name: [] for name in kernels}
            return [run_host(root, inputs.arrays, self._kernel_runner(kernels)) for inputs in self.sets]
        main = host_functions(root)["main"]
        lowered = cache(lambda: _lowered(root))
        if not is_static_graph(main):
            return [lowered()(inputs.arrays) for inputs in self.sets]
        results = []
        for inputs in self.sets:
            try:
                results.append(run_graph(main, inputs.arrays))
            except (IndexError, ZeroDivisionError):
                # Numpy's semantics end here; compiled programs report the error and compute a safe value.
                results.append(lowered()(inputs.arrays))
        return results

    def _kernel_runner(self, kernels: dict[str, CheckedKernel]) -> Any:
        def run(name: str, inputs: list[Array], scalars: list[int]) -> list[Array]:
            outputs = kernels[name](inputs, scalars, [])
            self.calls[name].append(Call([array.copy() for array in inputs], scalars, outputs))
            return outputs

        return run

    def check_kernels(self, module: Any, pipeline: Pipeline, target: Target) -> None:
        """Run ``pipeline`` on a copy of each kernel of a program, and compare after every pass.

        Kernels for a GPU are run on the simulated device.

        Raises:
            PassFailure: a pass refused a kernel, or changed its results.
        """
        for name, kernel in kernel_modules(module).items():
            with kernel.context, ir.Location.unknown():
                copy = ir.Module.parse(str(kernel.get_asm(enable_debug_info=False)))
                interface = Interface.of(copy.body.operations[0].operation) if target.kind == "cuda" else None
            calls = self.calls.get(name, [])
            check = KernelCheck(name, _kernel_function(kernel), calls, self.epsilon, target, interface)
            pipeline.run(copy, instruments=[check])


@dataclass
class KernelCheck(Instrument):
    """Compares the results of one kernel after every pass with those of the program's own run."""

    kernel: str
    function: str
    calls: Sequence[Call]
    epsilon: float
    target: Target
    interface: Interface | None
    _last: list[list[Array]] | None = None

    def after(self, event: PassEvent) -> None:
        """Run the kernel and compare; raises PassFailure where the pass changed it."""
        if event.name.startswith("verify-") or not self.calls:
            return
        compiled = self._compile(_root(event.op))
        new = [compiled(call.inputs, call.scalars, call.outputs) for call in self.calls]
        old = self._last or [call.outputs for call in self.calls]
        for before, now in zip(old, new, strict=True):
            phrase = difference(before, now, _tolerance(event.step), self.epsilon)
            if phrase:
                raise _failure(event.name, f"kernel '{self.kernel}'", phrase, "what the program feeds it")
        self._last = new

    def _compile(self, root: Any) -> CheckedKernel | SimulatedKernel:
        if self.interface is not None and is_on_gpu(root):
            return SimulatedKernel(root, self.interface, self.target)
        return CheckedKernel(root, self.function)


def _lowered(root: Any) -> ReferenceFunction:
    with root.context, ir.Location.unknown():
        copy = ir.Module.parse(str(root.get_asm(enable_debug_info=False)))
        Pipeline("convert-graph-to-linalg").run(copy, reproducer=False)
        return ReferenceFunction(copy.operation)


def _failure(name: str, what: str, phrase: str, inputs: str) -> PassFailure:
    return PassFailure(
        f"pass '{name}' changes the results of {what} on {inputs}: {phrase}",
        fix=f"compile without '{name}' to confirm; the tests of the pass want this case",
    )


def _tolerance(step: Any) -> float:
    """Return the pass's own tolerance, in units in the last place, where it declares one."""
    return float(getattr(step, "tolerance", DEFAULT_TOLERANCE))


def _root(op: Any) -> Any:
    operation = op.operation
    while operation.parent is not None:
        operation = operation.parent.operation
    return operation


def _kernel_function(module: Any) -> str:
    names = [
        op.operation.attributes["sym_name"].value
        for op in module.regions[0].blocks[0].operations
        if op.operation.name in ("func.func", "llvm.func")
    ]
    return str(names[-1])


def coarsest_unit(module: Any) -> float:
    """Return the rounding unit of the coarsest float type of any value in ``module``; float32's where there is none."""
    found: set[str] = set()

    def visit(op: Any) -> Any:
        for value in op.results:
            if isinstance(value.type, ir.RankedTensorType):
                found.add(str(value.type.element_type))
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    for region in module.operation.regions:
        for block in region.blocks:
            for op in block.operations:
                for inner in op.operation.regions:
                    for body in inner.blocks:
                        found |= {
                            str(a.type.element_type) for a in body.arguments if isinstance(a.type, ir.RankedTensorType)
                        }
    return max((_EPSILONS[name] for name in found if name in _EPSILONS), default=_EPSILONS["f32"])
