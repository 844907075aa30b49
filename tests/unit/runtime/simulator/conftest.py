"""Executes single instructions for many threads, each with operands of its own."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator import Simulator

Evaluate = Callable[..., np.ndarray]

_MODULE = """.version 8.6
.target sm_100
.address_size 64
.visible .entry k({parameters})
{{
  .reg .b64 %address<{count}>;
  .reg .b64 %place;
  .reg .b32 %thread, %block, %size;
  .reg .pred %yes, %no;
{registers}
  mov.u32 %thread, %tid.x;
  mov.u32 %block, %ctaid.x;
  mov.u32 %size, %ntid.x;
  mad.lo.u32 %thread, %block, %size, %thread;
{loads}
  {body}
{stores}
  ret;
}}
"""
_BYTES = {"pred": 1, **{f"{kind}{bits}": bits // 8 for kind in "usbf" for bits in (8, 16, 32, 64)}}


def _width(kind: str) -> int:
    return (
        4
        if kind.endswith("x2") and kind != "f32x2"
        else 8
        if kind == "f32x2"
        else 2
        if kind == "bf16"
        else _BYTES[kind]
    )


class _Operand:
    """A register of each thread that is read from, or written to, an array."""

    def __init__(self, number: int, name: str, kind: str) -> None:
        self.number, self.name, self.kind, self.width = number, name, kind, _width(kind)
        # There are no 8-bit registers to compute in.
        self.register = "pred" if kind == "pred" else f"b{max(8 * self.width, 16)}"

    def declare(self) -> str:
        wide = f"  .reg .b16 {self.name}_byte;\n" if self.kind == "pred" else ""
        return f"  .reg .{self.register} {self.name};\n{wide}"

    def place(self) -> str:
        number = self.number
        pointer = f"%address{number}"
        load = f"  ld.param.u64 {pointer}, [a{number}];\n"
        return f"{load}  mad.wide.u32 %place, %thread, {self.width}, {pointer};\n"

    def load(self) -> str:
        if self.kind == "pred":
            text = f"  ld.global.u8 {self.name}_byte, [%place];\n  setp.ne.u16 {self.name}, {self.name}_byte, 0;\n"
        else:
            text = f"  ld.global.b{8 * self.width} {self.name}, [%place];\n"
        return self.place() + text

    def store(self) -> str:
        if self.kind == "pred":
            text = f"  selp.u16 {self.name}_byte, 1, 0, {self.name};\n  st.global.u8 [%place], {self.name}_byte;\n"
        else:
            text = f"  st.global.b{8 * self.width} [%place], {self.name};\n"
        return self.place() + text


@pytest.fixture
def evaluate() -> Evaluate:
    """Return a function that executes PTX for each element of arrays.

    ``evaluate("add.s32 %d, %a, %b;", "s32", a, b, kinds="s32 s32")`` gives %d, whose type it is told first; %a, %b,
    %c, %e are the operands. ``kinds`` may be left out where they are of the result's type. Results are uint arrays
    for types that numpy lacks, bool for predicates. With ``more``, the type of a second result, %f, a pair is given.
    """

    def run(
        body: str, result: str, *arrays: np.ndarray, kinds: str = "", more: str = "", threads: int = 64
    ) -> np.ndarray:
        arrays = tuple(np.ascontiguousarray(one) for one in arrays)
        total = len(arrays[0])
        padded = -(-total // threads) * threads
        given = kinds.split() or [result] * len(arrays)
        inputs = [_Operand(number, f"%{'abce'[number]}", kind) for number, kind in enumerate(given)]
        results = [
            _Operand(len(inputs) + number, name, kind)
            for number, (name, kind) in enumerate((("%d", result), ("%f", more)))
            if kind
        ]
        operands = [*inputs, *results]
        text = _MODULE.format(
            parameters=", ".join(f".param .u64 a{one.number}" for one in operands),
            count=len(operands),
            registers="".join(one.declare() for one in operands),
            loads="".join(one.load() for one in inputs),
            body=body,
            stores="".join(one.store() for one in results),
        )
        simulator = Simulator("sm_100")
        addresses = [simulator.allocate(padded * one.width) for one in operands]
        for address, array in zip(addresses, arrays, strict=False):
            simulator.write(address, np.concatenate([array, np.repeat(array[-1:], padded - total)]))
        simulator.launch(
            simulator.load(text), "k", padded // threads, threads, np.array(addresses, np.uint64).tobytes()
        )
        found = []
        for one, address in zip(results, addresses[len(inputs) :], strict=True):
            dtype = _dtype(one.kind)
            found.append(np.frombuffer(simulator.read(address, padded * one.width), dtype)[:total])
        return tuple(found) if more else found[0]

    return run


def _dtype(kind: str) -> np.dtype:
    if kind == "pred":
        return np.dtype(bool)
    if kind in ("f16", "f32", "f64") or kind[0] == "s":
        return np.dtype(f"{'i' if kind[0] == 's' else 'f'}{_width(kind)}")
    return np.dtype(f"u{_width(kind)}")
