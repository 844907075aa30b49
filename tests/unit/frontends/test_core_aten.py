"""Every op that torch tags core ATen can be imported, or is refused by its name; docs/coverage.md says which."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from core_aten_calls import CALLS, OPTIONS
from torch.utils import _pytree as pytree

from stepwell.frontends.torch import from_exported_program
from stepwell.frontends.torch.decompositions import default_decompositions
from stepwell.support.errors import UnsupportedOpError

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("coverage_table", ROOT / "scripts" / "coverage_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["coverage_table"] = module
    spec.loader.exec_module(module)
    return module


COVERAGE = _script()


class _Calls(torch.nn.Module):
    """Calls overloads with the tensors that it is given for their own."""

    def __init__(self, overloads: Sequence[Any]) -> None:
        super().__init__()
        self.overloads = overloads

    def forward(self, *tensors: torch.Tensor) -> list[Any]:
        # Some calls change their arguments.
        given = iter([tensor.clone() for tensor in tensors])
        results = []
        for overload in self.overloads:
            leaves, spec = _flat(overload)
            leaves = [next(given) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            args, kwargs = pytree.tree_unflatten(leaves, spec)
            results.append(overload(*args, **kwargs))
        return results


def _flat(overload: Any) -> tuple[list[Any], Any]:
    return pytree.tree_flatten((CALLS[str(overload)], OPTIONS.get(str(overload), {})))


def _refusal(*overloads: Any) -> str:
    """Return why a program of these calls is refused, or ""."""
    tensors = [leaf for overload in overloads for leaf in _flat(overload)[0] if isinstance(leaf, torch.Tensor)]
    exported = torch.export.export(_Calls(overloads), tuple(tensor.clone() for tensor in tensors))
    try:
        from_exported_program(exported)
    except UnsupportedOpError as error:
        return error.message
    return ""


def test_the_page_is_what_the_script_writes() -> None:
    assert COVERAGE.main(["--check"]) == 0


def test_there_is_a_call_of_every_core_op() -> None:
    assert {str(overload) for overload in COVERAGE.core_overloads()} == set(CALLS)


def test_every_core_op_imports_or_is_refused_by_name() -> None:
    table = default_decompositions()
    kinds = {overload: COVERAGE.support(overload, table)[0] for overload in COVERAGE.core_overloads()}
    assert _refusal(*(overload for overload, kind in kinds.items() if kind != COVERAGE.REFUSED)) == ""
    for overload in (overload for overload, kind in kinds.items() if kind == COVERAGE.REFUSED):
        assert str(COVERAGE.functional_of(overload) or overload) in _refusal(overload)
