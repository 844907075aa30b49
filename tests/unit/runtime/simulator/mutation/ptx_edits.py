"""Edits of PTX text that make a kernel wrong: each drops or bends one thing that correctness hangs on.

``mutants(ptx, entry)`` yields every edit of every operator at every place, each one statement's change. They work on
the text, so that what is tested is the whole road from the parser on.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_STATEMENT = re.compile(
    r"(?P<guard>@!?%?[\w$]+\s+)?(?<![\w.$%])(?P<opcode>[a-z]\w*(?:\.[\w:]+)+|bra|ret|exit)\b(?P<operands>[^;]*);"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ADDRESS = re.compile(r"\[\s*(?P<base>[%\w$]+)\s*(?P<offset>[+-]\s*\d+)?\s*\]")


@dataclass(frozen=True)
class Statement:
    """One instruction in the text.

    Attributes:
        start, end: where it lies, with its guard and its semicolon.
        line: of its first character, from 1.
        guard: "@%p1 ", or "".
        opcode: "ld.global.f32".
        operands: text between opcode and semicolon.
    """

    start: int
    end: int
    line: int
    guard: str
    opcode: str
    operands: str

    @property
    def text(self) -> str:
        """The statement on one line."""
        return " ".join(f"{self.guard}{self.opcode} {self.operands.strip()};".split())

    def words(self) -> list[str]:
        """The opcode's words."""
        return self.opcode.split(".")


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a module.

    Attributes:
        operator: what was done, such as "drop-barrier".
        line: line of the change in the original text.
        before: the statement, as it was.
        after: what stands there now.
        ptx: the whole text.
    """

    operator: str
    line: int
    before: str
    after: str
    ptx: str

    def __str__(self) -> str:
        return f"{self.operator} at line {self.line}: {self.before} -> {self.after or '(nothing)'}"


Edit = Callable[[Statement], Iterator[str]]
"""Gives the texts that may stand in the place of a statement; none where the operator has nothing to do with it."""


def statements(ptx: str, entry: str) -> list[Statement]:
    """Return the instructions of an entry, in order."""
    plain = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), ptx)
    header = re.search(rf"\.entry\s+{re.escape(entry)}\b", plain)
    if header is None:
        raise ValueError(f"no entry '{entry}'")
    start = plain.index("{", plain.index(")", header.end()))
    end = _closing(plain, start)
    found = []
    for match in _STATEMENT.finditer(plain, start, end):
        line = plain.count("\n", 0, match.start()) + 1
        parts = match["guard"] or "", match["opcode"], match["operands"]
        found.append(Statement(match.start(), match.end(), line, *parts))
    return found


def _closing(text: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ValueError("a brace is never closed")


def mutants(ptx: str, entry: str, operators: tuple[str, ...] = ()) -> Iterator[Mutant]:
    """Yield every mutant of an entry, by operator, then by place.

    Args:
        ptx: the module's text.
        entry: the kernel to change.
        operators: names of the operators to use; all if empty.
    """
    code = statements(ptx, entry)
    signs = _signs(code)
    code = [statement for statement in code if not _folds_sign(statement, signs)]
    for name in operators or tuple(OPERATORS):
        for statement in code:
            for after in OPERATORS[name](statement):
                text = ptx[: statement.start] + after + ptx[statement.end :]
                yield Mutant(name, statement.line, statement.text, " ".join(after.split()), text)


def _signs(code: list[Statement]) -> set[str]:
    """Return the registers that hold the sign of a number: all bits are its highest one."""
    shifts = [statement for statement in code if statement.opcode in ("shr.s64", "shr.s32")]
    parts = [_split(statement.operands) for statement in shifts]
    return {target for target, _, distance in parts if distance in ("63", "31")}


def _folds_sign(statement: Statement, signs: set[str]) -> bool:
    """Tell whether this is an xor of a signed division, which does nothing to an index: indices are positive."""
    return statement.words()[0] == "xor" and not signs.isdisjoint(_split(statement.operands))


def _split(operands: str) -> list[str]:
    """Return operands, split at the commas outside of brackets."""
    parts, depth, current = [], 0, ""
    for character in operands:
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()]


def _rebuilt(statement: Statement, operands: list[str], opcode: str = "") -> str:
    return f"{statement.guard}{opcode or statement.opcode} {', '.join(operands)};"


def _dropping(*prefixes: str) -> Edit:
    """Return an edit that removes instructions whose opcode begins so."""

    def edit(statement: Statement) -> Iterator[str]:
        if statement.opcode.startswith(prefixes):
            yield ""

    return edit


def _drop_wait(statement: Statement) -> Iterator[str]:
    """Go on without waiting; a wait on an mbarrier is true at once."""
    if "wait_group" in statement.opcode or statement.opcode == "cp.async.wait_all":
        yield ""
    elif statement.opcode.startswith(("mbarrier.try_wait", "mbarrier.test_wait")):
        yield f"{statement.guard}setp.eq.u32 {_split(statement.operands)[0]}, 0, 0;"


def _later_wait(statement: Statement) -> Iterator[str]:
    """Leave one more group pending."""
    if "wait_group" in statement.opcode:
        yield _rebuilt(statement, [str(int(statement.operands) + 1)])


def _guard(statement: Statement) -> Iterator[str]:
    """Remove and negate predicates: of instructions and of branches."""
    if not statement.guard:
        return
    rest = f"{statement.opcode} {statement.operands.strip()};"
    yield rest
    predicate = statement.guard.strip().lstrip("@")
    yield f"@{predicate[1:] if predicate.startswith('!') else '!' + predicate} {rest}"


def _drop_xor(statement: Statement) -> Iterator[str]:
    """Use the first operand as it is: swizzles and phases are made by xor."""
    if statement.words()[0] == "xor" and statement.words()[1] != "pred":
        target, first, _ = _split(statement.operands)
        yield f"{statement.guard}mov.{statement.words()[1]} {target}, {first};"


_MEMORY = ("ld.global", "ld.shared", "st.global", "st.shared", "ldmatrix", "stmatrix", "cp.async.c", "atom.", "red.")
_WIDTHS = {"8": 1, "16": 2, "32": 4, "64": 8}


def _shift_address(statement: Statement) -> Iterator[str]:
    """Move each address by one access, and by 16 bytes."""
    if not statement.opcode.startswith(_MEMORY):
        return
    places = list(_ADDRESS.finditer(statement.operands))
    for place in places:
        for step in sorted({_access_bytes(statement), 16}):
            offset = int((place["offset"] or "0").replace(" ", "")) + step
            address = f"[{place['base']}+{offset}]"
            operands = statement.operands[: place.start()] + address + statement.operands[place.end() :]
            yield f"{statement.guard}{statement.opcode}{operands};"


def _access_bytes(statement: Statement) -> int:
    """Return the bytes of one access of a thread: alignment allows no shift by less."""
    if statement.opcode.startswith("cp.async"):
        return int(_split(statement.operands)[2])
    words = statement.words()
    width = re.search(r"\d+$", words[-1])
    if width is None or statement.opcode.startswith(("ldmatrix", "stmatrix")):
        return 16
    vector = next((int(word[1:]) for word in words if re.fullmatch(r"v\d", word)), 1)
    return _WIDTHS.get(width.group(), 4) * vector


def _flip_parity(statement: Statement) -> Iterator[str]:
    """Wait for the other phase."""
    if re.match(r"mbarrier\.(try|test)_wait\.parity", statement.opcode):
        operands = _split(statement.operands)
        flipped = [*operands[:2], "flipped_parity", *operands[3:]]
        yield (
            f"{{ .reg .b32 flipped_parity; xor.b32 flipped_parity, {operands[2]}, 1; "
            f"{statement.guard}{statement.opcode} {', '.join(flipped)}; }}"
        )


def _count(statement: Statement) -> Iterator[str]:
    """Expect 16 bytes or one arrival more, and less."""
    if "expect_tx" in statement.opcode:
        step, operands = 16, _split(statement.operands)
    elif statement.opcode.startswith("mbarrier.init"):
        step, operands = 1, _split(statement.operands)
    else:
        return
    for sign in (step, -step):
        yield (
            f"{{ .reg .b32 bent_count; add.s32 bent_count, {operands[-1]}, {sign}; "
            f"{statement.guard}{statement.opcode} {', '.join([*operands[:-1], 'bent_count'])}; }}"
        )


def _drop_transpose(statement: Statement) -> Iterator[str]:
    """Load a matrix untransposed, or transposed."""
    if statement.opcode.startswith(("ldmatrix", "stmatrix")):
        opcode = statement.opcode.replace(".trans", "")
        if opcode != statement.opcode:
            yield f"{statement.guard}{opcode}{statement.operands};"


def _shuffle(statement: Statement) -> Iterator[str]:
    """Take a shuffle's value from another lane: twice the distance, or the next lane."""
    if statement.opcode.startswith("shfl"):
        operands = _split(statement.operands)
        if operands[2].isdigit():
            distance = int(operands[2])
            operands[2] = str(distance * 2 % 32 if distance else 1)
            yield _rebuilt(statement, operands)


OPERATORS: dict[str, Edit] = {
    "drop-barrier": _dropping("bar.", "barrier."),
    "drop-wait": _drop_wait,
    "later-wait": _later_wait,
    "drop-fence": _dropping("fence.", "membar.", "wgmma.fence"),
    "drop-commit": _dropping("cp.async.commit", "cp.async.bulk.commit", "wgmma.commit"),
    "drop-arrive": _dropping("mbarrier.arrive"),
    "guard": _guard,
    "drop-xor": _drop_xor,
    "shift-address": _shift_address,
    "flip-parity": _flip_parity,
    "bend-count": _count,
    "drop-transpose": _drop_transpose,
    "shuffle": _shuffle,
}
"""Every operator by its name."""
