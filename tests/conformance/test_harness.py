"""The harness tells right from wrong: each verdict is given where it is due."""

import sys
from typing import Any

import pytest
import torch
from conformance import records
from conformance.database import Sample, chosen, copy_tensor, kind_of
from conformance.examination import Examination, _fault
from conformance.judgement import difference, implausible, with_places_as_values
from conformance.records import complaints, read_results
from conformance.supervisor import Supervisor, Task
from conformance.table import PAGE, page
from conformance.verdicts import CRASHED, NOT_EXPORTED, REFUSED, RIGHT, WRONG, Tally, Verdict
from torch.utils import _pytree as pytree


def _sample(index: int, function: Any, *args: Any) -> Sample:
    leaves, spec = pytree.tree_flatten((args, {}))
    return Sample(index, function, tuple(leaves), spec)


def _exports_not(x: torch.Tensor) -> torch.Tensor:
    return x if x.sum() > 0 else -x


def test_every_sample_of_a_batch_has_its_own_verdict() -> None:
    x = torch.rand(3, 4)
    batch = [
        _sample(0, torch.sin, x),
        _sample(1, torch.linalg.eigvals, torch.rand(3, 3)),
        _sample(2, _exports_not, x),
        _sample(3, torch.cos, x),
        _sample(4, torch.full, (2, 3), 1.5),
    ]
    found = Examination("mixed").verdicts(batch)
    assert [found[index].kind for index in range(5)] == [RIGHT, REFUSED, NOT_EXPORTED, RIGHT, RIGHT]
    assert "aten.linalg_eig" in found[1].reason


def test_what_torch_does_not_export_costs_the_others_nothing() -> None:
    batch = [_sample(number, _exports_not if number in (1, 2, 5) else torch.sin, torch.rand(3)) for number in range(7)]
    examination = Examination("mixed")
    found = examination.verdicts(batch)
    assert [number for number in range(7) if found[number].kind == NOT_EXPORTED] == [1, 2, 5]
    assert sum(verdict.kind == RIGHT for verdict in found.values()) == 4


def test_a_failure_of_the_exported_program_itself_is_no_refusal() -> None:
    # torch bounds the size of the result by the operand, which is smaller than the mask.
    wide = _sample(0, torch.masked_select, torch.rand(3), torch.ones(2, 3, dtype=torch.bool))
    fits = _sample(1, torch.masked_select, torch.rand(2, 3), torch.ones(3, dtype=torch.bool))
    found = Examination("masked_select").verdicts([wide, fits])
    assert (found[0].kind, found[1].kind) == (NOT_EXPORTED, RIGHT)
    assert found[0].reason.startswith("torch's exported program: ")


def test_results_in_float64_may_be_off_by_what_a_rounding_changes() -> None:
    """Nothing tells how far eager is off itself."""
    steep = _sample(0, lambda x: (x * 1e9).sin(), torch.linspace(1, 2, 7, dtype=torch.float64))
    eager = steep.call(steep.tensors)
    assert not _fault("steep", steep, (eager + 1e-8, steep.tensors))
    assert "7 of 7 elements differ" in _fault("steep", steep, (eager + 1e-5, steep.tensors))
    flat = _sample(0, torch.sin, *steep.tensors)
    assert "7 of 7 elements differ" in _fault("flat", flat, (flat.call(flat.tensors) + 1e-8, flat.tensors))


def test_sums_may_be_off_by_roundings_of_their_terms() -> None:
    cancelling = _sample(0, torch.mean, torch.tensor([1e4, -1e4, 1.0]))
    eager = cancelling.call(cancelling.tensors)
    assert not _fault("mean", cancelling, (eager + 1e-3, cancelling.tensors))
    assert "1 of 1 elements differ" in _fault("mean", cancelling, (eager + 1, cancelling.tensors))
    assert "1 of 1 elements differ" in _fault("amax", cancelling, (eager + 1e-3, cancelling.tensors))
    plain = _sample(0, torch.mean, torch.tensor([1.0, 2.0]))
    assert "1 of 1 elements differ" in _fault("mean", plain, (plain.call(plain.tensors) + 1e-3, plain.tensors))
    assert "dtype torch.float64" in _fault("mean", plain, (plain.call(plain.tensors).double(), plain.tensors))


