"""Mutants that are no faults, by family, each with the reason why the kernel is still right."""

from mutant_verdicts import Equivalent

EQUIVALENTS: dict[str, tuple[Equivalent, ...]] = {
    "transpose": (
        Equivalent(
            "guard",
            r"^@%p\d+ bra",
            "both ways copy the tile, and the one that is always taken now tests every element",
            after=r"^bra",
        ),
    ),
    "gemm_f16": (
        Equivalent(
            "drop-commit",
            r"^cp\.async\.commit_group",
            "the last commit closes an empty group, and no wait comes after it",
        ),
    ),
}
