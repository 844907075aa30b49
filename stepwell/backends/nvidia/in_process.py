"""Compile one kernel for a GPU in this process and run it on the simulated device; for tests and experiments.

Programs are compiled by workers and run by ``runtime/``; here a kernel module goes all the way alone, and LLVM's aborts
end the caller.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stepwell.backends.codegen import kernel_function
from stepwell.backends.nvidia import ptxas
from stepwell.backends.nvidia.codegen import check_shared, kernel_info
from stepwell.backends.nvidia.ptx import gpu_module, to_ptx
from stepwell.dialects.context import make_context
from stepwell.passes.pipelines import Pipeline
from stepwell.passes.schedules.indexing import coefficient
from stepwell.passes.schedules.kernel import Kernel
from stepwell.runtime.gpu_code import PtxasReport
from stepwell.runtime.grids import GridLaunch, TensorMap
from stepwell.runtime.plan import KernelInfo
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError, RuntimeFailure
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stepwell.runtime.simulator import Simulator, TensorMapValue

    Array = NDArray[Any]

_DTYPES = {"i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "i1": "bool"}
WIDE = 16


@dataclass(frozen=True)
class Interface:
    """What a kernel takes and gives.

    Attributes:
        inputs: shapes of its tensor arguments.
        sizes: what its i64 arguments are.
        results: (dtype, shape) of its results.
    """

    inputs: tuple[tuple[Expr, ...], ...]
    sizes: tuple[Expr, ...]
    results: tuple[tuple[DType, tuple[Expr, ...]], ...]

    @classmethod
    def of(cls, function: Any) -> "Interface":
        """Read the function of a kernel at stage ``kernels``."""
        kernel = Kernel.of(function)
        dtypes = [_dtype(value.type.element_type) for value in kernel.results]
        results = tuple(zip(dtypes, kernel.result_shapes, strict=True))
        return cls(tuple(map(kernel.shape, kernel.tensors)), tuple(expr for _, expr in kernel.sizes), results)

    def symbols(self, inputs: Sequence["Array"], given: Mapping[str, int]) -> dict[str, int]:
        """Return the program's sizes, from the shapes of the inputs and from what is ``given``."""
        values = dict(given)
        pairs = [
            (size, number)
            for shape, array in zip(self.inputs, inputs, strict=True)
            for size, number in zip(shape, array.shape, strict=True)
        ]
        # A kernel may be given nothing but ``2*s0``.
        told = [(Expr.parse(text), number) for text, number in given.items() if not text.isidentifier()]
        for size, number in sorted([*pairs, *told], key=lambda pair: len(str(pair[0]))):
            unknown = [name for name in size.symbols if name not in values]
            factor = coefficient(size, unknown[0]) if len(unknown) == 1 else None
            if factor is not None:
                rest = (size - Expr.symbol(unknown[0]) * factor).evaluate(values)
                values[unknown[0]] = (number - rest) // factor.evaluate(values)
        for size, number in pairs:
            if size.evaluate(values) != number:
                raise ArgumentError(f"size {size} is {size.evaluate(values)}, an input has {number}")
        return values


def _dtype(element: Any) -> DType:
    text = str(element)
    return DType.from_name(_DTYPES[text]) if text in _DTYPES else DType.from_mlir(text)


@dataclass(frozen=True)
class Compiled:
    """A kernel down to PTX."""

    ptx: str
    info: KernelInfo
    interface: Interface
    target: Target


@dataclass(frozen=True)
class Run:
    """What a run gave.

    Attributes:
        outputs: the results.
        status: 0, or 1 + the number of the check that failed.
        counts: what the simulator counted.
        compiled: the kernel.
    """

    outputs: list["Array"]
    status: int
    counts: Any
    compiled: Compiled


def compile_text(kernel: Any, *, target: str = "cuda:sm_90a", options: str = "") -> Compiled:
    """Take a kernel module at stage ``kernels`` down to PTX.

    Args:
        kernel: its text or bytecode, or a module.
        target: a CUDA target.
        options: further options of the pipeline ``cuda-kernel``, such as "contract=false".
    """
    chosen = Target.parse(target)
    pipeline = Pipeline.parse(f"builtin.module(cuda-kernel{{target={chosen} {options}}})")
    source = kernel if isinstance(kernel, str | bytes) else str(kernel)
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(source, context)
        function = kernel_function(module.operation)
        name = function.attributes["sym_name"].value
        interface = Interface.of(function)
        pipeline.run(module.operation)
        info = kernel_info(gpu_module(module.operation))
        check_shared(info, name, chosen)
        return Compiled(to_ptx(module.operation), info, interface, chosen)


def kernel_ptx(kernel: Any, target: str = "cuda:sm_90a", options: str = "") -> tuple[str, KernelInfo]:
    """Return the PTX of a kernel module at stage ``kernels``, and what is known of it."""
    made = compile_text(kernel, target=target, options=options)
    return made.ptx, made.info


def assemble(ptx: str, arch: str) -> PtxasReport:
    """Run ptxas on PTX; return its report."""
    return ptxas.assemble(ptx, arch)[1]


