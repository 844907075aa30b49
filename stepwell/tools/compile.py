"""``stepwell-compile``: compile an exported program to an artifact, or lower it to a stage and write the IR.

    stepwell-compile model.pt2 -o model.swx --keep linalg,kernels
    stepwell-compile model.pt2 --stop-after linalg -o model.mlir

An artifact for GPUs also gets a part for sm_80, which GPUs of all later architectures run, unless --no-portable says
otherwise: it takes as long again to compile.

Exit status: 0, or 1 where the program cannot be compiled, 2 after a wrong command line, 130 after Ctrl-C.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepwell.support.errors import InvalidOptionError, StepwellError
from stepwell.support.spelling import did_you_mean
from stepwell.support.stages import Stage


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line tool; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.stop_after is not None:
            _lower(options)
        else:
            _compile(options)
    except StepwellError as error:
        print(f"stepwell-compile: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"stepwell-compile: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stepwell-compile", description="Compile an exported program.")
    parser.add_argument("program", type=Path, help="a .pt2 file of torch.export.save, or a .mlir or .mlirbc file")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the artifact; PROGRAM.swx where not given")
    parser.add_argument(
        "--target", default="cpu", help="cpu (this machine), cpu:x86-64-v3, ..., cuda (its GPU), cuda:sm_80,sm_90a, ..."
    )
    parser.add_argument(
        "--no-portable", action="store_true", help="for GPUs: leave out the part for sm_80, which all others run, too"
    )
    parser.add_argument("--pipeline", metavar="NAME|TEXT", help="a pipeline's name, or its text: builtin.module(...)")
    parser.add_argument("--stop-after", type=_stage, metavar="STAGE", help="write the IR at the end of STAGE instead")
    parser.add_argument(
        "--keep", type=_stages, default=(), metavar="STAGE,...", help="also write IR, to OUTPUT with .STAGE.mlir"
    )
    parser.add_argument("--check", choices=["each-pass"], help="run the program around every pass and compare")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no summary")
    return parser


def _stage(text: str) -> Stage:
    try:
        return Stage.from_label(text)
    except KeyError as error:
        hint = did_you_mean(text, [stage.label for stage in Stage])
        raise argparse.ArgumentTypeError(error.args[0] + (f"; {hint}" if hint else "")) from None


def _stages(text: str) -> tuple[Stage, ...]:
    order = list(Stage)
    return tuple(sorted({_stage(label.strip()) for label in text.split(",")}, key=order.index))


def _check_writable(path: Path) -> None:
    """Raise InvalidOptionError where ``path`` cannot be written: better now than after compiling."""
    reason = ""
    if path.is_dir():
        reason = "it is a directory"
    elif not path.parent.is_dir():
        reason = f"there is no directory '{path.parent}'"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "permission denied"
    else:
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            reason = error.strerror or str(error)
    if reason:
        raise InvalidOptionError(f"output file '{path}' cannot be written: {reason}", fix="choose another with -o")


def _kept(output: Path, stage: Stage) -> Path:
    return output.with_suffix(f".{stage.label}.mlir")


def _compile(options: argparse.Namespace) -> None:
    from stepwell.backends.targets import with_portable
    from stepwell.driver import compile

    output = options.output or Path(options.program.with_suffix(".swx").name)
    _check_writable(output)
    progress = False if options.quiet else None
    pipeline = _pipeline(options.pipeline)
    # The text of a pipeline names the target in its passes.
    portable = not options.no_portable and (pipeline is None or isinstance(pipeline, str))
    target = with_portable(options.target) if portable else options.target
    executable = compile(options.program, target=target, pipeline=pipeline, check=options.check, progress=progress)
    for stage in options.keep:
        _kept(output, stage).write_text(executable.ir(stage.label) + "\n")
    executable.save(output)
    if not options.quiet:
        size = output.stat().st_size / 1e6
        made = ", ".join(f"{len(part.kernels)} kernels for {part.target}" for part in executable.parts)
        print(f"{output}: {made}, {size:.1f} MB")


def _lower(options: argparse.Namespace) -> None:
    from stepwell.driver import lower

    order = list(Stage)
    beyond = [stage.label for stage in options.keep if order.index(stage) > order.index(options.stop_after)]
    if beyond:
        raise InvalidOptionError(f"--keep {','.join(beyond)} is beyond --stop-after {options.stop_after.label}")
    if options.output is not None:
        _check_writable(options.output)
    elif options.keep:
        raise InvalidOptionError("--keep names its files after the output, and there is none", fix="add -o")
    if options.check is not None:
        raise InvalidOptionError("--check is for whole compilations", fix="leave out --stop-after")
    pipeline = _pipeline(options.pipeline)
    program = options.program
    for stage in options.keep:
        program = lower(program, target=options.target, pipeline=pipeline, to=stage.label)
        _kept(options.output, stage).write_text(program.text(elide=None) + "\n")
    module = lower(program, target=options.target, pipeline=pipeline, to=options.stop_after.label)
    text = module.text(elide=None) + "\n"
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text)


def _pipeline(text: str | None) -> Any:
    from stepwell.passes.pipelines import Pipeline

    return Pipeline.parse(text) if text is not None and "(" in text else text


if __name__ == "__main__":
    sys.exit(main())
