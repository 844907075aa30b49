"""Kernels as text, built op by op, and a way to run them: through schedule, lowering, code generation and loader."""

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from stepwell.backends.codegen import compile_kernel
from stepwell.runtime.elf import Image
from stepwell.runtime.externals import resolve

TARGET = "cpu:x86-64-v3"
Shape = Sequence[int | str]
Tensor = tuple[str, tuple[int | str, ...], str]


class KernelText:
    """Writes the text of a kernel module; sizes are numbers or texts such as ``2*s0``."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.lines: list[str] = []
        self.sizes: list[str] = []
        self.count = 0

    @staticmethod
    def type(shape: Shape, element: str) -> str:
        return "tensor<" + "".join(f"{'?' if isinstance(s, str) else s}x" for s in shape) + element + ">"

    def _name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def _size(self, size: str) -> str:
        if size not in self.sizes:
            self.sizes.append(size)
        return f"%s{self.sizes.index(size)}"

    def argument(self, shape: Shape, element: str = "f32") -> Tensor:
        name = f"%a{len(self.arguments)}"
        dynamic = [s for s in shape if isinstance(s, str)]
        for size in dynamic:
            self._size(size)
        texts = ", ".join(f'"{s}"' for s in dynamic)
        note = f" {{stepwell.sizes = [{texts}]}}" if dynamic else ""
        self.arguments.append(f"{name}: {self.type(shape, element)}{note}")
        return name, tuple(shape), element

    def op(self, text: str, shape: Shape, element: str = "f32") -> Tensor:
        name = self._name()
        self.lines.append(f"{name} = {text}")
        return name, tuple(shape), element

    def constant(self, value: str, element: str = "f32") -> str:
        name = self._name()
        self.lines.append(f"{name} = arith.constant {value} : {element}")
        return name

    def empty(self, shape: Shape, element: str = "f32") -> Tensor:
        sizes = ", ".join(self._size(s) for s in shape if isinstance(s, str))
        return self.op(f"tensor.empty({sizes}) : {self.type(shape, element)}", shape, element)

    def fill(self, value: str, shape: Shape, element: str = "f32") -> Tensor:
        scalar, target = self.constant(value, element), self.empty(shape, element)
        type_ = self.type(shape, element)
        text = f"linalg.fill ins({scalar} : {element}) outs({target[0]} : {type_}) -> {type_}"
        return self.op(text, shape, element)

    def pad(self, source: Tensor, low: Sequence[int], high: Sequence[int], value: str) -> Tensor:
        shape = [a + b + c for a, b, c in zip(source[1], low, high, strict=True)]
        scalar = self.constant(value, source[2])
        indices = ", ".join(f"%x{i}: index" for i in range(len(shape)))
        text = (
            f"tensor.pad {source[0]} low{list(low)} high{list(high)} {{\n^bb0({indices}):\n"
            f"tensor.yield {scalar} : {source[2]}\n}} : {self.type(*source[1:])} to {self.type(shape, source[2])}"
        )
        return self.op(text, shape, source[2])

    def generic(
        self,
        inputs: Sequence[tuple[Tensor, str]],
        outputs: Sequence[tuple[Tensor, str]],
        loops: str,
        body: str,
        yields: Sequence[str] = ("%r",),
    ) -> list[Tensor]:
        """Append a linalg.generic; ``loops`` is a letter p or r per loop, the body's arguments are %i0.. and %o0..."""
        both = [*inputs, *outputs]
        maps = ", ".join(f"affine_map<{affine}>" for _, affine in both)
        kinds = ", ".join('"parallel"' if kind == "p" else '"reduction"' for kind in loops)
        types = [self.type(*tensor[1:]) for tensor, _ in both]
        cut = len(inputs)
        ins = f"ins({', '.join(t[0] for t, _ in inputs)} : {', '.join(types[:cut])})" if inputs else ""
        outs = f"outs({', '.join(t[0] for t, _ in outputs)} : {', '.join(types[cut:])})"
        arguments = [f"%i{n}: {t[2]}" for n, (t, _) in enumerate(inputs)]
        arguments += [f"%o{n}: {t[2]}" for n, (t, _) in enumerate(outputs)]
        name = self._name()
        count = f":{len(outputs)}" if len(outputs) > 1 else ""
        kinds_out = ", ".join(t[2] for t, _ in outputs)
        self.lines.append(
            f"{name}{count} = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}} {ins} {outs} {{\n"
            f"^bb0({', '.join(arguments)}):\n{body}\n"
            f"linalg.yield {', '.join(yields)} : {kinds_out}\n}} -> ({', '.join(types[cut:])})"
        )
        return [(f"{name}#{n}" if count else name, t[1], t[2]) for n, (t, _) in enumerate(outputs)]

    def pointwise(self, inputs: Sequence[Tensor], body: str, element: str = "f32") -> Tensor:
        """Append a linalg.generic over tensors of one shape."""
        shape = inputs[0][1]
        same = identity(len(shape))
        output = self.empty(shape, element)
        return self.generic([(t, same) for t in inputs], [(output, same)], "p" * len(shape), body)[0]

    def reduce(self, source: Tensor, axes: Sequence[int], start: str, body: str, element: str = "f32") -> Tensor:
        """Append a reduction of one input to one output."""
        shape = [s for n, s in enumerate(source[1]) if n not in axes]
        kept = ", ".join(f"d{n}" for n in range(len(source[1])) if n not in axes)
        loops = "".join("r" if n in axes else "p" for n in range(len(source[1])))
        dims = ", ".join(f"d{n}" for n in range(len(source[1])))
        output = self.fill(start, shape, element)
        return self.generic([(source, f"({dims}) -> ({dims})")], [(output, f"({dims}) -> ({kept})")], loops, body)[0]

    def returns(self, *results: Tensor) -> str:
        """Return the module's text."""
        types = ", ".join(self.type(*result[1:]) for result in results)
        texts = ", ".join(
            "[" + ", ".join(f'"{size}"' for size in result[1] if isinstance(size, str)) + "]" for result in results
        )
        sizes = [f'%s{n}: index {{stepwell.symbol = "{size}"}}' for n, size in enumerate(self.sizes)]
        lines = "\n".join(self.lines)
        return (
            f"module @k0 {{\nfunc.func @k0({', '.join([*self.arguments, *sizes])}) -> ({types}) "
            f"attributes {{stepwell.result_sizes = [{texts}]}} {{\n{lines}\n"
            f"return {', '.join(result[0] for result in results)} : {types}\n}}\n}}"
        )


