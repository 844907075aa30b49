"""Which registers a thread may still read, from each instruction on: the others need not be kept for it."""

from collections.abc import Iterator, Sequence

from stepwell.runtime.simulator.ptx.module import Address, Instruction, Not, Operand, Pair, Register, Vector

_WRITES_FIRST = frozenset(
    (
        *("add", "sub", "mul", "mad", "fma", "div", "rem", "abs", "neg", "min", "max", "and", "or", "xor"),
        *("not", "shl", "shr", "shf", "lop3", "prmt", "bfe", "bfi", "bfind", "clz", "popc", "brev", "mov", "cvt"),
        *("cvta", "setp", "selp", "slct", "set", "ld", "rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh"),
        *("copysign", "shfl"),
    )
)
"""Instructions whose first operand is only written. Of all others every operand counts as read."""


def live_registers(code: Sequence[Instruction], following: Sequence[tuple[int, ...]]) -> list[int]:
    """Return, for each instruction and for the end, the registers that may be read from there on.

    Args:
        code: the instructions.
        following: for each, the indices of those that may come next.

    Returns:
        sets of register slots, as the bits of an integer.
    """
    facts = [_read_and_written(ins) for ins in code]
    live = [0] * (len(code) + 1)
    changed = True
    while changed:
        changed = False
        for pc in range(len(code) - 1, -1, -1):
            after = 0
            for successor in following[pc]:
                after |= live[successor]
            read, written = facts[pc]
            before = read | (after & ~written)
            if before != live[pc]:
                live[pc], changed = before, True
    return live


def _read_and_written(ins: Instruction) -> tuple[int, int]:
    operands = ins.operands
    written = 0
    if ins.name in _WRITES_FIRST and operands:
        if ins.guard is None:
            written = _bits(operands[:1])
        operands = operands[1:]
    read = _bits(operands)
    return (read, written) if ins.guard is None else (read | 1 << ins.guard.register.slot, 0)


def _bits(operands: Sequence[Operand]) -> int:
    found = 0
    for operand in operands:
        for register in _registers(operand):
            found |= 1 << register.slot
    return found


def _registers(operand: Operand) -> Iterator[Register]:
    match operand:
        case Register():
            yield operand
        case Not():
            yield operand.operand
        case Vector():
            for element in operand.elements:
                yield from _registers(element)
        case Pair():
            yield from _registers(operand.first)
            yield from _registers(operand.second)
        case Address():
            if isinstance(operand.base, Register):
                yield operand.base
            for element in operand.rest:
                yield from _registers(element)