def run_kernel(kernel: Any, inputs: Sequence["Array"], **options: Any) -> list["Array"]:
    """Compile a kernel module at stage ``kernels``, run it on the simulator, and return its results.

    The keywords are those of ``simulate``.

    Raises:
        RuntimeFailure: one of the kernel's checks failed.
    """
    run = simulate(kernel, inputs, **options)
    if run.status:
        raise RuntimeFailure(run.compiled.info.asserts[run.status - 1])
    return run.outputs


def simulate(
    kernel: Any,
    inputs: Sequence["Array"],
    *,
    target: str = "cuda:sm_90a",
    mode: str = "fast",
    seed: int = 0,
    scalars: Mapping[str, int] | None = None,
    options: str = "",
    shift: int = 0,
) -> Run:
    """Compile a kernel module and run it on the simulator.

    Args:
        kernel: text, bytecode or module at stage ``kernels``, or what ``compile_text`` made of it.
        inputs: arrays for its tensor arguments.
        target: a CUDA target.
        mode: the simulator's, "fast" or "strict".
        seed: of the order of warps in strict mode.
        scalars: sizes that no input's shape tells, by symbol.
        options: further options of the pipeline ``cuda-kernel``.
        shift: elements by which every tensor lies behind a multiple of 256 bytes.
    """
    from stepwell.runtime.simulator import Simulator

    compiled = kernel if isinstance(kernel, Compiled) else compile_text(kernel, target=target, options=options)
    symbols = compiled.interface.symbols(inputs, scalars or {})
    device = Simulator(arch=compiled.target.arch, mode=mode, seed=seed)
    outputs = [
        np.empty(tuple(size.evaluate(symbols) for size in shape), dtype.numpy)
        for dtype, shape in compiled.interface.results
    ]
    arrays = [np.ascontiguousarray(array) for array in inputs]
    addresses = [_allocate(device, array, shift) for array in (*arrays, *outputs)]
    for array, address in zip(arrays, addresses, strict=False):
        if array.nbytes:
            device.write(address, array)
    status = device.allocate(4)
    device.write(status, bytes(4))
    workspace = device.allocate(max(compiled.info.workspace.evaluate(symbols), 1))
    numbers = [size.evaluate(symbols) for size in compiled.interface.sizes]
    if any(array.size for array in outputs):
        _launch(device, compiled, addresses, [*addresses, *numbers, workspace, status], symbols)
    read = [_read(device, array, address) for array, address in zip(outputs, addresses[len(arrays) :], strict=True)]
    (code,) = struct.unpack("<i", device.read(status, 4))
    return Run(read, code, device.counters, compiled)


def _allocate(device: "Simulator", array: "Array", shift: int) -> int:
    # Null is legal for what is empty.
    return int(device.allocate(array.nbytes + shift * array.itemsize)) + shift * array.itemsize if array.nbytes else 0


def _read(device: "Simulator", like: "Array", address: int) -> "Array":
    if not like.nbytes:
        return like
    return np.frombuffer(device.read(address, like.nbytes), like.dtype).reshape(like.shape)


def _launch(
    device: "Simulator", compiled: Compiled, addresses: list[int], words: list[int], symbols: Mapping[str, int]
) -> None:
    """Run the launches of a kernel whose tensors lie at ``addresses``; ``words`` are all its 8-byte parameters."""
    module = device.load(compiled.ptx)
    lies = "aligned" if all(address % WIDE == 0 for address in addresses) else "unaligned"
    for grid in compiled.info.grids:
        blocks = grid.blocks.evaluate(symbols)
        if blocks <= 0 or grid.when not in ("", lies):
            continue
        packed = bytearray(struct.pack(f"<{len(words)}q", *words))
        maps = {}
        for value in _tensor_maps(grid, addresses, symbols):
            packed += bytes(-len(packed) % 64)
            if value is not None:
                maps[len(packed)] = value
            packed += bytes(128)
        device.launch(
            module,
            grid.entry,
            blocks,
            grid.threads,
            bytes(packed),
            shared_bytes=grid.shared_bytes,
            cluster=grid.cluster,
            tensor_maps=maps,
        )


def _tensor_maps(grid: GridLaunch, addresses: list[int], symbols: Mapping[str, int]) -> list["TensorMapValue | None"]:
    """Return what a launch takes; None for a tensor without elements, which no driver has a map of."""
    return [_tensor_map(view, addresses, symbols) for view in grid.tensor_maps]


def _tensor_map(view: TensorMap, addresses: list[int], symbols: Mapping[str, int]) -> "TensorMapValue | None":
    from stepwell.runtime.simulator import TensorMapValue

    sizes = tuple(size.evaluate(symbols) for size in view.sizes)
    if 0 in sizes:
        return None
    return TensorMapValue(
        address=addresses[view.argument] + view.offset.evaluate(symbols),
        dtype=view.dtype,
        sizes=sizes,
        strides=tuple(stride.evaluate(symbols) for stride in view.strides),
        box=view.box,
        swizzle=view.swizzle,
        element_strides=view.element_strides,
    )