def identity(rank: int) -> str:
    dims = ", ".join(f"d{n}" for n in range(rank))
    return f"({dims}) -> ({dims})"


class CompiledText:
    """A compiled kernel; calling it runs it on arrays and returns the status slot."""

    def __init__(self, text: str, target: str = TARGET) -> None:
        made = compile_kernel(text.encode(), f"builtin.module(cpu-kernel{{target={target}}})", target)
        self.info = made.info
        self._image = Image({"k0": made.object}, resolve)
        self._address = self._image.address("k0", "k0")

    def __call__(self, inputs: Sequence[Any], outputs: Sequence[Any], sizes: Sequence[int] = ()) -> int:
        status = np.zeros(1, np.int32)
        # Every thread has its own part; there are at most as many threads as processors.
        scratch = np.zeros(self.info.workspace_per_thread * (os.cpu_count() or 1) + 64, np.uint8)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*inputs, *outputs)]
        numbers = [ctypes.c_int64(size) for size in sizes]
        aligned = ctypes.c_void_p((scratch.ctypes.data + 63) // 64 * 64)
        function = ctypes.CFUNCTYPE(
            None, *[ctypes.c_void_p] * len(pointers), *[ctypes.c_int64] * len(numbers), ctypes.c_void_p, ctypes.c_void_p
        )(self._address)
        function(*pointers, *numbers, aligned, ctypes.c_void_p(status.ctypes.data))
        return int(status[0])


@pytest.fixture()
def kernel() -> KernelText:
    """An empty kernel text."""
    return KernelText()


@pytest.fixture()
def new_kernel() -> type[KernelText]:
    """The class of kernel texts, for tests that write several."""
    return KernelText


@pytest.fixture()
def compiled() -> Callable[..., CompiledText]:
    """Compiles a kernel text."""
    return CompiledText


@pytest.fixture()
def rng() -> np.random.Generator:
    """Fresh random numbers; the seed is printed."""
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    return np.random.default_rng(seed)
