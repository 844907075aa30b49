"""What an imported program takes and gives: names, nesting, parameters, buffers, write-backs, locations."""

import collections
from pathlib import Path
from typing import Any

import pytest
import torch

import stepwell as sw
from stepwell.dialects.definition import verify
from stepwell.frontends.torch import detach_params, from_exported_program
from stepwell.support.bindings import func, ir
from stepwell.support.locations import plain_location
from stepwell.support.module import Module
from stepwell.support.signature import Signature
from stepwell.support.stages import Stage


class Stateful(torch.nn.Module):
    """A parameter, buffers of both kinds, a constant; one buffer and one input change."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((4,), 2.0))
        self.register_buffer("count", torch.zeros(4))
        self.register_buffer("mask", torch.ones(4), persistent=False)
        self.table = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        y = x * self.scale + self.mask + self.table + self.count
        x.add_(1)
        return y


class Function(torch.nn.Module):
    """A module around a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def imported(function: Any, *args: Any, kwargs: Any = None, **options: Any) -> Module:
    """Export a function or module, import it and verify the result."""
    module = function if isinstance(function, torch.nn.Module) else Function(function)
    program = from_exported_program(torch.export.export(module.eval(), args, kwargs), **options)
    assert verify(program.operation) == 0
    assert program.operation.verify()
    assert program.stage is Stage.GRAPH
    return program


def signature_of(module: Module) -> Signature:
    """Return the signature, which survives JSON."""
    assert module.signature is not None
    assert Signature.from_json(module.signature.to_json()) == module.signature
    return module.signature


def main_of(module: Module) -> Any:
    """Return the function main."""
    return next(op for op in module.operation.regions[0].blocks[0].operations if isinstance(op, func.FuncOp))


def test_parameters_buffers_and_constants_are_named_arguments() -> None:
    module = imported(Stateful(), torch.randn(3, 4))
    signature = signature_of(module)
    assert [(a.name, a.kind, a.persistent) for a in signature.arguments] == [
        ("x", "user", True),
        ("scale", "parameter", True),
        ("count", "buffer", True),
        ("mask", "buffer", False),
        ("table", "constant", True),
    ]
    assert list(module.parameters) == ["scale", "count", "mask", "table"]
    assert torch.equal(module.parameters["table"], torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert not any(tensor.requires_grad for tensor in module.parameters.values())
    attributes = main_of(module).arg_attrs
    assert [ir.StringAttr(ir.DictAttr(a)["stepwell.name"]).value for a in attributes] == [
        a.name for a in signature.arguments
    ]


def test_changed_buffers_and_inputs_are_results() -> None:
    signature = signature_of(imported(Stateful(), torch.randn(3, 4)))
    assert [(r.kind, r.target) for r in signature.results] == [("user", ""), ("buffer", "count"), ("input", "x")]


def test_changes_reach_the_next_call() -> None:
    model = Stateful()
    x = torch.randn(3, 4)
    executable = sw.compile(torch.export.export(model, (x.clone(),)), progress=False)
    for _ in range(3):
        theirs, ours = x.clone(), x.clone()
        assert torch.equal(executable(ours), model(theirs))
        assert torch.equal(ours, theirs)


def test_nested_inputs_and_outputs() -> None:
    Pair = collections.namedtuple("Pair", "left right")

    def function(batch: Any, pair: Any, flag: Any = None, *, extra: Any) -> Any:
        total = batch["mask"][0] + pair[0] + pair[1] + extra
        return {"sum": total, "parts": [batch["mask"][1], (None, 7, "word")], "pair": Pair(total * 2, pair[0])}

    inputs = ({"mask": [torch.ones(3), torch.zeros(2)]}, (torch.ones(3), torch.ones(3)))
    module = imported(function, *inputs, kwargs={"extra": torch.ones(3)})
    signature = signature_of(module)
    names = [argument.name for argument in signature.arguments]
    assert names == ["args[0]['mask'][0]", "args[0]['mask'][1]", "args[1][0]", "args[1][1]", "extra"] or names == [
        "args_0['mask'][0]", "args_0['mask'][1]", "args_1[0]", "args_1[1]", "extra",
    ]  # fmt: skip
    result = signature.outputs.unflatten(lambda number: number, lambda number: signature.arguments[number].name)
    assert result["pair"].right == signature.arguments[2].name
    assert set(result) == {"sum", "parts", "pair"}
    assert result["parts"][1] == (None, 7, "word")
    assert result["pair"]._fields == ("left", "right")


def test_names_are_those_of_forward() -> None:
    class Model(torch.nn.Module):
        def forward(self, tokens: torch.Tensor, *, scale: torch.Tensor) -> torch.Tensor:
            return tokens * scale

    signature = signature_of(imported(Model(), torch.ones(3), kwargs={"scale": torch.ones(3)}))
    assert [argument.name for argument in signature.arguments] == ["tokens", "scale"]


def test_outputs_may_be_inputs_and_repeat() -> None:
    module = imported(lambda x, y: (x, (z := y + 1), x, z), torch.ones(2), torch.ones(2))
    signature = signature_of(module)
    # An input comes back as it is, and a value that is returned twice is one result.
    assert [str(result.shape[0]) for result in signature.results] == ["2"]
    assert signature.outputs.unflatten(str, lambda number: f"argument {number}") == (
        "argument 0",
        "0",
        "argument 0",
        "0",
    )


def test_constant_arguments_are_part_of_the_structure() -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor, mode: str, scale: int) -> torch.Tensor:
            return x * scale if mode == "scale" else x

    signature = signature_of(imported(Model(), torch.ones(2), "scale", 3))
    assert signature.inputs.unflatten(lambda number: f"tensor {number}") == (("tensor 0", "scale", 3), {})


