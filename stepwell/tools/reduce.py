"""stepwell-reduce: shrink a module while a test finds it interesting.

    stepwell-reduce big.mlir --test=./check.sh -o small.mlir
    stepwell-reduce big.mlir --test=stepwell-opt --test-arg=--graph-cse --output-matches='raised KeyError'

As for mlir-reduce, the test is a program that gets the path of a candidate as its last argument, and a candidate is
interesting where it exits with a status other than 0.  With ``--output-matches`` the status does not count.

Exit status: 0 where a module was written, 1 for any error, 130 when interrupted; what was reached by then is written.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell.support.errors import InvalidInputFileError, StepwellError
from stepwell.tools.command_line import CommandLine, Flag, UsageError, parse_command_line

PROGRAM = "stepwell-reduce"
INTERRUPTED = 130

FLAGS = (
    Flag("test", "Program that says whether a candidate is interesting", "value", None, metavar="path"),
    Flag("test-arg", "Argument of that program, before the path of the candidate", "repeat", ()),
    Flag("output-matches", "A candidate is interesting where the output matches this", "value", None, metavar="regex"),
    Flag("timeout", "Seconds after which a test counts as uninteresting", "integer", 60, metavar="n"),
    Flag("o", "Output filename", "value", "-", metavar="filename"),
    Flag("allow-unregistered-dialect", "Allow operation with no registered dialects"),
    Flag("quiet", "Print no progress"),
    Flag("help", "Print this text and exit"),
)


@dataclass(frozen=True)
class Test:
    """A program as a property of IR text.

    Attributes:
        command: the program and its first arguments.
        output: what its output must match, or None where its status counts.
        timeout: seconds it may take.
    """

    __test__ = False

    command: tuple[str, ...]
    output: re.Pattern[str] | None
    timeout: int

    def __call__(self, text: str) -> bool:
        """Whether the program finds ``text`` interesting; raises StepwellError where it cannot run."""
        with tempfile.NamedTemporaryFile("w", prefix="stepwell-reduce-", suffix=".mlir") as file:
            file.write(text)
            file.flush()
            try:
                done = subprocess.run(
                    [*self.command, file.name],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=self.timeout,
                    text=True,
                    errors="replace",
                )
            except subprocess.TimeoutExpired:
                return False
            except OSError as error:
                raise UsageError(f"{PROGRAM}: cannot run the test '{self.command[0]}': {error.strerror}") from error
        if self.output is not None:
            return self.output.search(done.stdout) is not None
        return done.returncode != 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    try:
        line = parse_command_line(
            PROGRAM, sys.argv[1:] if arguments is None else arguments, FLAGS, lambda name: False, lambda: ()
        )
        if line.help:
            print(_help())
            return 0
        return _reduce(line)
    except UsageError as error:
        print(error, file=sys.stderr)
    except InvalidInputFileError as error:
        print(error.message, file=sys.stderr)
    except StepwellError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
    return 1


def _help() -> str:
    flags = (f"  {'-' if len(flag.name) == 1 else '--'}{flag.name:<28} - {flag.help}" for flag in FLAGS)
    return "\n".join([(__doc__ or "").strip(), "", "Options:", *flags])


def _test_of(line: CommandLine) -> Test:
    if line.test is None:
        raise UsageError(f"{PROGRAM}: --test is missing: it says what is interesting (see --help)")
    try:
        output = re.compile(line.output_matches) if line.output_matches is not None else None
    except re.error as error:
        raise UsageError(f"{PROGRAM}: for the --output-matches option: {error}") from error
    return Test((line.test, *line.test_arg), output, line.timeout)


def _reduce(line: CommandLine) -> int:
    from stepwell.dialects.context import make_context
    from stepwell.support.bindings import ir
    from stepwell.support.counting import count_operations
    from stepwell.tools.diagnostic_printer import DiagnosticPrinter
    from stepwell.tools.reduction import Reducer
    from stepwell.tools.source_text import Chunk, parse_chunk, read_source

    test = _test_of(line)
    if len(line.positional) > 1:
        raise UsageError(f"{PROGRAM}: Too many positional arguments specified!")
    source = read_source(line.positional[0] if line.positional else "-")
    context = make_context()
    context.allow_unregistered_dialects = line.allow_unregistered_dialect
    context.emit_error_diagnostics = True
    report: Callable[[str], None] = (lambda text: None) if line.quiet else lambda text: print(text, file=sys.stderr)
    with context, ir.Location.unknown():
        handler = context.attach_diagnostic_handler(DiagnosticPrinter(source))
        try:
            module = parse_chunk(Chunk(source, source.text))
        except ir.MLIRError:
            return 1
        finally:
            handler.detach()
        reducer = Reducer(module, test, report)
        if not reducer.is_interesting(str(module)):
            raise StepwellError(
                "the test does not find the input interesting",
                fix="it must exit with a status other than 0, or print what --output-matches says",
            )
        before = count_operations(module)
        status = _run(reducer)
        report(f"{PROGRAM}: {before} ops became {count_operations(reducer.module)} in {reducer.tests} tests")
        _write(line.o, f"{reducer.module}\n")
    return status


def _run(reducer: Any) -> int:
    try:
        reducer.run()
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise InvalidInputFileError(f"cannot open output file '{path}': {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
