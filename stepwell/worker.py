"""A compile worker: ``python -m stepwell.worker``, started and fed by ``backends/workers.py``.

It reads requests from standard input and writes answers to standard output, one for one, until its input ends.
Whatever else writes to standard output goes to standard error instead.
"""

import gc
import importlib
import os
import resource
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from stepwell.support import errors, messages
from stepwell.support.errors import CompileError, PassFailure, SourceLocation, StepwellError

if TYPE_CHECKING:
    from stepwell.backends.codegen import CodegenContexts

# New containers between two collections of the youngest.
_GARBAGE = 50_000

# What a PassFailure tells besides its message; diagnostics are in the message already.
_FAILURE = ("pass_name", "ir_before", "pipeline", "command", "reproducer")


def main() -> None:
    """Serve until the other side goes."""
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # No core files for MLIR's own assertions.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ctrl-C reaches the whole terminal; the parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Kernels leave little behind, and looking for it takes longer.
    gc.set_threshold(_GARBAGE)
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    while True:
        try:
            header, body = messages.receive(requests)
        except messages.ConnectionClosedError:
            return
        answer, data = serve(header, body)
        messages.send(answers, answer, data)


def serve(header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Answer one request: compile ``body`` with ``header["pipeline"]`` for ``header["target"]``.

    ``header["modules"]`` names the modules to import first: they register the user's own passes.  ``header["verify"]``
    asks to check the IR after every pass.
    """
    from stepwell.backends.codegen import compile_kernel

    try:
        for module in header["modules"]:
            importlib.import_module(module)
        kernel = compile_kernel(
            body, header["pipeline"], header["target"], contexts=_contexts(), verify_each=header["verify"]
        )
    except StepwellError as error:
        return {"ok": False, "error": error_to_json(error)}, b""
    except MemoryError:
        return {"ok": False, "error": error_to_json(errors.WorkerError("out of memory"))}, b""
    except Exception as error:  # Any bug of a pass must reach the session as an error, with where it happened.
        import traceback

        lines = traceback.format_exc().strip().splitlines()[-6:]
        return {"ok": False, "error": error_to_json(CompileError(f"{error!r}\n" + "\n".join(lines)))}, b""
    return {"ok": True, "info": kernel.info.to_json()}, kernel.object


@cache
def _contexts() -> "CodegenContexts":
    from stepwell.backends.codegen import CodegenContexts

    return CodegenContexts()


def error_to_json(error: StepwellError) -> dict[str, Any]:
    """Return an error as plain data."""
    place = error.location
    location = None if place is None else [place.file, place.line, place.column, place.name, list(place.frames)]
    data: dict[str, Any] = {
        "type": type(error).__name__,
        "message": error.message,
        "fix": error.fix,
        "location": location,
    }
    if isinstance(error, PassFailure):
        data["failure"] = {name: getattr(error, name) for name in _FAILURE}
    return data


def error_from_json(data: dict[str, Any]) -> StepwellError:
    """Return the error that ``error_to_json`` described."""
    kind = getattr(errors, data["type"], None)
    if not (isinstance(kind, type) and issubclass(kind, StepwellError)):
        kind = CompileError
    location = None
    if data["location"] is not None:
        file, line, column, name, frames = data["location"]
        location = SourceLocation(file, line, column, name, tuple(tuple(frame) for frame in frames))
    error = kind(data["message"], fix=data["fix"], location=location)
    for name, value in data.get("failure", {}).items():
        setattr(error, name, value)
    return error


if __name__ == "__main__":
    main()