def test_samples_of_a_kind_share_a_program() -> None:
    x = torch.rand(4, 4)
    batch = [_sample(0, torch.sin, x), _sample(1, torch.sin, torch.rand(4, 4)), _sample(2, torch.sin, x.t())]
    assert kind_of(batch[0]) == kind_of(batch[1]) != kind_of(batch[2])
    assert kind_of(_sample(0, torch.add, x, x)) != kind_of(_sample(0, torch.add, x, x.clone()))
    found = Examination("sin").verdicts([*batch, _sample(3, torch.sin, torch.rand(4, 4))])
    assert [found[index].kind for index in range(4)] == [RIGHT] * 4


def test_a_wrong_program_is_wrong() -> None:
    x = torch.rand(3, 4)
    examination = Examination("changes")
    calls = []

    def changes(x: torch.Tensor) -> torch.Tensor:
        # The first call is torch.export's.
        calls.append(x)
        return x + 1.0 if len(calls) == 1 else x + 2.0

    found = examination.verdicts([_sample(7, changes, x)])
    assert found[7].kind == WRONG
    assert "12 of 12 elements differ" in found[7].reason
    assert set(examination.seconds) == {"export", "import", "compile", "run", "judge"}


def test_what_a_sample_changes_is_judged_too() -> None:
    x = torch.rand(4, 3).t()
    before = x.clone()
    assert Examination("in place").verdicts([_sample(0, torch.Tensor.add_, x, 1.0)])[0].kind == RIGHT
    assert torch.equal(x, before), "samples stay as they were"


def test_random_results_are_judged_by_shape_and_mean() -> None:
    draws = [torch.rand(1000) for _ in range(24)]
    assert implausible(torch.rand(1000), draws) == ""
    assert "around" in implausible(torch.rand(1000) + 1, draws)


def test_differences() -> None:
    x = torch.tensor([1.0, 2.0, float("nan")])
    exact = x.double()
    assert difference(x, x, exact) == ""
    assert difference(x + 1e-7, x, exact) == ""
    assert "1 of 3" in difference(torch.tensor([1.0, 2.1, float("nan")]), x, exact)
    assert "1 of 3" in difference(torch.tensor([1.0, 2.0, 3.0]), x, exact)
    assert "dtype" in difference(x.double(), x, exact)
    assert "shape" in difference(x[:2], x, exact)
    assert "list" in difference((x,), [x], [exact])
    assert "keys" in difference({"a": x}, {"b": x}, {"b": exact})
    assert "eager 2" in difference(3, 2, 2)
    assert difference(torch.tensor([1, 2]), torch.tensor([1, 2]), torch.tensor([1, 2])) == ""
    assert "1 of 2" in difference(torch.tensor([1, 3]), torch.tensor([1, 2]), torch.tensor([1, 2]))
    # A named result may be a plain tuple.
    assert difference(tuple(torch.sort(x)), torch.sort(x), torch.sort(x)) == ""


def test_a_narrow_overflow_may_be_where_eager_or_float64_has_it() -> None:
    eager, exact = torch.tensor([float("inf")]).half(), torch.tensor([60000.0]).double()
    assert difference(torch.tensor([60000.0]).half(), eager, exact) == ""
    assert difference(eager, eager, exact) == ""
    assert "1 of 1" in difference(torch.tensor([float("nan")]).half(), eager, exact)


def test_copies_keep_strides() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    for view in (x.t(), x[:, 1:3], x[:1].expand(3, 4), x[1:, ::2]):
        made = copy_tensor(view)
        assert made.stride() == view.stride()
        assert torch.equal(made, view)
        made.add_(1) if view.stride(0) else None
    assert torch.equal(x, torch.arange(12.0).reshape(3, 4))


def test_samples_at_even_distances() -> None:
    found = [_sample(index, torch.sin, torch.empty(index + 1)) for index in range(100)]
    assert chosen(found[:3], 8) == [0, 1, 2]
    assert chosen(found[:10], None) == list(range(10))
    assert chosen(found, 4) == [0, 33, 66, 99]
    assert chosen(found, 2, (7, 200)) == [0, 7, 99]
    assert chosen(found, 1) == [0]
    assert chosen(found, 2, elements=40) == [0, 39]
    assert chosen(found[60:], 2, elements=40) == [0]


_CHILD = """
import json, os, sys
print("{}", flush=True)
for line in sys.stdin:
    task = json.loads(line)
    indices = task["indices"] or list(range(8))
    if 3 in indices:
        os.abort()
    answer = {"total": 8, "verdicts": [[i, "right", ""] for i in indices], "seconds": {}}
    print(json.dumps(answer), flush=True)
"""


