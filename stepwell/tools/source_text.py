"""Input files of stepwell-opt: read, split into chunks, and parsed with the positions of the whole file."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell.dialects.parsing import pretty_form
from stepwell.support.bindings import ir
from stepwell.support.errors import InvalidInputFileError

__all__ = ["Chunk", "SourceText", "near_misses", "parse_chunk", "read_source", "split_chunks"]

BYTECODE_MAGIC = b"ML\xefR"

# What the bindings call text that comes from no file.
_NO_FILE = "-"


@dataclass(frozen=True)
class SourceText:
    """A whole input.

    Attributes:
        name: the path as the user wrote it, or ``<stdin>``.
        data: its bytes.
    """

    name: str
    data: bytes

    @property
    def is_bytecode(self) -> bool:
        """Whether it is MLIR bytecode."""
        return self.data.startswith(BYTECODE_MAGIC)

    @property
    def text(self) -> str:
        """Its text; bytes that are no UTF-8 are kept apart, so that MLIR complains about them in place."""
        return "" if self.is_bytecode else self.data.decode(errors="surrogateescape")

    @property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.text.split("\n")


@dataclass(frozen=True)
class Chunk:
    """A part of an input that is processed on its own.

    Attributes:
        source: the whole input.
        text: the part.
        line: the line it begins on, counted from 0.
        column: the column it begins at, counted from 0.
    """

    source: SourceText
    text: str
    line: int = 0
    column: int = 0


def read_source(path: str) -> SourceText:
    """Read a file, or stdin for ``-``; raises InvalidInputFileError in mlir-opt's words."""
    if path == "-":
        return SourceText("<stdin>", sys.stdin.buffer.read())
    try:
        return SourceText(path, Path(path).read_bytes())
    except OSError as error:
        raise InvalidInputFileError(f"cannot open input file '{path}': {error.strerror}") from error


def split_chunks(source: SourceText, marker: str) -> Iterator[Chunk]:
    """Yield the parts between the markers; without a marker, the whole."""
    text = source.text
    if not marker or source.is_bytecode:
        yield Chunk(source, text)
        return
    start = 0
    line, column = 0, 0
    for match in re.finditer(re.escape(marker), text):
        yield Chunk(source, text[start : match.start()], line, column)
        start = match.end()
        line = text.count("\n", 0, start)
        column = start - (text.rfind("\n", 0, start) + 1)
    yield Chunk(source, text[start:], line, column)


def near_misses(source: SourceText, marker: str) -> Iterator[tuple[int, int]]:
    """Yield (line, column), counted from 1, of what begins like a marker and is none."""
    beginning = marker[:-2]
    if beginning and not source.is_bytecode:
        for number, line in enumerate(source.lines, 1):
            if beginning in line and marker not in line:
                yield number, line.index(beginning) + len(beginning) + 1


def parse_chunk(chunk: Chunk, *, implicit_module: bool = True) -> Any:
    """Parse a chunk in the current context and return the op; raises MLIRError after diagnostics.

    Positions are those of the whole input: the chunk is parsed behind as many empty lines as precede it.
    """
    reported = False

    def note(_: Any) -> bool:
        nonlocal reported
        reported = True
        return False

    handler = ir.Context.current.attach_diagnostic_handler(note)
    try:
        return _parse(chunk, implicit_module)
    except ir.MLIRError:
        silent = None if reported or chunk.source.is_bytecode else pretty_form(_padded(chunk))
        if silent is not None:
            line, column, complaint = silent
            ir.Location.file(chunk.source.name, line, column).emit_error(complaint)
        raise
    finally:
        handler.detach()


def _parse(chunk: Chunk, implicit_module: bool) -> Any:
    source = chunk.source
    if source.is_bytecode:
        return ir.Module.parse(source.data).operation
    whole = chunk.text == source.text
    if not implicit_module:
        return ir.Operation.parse(_padded(chunk), source_name=source.name).operation
    if whole and source.name != "<stdin>":
        return ir.Module.parseFile(source.name).operation
    operation = ir.Module.parse(_padded(chunk)).operation
    _rename(operation, chunk)
    return operation


def _padded(chunk: Chunk) -> str:
    return "\n" * chunk.line + " " * chunk.column + chunk.text


def _rename(operation: Any, chunk: Chunk) -> None:
    """Give locations the name of the input, which the bindings' parser takes for files only."""
    name = chunk.source.name

    def renamed(location: Any) -> Any:
        if location.is_a_file() and location.filename == _NO_FILE:
            return ir.Location.file(name, location.start_line, location.start_col)
        return location

    def visit(op: Any) -> Any:
        op.location = renamed(op.location)
        for region in op.regions:
            for block in region.blocks:
                for argument in block.arguments:
                    argument.set_location(renamed(argument.location))
        return ir.WalkResult.ADVANCE

    # A module that is not in the text begins where the chunk does; MLIR counts columns there from 1.
    implicit = operation.location.is_a_file() and operation.location.start_line == 0
    operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    if implicit and chunk.line:
        operation.location = ir.Location.file(name, chunk.line + 1, chunk.column + 1)
