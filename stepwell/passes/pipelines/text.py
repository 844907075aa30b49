"""The text of pipelines: MLIR's grammar, as a tree of elements and back.

    pipeline := element ("," element)*
    element  := name ("{" options "}")? | anchor "(" pipeline? ")"

As in MLIR, braces alone bound the options, whatever quotes stand in them.  MLIR's own parser is never given a text that
this one has not accepted, for some of its complaints end the process.
"""

import re
from dataclasses import dataclass, field

from stepwell.support.errors import InvalidOptionError

__all__ = ["Element", "parse_elements", "parse_pipeline", "pipeline_error"]

_NAME_END = re.compile(r"[,(){]")


@dataclass(frozen=True)
class Element:
    """One element of a pipeline text.

    Attributes:
        name: a pass, a pipeline, or an anchor such as ``func.func``.
        options: the text between the braces, or None without braces.
        children: the elements between the parentheses, or None without parentheses.
        column: where the name begins in the text, counted from 0.
        text: the whole text it stands in, for errors.
    """

    name: str
    options: str | None = None
    children: "tuple[Element, ...] | None" = None
    column: int = field(default=0, compare=False)
    text: str = field(default="", compare=False, repr=False)


def pipeline_error(text: str, column: int, message: str, fix: str = "") -> InvalidOptionError:
    """Return the error for a fault at ``column`` of a pipeline text; the message points at it."""
    return InvalidOptionError(f"pipeline text, column {column + 1}: {message}\n  {text}\n  {' ' * column}^", fix=fix)


def parse_pipeline(text: str) -> Element:
    """Parse a whole pipeline, which is one anchor with its passes; raises InvalidOptionError."""
    elements = parse_elements(text)
    if len(elements) != 1 or elements[0].children is None:
        raise pipeline_error(
            text,
            0,
            "expected pass pipeline to be wrapped with the anchor operation type",
            fix=f"write 'builtin.module({text.strip()})'" if text.strip() else "write 'builtin.module()'",
        )
    return elements[0]


def parse_elements(text: str) -> tuple[Element, ...]:
    """Parse a list of elements such as ``cse,func.func(canonicalize)``; raises InvalidOptionError."""
    if not text.strip():
        return ()
    parser = _Parser(text)
    elements = parser.elements()
    if parser.position != len(text):
        raise pipeline_error(text, parser.position, "encountered extra closing ')' creating unbalanced parentheses")
    return elements


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def elements(self) -> tuple[Element, ...]:
        found = [self.element()]
        while self.peek() == ",":
            self.position += 1
            found.append(self.element())
        return tuple(found)

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def skip_spaces(self) -> None:
        while self.peek().isspace():
            self.position += 1

    def element(self) -> Element:
        self.skip_spaces()
        start = self.position
        match = _NAME_END.search(self.text, start)
        self.position = match.start() if match else len(self.text)
        name = self.text[start : self.position].strip()
        if not name:
            raise pipeline_error(self.text, start, "expected the name of a pass, pipeline or operation")
        options = self.options() if self.peek() == "{" else None
        children = self.children() if self.peek() == "(" and options is None else None
        self.skip_spaces()
        if self.peek() not in ("", ",", ")"):
            raise pipeline_error(self.text, self.position, f"expected ',' or ')' after '{name}'")
        return Element(name, options, children, start, self.text)

    def options(self) -> str:
        start = self.position
        depth = 0
        while self.position < len(self.text):
            depth += (self.peek() == "{") - (self.peek() == "}")
            self.position += 1
            if depth == 0:
                inner = self.text[start + 1 : self.position - 1]
                self.skip_spaces()
                return inner
        raise pipeline_error(self.text, start, "missing closing '}' while processing pass options")

    def children(self) -> tuple[Element, ...]:
        start = self.position
        self.position += 1
        self.skip_spaces()
        inner = () if self.peek() == ")" else self.elements()
        if self.peek() != ")":
            raise pipeline_error(self.text, start, "encountered unbalanced parentheses while parsing pipeline")
        self.position += 1
        return inner
