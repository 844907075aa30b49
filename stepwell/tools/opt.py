"""stepwell-opt: run passes on MLIR files, as mlir-opt does, with our dialects, passes and pipelines.

IR goes to stdout, everything else to stderr.
"""

import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from stepwell.support.errors import InvalidInputFileError, StepwellError
from stepwell.tools.command_line import CommandLine, UsageError, parse_command_line
from stepwell.tools.opt_flags import FLAGS, help_text

PROGRAM = "stepwell-opt"
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 1
    except InvalidInputFileError as error:
        print(error.message, file=sys.stderr)
        return 1
    except StepwellError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has seen enough; Python must not complain about it at exit either.
        sys.stdout = None
        return 1


def _run(arguments: Sequence[str]) -> int:
    _import_plugins(arguments)
    line = parse_command_line(PROGRAM, arguments, FLAGS, _is_pass, _pass_names)
    if line.help or line.list_passes:
        from stepwell.tools.pass_list import pass_list

        print(help_text(pass_list()) if line.help else "\n".join(pass_list()))
        return 0
    if line.version:
        from stepwell import __version__
        from stepwell.support.bindings import mlir_version

        print(f"stepwell {__version__}\nMLIR {mlir_version()} (xtc-mlir-python-bindings)")
        return 0
    if len(line.positional) > 1:
        raise UsageError(f"{PROGRAM}: Too many positional arguments specified!\nSee: {PROGRAM} --help")
    return _process(line)


def _import_plugins(arguments: Sequence[str]) -> None:
    """Import what ``--load-pass-plugin`` names; its passes may then stand anywhere on the command line."""
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag.startswith("-") and flag.lstrip("-") == "load-pass-plugin":
            names = value if equals else "".join(arguments[index + 1 : index + 2])
            for module in filter(None, names.split(",")):
                try:
                    importlib.import_module(module)
                except ModuleNotFoundError as error:
                    raise UsageError(f"{PROGRAM}: cannot import '{module}': {error}") from error


def _is_pass(name: str) -> bool:
    return name in _pass_names()


def _pass_names() -> set[str]:
    from stepwell.passes.pipelines.catalogue import pipeline_names
    from stepwell.passes.registry import native_passes, pass_names

    return {*pass_names(), *native_passes(), *pipeline_names()}


def _process(line: CommandLine) -> int:
    from stepwell.tools.opt_session import Session, show_dialects

    if line.show_dialects:
        print(show_dialects())
        return 0
    path = line.positional[0] if line.positional else "-"
    session = Session.prepare(line, path)
    output = io.BytesIO()
    succeeded = session.run(output)
    # What failed leaves no file behind; a reader of stdout may have the chunks that succeeded.
    if succeeded or line.o == "-":
        _write(line.o, output.getvalue())
    return 0 if succeeded else 1


def _write(path: str, data: bytes) -> None:
    if path == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise InvalidInputFileError(f"cannot open output file '{path}': {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
