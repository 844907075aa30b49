"""Random numbers in the bodies of branches and loops: the generator's state goes through them."""

from typing import Any

import pytest
import torch
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

import stepwell as sw
from stepwell.support.errors import ImportProgramError


class Draws(torch.nn.Module):
    """Draws before, in and behind a branch, a loop and a scan."""

    def forward(self, x: torch.Tensor) -> Any:
        def more(i: torch.Tensor, total: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return i + 1, total + torch.rand(4)

        def step(total: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            drawn = torch.rand(4)
            return total + drawn, drawn

        first = torch.rand(4)
        chosen = torch.cond(x.sum() > 0, lambda x: torch.rand(4) - torch.rand(4), lambda x: x.clone(), (x,))
        summed = while_loop(lambda i, _: i < 3, more, (torch.tensor(0), torch.zeros(4)))[1]
        total, each = scan(step, torch.zeros(4), torch.zeros(5, 4))
        return first, chosen, summed, total, each, torch.rand(4)


class Plain(torch.nn.Module):
    """Draws as many numbers, without bodies."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.rand(4) for _ in range(13))


class Asks(torch.nn.Module):
    """A loop whose condition draws."""

    def forward(self, x: torch.Tensor) -> Any:
        return while_loop(lambda x: torch.rand(()) < 0.5, lambda x: (x + 1,), (x,))


def _compiled(model: torch.nn.Module, device: str | None) -> Any:
    target = "cpu" if device is None else "cuda:sm_90a"
    return sw.compile(torch.export.export(model, (torch.ones(4),)), target=target, device=device, progress=False)


@pytest.mark.parametrize("device", [None, "sim"])
def test_one_stream(device: str | None) -> None:
    exe, plain = _compiled(Draws(), device), _compiled(Plain(), device)
    seed = int(torch.randint(1 << 40, ()))
    for x in (torch.ones(4), -torch.ones(4)):
        exe.manual_seed(seed)
        plain.manual_seed(seed)
        stream = list(plain(x))
        first, chosen, summed, total, each, last = exe(x)
        assert torch.equal(first, stream.pop(0))
        torch.testing.assert_close(chosen, stream.pop(0) - stream.pop(0) if x[0] > 0 else x)
        torch.testing.assert_close(summed, stream.pop(0) + stream.pop(0) + stream.pop(0))
        assert torch.equal(each, torch.stack(stream[:5]))
        torch.testing.assert_close(total, each.sum(0))
        assert torch.equal(last, stream[5])
        # The next call goes on where this one ended.
        assert torch.equal(exe(x)[0], stream[6])


def test_conditions_do_not_draw() -> None:
    with pytest.raises(ImportProgramError, match="random numbers in the condition of a loop are not supported"):
        sw.from_exported_program(torch.export.export(Asks(), (torch.ones(4),)))


def test_under_torch_compile() -> None:
    model = torch.compile(Draws(), backend="stepwell")
    torch.manual_seed(3)
    one, two = model(torch.ones(4)), model(torch.ones(4))
    torch.manual_seed(3)
    again = model(torch.ones(4))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, two, strict=True))