def test_parameters_as_inputs() -> None:
    module = imported(torch.nn.Linear(4, 2), torch.ones(3, 4), keep_params_as_input=True)
    signature = signature_of(module)
    assert [path for _, path in signature.inputs.paths()] == ["[0][0]", "[0][1]", "[0][2]"]
    assert list(module.parameters) == ["weight", "bias"]


def test_detached_parameters() -> None:
    linear = torch.nn.Linear(4, 2)
    module, params = detach_params(imported(linear, torch.ones(3, 4)))
    assert list(params) == ["weight", "bias"]
    assert torch.equal(params["weight"], linear.weight)
    assert not module.parameters
    x = torch.randn(3, 4)
    executable = sw.compile(module, progress=False)
    torch.testing.assert_close(executable(x, params["weight"], params["bias"]), linear(x).detach())


def test_unit_tuple_is_unwrapped_on_request() -> None:
    def function(x: torch.Tensor) -> Any:
        return (x + 1,)

    assert signature_of(imported(function, torch.ones(2))).outputs.kind == "tuple"
    assert signature_of(imported(function, torch.ones(2), unwrap_unit_return_tuple=True)).outputs.kind == "leaf"
    both = imported(lambda x: (x + 1, x), torch.ones(2), unwrap_unit_return_tuple=True)
    assert signature_of(both).outputs.kind == "tuple"


@pytest.mark.parametrize("block", (torch.no_grad, torch.enable_grad))
def test_locations_are_the_users_lines(block: Any) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with block():
                y = torch.exp(x)  # the exp line
            return torch.nn.functional.silu(y)  # the silu line

    module = imported(Model(), torch.ones(2))
    main = main_of(module)
    lines = Path(__file__).read_text().splitlines()
    found = {}
    for op in main.entry_block.operations:
        place = plain_location(op.location)
        if place is not None:
            assert place.file == __file__
            found[op.operation.name] = lines[place.line - 1]
    assert "the exp line" in found["graph.exp"]
    assert "the silu line" in found["graph.silu"]


def test_autocast_blocks_cast() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.linear(x)

    module = imported(Model(), torch.ones(2, 4))
    assert str(signature_of(module).results[0].dtype) == "bfloat16"


def test_model_outputs_of_libraries_become_dicts() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=11
    )
    model = transformers.BertModel(config).eval()
    program = torch.export.export(model, (), {"input_ids": torch.zeros(1, 4, dtype=torch.int64)}, strict=False)
    signature = signature_of(from_exported_program(program))
    assert [argument.name for argument in signature.arguments if argument.kind == "user"] == ["input_ids"]
    result = signature.outputs.unflatten(lambda number: number)
    assert {"last_hidden_state", "pooler_output"} <= set(result)
