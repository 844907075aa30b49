"""Options of passes, from text to typed fields and back.

The text is MLIR's: ``{max-rounds=3 sizes=1,2,3 name="a b"}``.  Names are kebab-case in text and snake_case in Python.
Reading what was printed gives an equal pass; only what differs from the defaults is printed.
"""

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean

__all__ = ["describe_options", "from_text", "from_values", "split_options", "to_text"]

T = TypeVar("T")

_OPENING = {"{": "}", "[": "]"}
_BARE = re.compile(r"[\w.+/:;*<>=@#$%&?|~^!-]+", re.ASCII)

# Braces bound the options of a pass in any pipeline text, so a quoted string spells them otherwise.
_ESCAPES = {"\\": "\\\\", '"': "\\q", "{": "\\o", "}": "\\c", "\n": "\\n"}
_UNESCAPES = {escaped[1]: plain for plain, escaped in _ESCAPES.items()}


def split_options(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield (name, value) of each option in a text; the value is None where there is no ``=``.

    Values may be quoted, or stand in brackets or braces; the quotes and brackets are kept.
    """
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        end = _end_of_option(text, position)
        name, equals, value = text[position:end].partition("=")
        yield name, value if equals else None
        position = end


def _end_of_option(text: str, position: int) -> int:
    closing: list[str] = []
    while position < len(text):
        char = text[position]
        if closing and closing[-1] in "'\"":
            # A string of ours may hold an escaped backslash, never an escaped quote.
            closing = closing[:-1] if char == closing[-1] else closing
        elif char in "'\"":
            closing.append(char)
        elif char in _OPENING:
            closing.append(_OPENING[char])
        elif closing and char == closing[-1]:
            closing.pop()
        elif char.isspace() and not closing:
            return position
        position += 1
    return position


@cache
def _fields(cls: Any) -> Mapping[str, tuple[str, Any, Any]]:
    """Return kebab name -> (field name, type, default) of a dataclass with options."""
    hints = get_type_hints(cls)
    fields = dataclasses.fields(cls)
    return {field.name.replace("_", "-"): (field.name, hints[field.name], field.default) for field in fields}


def from_text(cls: Callable[..., T], name: str, text: str) -> T:
    """Make a pass or pipeline of class ``cls``, called ``name``, from its options; raises InvalidOptionError."""
    fields = _fields(cls)
    values = {}
    for key, value in split_options(text):
        if key not in fields:
            listed = ", ".join(fields) or "none"
            raise InvalidOptionError(
                f"'{name}' has no option '{key}' (it has: {listed})", fix=did_you_mean(key, fields) or "remove it"
            )
        field_name, kind, _ = fields[key]
        # MLIR reads a bare name as "true".
        values[field_name] = _parse(f"option '{key}' of '{name}'", kind, "true" if value is None else value)
    return cls(**values)


def from_values(cls: Callable[..., T], name: str, values: Mapping[str, Any]) -> T:
    """Make a pass or pipeline from Python values by field name; raises InvalidOptionError for an unknown one."""
    known = [field_name for field_name, _, _ in _fields(cls).values()]
    for key in values:
        if key not in known:
            raise InvalidOptionError(
                f"'{name}' has no option '{key}' (it has: {', '.join(known) or 'none'})",
                fix=did_you_mean(key, known) or "remove it",
            )
    return cls(**values)


def _parse(what: str, kind: Any, text: str) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return _parse(what, next(k for k in get_args(kind) if k is not type(None)), text)
    if get_origin(kind) is tuple:
        inner = text[1:-1] if text[:1] in _OPENING and text[-1:] == _OPENING[text[0]] else text
        return tuple(_parse(what, get_args(kind)[0], item) for item in _split_list(inner))
    if get_origin(kind) is Literal:
        if (value := _unquote(text)) not in get_args(kind):
            choices = ", ".join(map(str, get_args(kind)))
            raise InvalidOptionError(
                f"{what} must be one of {choices}, got '{value}'", fix=did_you_mean(value, get_args(kind))
            )
        return value
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise InvalidOptionError(f"{what} must be true or false, got '{text}'")
        return text.lower() in ("true", "1")
    if kind is str:
        return _unquote(text)
    try:
        return kind(_unquote(text))
    except ValueError as error:
        noun = {int: "an integer", float: "a number"}.get(kind, f"a {kind.__name__}")
        raise InvalidOptionError(f"{what} must be {noun}, got '{text}'") from error


def _split_list(text: str) -> Iterator[str]:
    quote = ""
    start = 0
    for position, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == ",":
            yield text[start:position]
            start = position + 1
    if text:
        yield text[start:]


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda match: _UNESCAPES.get(match[1], match[0]), text[1:-1], flags=re.DOTALL)
    if len(text) >= 2 and text[0] == "{" and text[-1] == "}":
        return text[1:-1]
    return text


def to_text(value: Any, *, everything: bool = False) -> str:
    """Return the options of a pass as text without braces, those at their default left out unless ``everything``."""
    parts = []
    for key, (field_name, _, default) in _fields(value.__class__).items():
        current = getattr(value, field_name)
        if current is not None and (everything or current != default):
            parts.append(f"{key}={_print(current)}")
    return " ".join(parts)


def _print(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        # A list of one needs no brackets, an empty one does, or the option would read as "true".
        return ",".join(map(_print, value)) if value else "[]"
    if isinstance(value, str):
        if _BARE.fullmatch(value):
            return value
        return '"' + "".join(_ESCAPES.get(char, char) for char in value) + '"'
    return str(value)


def describe_options(cls: Any) -> list[tuple[str, str, str]]:
    """Return (name, default as text, help) of each option of a pass class."""
    helps = {field.name: field.metadata.get("help", "") for field in dataclasses.fields(cls)}
    return [
        (key, "" if default is None else _print(default), helps[field_name])
        for key, (field_name, _, default) in _fields(cls).items()
    ]
