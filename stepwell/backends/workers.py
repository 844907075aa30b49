"""Worker processes: they compile kernels side by side, and their death is an error, never the session's end."""

import atexit
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from stepwell.support import messages
from stepwell.support.errors import CodeSelectionError, WorkerError
from stepwell.support.reproducer_files import write_reproducer
from stepwell.worker import error_from_json

DEFAULT_SECONDS = 600.0
DEFAULT_MEMORY = 16 << 30
"""Bytes of address space, of which LLVM's libraries alone map one GiB."""

# LLVM's last words where an op has no instruction.
_SELECTION = re.compile(r"LLVM ERROR: (Cannot select: .*)")


class Worker:
    """One child process.

    Args:
        memory: bytes of address space it may have.
    """

    def __init__(self, memory: int = DEFAULT_MEMORY) -> None:
        # A file cannot fill up and block the child, as a pipe nobody reads would.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stepwell.worker", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Its own group, so that its own children (ptxas) end with it.
            start_new_session=True,
            env=_environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, header: dict[str, Any], body: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for the answer; raises WorkerError where none comes, and the worker is gone then."""
        try:
            messages.send(self._requests, header, body)
            return messages.receive(self._answers, seconds)
        except messages.DeadlineError:
            self.dispose()
            raise WorkerError(f"it ran longer than {seconds:g} s") from None
        except messages.ConnectionClosedError:
            # Its own exit status tells more than the signal we would send.
            status = self.dispose(grace=1.0)
            raise WorkerError(_death(status, self._last_words())) from None

    def kill(self) -> None:
        """End the process and its children; ``dispose`` must follow, in the thread that uses the worker."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def dispose(self, grace: float = 0.0) -> int:
        """End the process, letting it finish by itself for ``grace`` seconds; return its exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self.kill()
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return status

    def _last_words(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 4000))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        # MLIR's stack dumps follow what it has to say.
        said = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "Stack dump", "PLEASE"))]
        return "\n".join(said[-5:])


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # The child must find the stepwell that started it, installed or not.
    paths = [path or os.getcwd() for path in sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    # Several workers share the cores; none needs threads of its own.
    environment["OMP_NUM_THREADS"] = "1"
    return environment


def _death(status: int, words: str) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        text = f"it was killed by {name}"
    else:
        text = f"it exited with status {status}"
    return f"{text}:\n{words}" if words else text


def _write_reproducer(name: str, bytecode: bytes, pipeline: str) -> str:
    """Keep the kernel that ended two workers; return the command that repeats it, or ""."""
    try:
        path = write_reproducer(name, ".mlirbc", bytecode)
    except OSError as error:
        return f"no reproducer was written: {error}"
    if path is None:
        return ""
    return f"this repeats it: stepwell-opt --pass-pipeline={shlex.quote(pipeline)} {shlex.quote(str(path))}"


class WorkerPool:
    """Long-lived workers, started as they are needed; safe to use from several threads.

    Args:
        size: how many may run at once.
        seconds: time limit of one kernel.
        memory: bytes of address space per worker.
    """

    def __init__(
        self, size: int | None = None, *, seconds: float = DEFAULT_SECONDS, memory: int = DEFAULT_MEMORY
    ) -> None:
        self.size = size or len(os.sched_getaffinity(0))
        self._seconds = seconds
        self._memory = memory
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def compile(
        self, name: str, bytecode: bytes, pipeline: str, target: str, modules: Sequence[str] = ()
    ) -> tuple[dict[str, Any], bytes]:
        """Compile one kernel; return its info as JSON data, and its code.

        Args:
            name: the kernel's name, for messages.
            bytecode: the kernel module.
            pipeline: text of what takes it to stage ``target``.
            target: what to compile for.
            modules: modules that workers import first, for the passes they register.

        Raises:
            StepwellError: what the compiler found.
            CodeSelectionError: LLVM has no instructions for it.
            WorkerError: two workers in turn died or ran out of time.
        """
        header: dict[str, Any] = {"pipeline": pipeline, "target": target, "modules": list(modules)}
        failure = WorkerError("")
        for attempt in range(2):
            # Our own passes are trusted at first; what ends a worker is looked for with all checks.
            header["verify"] = bool(modules) or attempt > 0
            worker = self._take()
            try:
                answer, body = worker.ask(header, bytecode, self._seconds)
            except WorkerError as error:
                self._forget(worker)
                failure = error
                continue
            except BaseException:
                worker.dispose()
                self._forget(worker)
                raise
            self._give_back(worker)
            if not answer["ok"]:
                raise error_from_json(answer["error"])
            return answer["info"], body
        reproducer = _write_reproducer(name, bytecode, pipeline)
        if found := _SELECTION.search(failure.message):
            raise CodeSelectionError(
                f"LLVM has no instructions of {target} for kernel '{name}': {found.group(1)}", fix=reproducer
            )
        raise WorkerError(f"the worker that compiled kernel '{name}' failed twice: {failure.message}", fix=reproducer)

    def processes(self) -> list[int]:
        """Return the process ids of the workers that live."""
        with self._lock:
            return [worker.pid for worker in self._all]

    def close(self) -> None:
        """End all workers, those at work too."""
        with self._lock:
            self._closed = True
            workers, idle, self._all, self._idle = list(self._all), self._idle, set(), []
        for worker in workers:
            worker.kill()
        # The others are disposed of by the threads that wait for them.
        for worker in idle:
            worker.dispose()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise WorkerError("the worker pool was closed")
            if self._idle:
                return self._idle.pop()
            worker = Worker(self._memory)
            self._all.add(worker)
            return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        worker.dispose()

    def _forget(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)


_default: WorkerPool | None = None
_default_lock = threading.Lock()


def default_pool() -> WorkerPool:
    """Return the pool of this process, which ends with it."""
    global _default
    with _default_lock:
        if _default is None or _default._closed:
            _default = WorkerPool()
            atexit.register(_default.close)
        return _default
