"""Reproducers that stepwell-opt writes when asked to."""

from pathlib import Path

from stepwell.passes.pipelines.reproducer import Reproducer
from stepwell.passes.registry import find_native, find_pass
from stepwell.support.errors import InvalidInputFileError, PassFailure

__all__ = ["failure_note", "write_reproducer"]


def write_reproducer(path: str, reproducer: Reproducer, ir_text: str) -> None:
    """Write a reproducer; raises InvalidInputFileError where that is impossible."""
    try:
        Path(path).write_text(reproducer.attach(ir_text))
    except OSError as error:
        raise InvalidInputFileError(f"cannot write the reproducer '{path}': {error.strerror}") from error


def failure_note(failure: PassFailure, anchor: str, path: str, *, local: bool) -> str:
    """Return what is said about a failure whose reproducer was written to ``path``, in mlir-opt's words."""
    native = find_native(failure.pass_name)
    ours = find_pass(failure.pass_name)
    title = native.class_name if native is not None else ours.__name__ if ours is not None else failure.pass_name
    what = f"`{title}` on '{anchor}' operation"
    return f"Pipeline failed while executing {what if local else f'[{what}]'}: reproducer generated at `{path}`"
