"""What an import is said to do, what is said to stand in its way, and the scripts that repeat it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import stepwell as sw


class Lstm(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.LSTM(4, 3)
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.huber_loss(self.linear(self.cell(x)[0]), x.new_zeros(()))


class Refused(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        y = x.t() * 2
        return torch.linalg.svd(y)[1], torch.linalg.eigh(y @ y.t())[1], torch.linalg.svd(y * 2)[2], y.sum()


def test_what_becomes_of_calls() -> None:
    found = sw.explain_import(torch.export.export(Lstm(), (torch.ones(2, 1, 4),)))
    calls = {call.op: call for call in found.calls}
    assert found.can_be_imported and found.decomposed
    assert calls["aten.linear.default"].is_whole
    assert dict(calls["aten.lstm.input"].became)["aten.sigmoid.default"] == 6
    assert calls["aten.lstm.input"].lines[0].file == __file__
    assert "aten.huber_loss.default" in calls and not calls["aten.huber_loss.default"].is_whole
    assert str(found).endswith("the program can be imported")


def test_programs_that_stay_as_they_are() -> None:
    found = sw.explain_import(torch.export.export(torch.nn.Linear(2, 3), (torch.ones(1, 2),)))
    assert not found.decomposed
    assert "imported as exported" in str(found)


def test_sizes() -> None:
    shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    found = sw.explain_import(torch.export.export(torch.nn.ReLU(), (torch.ones(4, 2),), dynamic_shapes=shapes))
    assert found.sizes == ("2 <= batch <= 64",)


def test_all_refusals_at_once() -> None:
    found = sw.explain_import(torch.export.export(Refused(), (torch.ones(8, 3),)))
    assert not found.can_be_imported
    assert [call.origin for call in found.refused] == [
        "aten.linalg_svd.default",
        "aten.linalg_eigh.default",
        "aten.linalg_svd.default",
    ]
    assert all(call.location is not None and call.location.file == __file__ for call in found.refused)
    assert "refused: aten._linalg_svd.default, part of aten.linalg_svd.default" in str(found)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_script_repeats_the_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dynamic: bool) -> None:
    monkeypatch.setenv("STEPWELL_REPRODUCERS", str(tmp_path))
    shapes = ({0: torch.export.Dim("rows", min=4)},) if dynamic else None
    program = torch.export.export(Refused(), (torch.ones(8, 3),), dynamic_shapes=shapes)
    with pytest.raises(sw.errors.UnsupportedOpError) as caught:
        sw.from_exported_program(program)
    path = Path(caught.value.reproducer)
    assert path.parent == tmp_path and f"repeat: python {path}" in str(caught.value)
    text = path.read_text()
    # One call of each kind, and none that is not refused.
    assert text.count("torch.ops.aten._linalg_svd") == 1 and "aten.sum" not in text
    assert f"torch {torch.__version__}" in text
    assert ("Dim.AUTO" in text) == dynamic
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the program holds 2 unsupported ops in 2 places" in done.stderr


def test_no_script_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    program = torch.export.export(Refused(), (torch.ones(8, 3),))
    for directory in ("", "/proc/nowhere"):
        monkeypatch.setenv("STEPWELL_REPRODUCERS", directory)
        with pytest.raises(sw.errors.UnsupportedOpError) as caught:
            sw.from_exported_program(program)
        assert caught.value.reproducer == ""
