"""``stepwell-run``: load an artifact, call it, and compare, time or keep what it gives.

Exit status: 0, or 1 after an error of the artifact or the inputs, 2 after a wrong command line, 130 after Ctrl-C.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.runtime.artifact import load
from stepwell.runtime.executable import Executable
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError, InvalidOptionError, StepwellError
from stepwell.support.signature import ArgumentSpec, Signature

_EPILOG = """
Inputs are .npy files, one per tensor argument in order, or NAME=FILE; .npz files give several by name.
bfloat16 is stored as .npy files of uint16.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line tool; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except StepwellError as error:
        print(f"stepwell-run: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"stepwell-run: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stepwell-run", description="Run a compiled program.", epilog=_EPILOG)
    parser.add_argument("artifact", type=Path, help="a file written by stepwell-compile or Executable.save")
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, ..., sim (a simulated GPU), sim:strict; that of the artifact if not given"
    )
    parser.add_argument("--input", nargs="+", action="extend", default=[], metavar="FILE", help="tensors to pass")
    parser.add_argument("--random", action="store_true", help="draw the arguments that --input does not give")
    parser.add_argument("--seed", type=int, help="of --random; without it a new one is drawn and printed")
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        metavar="NAME=N",
        help="value of a symbolic size for --random; NAME may be x.size(0)",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the results there as .npy files")
    parser.add_argument("--benchmark", action="store_true", help="time many calls")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to time (default 1)")
    parser.add_argument("--profile", action="store_true", help="print the kernels: their times, or what sim counts")
    return parser


def _run(options: argparse.Namespace) -> None:
    executable = load(options.artifact, device=options.device)
    if options.benchmark and executable.session.device.name == "sim":
        raise InvalidOptionError("a simulated GPU has no times", fix="use --profile, which tells what it counted")
    signature = executable.signature
    tensors = _read_inputs(options.input, signature)
    if options.random:
        _draw_missing(tensors, signature, _sizes(options.size, signature), options.seed)
    args, kwargs = _nest(signature, tensors)
    results = executable(*args, **kwargs)
    flat = list(signature.outputs.flatten(results))
    for number, _, value in flat:
        print(_describe(f"result {number}", value))
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        for number, _, value in flat:
            np.save(options.output / f"{number}.npy", _storable(value))
    if options.benchmark:
        _benchmark(executable, args, kwargs, options.seconds)
    if options.profile:
        print(executable.profile(*args, **kwargs))


def _user_arguments(signature: Signature) -> dict[int, ArgumentSpec]:
    numbers = sorted(number for number, _ in signature.inputs.paths())
    return {number: signature.arguments[number] for number in numbers}


def _read_inputs(files: Sequence[str], signature: Signature) -> dict[int, Any]:
    specs = _user_arguments(signature)
    by_name = {spec.name: number for number, spec in specs.items()}
    tensors: dict[int, Any] = {}
    for position, text in enumerate(files):
        name, equals, path = text.rpartition("=")
        if not equals and path.endswith(".npz"):
            found = dict(_load_file(path))
        elif equals:
            found = {name: _load_file(path)}
        elif position < len(specs):
            found = {list(specs.values())[position].name: _load_file(path)}
        else:
            raise ArgumentError(f"the program takes {len(specs)} tensors ({', '.join(by_name)}), got more: {path}")
        for key, value in found.items():
            if key not in by_name:
                raise ArgumentError(f"the program has no argument '{key}'; it has {', '.join(by_name) or 'none'}")
            tensors[by_name[key]] = _typed(value, specs[by_name[key]])
    return tensors


def _load_file(path: str) -> Any:
    try:
        # Pickled objects would run code.
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ArgumentError(f"{path} is not a .npy or .npz file: {error}") from error


def _typed(value: Any, spec: ArgumentSpec) -> Any:
    # numpy cannot store bfloat16 nor floats of 8 bits: its files hold the bits.
    size = spec.dtype.itemsize
    is_bits = spec.dtype.is_ml_dtype and value.dtype in (np.dtype(f"u{size}"), np.dtype(f"V{size}"))
    return value.view(spec.dtype.numpy) if is_bits else value


def _storable(value: Any) -> Any:
    return value.view(f"u{value.dtype.itemsize}") if DType.from_numpy(value.dtype).is_ml_dtype else value


def _sizes(texts: Sequence[str], signature: Signature) -> dict[str, int]:
    # Small sizes that differ show mistakes that equal ones hide.
    sizes = {
        symbol.name: min(max(symbol.minimum, 3 + number), symbol.maximum or 1 << 30)
        for number, symbol in enumerate(signature.symbols)
    }
    # A program read from a file has lost the user's names; an argument's path always holds.
    paths = {signature.arguments[s.argument].dimension(s.dim): s.name for s in signature.symbols}
    for text in texts:
        name, _, value = text.rpartition("=")
        name = paths.get(name, name)
        if name not in sizes or not value.isdigit():
            raise ArgumentError(
                f"--size must be NAME=N, where NAME is one of {', '.join((*sizes, *paths)) or 'none'}; got '{text}'"
            )
        sizes[name] = int(value)
    return sizes


def _draw_missing(tensors: dict[int, Any], signature: Signature, sizes: dict[str, int], seed: int | None) -> None:
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for number, spec in _user_arguments(signature).items():
        shape = tuple(size.evaluate(sizes) for size in spec.shape)
        if number in tensors:
            continue
        if spec.is_size:
            tensors[number] = shape[0]
            continue
        if spec.dtype.is_complex:
            parts = rng.standard_normal((*shape, 2)).view(np.complex128)
            tensors[number] = parts.reshape(shape).astype(spec.dtype.numpy)
        elif spec.dtype.is_float:
            tensors[number] = rng.standard_normal(shape).astype(spec.dtype.numpy)
        else:
            # 0 and 1 are valid as indices of anything with two elements.
            tensors[number] = rng.integers(0, 2, shape).astype(spec.dtype.numpy)


def _nest(signature: Signature, tensors: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    missing = [spec.name for number, spec in _user_arguments(signature).items() if number not in tensors]
    if missing:
        raise ArgumentError(f"no value for {', '.join(missing)}", fix="pass --input files, or --random")
    args, kwargs = signature.inputs.unflatten(tensors.__getitem__)
    return args, kwargs


def _describe(name: str, value: Any) -> str:
    head = f"{name}: {value.dtype} {tuple(value.shape)}"
    if value.size == 0:
        return head
    size = "of |x| " if value.dtype.kind == "c" else ""
    wide = (np.abs(value) if size else value).astype(np.float64)
    return f"{head} {size}min {wide.min():.6g} mean {wide.mean():.6g} max {wide.max():.6g}"


def _benchmark(executable: Executable, args: Any, kwargs: Any, seconds: float) -> None:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        executable(*args, **kwargs)
        times.append(time.perf_counter() - start)
    times.sort()
    low, high = times[len(times) // 10], times[len(times) * 9 // 10]
    median = statistics.median(times)
    print(f"{len(times)} calls: median {median * 1e6:.1f} us, p10 {low * 1e6:.1f} us, p90 {high * 1e6:.1f} us")


if __name__ == "__main__":
    sys.exit(main())
