"""Programs whose calls are decomposed one by one, and those that torch must trace as a whole."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import stepwell as sw
from stepwell.frontends.torch import from_exported_program
from stepwell.frontends.torch import program as import_module
from stepwell.frontends.torch.call_decomposition import decompose_calls
from stepwell.frontends.torch.call_recorder import Body
from stepwell.frontends.torch.registry import DEFAULT_RULES, ImportRules


class Called(nn.Module):
    """Calls a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def exported(function: Callable[..., Any], *inputs: torch.Tensor, dynamic: bool = False) -> Any:
    """Export a function; with ``dynamic`` the first dimension of each input is of any size."""
    shapes = ({0: torch.export.Dim.DYNAMIC},) * len(inputs) if dynamic else None
    return torch.export.export(
        Called(function), inputs, dynamic_shapes={"tensors": shapes} if shapes is not None else None
    )


def without_gradients(x: torch.Tensor) -> torch.Tensor:
    """Hold a block, and a composite inside it."""
    with torch.no_grad():
        y, z = nn.functional.huber_loss(x, x * 2), x.std(0)
    return (y + z) * x


FUNCTIONS: list[Callable[[torch.Tensor], Any]] = [
    lambda x: nn.functional.cross_entropy(x, (x[:, 0] > 0).long()),
    lambda x: torch.diff(x, dim=1),
    lambda x: torch.masked.var(x, 1, unbiased=True, mask=x > 0),
    # It changes a tensor of its own in place, the shape too.
    lambda x: torch.quantile(x, 0.3, dim=0),
    # It changes one in place by an op that is decomposed itself.
    lambda x: nn.functional.rms_norm(torch.complex(x, x - 1), (5,), eps=0.1),
    # Its parts are one more composite.
    lambda x: torch.block_diag(x[:2], x[2:4].mT).split(3),
    lambda x: nn.functional.interpolate(x[None, None], scale_factor=2.0, mode="bicubic"),
    lambda x: torch.angle(torch.complex(x, x + 1)),
    without_gradients,
    # A size that depends on data, which is known before the calls.
    lambda x: torch.sinc(x[x > 0]).sum(),
    # Sizes that the calls themselves read.
    lambda x: torch.block_diag(torch.argwhere(x > 0)),
    lambda x: torch.unique((x > 0).long(), dim=0, return_counts=True),
    lambda x: nn.functional.huber_loss(x, x * 2, reduction="none").mul_(2).sum(),
    # The op that changes nothing has another name than the one that changes the shape.
    lambda x: torch.quantile(x, torch.tensor([0.3, 0.6]), dim=1),
    # Some of several complex results, complex constants, and sizes of complex tensors.
    lambda x: torch.linalg.qr(torch.complex(x, x + 1)).R.abs(),
    lambda x: torch.tensor([1j, 2.0]) * x[0, 0],
    lambda x: torch.complex(x, x).square().reshape(x.shape[0] * x.shape[1]),
    # A loop inside a decomposition.
    lambda x: torch.linalg.det(x.mT @ x + 9 * torch.eye(5)),
    lambda x: (torch.logspace(0.0, 1.0, 3), x.std(0), 4),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_calls_one_by_one(function: Any, dynamic: bool) -> None:
    program = exported(function, torch.randn(6, 5), dynamic=dynamic)
    before = str(program)
    found = decompose_calls(program, DEFAULT_RULES)
    assert found is not None
    assert str(program) == before
    assert any(node.name not in before for node in found.graph.nodes)
    executable = sw.compile(program, progress=False)
    for rows in (6, 9) if dynamic else (6,):
        x = torch.randn(rows, 5)
        torch.testing.assert_close(executable(x), function(x), equal_nan=True, rtol=1e-4, atol=1e-5)


class BuiltInNames(nn.Module):
    """Has arguments, a buffer and a parameter with names that Python or a call has, too."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("len", torch.tensor([2.0, 3.0]))
        self.id = nn.Parameter(torch.tensor([5.0, 7.0]))

    def forward(self, input: torch.Tensor, max: torch.Tensor, input_1: torch.Tensor, diff: torch.Tensor) -> Any:
        """Diffs are composites, the first of which would be called like the last argument."""
        return {"diff": torch.diff(input) * max + input_1, "id": torch.diff(diff) * self.id - self.len}


def test_arguments_keep_their_names() -> None:
    model, inputs = BuiltInNames(), {name: torch.randn(3) for name in ("input", "diff")}
    inputs |= {name: torch.randn(2) for name in ("max", "input_1")}
    program = torch.export.export(model, (), inputs)
    found = decompose_calls(program, DEFAULT_RULES)
    assert found is not None
    names = [[node.name for node in each.graph.nodes if node.op == "placeholder"] for each in (found, program)]
    assert names[0] == names[1]
    executable = sw.compile(program, progress=False)
    torch.testing.assert_close(executable(**inputs), model(**inputs))
    with pytest.raises(sw.StepwellError, match=r"argument 'input'"):
        executable(**(inputs | {"input": torch.randn(4)}))


def test_bodies_of_branches() -> None:
    def branches(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: torch.sinc(x), lambda x: torch.diff(x, dim=1, prepend=x[:, :1]), (x,))

    program = exported(branches, torch.randn(4, 3), dynamic=True)
    found = decompose_calls(program, DEFAULT_RULES)
    assert found is not None
    (call,) = (node for node in found.graph.nodes if str(node.target) == "cond")
    bodies = [argument for argument in call.args if isinstance(argument, Body)]
    assert [any("sinc_" in node.name for node in body.graph.nodes) for body in bodies] == [True, False]
    executable = sw.compile(program, progress=False)
    for x in (torch.rand(2, 3), -torch.rand(5, 3)):
        torch.testing.assert_close(executable(x), branches(x))


def test_it_gives_what_a_trace_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    program, x = exported(without_gradients, torch.randn(4, 3)), torch.randn(4, 3)
    by_call = sw.compile(program, progress=False)(x)
    monkeypatch.setattr(import_module, "decompose_calls", lambda program, rules: None)
    assert torch.equal(sw.compile(program, progress=False)(x), by_call)


def test_nodes_know_the_call_and_the_line_that_they_stand_for() -> None:
    found = decompose_calls(exported(FUNCTIONS[0], torch.randn(4, 3)), DEFAULT_RULES)
    assert found is not None
    parts = [node for node in found.graph.nodes if node.name.startswith("cross_entropy_loss_")]
    assert len(parts) > 1
    assert all(__file__ in node.stack_trace for node in parts)
    assert all(node.meta["from_node"][0].target == "aten.cross_entropy_loss.default" for node in parts)
    module = from_exported_program(found.exported)
    assert "cross_entropy_loss_" in module.operation.get_asm(enable_debug_info=True)


def test_equal_to_eager_with_sizes_among_the_arguments() -> None:
    program = exported(lambda x: torch.diff(x.flatten().repeat_interleave(2)), torch.randn(4, 3), dynamic=True)
    assert decompose_calls(program, DEFAULT_RULES) is not None
    report = sw.compare_with_eager(program, (torch.randn(7, 3),))
    assert report.is_right
    assert {call.kind for call in report.calls} == {"right"}


class Counting(nn.Module):
    """Changes a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return nn.functional.huber_loss(x, self.count)


@pytest.mark.parametrize(
    "function",
    [
        Counting(),
        nn.BatchNorm1d(3).train(),
        # A change that another view of the tensor sees.
        lambda x: [y := x + 1, y.view(-1), y.add_(1), nn.functional.huber_loss(x, y)][1],
        # Numbers that a call reads.
        lambda x: torch.tensor_split(x, torch.tensor([1, 3]))[1] + 0,
    ],
)
def test_what_needs_a_trace(function: Any) -> None:
    program, x = exported(function, torch.randn(4, 3)), torch.randn(4, 3)
    wanted = copy.deepcopy(function)(x.clone())
    assert decompose_calls(program, DEFAULT_RULES) is None
    torch.testing.assert_close(sw.compile(program, progress=False)(x), wanted, rtol=1e-4, atol=1e-5)


def test_tables_of_the_user_need_a_trace() -> None:
    program = exported(FUNCTIONS[0], torch.randn(4, 3))
    assert decompose_calls(program, ImportRules.of(None, sw.default_decompositions())) is None


def test_what_cannot_be_imported_is_recorded_as_it_is() -> None:
    program = exported(lambda x: torch.linalg.svd(x)[1], torch.randn(4, 3))
    found = decompose_calls(program, DEFAULT_RULES)
    assert found is not None
    assert "aten._linalg_svd.default" in {str(node.target) for node in found.graph.nodes}
    with pytest.raises(sw.errors.UnsupportedOpError, match=r"aten\._linalg_svd\.default"):
        from_exported_program(program)
