"""The comparison with eager, call by call: what is right, what differs first, what it says of both."""

from typing import Any

import torch

import stepwell as sw
from stepwell.dialects.graph.unary import AbsOp


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(7, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor, *, shift: torch.Tensor) -> dict[str, Any]:
        self.calls += 1
        z = self.norm(self.linear(x))
        y = z.relu()
        best, where = z.topk(2, dim=1)
        shift.mul_(2)
        return {"a": torch.softmax(y, -1) + shift, "b": (where, best.to(torch.bfloat16), y.shape[0])}


def program() -> Any:
    batch = torch.export.Dim("batch", min=2, max=64)
    return torch.export.export(
        Model(),
        (torch.randn(8, 7),),
        {"shift": torch.randn(8, 4)},
        dynamic_shapes={"x": {0: batch}, "shift": {0: batch}},
    )


def test_all_is_right() -> None:
    shift = torch.randn(5, 4)
    before = shift.clone()
    report = sw.compare_with_eager(program(), (torch.randn(5, 7),), {"shift": shift})
    assert report.is_right and report.first_difference is None
    assert {call.kind for call in report.calls} == {"right"}
    assert torch.equal(shift, before)
    ops = {call.op for call in report.calls}
    assert {"aten.linear.default", "aten.relu.default", "aten.topk.default[1]"} <= ops
    relu = next(call for call in report.calls if call.op == "aten.relu.default")
    assert relu.dtype == "float32" and relu.shape == (5, 4) and relu.location is not None
    assert len(report.outputs) == 3
    assert str(report).endswith("nothing differs from eager")


def test_the_first_difference_is_the_wrong_call() -> None:
    wrong = {"aten::relu": lambda importer, node, x: importer.emit(AbsOp, x)}
    report = sw.compare_with_eager(
        program(), (torch.randn(5, 7),), {"shift": torch.randn(5, 4)}, custom_converters=wrong
    )
    first = report.first_difference
    assert first is not None and first.op == "aten.relu.default" and first.location.file == __file__
    # What follows is right for what it was given.
    assert [call.op for call in report.calls if call.kind == "differs"] == ["aten.relu.default"]
    assert "the first to differ: differs      relu = aten.relu.default float32[5x4] error" in str(report)
