"""Read IR with our dialects, and say what is wrong where MLIR's parser says nothing."""

import re
from pathlib import Path
from typing import Any

from stepwell.dialects.context import DIALECTS
from stepwell.dialects.definition import verify
from stepwell.support.bindings import ir
from stepwell.support.diagnostics import collect_diagnostics
from stepwell.support.errors import InvalidInputFileError

__all__ = ["parse_file", "pretty_form"]

_NAMES = "|".join(dialect.DIALECT_NAMESPACE for dialect in DIALECTS)
# At the beginning of a line or behind the results, where an op's name stands.
_PRETTY = re.compile(rf"^[ \t]*(?:[%\w:, #]+= *)?(?P<name>(?:{_NAMES})\.\w+)", re.MULTILINE)


def pretty_form(text: str) -> tuple[int, int, str] | None:
    """Return line, column and a complaint about the first op of ours that is not in MLIR's generic form.

    IRDL's dialects have no other form, and its parser refuses one without a word.
    """
    found = _PRETTY.search(text)
    if found is None:
        return None
    name, start = found["name"], found.start("name")
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    return line, column, f"'{name}' has no pretty form: write the generic one, \"{name}\"(...)"


def parse_file(path: Path) -> Any:
    """Return the verified module operation of a text or bytecode file, in the current context.

    Raises:
        InvalidInputFileError: the file cannot be read or parsed, or is not valid.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputFileError(f"'{path}' cannot be read: {error.strerror or error}") from error
    with collect_diagnostics(ir.Context.current, quiet=True) as found:
        try:
            operation = ir.Module.parseFile(str(path)).operation
            if not verify(operation):
                return operation
        except ir.MLIRError as error:
            reason = str(error)
    reasons = "\n".join(map(str, found))
    if not reasons:
        silent = pretty_form(data.decode(errors="replace"))
        reasons = reason if silent is None else f"{path}:{silent[0]}:{silent[1]}: error: {silent[2]}"
    raise InvalidInputFileError(f"'{path}' cannot be parsed:\n{reasons}")
