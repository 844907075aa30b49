"""Complex tensors at a program's borders: torch's and numpy's, views and parameters, artifacts, refusals, a GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError, ImportProgramError, UnsupportedOpError


class _Layer(torch.nn.Module):
    """A complex parameter, and a complex buffer that each call changes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.complex(*torch.rand(2, 3, 4)))
        self.register_buffer("total", torch.zeros(4, dtype=torch.complex64))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> dict[str, torch.Tensor]:
        product = z @ self.weight
        self.total.add_(product.sum(0))
        return {"product": product, "length": product.abs(), "turned": (z * x).t(), "weight": self.weight.conj()}


def _compiled(model: torch.nn.Module, *arguments: Any, device: str = "cpu") -> sw.Executable:
    target = "cuda:sm_90a" if device == "sim" else "cpu"
    return sw.compile(torch.export.export(model, arguments), target=target, device=device, progress=False)


def _arguments(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    z = rng.standard_normal((5, 3, 2)).astype(np.float32).view(np.complex64)[..., 0]
    return torch.from_numpy(z), torch.from_numpy(rng.standard_normal((5, 3)).astype(np.float32))


def _check(found: dict[str, Any], wanted: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        tensor = tensor.detach().resolve_conj()
        assert str(found[name].dtype).removeprefix("torch.") == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_allclose(np.asarray(found[name]), tensor.numpy(), rtol=1e-5, atol=1e-5)


def test_arguments_of_all_kinds(rng: np.random.Generator, tmp_path: Path) -> None:
    """Torch's tensors, views that torch has yet to conjugate or negate, numpy's arrays; before and after saving."""
    z, x = _arguments(rng)
    model = _Layer()
    executable = _compiled(model, z, x)
    path = tmp_path / "layer.sw"
    executable.save(path)
    assert [spec.dtype for spec in executable.signature.arguments][:2] == [DType.COMPLEX64, DType.FLOAT32]
    views = [(z, x), (z.conj(), x), (z, z.conj().imag), (z.t().contiguous().t(), x)]
    for program in (executable, sw.load(path)):
        reference = _Layer()
        reference.load_state_dict(model.state_dict())
        reference.total.zero_()
        for arguments in views:
            _check(program(*arguments), reference(*arguments))
        _check(program(z.numpy(), x.numpy()[::-1]), reference(z, x.flip(0)))
        state = program.state_dict()
        np.testing.assert_allclose(state["total"], reference.total.detach().numpy(), rtol=1e-4, atol=1e-4)


def test_arguments_that_calls_change(rng: np.random.Generator) -> None:
    class Model(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            z.mul_(2j)
            return z.real

    z, _ = _arguments(rng)
    executable = _compiled(Model(), z.clone())
    for view in (lambda t: t, lambda t: t.conj()):
        found, wanted = z.clone(), z.clone()
        executable(view(found))
        Model()(view(wanted))
        torch.testing.assert_close(found, wanted)


def test_other_dtypes_are_refused(rng: np.random.Generator) -> None:
    z, x = _arguments(rng)
    executable = _compiled(_Layer(), z, x)
    with pytest.raises(ArgumentError, match=r"argument 'z' must have dtype complex64, got torch\.complex128"):
        executable(z.to(torch.complex128), x)
    with pytest.raises(ArgumentError, match="argument 'z' must have dtype complex64, got float32"):
        executable(x.numpy(), x)


class _Function(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: torch.Tensor) -> Any:
        return self.function(*arguments)


def test_what_is_refused(rng: np.random.Generator) -> None:
    """By name, with the reason."""
    z, _ = _arguments(rng)
    for function, kind, text in (
        (lambda a: a.to(torch.complex32).abs(), ImportProgramError, "unsupported dtype 'torch.complex32'"),
        (lambda a: torch.linalg.eigvals(a[:3]), UnsupportedOpError, "aten.linalg_eig"),
        (lambda a: a.cumprod(0).index_add(0, torch.tensor([0]), a[:1], alpha=1j), ImportProgramError, "complex factor"),
    ):
        with pytest.raises(kind, match=text):
            sw.from_exported_program(torch.export.export(_Function(function), (z,)))


def test_simulated_gpu(rng: np.random.Generator) -> None:
    z, x = _arguments(rng)

    def function(z: torch.Tensor, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"product": z * x + 1j, "square": z @ z.mH, "spectrum": torch.fft.rfft(x, dim=0)}

    model = _Function(function)
    _check(_compiled(model, z, x, device="sim")(z, x), model(z, x))
