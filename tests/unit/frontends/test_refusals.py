"""Programs that cannot be imported: what the error says, and where it points."""

import operator
from pathlib import Path
from typing import Any

import pytest
import torch

from stepwell.dialects.graph.elementwise import AddOp
from stepwell.frontends.torch import from_exported_program
from stepwell.frontends.torch.decompositions import default_decompositions
from stepwell.frontends.torch.registry import CONVERTERS, converts
from stepwell.support.errors import (
    ImportProgramError,
    InvalidInputFileError,
    StepwellError,
    TypeMismatchError,
    UnsupportedOpError,
)


def exported(forward: Any, *inputs: torch.Tensor, **options: Any) -> Any:
    """Export a module that has nothing but ``forward``; torch records the lines of such methods alone."""
    return torch.export.export(type("Model", (torch.nn.Module,), {"forward": forward})(), inputs, **options)


def refused(forward: Any, x: torch.Tensor, kind: type[StepwellError] = ImportProgramError) -> StepwellError:
    """Return the error of importing a module with this method."""
    program = exported(forward, x)
    with pytest.raises(kind) as caught:
        from_exported_program(program)
    return caught.value


def line_of(marker: str) -> int:
    """Return the number of the line of this file that ends with a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def test_all_unsupported_ops_are_listed_with_lines() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = torch.linalg.ldl_factor_ex(x)[0]  # first
        y = torch.linalg.ldl_factor_ex(y)[0] + torch.linalg.eigvalsh(y)  # second
        return y + torch.ops.aten._fused_dropout(y, 0.5)[0]  # third

    error = refused(forward, torch.ones(3, 3), UnsupportedOpError)
    assert "3 unsupported ops in 4 places" in error.message
    assert (
        f"aten.linalg_ldl_factor_ex.default x2: 'linalg_ldl_factor_ex' at {__file__}:{line_of('first')}"
        in error.message
    )
    assert f"'linalg_eigvalsh__linalg_eigh' at {__file__}:{line_of('second')}" in error.message
    assert f"'_fused_dropout' at {__file__}:{line_of('third')} (random numbers of this distribution" in error.message
    assert error.location is not None
    assert (error.location.file, error.location.line) == (__file__, line_of("first"))
    assert error.code == "SW101"


@pytest.mark.parametrize(
    ("dtype", "name"),
    ((torch.complex32, "complex32"), (torch.float8_e4m3fnuz, "float8_e4m3fnuz")),
    ids=("complex", "float8"),
)
def test_unsupported_dtypes(dtype: torch.dtype, name: str) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x.to(dtype).to(torch.float32)  # cast

    error = refused(forward, torch.ones(3))
    assert f"unsupported dtype '{dtype}'" in error.message
    assert error.location is not None
    assert error.location.line == line_of("cast")


class _SpecialI1(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.i1(x)


class _SparseWeight(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(2).to_sparse_csr())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(self.weight, x)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_that_torch_does_not_trace() -> None:
    program = torch.export.export(_SparseWeight(), (torch.ones(2, 3),))
    with pytest.raises(ImportProgramError, match=r"sparse tensors are not supported: b_weight"):
        from_exported_program(program)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_arguments() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.sparse.sampled_addmm(x, torch.ones(2, 3), torch.ones(3, 2))

    error = refused(forward, torch.eye(2).to_sparse_csr())
    assert "sparse tensors are not supported" in error.message


def test_a_decomposition_that_fails() -> None:
    """Torch's errors come as ours, with the first line of what it said."""

    def fails(*arguments: Any) -> Any:
        raise RuntimeError("not today\nand more")

    program = torch.export.export(_SpecialI1(), (torch.ones(3),))
    with pytest.raises(ImportProgramError, match=r"torch does not decompose this program: not today") as caught:
        from_exported_program(program, decompositions={torch.ops.aten.special_i1.default: fails})
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_unsupported_dtype_of_an_input() -> None:
    error = refused(lambda self, x: x.clone(), torch.ones(3, dtype=torch.uint16))
    assert "user 'x': unsupported dtype 'torch.uint16'" in error.message


def test_a_rule_that_differs_from_torch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(importer: Any, node: Any, lhs: Any, rhs: Any) -> Any:
        return lhs

    monkeypatch.setitem(CONVERTERS, "aten.sub.Tensor", wrong)

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x - torch.ones(2, 3)  # differs

    program = exported(forward, torch.ones(3))
    with pytest.raises(TypeMismatchError) as caught:
        from_exported_program(program)
    assert "node 'sub' (aten.sub.Tensor) is float32[2, 3] in torch, and float32[3] by stepwell's rule" in str(
        caught.value
    )
    assert caught.value.location is not None
    assert caught.value.location.line == line_of("differs")


def test_a_decomposition_that_changes_a_dtype_is_refused() -> None:
    program = exported(lambda self, x: x.sinc(), torch.rand(3))
    table = default_decompositions() | {torch.ops.aten.sinc.default: lambda x: x.double() * x}
    with pytest.raises(TypeMismatchError, match=r"result 0 is torch.float32 in .*, and torch.float64 after"):
        from_exported_program(program, decompositions=table)


def test_a_refusal_of_the_dialect_names_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(importer: Any, node: Any, lhs: Any, rhs: Any) -> Any:
        return importer.emit(AddOp, lhs, importer.constant(1, importer.meta(node).dtype.INT64))

    monkeypatch.setitem(CONVERTERS, "aten.sub.Tensor", wrong)
    program = exported(lambda self, x: x - x, torch.ones(3))
    with pytest.raises(ImportProgramError, match=r"node 'sub' \(aten.sub.Tensor\): operands of 'graph.add' must have"):
        from_exported_program(program)


def test_two_converters_for_one_op() -> None:
    with pytest.raises(ValueError, match=r"'aten.add.Tensor' has two converters: convert_add and"):
        converts("aten.add.Tensor")(lambda importer, node: None)


def test_converters_may_come_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CONVERTERS, "aten.relu.default")
    calls = []

    @converts("aten.relu.default")
    def convert(importer: Any, node: Any, operand_value: Any) -> Any:
        calls.append(node.name)
        return operand_value

    from_exported_program(exported(lambda self, x: torch.relu(x), torch.ones(3)))
    assert calls == ["relu"]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputFileError, match="there is no file"):
        from_exported_program(tmp_path / "missing.pt2")
    broken = tmp_path / "broken.pt2"
    broken.write_bytes(b"PK\x03\x04 nothing useful")
    with pytest.raises(InvalidInputFileError, match="is not a program that this torch"):
        from_exported_program(broken)
    whole = tmp_path / "whole.pt2"
    torch.export.save(exported(lambda self, x: torch.relu(x), torch.ones(3)), whole)
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(InvalidInputFileError):
        from_exported_program(whole)


def test_bookkeeping_is_no_op() -> None:
    """Arithmetic on sizes and checks of them need no op of the graph."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        torch._check(operator.ge(x.shape[0], 2))
        return x.reshape(x.shape[0] * x.shape[1])

    dims = {"x": {0: torch.export.Dim("n", min=2)}}
    module = from_exported_program(exported(forward, torch.ones(3, 4), dynamic_shapes=dims))
    ops = [op.operation.name for op in module.operation.regions[0].blocks[0].operations[0].entry_block.operations]
    assert ops == ["graph.reshape", "func.return"]
