"""The package as a whole: who imports whom, what an import costs, and that the names it shows are there."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepwell

ROOT = Path(stepwell.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

# Each part may import those before it; backends, runtime and frontends do not know each other, but that backends make
# what runtime executes.
LAYERS = {
    "support": set(),
    "dialects": {"support"},
    "passes": {"support", "dialects"},
    "runtime": {"support"},
    "frontends": {"support", "dialects"},
    "backends": {"support", "dialects", "passes", "runtime"},
    "driver": {"support", "dialects", "passes", "runtime", "frontends", "backends"},
    "comparison": {"support", "frontends", "driver"},
    "tools": {"support", "dialects", "passes", "runtime", "frontends", "backends", "driver", "worker"},
}
# What torch's entry point names: it brings the driver to torch's graphs.
LAYERS["torch_backend"] = LAYERS["driver"] | {"driver"}
# The child process that backends start, which must not drag in more than it needs.
LAYERS["worker"] = LAYERS["backends"] | {"backends"}
LAYERS["backends"] = LAYERS["backends"] | {"worker"}
# These parts of support read and make IR; the rest is all that runtime may use.
WITH_MLIR = {"bindings", "diagnostics", "locations", "module"}
# What reads programs by torch's own means.
WITH_TORCH = {("frontends", "torch"), ("frontends", "onnx")}
# The simulator runs PTX on numpy alone.
SIMULATOR_USES = (["runtime", "simulator"], ["support", "errors"])
PARTS = ("support", "dialects", "passes", "runtime", "frontends", "backends", "tools")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each module that a file imports, anywhere but for the type checker, and whether at once."""
    tree = ast.parse((ROOT / path).read_text())
    checking = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield f"{node.module}", id(node) not in inside
            for alias in node.names:
                if (ROOT.parent / f"{node.module}.{alias.name}".replace(".", "/")).with_suffix(".py").exists():
                    yield f"{node.module}.{alias.name}", id(node) not in inside


@pytest.mark.parametrize("own", LAYERS)
def test_imports_point_down(own: str) -> None:
    files = [path for path in FILES if path.parts[0].removesuffix(".py") == own]
    assert files
    faults = [f"{path}: {fault}" for path in files for fault in upward(path, own)]
    assert faults == []


def upward(path: Path, own: str) -> Iterator[str]:
    """Yield what is wrong with the imports of a file."""
    for module, at_once in imports(path):
        words = module.split(".")
        if words[0] == "mlir" and path != Path("support/bindings.py"):
            yield "only support/bindings.py knows the bindings"
        if words[0] == "torch" and own not in ("frontends", "comparison"):
            yield "only frontends read torch's programs"
        if words[0] == "torch" and path.parts[:2] not in WITH_TORCH and at_once:
            yield "torch is imported where it is needed"
        if words[0] != "stepwell" or len(words) == 1:
            continue
        if words[1] != own and words[1] not in LAYERS[own]:
            yield f"{own} must not import {module}"
        if own == "runtime" and len(words) > 2 and words[2] in WITH_MLIR:
            yield "runtime works without MLIR"
        if path.parts[:2] == ("runtime", "simulator") and words[1:3] not in SIMULATOR_USES:
            yield f"the simulator must not import {module}"


def test_bare_import_is_cheap() -> None:
    """``import stepwell`` loads neither torch nor MLIR nor numpy, and takes well under 150 ms."""
    code = (
        "import sys, time; start = time.perf_counter(); import stepwell; spent = time.perf_counter() - start\n"
        "print(spent, *({'mlir', 'torch', 'numpy'} & set(sys.modules)))"
    )
    spent, *loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert loaded == []
    assert float(spent) < 0.15


def test_tools_start_quickly() -> None:
    """Starting is what half of the lit tests pay for; processor time, since other tests run beside this one."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    before = os.times()
    subprocess.run([sys.executable, "-m", "stepwell.tools.opt", "--version"], check=True, env=environment)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5


def test_public_names_are_there() -> None:
    assert set(stepwell._HOMES) | {"errors"} == set(stepwell.__all__)
    for name in stepwell.__all__:
        assert getattr(stepwell, name) is not None
    assert set(stepwell.__all__) <= set(dir(stepwell))
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        stepwell.compil  # noqa: B018


def test_errors_have_codes_of_their_own() -> None:
    kinds = [kind for kind in vars(stepwell.errors).values() if isinstance(kind, type)]
    errors = [kind for kind in kinds if issubclass(kind, stepwell.StepwellError)]
    codes = [kind.code for kind in errors]
    assert len(codes) == len(set(codes))
    # The tree in the module's docstring is whole.
    drawn = dict(re.findall(r"(\w+) +(SW\d+)", stepwell.errors.__doc__ or ""))
    assert drawn == {kind.__name__: kind.code for kind in errors if kind is not stepwell.StepwellError}


@pytest.mark.parametrize("part", [part for part in PARTS if part != "support"])
def test_parts_are_linked_at_the_top(part: str) -> None:
    link = ROOT.parent / part
    assert link.is_symlink()
    assert os.readlink(link) == f"stepwell/{part}"
