"""Command lines in LLVM's manner: single and double dashes mean the same, and passes are flags whose order counts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean

__all__ = ["CommandLine", "Flag", "UsageError", "parse_command_line"]


class UsageError(InvalidOptionError):
    """A command line is wrong; the message alone is what the user sees."""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: without dashes.
        help: one line.
        kind: "bool", "value", "integer", "list" (comma-separated, may repeat), "repeat" (may repeat) or "optional"
            (the value may be left out).
        default: its value when it does not stand on the command line.
        bare: the value of an "optional" flag without a value.
        choices: the allowed values, or () for any.
        metavar: what stands for the value in the help text.
        refusal: why the flag is not supported; it is known so that it can be refused by name.
    """

    name: str
    help: str
    kind: str = "bool"
    default: Any = False
    bare: str = ""
    choices: tuple[str, ...] = ()
    metavar: str = "string"
    refusal: str = ""

    @property
    def key(self) -> str:
        """The name as a Python name."""
        return self.name.replace("-", "_")


@dataclass
class CommandLine:
    """What a command line says.

    Attributes:
        values: flag key -> value, for every known flag.
        passes: (name, options text) of the passes named as flags, in order.
        positional: what stands without dashes.
    """

    values: dict[str, Any]
    passes: list[tuple[str, str]] = field(default_factory=list)
    positional: list[str] = field(default_factory=list)

    def __getattr__(self, key: str) -> Any:
        try:
            return self.__dict__["values"][key]
        except KeyError:
            raise AttributeError(key) from None


def parse_command_line(
    program: str,
    arguments: Sequence[str],
    flags: Iterable[Flag],
    is_pass: Callable[[str], bool],
    suggestions: Callable[[], Iterable[str]],
) -> CommandLine:
    """Read a command line; raises UsageError in LLVM's words.

    Args:
        program: its name, for messages.
        arguments: what follows it.
        flags: the flags it knows.
        is_pass: whether a name is a pass, so that ``--name`` or ``--name="options"`` runs it.
        suggestions: further names for "did you mean".
    """
    known = {flag.name: flag for flag in flags}
    line = CommandLine(
        {flag.key: list(flag.default) if flag.kind in ("list", "repeat") else flag.default for flag in known.values()}
    )
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            line.positional += rest
            break
        if argument == "-" or not argument.startswith("-"):
            line.positional.append(argument)
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        flag = known.get(name)
        if flag is not None:
            _set(program, line, flag, value if equals else None, rest)
        elif is_pass(name):
            line.passes.append((name, value))
        else:
            hint = did_you_mean(name, [*known, *suggestions()]).replace("did you mean '", "Did you mean '--")
            message = f"Unknown command line argument '{argument}'.  Try: '{program} --help'"
            raise UsageError(f"{program}: {message}" + (f"\n{program}: {hint}" if hint else ""))
    return line


def _set(program: str, line: CommandLine, flag: Flag, value: str | None, rest: list[str]) -> None:
    if flag.refusal:
        raise UsageError(f"{program}: --{flag.name} is not supported: {flag.refusal}")
    if flag.kind == "bool":
        line.values[flag.key] = True if value is None else _boolean(program, flag, value)
        return
    if value is None and flag.kind == "optional":
        value = flag.bare
    elif value is None:
        if not rest:
            raise UsageError(f"{program}: for the {_dashed(flag)} option: requires a value!")
        value = rest.pop(0)
    if flag.choices and value not in flag.choices:
        hint = did_you_mean(value, flag.choices)
        raise UsageError(
            f"{program}: for the {_dashed(flag)} option: Cannot find option named '{value}'!"
            f" ({hint or 'one of: ' + ', '.join(filter(None, flag.choices))})"
        )
    if flag.kind == "integer":
        if not value.isdigit():
            raise UsageError(f"{program}: for the {_dashed(flag)} option: '{value}' value invalid for uint argument!")
        line.values[flag.key] = int(value)
    elif flag.kind == "repeat":
        line.values[flag.key].append(value)
    elif flag.kind == "list":
        line.values[flag.key] += [item for item in value.split(",") if item]
    else:
        line.values[flag.key] = value


def _dashed(flag: Flag) -> str:
    return f"-{flag.name}" if len(flag.name) == 1 else f"--{flag.name}"


def _boolean(program: str, flag: Flag, value: str) -> bool:
    if value.lower() in ("true", "1"):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise UsageError(
        f"{program}: for the {_dashed(flag)} option: '{value}' is invalid value for boolean argument! Try 0 or 1"
    )
