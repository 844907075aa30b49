"""Contraction kernels, compiled to native code and compared with numpy in float64.

A case is an einsum whose indices may slide: ``h*2+y`` reads an input of a strided convolution.
"""

import ctypes
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from stepwell.backends.cpu.codegen import compile_kernel
from stepwell.runtime.devices.cpu import CpuKernels
from stepwell.support.target import Target

TARGET = "cpu:x86-64-v3"
NUMPY = {
    "f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8,
}  # fmt: skip
# Rounding of the result, relative; sums are checked against the sum of magnitudes besides.
RESULT_TOLERANCE = {"f64": 1e-14, "f32": 1e-6, "f16": 1e-3, "bf16": 8e-3}
SUM_TOLERANCE = {"f64": 1e-15, "f32": 1e-6}


@dataclass(frozen=True)
class Case:
    """One contraction kernel.

    Attributes:
        text: ``left, right -> result`` with indices separated by spaces, such as ``m k, k n -> m n``.
        sizes: extent of each loop.
        dtype: type of the inputs and results; 16-bit floats are accumulated in f32.
        right: type of the right input, where it differs.
        dynamic: loops whose extents are symbols.
        after: what is done with the sums: "", "bias" (last index), "row-bias" (the one before), "residual",
            "two" (two results), "gelu".
        before: what is done with the left input: "", "double", "transposed".
        start: add to a given tensor instead of zeros.
    """

    text: str
    sizes: dict[str, int]
    dtype: str = "f32"
    right: str = ""
    dynamic: str = ""
    after: str = ""
    before: str = ""
    start: bool = False
    indices: list[list[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        left, right, out = (part.split() for part in self.text.replace("->", ",").split(","))
        object.__setattr__(self, "indices", [left, right, out])

    @property
    def loops(self) -> list[str]:
        return list(self.sizes)

    @property
    def accumulator(self) -> str:
        return "f32" if self.dtype in ("f16", "bf16") else self.dtype

    def extent(self, index: str) -> int:
        return int(eval(index, {name: size - 1 for name, size in self.sizes.items()})) + 1

    def is_dynamic(self, index: str) -> bool:
        return any(name in self.dynamic for name in index if name.isalpha())

    def symbol(self, index: str) -> str:
        """Return the size of a dimension read at ``index`` as an expression over ``s_<loop>``."""
        if index in self.sizes:
            return f"s_{index}"
        terms, constant = [], 1
        for part in index.split("+"):
            name, _, factor = part.partition("*")
            step = int(factor or 1)
            if name in self.dynamic:
                terms.append(f"{step}*s_{name}")
                constant -= step
            else:
                constant += step * (self.sizes[name] - 1)
        return " + ".join(terms) + f" {'+' if constant >= 0 else '-'} {abs(constant)}"

    def tensor(self, indices: list[str], dtype: str) -> str:
        dims = "".join(f"{'?' if self.is_dynamic(i) else self.extent(i)}x" for i in indices)
        return f"tensor<{dims}{dtype}>"

    def texts(self, indices: list[str]) -> str:
        return "[" + ", ".join(f'"{self.symbol(i)}"' for i in indices if self.is_dynamic(i)) + "]"

    def symbols(self) -> list[str]:
        return sorted({self.symbol(i) for group in self.indices for i in group if self.is_dynamic(i)})

    def extra(self) -> list[tuple[list[str], str]]:
        """Return indices and type of the inputs beside the two operands."""
        out = self.indices[2]
        found = [(out, self.accumulator)] if self.start else []
        extra = {"bias": out[-1:], "gelu": out[-1:], "row-bias": out[-2:-1], "residual": out}.get(self.after)
        return found + ([(extra, self.dtype)] if extra is not None else [])


def generic(
    maps: list[str], kinds: list[str], ins: list[tuple[str, str]], outs: list[tuple[str, str]], body: str
) -> str:
    quoted = ", ".join(f'"{kind}"' for kind in kinds)

    def group(pairs: Typed) -> str:
        return f"({', '.join(v for v, _ in pairs)} : {', '.join(t for _, t in pairs)})" if pairs else ""

    results = ", ".join(t for _, t in outs)
    return (
        f"linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{quoted}]}} "
        f"ins{group(ins)} outs{group(outs)} {{\n{body}\n}} -> ({results})"
    )


class KernelText:
    """Writes the kernel function of a case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.lines: list[str] = []

    def write(self) -> str:
        case = self.case
        left, right, out = case.indices
        types = [(left, case.dtype), (right, case.right or case.dtype), *case.extra()]
        arguments = []
        for number, (indices, dtype) in enumerate(types):
            sizes = f" {{stepwell.sizes = {case.texts(indices)}}}" if any(map(case.is_dynamic, indices)) else ""
            arguments.append(f"%t{number}: {case.tensor(indices, dtype)}{sizes}")
        names = {}
        for number, symbol in enumerate(case.symbols()):
            names[symbol] = f"%s{number}"
            arguments.append(f'%s{number}: index {{stepwell.symbol = "{symbol}"}}')
        self.sizes = ", ".join(names[case.symbol(i)] for i in out if case.is_dynamic(i))
        self.wide, self.narrow = case.tensor(out, case.accumulator), case.tensor(out, case.dtype)
        results = [self.narrow] * (2 if case.after == "two" else 1)
        self.contraction()
        returned = self.epilogue()
        sizes = f"[{', '.join([case.texts(out)] * len(results))}]"
        attributes = f" attributes {{stepwell.result_sizes = {sizes}}}" if self.sizes else ""
        body = "\n".join(self.lines)
        return (
            f"func.func @k({', '.join(arguments)}) -> ({', '.join(results)}){attributes} {{\n{body}\n"
            f"return {', '.join(returned)} : {', '.join(results)}\n}}"
        )

    def map(self, loops: list[str], indices: list[str]) -> str:
        return f"affine_map<({', '.join(loops)}) -> ({', '.join(indices)})>"

    def contraction(self) -> None:
        case, wide = self.case, self.case.accumulator
        left, right, out = case.indices
        floats = wide.startswith("f")
        self.lines += [
            f"%zero = arith.constant {'0.0' if floats else '0'} : {wide}",
            f"%empty = tensor.empty({self.sizes}) : {self.wide}",
            f"%zeros = linalg.fill ins(%zero : {wide}) outs(%empty : {self.wide}) -> {self.wide}",
        ]
        operand = self.prologue(left)
        multiply, add = ("mulf", "addf") if floats else ("muli", "addi")
        body = [f"^bb0(%a: {case.dtype}, %b: {case.right or case.dtype}, %c: {wide}):"]
        factors = []
        for name, dtype in (("%a", case.dtype), ("%b", case.right or case.dtype)):
            if dtype != wide:
                body.append(
                    f"{name}w = arith.{'sitofp' if dtype.startswith('i') else 'extf'} {name} : {dtype} to {wide}"
                )
            factors.append(f"{name}w" if dtype != wide else name)
        body += [
            f"%p = arith.{multiply} {', '.join(factors)} : {wide}",
            f"%q = arith.{add} %c, %p : {wide}",
            f"linalg.yield %q : {wide}",
        ]
        kinds = ["parallel" if loop in out else "reduction" for loop in case.loops]
        maps = [self.map(case.loops, indices) for indices in (left, right, out)]
        ins = [(operand, case.tensor(left, case.dtype)), ("%t1", case.tensor(right, case.right or case.dtype))]
        outs = [("%t2" if case.start else "%zeros", self.wide)]
        self.lines.append("%sums = " + generic(maps, kinds, ins, outs, "\n".join(body)))

    def prologue(self, left: list[str]) -> str:
        case = self.case
        if not case.before:
            return "%t0"
        kind = case.tensor(left, case.dtype)
        names = [f"d{number}" for number in range(len(left))]
        body = f"^bb0(%x: {case.dtype}, %y: {case.dtype}):\n%z = arith.addf %x, %x : {case.dtype}"
        body += f"\nlinalg.yield %z : {case.dtype}"
        maps = [self.map(names, names)] * 2
        kinds = ["parallel"] * len(names)
        self.lines.append(f"%fresh = tensor.empty() : {kind}")
        self.lines.append("%before = " + generic(maps, kinds, [("%t0", kind)], [("%fresh", kind)], body))
        return "%before"

    def epilogue(self) -> list[str]:
        case, wide = self.case, self.case.accumulator
        out = case.indices[2]
        if not case.after and wide == case.dtype:
            return ["%sums"]
        extra = case.extra()[1 if case.start else 0 :]
        ins = [("%sums", self.wide)] + [(f"%t{3 if case.start else 2}", case.tensor(i, d)) for i, d in extra]
        outs = [("%last", self.narrow)] * (2 if case.after == "two" else 1)
        self.lines.append(f"%last = tensor.empty({self.sizes}) : {self.narrow}")
        body = [f"^bb0(%s: {wide}{''.join(f', %x: {case.dtype}' for _ in extra)}"
                f"{''.join(f', %o{n}: {case.dtype}' for n in range(len(outs)))}):"]  # fmt: skip
        value = "%s"
        floats = wide.startswith("f")
        if extra:
            if wide != case.dtype:
                body.append(f"%xw = arith.extf %x : {case.dtype} to {wide}")
            body.append(
                f"%v = arith.{'addf' if floats else 'addi'} %s, {'%xw' if wide != case.dtype else '%x'} : {wide}"
            )
            value = "%v"
        if case.after == "gelu":
            body += [
                f"%root = arith.constant 0.70710678118654752 : {wide}", f"%half = arith.constant 0.5 : {wide}",
                f"%g0 = arith.mulf {value}, %root : {wide}", f"%g1 = math.erf %g0 : {wide}",
                f"%g2 = arith.mulf {value}, %half : {wide}", f"%g3 = arith.mulf %g1, %g2 : {wide}",
                f"%g4 = arith.addf %g2, %g3 : {wide}",
            ]  # fmt: skip
            value = "%g4"
        elif case.after and floats:
            body.append(f"%r = arith.maximumf {value}, %zero : {wide}")
            value = "%r"
        values = [value]
        if case.after == "two":
            body.append(f"%n = arith.negf {value} : {wide}")
            values.append("%n")
        for number, item in enumerate(values if wide != case.dtype else []):
            body.append(f"%w{number} = arith.truncf {item} : {wide} to {case.dtype}")
            values[number] = f"%w{number}"
        body.append(f"linalg.yield {', '.join(values)} : {', '.join([case.dtype] * len(values))}")
        maps = [self.map(out, indices) for indices in (out, *[i for i, _ in extra], *[out] * len(outs))]
        count = f":{len(outs)}" if len(outs) > 1 else ""
        self.lines.append(f"%done{count} = " + generic(maps, ["parallel"] * len(out), ins, outs, "\n".join(body)))
        return [f"%done#{number}" for number in range(len(outs))] if count else ["%done"]


def gather(case: Case, array: Any, indices: list[str]) -> Any:
    """Return ``array`` read at ``indices`` for every iteration of the loops."""
    grids = np.ix_(*[np.arange(size) for size in case.sizes.values()])
    env: dict[str, Any] = dict(zip(case.loops, grids, strict=True))
    shape = tuple(case.sizes.values())
    return array[tuple(np.broadcast_to(eval(index, env), shape) for index in indices)]


def reference(case: Case, arrays: list[Any]) -> tuple[list[Any], Any]:
    """Return the results in float64, and the sum of magnitudes."""
    wide = [array.astype(np.float64) for array in arrays]
    left, right, out = case.indices
    if case.before:
        wide[0] = (arrays[0] + arrays[0]).astype(np.float64)
    products = gather(case, wide[0], left) * gather(case, wide[1], right)
    reduced = tuple(number for number, loop in enumerate(case.loops) if loop not in out)
    kept = [loop for loop in case.loops if loop in out]
    order = [kept.index(loop) for loop in out]
    total, magnitude = (x.sum(axis=reduced).transpose(order) for x in (products, np.abs(products)))
    rest = wide[2:]
    if case.start:
        total = total + rest.pop(0)
    if rest:
        total = total + (rest[0][:, None] if case.after == "row-bias" else rest[0])
    if case.after == "gelu":
        from math import erf

        total = total * 0.5 * (1 + np.vectorize(erf)(total / np.sqrt(2)))
    elif case.after and case.accumulator.startswith("f"):
        total = np.maximum(total, 0)
    return [total, -total][: 2 if case.after == "two" else 1], magnitude


def draw(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype.startswith("i"):
        return rng.integers(-5, 6, shape).astype(NUMPY[dtype])
    return rng.standard_normal(shape).astype(NUMPY[dtype])


def run(case: Case, rng: Any) -> str:
    """Compile a case, run it on fresh inputs, check its results; return the rule that built it."""
    pipeline = f"builtin.module(cpu-kernel{{target={TARGET}}})"
    compiled = compile_kernel(KernelText(case).write().encode(), pipeline, TARGET)
    left, right, out = case.indices
    types = [(left, case.dtype), (right, case.right or case.dtype), *case.extra()]
    arrays = [draw(rng, tuple(map(case.extent, indices)), dtype) for indices, dtype in types]
    expected, magnitude = reference(case, arrays)
    shape = tuple(map(case.extent, out))
    # What is written past the end would show in the guard.
    buffers = [np.full(int(np.prod(shape)) + 64, 77, NUMPY[case.dtype]) for _ in expected]
    workspace = np.zeros(16 * compiled.info.workspace_per_thread + 128, np.uint8)
    status = np.zeros(1, np.int32)
    env = {f"s_{loop}": size for loop, size in case.sizes.items()}
    numbers = [array.ctypes.data for array in (*arrays, *buffers)] + [eval(s, dict(env)) for s in case.symbols()]
    numbers += [(workspace.ctypes.data + 63) // 64 * 64, status.ctypes.data]
    kernels = CpuKernels({"k": compiled.object}, {"k": compiled.info}, Target.parse(TARGET))
    kernels.function("k", len(numbers))(*map(ctypes.c_int64, numbers))
    for buffer, wanted in zip(buffers, expected, strict=True):
        assert (buffer[-64:] == 77).all(), "written past the end"
        compare(case, buffer[:-64].reshape(shape), wanted, magnitude)
    return compiled.info.schedule


def compare(case: Case, got: Any, wanted: Any, magnitude: Any) -> None:
    if case.dtype.startswith("i"):
        np.testing.assert_array_equal(got, wanted.astype(np.int64).astype(NUMPY[case.dtype]))
        return
    limit = RESULT_TOLERANCE[case.dtype] * (np.abs(wanted) + 1) + SUM_TOLERANCE[case.accumulator] * magnitude
    error = np.abs(got.astype(np.float64) - wanted)
    assert (error <= limit).all(), f"error {np.max(error / limit):.3g} times the limit"


def matmul(m: int, n: int, k: int, layout: str = "m k, k n", **options: Any) -> Case:
    return Case(f"{layout} -> m n", {"m": m, "n": n, "k": k}, **options)


def convolution(text: str, **options: Any) -> Case:
    sizes = {name: options.pop(name) for name in list(options) if len(name) == 1}
    return Case(text, sizes, **options)


def cases() -> Iterator[tuple[str, Case]]:
    layouts = {"nn": "m k, k n", "nt": "m k, n k", "tn": "k m, k n", "tt": "k m, n k"}
    for (m, n, k), name in (
        ((37, 53, 71), "nt"), ((37, 53, 71), "tt"), ((129, 17, 600), "nn"), ((129, 17, 600), "tn"), ((5, 300, 1), "nn"),
        ((64, 1, 33), "nn"), ((1, 65, 100), "nt"), ((3, 130, 1040), "nn"), ((50, 40, 1030), "nt"), ((1, 700, 90), "nn"),
        ((260, 140, 20), "tt"),
    ):  # fmt: skip
        yield f"{name}-{m}x{n}x{k}", matmul(m, n, k, layouts[name])
    for zero in "mnk":
        sizes = {"m": 5, "n": 9, "k": 4} | {zero: 0}
        yield f"empty-{zero}", matmul(**sizes)
        yield f"empty-dynamic-{zero}", matmul(**sizes, dynamic="mnk")
    for dtype in ("f64", "f16", "bf16", "i32", "i64", "i8"):
        yield f"{dtype}-tiles", matmul(45, 43, 67, dtype=dtype)
        yield f"{dtype}-dot", matmul(2, 45, 67, layouts["nt"], dtype=dtype)
    yield "f32-times-i8", matmul(45, 43, 67, right="i8")
    for dynamic in ("m", "n", "k", "mnk"):
        yield f"dynamic-{dynamic}", matmul(200, 150, 31, dynamic=dynamic)
        yield f"dynamic-{dynamic}-nt", matmul(7, 37, 531, layouts["nt"], dynamic=dynamic)
    for after in ("bias", "row-bias", "residual", "two", "gelu"):
        yield f"after-{after}", matmul(37, 53, 71, after=after)
        yield f"after-{after}-dynamic-bf16", matmul(37, 53, 71, after=after, dtype="bf16", dynamic="mn")
        yield f"after-{after}-dot", matmul(2, 53, 71, layouts["nt"], after=after)
    yield "before-double", matmul(37, 53, 600, before="double")
    yield "before-double-dot", matmul(1, 53, 70, layouts["nt"], before="double")
    yield "start", matmul(37, 53, 600, start=True)
    yield "start-residual-empty-depth", matmul(7, 9, 0, start=True, after="residual")
    yield from batched_cases()
    yield from convolution_cases()


def batched_cases() -> Iterator[tuple[str, Case]]:
    five = {"b": 3, "c": 2, "m": 17, "n": 21, "k": 19}
    yield "batch", Case("b m k, b k n -> b m n", {"b": 3, "m": 17, "n": 21, "k": 19}, dynamic="b")
    yield "batch-broadcast", Case("b m k, c k n -> b c m n", five)
    yield "heads-scores", Case("b q h d, b k h d -> b h q k", {"b": 2, "h": 3, "q": 19, "k": 23, "d": 16})
    yield "heads-values", Case("b h q k, b k h d -> b q h d", {"b": 2, "h": 3, "q": 19, "d": 24, "k": 23})
    yield "linear", Case("b s k, n k -> b s n", {"b": 3, "s": 15, "n": 40, "k": 50}, after="bias", dynamic="bs")
    yield "tensordot", Case("k a b l, l c k d -> a b c d", {"a": 5, "b": 7, "c": 6, "d": 9, "k": 4, "l": 3})
    yield "result-transposed", Case("m k, k n -> n m", {"m": 37, "n": 53, "k": 71})
    yield "batch-innermost", Case("m b k, k n b -> m n b", {"b": 5, "m": 7, "n": 9, "k": 11})
    yield "matrix-vector", Case("m k, k -> m", {"m": 133, "k": 77})
    yield "vector-matrix", Case("k, k n -> n", {"n": 133, "k": 77})


def convolution_cases() -> Iterator[tuple[str, Case]]:
    plane = "n c h*{s}+y*{d} w*{s}+x*{d}, o c y x -> n o h w"
    small = {"n": 2, "o": 7, "h": 9, "w": 11, "c": 5, "y": 3, "x": 3}
    for stride, dilation in ((1, 1), (2, 1), (3, 2), (1, 2)):
        text = plane.format(s=stride, d=dilation)
        yield f"convolution-s{stride}-d{dilation}", convolution(text, **small, after="residual")
        yield f"convolution-s{stride}-d{dilation}-dynamic", convolution(text, **small, dynamic="nhw")
    unit = plane.format(s=1, d=1)
    yield "convolution-blocks", convolution(unit, **(small | {"c": 70, "o": 20, "h": 30, "w": 30}))
    yield "convolution-f16", convolution(unit, **small, dtype="f16")
    yield "convolution-one-position", convolution(unit, **(small | {"n": 1, "h": 1, "w": 1}))
    yield "convolution-long-line", convolution(unit, **(small | {"h": 2, "w": 300}))
    yield "convolution-1x1-s2", convolution(plane.format(s=2, d=1), **(small | {"y": 1, "x": 1}))
    grouped = "n g c h*2+y w*2+x, g o c y x -> n g o h w"
    yield "convolution-groups", convolution(grouped, **({"n": 2, "g": 3} | small))
    yield "convolution-1d", Case("n c w*2+x, o c x -> n o w", {"n": 2, "o": 9, "w": 37, "c": 5, "x": 3})
    cube = {"n": 2, "o": 9, "d": 4, "h": 5, "w": 6, "c": 3, "u": 2, "y": 3, "x": 3}
    yield "convolution-3d", Case("n c d+u h*2+y w+x, o c u y x -> n o d h w", cube)
    last = {"n": 2, "h": 9, "w": 10, "o": 13, "y": 3, "x": 3, "c": 6}
    yield "convolution-channels-last", Case("n h+y w+x c, y x c o -> n h w o", last)
    phases = {"n": 2, "g": 2, "o": 5, "q": 6, "r": 2, "s": 7, "t": 2, "c": 4, "j": 2, "i": 2}
    yield "convolution-transposed", Case("n g c q+j s+i, g c o j r i t -> n g o q r s t", phases)


CASES = dict(cases())


@pytest.mark.parametrize("name", CASES)
def test_contraction_agrees_with_numpy(name: str) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    assert run(CASES[name], np.random.default_rng(seed)) == "contraction"


@pytest.mark.parametrize(
    "case",
    [
        Case("m k, m k -> m", {"m": 40, "k": 9}),
        convolution("n c h+y w+x, c y x -> n c h w", n=2, c=5, h=9, w=11, y=3, x=3),
    ],
    ids=["rows-of-dots", "depthwise"],
)
def test_what_reuses_nothing_is_left_to_other_rules(case: Case) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    assert run(case, np.random.default_rng(seed)) != "contraction"
