"""Splits PTX text into tokens."""

import re
from typing import NamedTuple

from stepwell.support.errors import PtxSyntaxError

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<skip>//.*)
      | (?P<float>0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}|\d+\.\d*(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
      | (?P<int>(?:0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?)
      | (?P<word>[A-Za-z_$%][\w$]*)
      | (?P<dot>\.[\w$]+(?:::\w+)*)
      | (?P<string>"[^"]*")
      | (?P<mark>[{}()\[\]<>,;:@!|+\-=])
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A token: ``kind`` is "float", "int", "word", "dot" (.word), "string", "mark", or "end" after the last one."""

    kind: str
    text: str
    line: int


def syntax_error(message: str, line: int, text: str = "") -> PtxSyntaxError:
    """Return the error for a line of PTX."""
    error = PtxSyntaxError(f"PTX line {line}: {message}")
    error.instruction = " ".join(text.split())
    return error


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a PTX module; comments are left out. Raises PtxSyntaxError."""
    text = _COMMENT.sub(lambda found: "\n" * found.group().count("\n") or " ", text)
    tokens: list[Token] = []
    line = 0
    for line, content in enumerate(text.split("\n"), 1):
        position, content = 0, content.rstrip()
        while position < len(content):
            found = _TOKEN.match(content, position)
            if found is None:
                raise syntax_error(f"'{content[position:].strip()[:20]}' is not PTX", line, content)
            position = found.end()
            kind = found.lastgroup or ""
            if kind == "skip":
                break
            tokens.append(Token(kind, found[kind], line))
    tokens.append(Token("end", "end of the text", line))
    return tokens


def integer(text: str) -> int:
    """Return the value of an integer token."""
    text = text.rstrip("U")
    if len(text) > 1 and text[0] == "0" and text[1].isdigit():
        return int(text, 8)
    return int(text, 0)