def test_the_death_of_a_child_costs_one_sample() -> None:
    supervisor = Supervisor(2, 60.0, command=[sys.executable, "-c", _CHILD])
    tally = supervisor.run([Task("cat", "float32", 1, bound=8)])["cat", "float32"]
    assert tally.counts == {RIGHT: 7, CRASHED: 1}
    assert tally.first[CRASHED] == 3
    assert list(tally.reasons[CRASHED]) == ["the process ended with SIGABRT"]


def test_a_child_that_does_not_start_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match="did not start: status 5"):
        Supervisor(2, 60.0, command=[sys.executable, "-c", "raise SystemExit(5)"]).run([Task("cat", "float32", 1)])


def _tally(*verdicts: Verdict) -> Tally:
    tally = Tally(len(verdicts))
    tally.add(enumerate(verdicts))
    return tally


def test_the_list_of_refusals_may_only_shrink() -> None:
    refused, right = Verdict(REFUSED, "no"), Verdict(RIGHT)
    listed = {"float32": {"listed": {"no": 0}}}
    assert complaints({("listed", "float32"): _tally(refused)}, listed) == []
    assert complaints({("other", "float32"): _tally(right)}, listed) == []
    assert complaints({("other", "bool"): _tally(refused)}, listed) == []
    (new,) = complaints({("other", "float32"): _tally(right, refused)}, listed)
    assert "not on the list: no (sample 1)" in new
    (stale,) = complaints({("listed", "float32"): _tally(right)}, listed)
    assert "remove it" in stale
    (wrong,) = complaints({("other", "float32"): _tally(Verdict(WRONG, "1 of 2"))}, listed)
    assert "wrong: 1 of 2" in wrong


def test_a_run_of_some_ops_leaves_the_facts_of_the_others() -> None:
    old = {"commit": "a", "seconds": 9, "ops": {"x": {"right": 1}, "y": {"wrong": 1}}}
    head, ops = records._merged(dict(old), {"commit": "b", "seconds": 1}, {"y": {"right": 1}})
    assert head == {"commit": "a", "seconds": 9}
    assert ops == {"x": {"right": 1}, "y": {"right": 1, "commit": "b"}}
    head, ops = records._merged(dict(old), {"commit": "b", "seconds": 8}, {"x": {}, "y": {}, "z": {}})
    assert (head["commit"], set(ops)) == ("b", {"x", "y", "z"})


def test_the_page_counts_and_groups() -> None:
    tallies = {"a": _tally(Verdict(RIGHT)), "b": _tally(Verdict(RIGHT), Verdict(REFUSED, "no")), "c": _tally()}
    result = {
        "road": "cpu",
        "dtype": "float32",
        "bound": 2,
        "seconds": {"export": 1, "compile": 2},
        "commit": "abc",
        "versions": {"torch": "2.13.0"},
        "ops": {op: tally.to_json() for op, tally in tallies.items()},
    }
    assert "| float32 | 3 of 9 | 2 |" in page([{**result, "takes": 9}])
    text = page([result, {**result, "dtype": "int64", "ops": {"a": _tally(Verdict(REFUSED, "no")).to_json()}}])
    assert "| float32 | 3 | 2 | 2 | 3 | 3 | 2 | 1 | 0 | 0 | 0 | 3 | abc | 2.13.0 |" in text
    assert "| no | a (int64), b |" in text


def test_the_page_is_made_of_the_results() -> None:
    assert PAGE.read_text() == page(read_results())


def test_equal_elements_may_change_places_where_torch_leaves_it_open() -> None:
    x = torch.tensor([1.0, 0.0, 1.0])
    eager, other, wrong = torch.tensor([1, 0, 2]), torch.tensor([1, 2, 0]), torch.tensor([1, 0, 0])
    seen = [with_places_as_values("argsort", (x,), {}, places) for places in (eager, other, wrong)]
    assert difference(seen[1], seen[0], seen[0]) == ""
    assert difference(seen[2], seen[0], seen[0]) != ""
    stable = [with_places_as_values("argsort", (x,), {"stable": True}, places) for places in (eager, other)]
    assert difference(stable[1], stable[0], stable[0]) != ""
    pair = (torch.tensor(1.0), torch.tensor(2))
    assert (
        difference(
            with_places_as_values("mode", (x, 0), {}, pair),
            with_places_as_values("mode", (x, 0), {}, (pair[0], torch.tensor(0))),
            pair,
        )
        == ""
    )
