"""The text of a contraction kernel.

A case is an einsum whose indices may slide: ``h*2+y`` reads an input of a strided convolution.
"""

from dataclasses import dataclass, field


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
        before: what is done with the left input: "", "double", "reciprocal".
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


Typed = list[tuple[str, str]]


def generic(maps: list[str], kinds: list[str], ins: Typed, outs: Typed, body: str) -> str:
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
        compute = "addf %x, %x" if case.before == "double" else "divf %one, %x"
        body = f"^bb0(%x: {case.dtype}, %y: {case.dtype}):\n%one = arith.constant 1.0 : {case.dtype}\n"
        body += f"%z = arith.{compute} : {case.dtype}"
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
            nothing = f"%nothing = arith.constant 0 : {wide}\n%n = arith.subi %nothing, {value} : {wide}"
            body.append(f"%n = arith.negf {value} : {wide}" if floats else nothing)
            values.append("%n")
        for number, item in enumerate(values if wide != case.dtype else []):
            body.append(f"%w{number} = arith.truncf {item} : {wide} to {case.dtype}")
            values[number] = f"%w{number}"
        body.append(f"linalg.yield {', '.join(values)} : {', '.join([case.dtype] * len(values))}")
        maps = [self.map(out, indices) for indices in (out, *[i for i, _ in extra], *[out] * len(outs))]
        count = f":{len(outs)}" if len(outs) > 1 else ""
        self.lines.append(f"%done{count} = " + generic(maps, ["parallel"] * len(out), ins, outs, "\n".join(body)))
        return [f"%done#{number}" for number in range(len(outs))] if count else ["%done"]
