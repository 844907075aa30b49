"""What of a program cannot be imported, all of it at once."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepwell.frontends.torch.complex_values import COMPLEX_CONVERTERS, involves_complex
from stepwell.frontends.torch.refusals import REASONS
from stepwell.frontends.torch.registry import CONVERTERS, DEFAULT_RULES, ImportRules
from stepwell.support.errors import ImportProgramError, UnsupportedOpError

# Calls that compute sizes or check them: torch has done both, and left the result in the node's metadata.
_BOOKKEEPING = {
    "aten.sym_size.int",
    "aten.sym_stride.int",
    "aten.sym_numel.default",
    "aten.sym_storage_offset.default",
    "aten._assert_scalar.default",
    "aten._assert_tensor_metadata.default",
    "aten.sym_constrain_range.default",
    "aten.sym_constrain_range_for_size.default",
}

_RANDOM = "random numbers of this distribution are not supported"


def is_bookkeeping(node: Any) -> bool:
    """Return whether a call only computes or checks sizes, so that no op is needed for it."""
    if str(node.target) in _BOOKKEEPING:
        return True
    module = getattr(node.target, "__module__", "")
    if module in ("_operator", "math") or (module == "torch" and node.target.__name__.startswith(("sym_", "_sym_"))):
        return not isinstance(node.meta.get("val"), torch.Tensor | list | tuple)
    return False


@dataclass(frozen=True)
class Refusal:
    """A call that cannot be imported, and the error that says why."""

    node: Any
    error: ImportProgramError


def refuse_unknown(node: Any) -> ImportProgramError:
    """Return the error of a call that has no converter; its message is the reason, where there is more to say."""
    return UnsupportedOpError(
        _reason(str(node.target), node),
        fix="rewrite these lines with supported ops, or register a converter for them",
    )


def raise_refusals(refusals: Sequence[Refusal]) -> None:
    """Raise one error that names all of a program's refused calls, with counts, the user's lines and reasons."""
    if not refusals:
        return
    first = refusals[0].error
    if len(refusals) == 1 and not isinstance(first, UnsupportedOpError):
        raise first
    missing = len({str(refusal.node.target) for refusal in refusals})
    error = UnsupportedOpError(
        f"the program holds {_count(missing, 'unsupported op')} in {_count(len(refusals), 'place')}:\n"
        + describe_refusals(refusals),
        fix=first.fix,
        location=first.location,
    )
    error.node = refusals[0].node.name
    error.refusals = tuple(refusals)
    raise error from first.__cause__


def describe_refusals(refusals: Sequence[Refusal]) -> str:
    """Return a line for each op and reason: how many calls there are, and where in the user's program."""
    groups: dict[tuple[str, str], list[Refusal]] = {}
    for refusal in refusals:
        groups.setdefault((str(refusal.node.target), refusal.error.message), []).append(refusal)
    return "\n".join(_describe(*key, members) for key, members in sorted(groups.items()))


def is_known(node: Any, rules: ImportRules = DEFAULT_RULES) -> bool:
    """Return whether a call needs no converter, or has one."""
    target = str(node.target)
    if node.target is operator.getitem or is_bookkeeping(node) or target in rules.custom:
        return True
    return target in COMPLEX_CONVERTERS if involves_complex(node) else rules.converter(target) is not None


def _describe(target: str, reason: str, members: Sequence[Refusal]) -> str:
    shown = [
        f"'{member.node.name}'" + (f" at {member.error.location}" if member.error.location is not None else "")
        for member in members[:5]
    ]
    more = f" and {len(members) - 5} more" if len(members) > 5 else ""
    return f"  {target} x{len(members)}: {', '.join(shown)}{more}" + (f" ({reason})" if reason else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _reason(target: str, node: Any) -> str:
    if target in REASONS:
        return REASONS[target]
    if target in CONVERTERS:
        return "it takes or gives complex numbers here, which it is not supported for"
    tags = getattr(node.target, "tags", ())
    return _RANDOM if torch.Tag.nondeterministic_seeded in tags else ""
