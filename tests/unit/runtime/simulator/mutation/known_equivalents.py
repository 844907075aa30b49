"""Mutants that are no faults, by family, each with the reason why the kernel is still right."""

from mutant_verdicts import Equivalent

_FIRST_WAIT = "it waits behind the first group of a tile, which it allows to be pending"

EQUIVALENTS: dict[str, tuple[Equivalent, ...]] = {
    "transpose": (
        Equivalent(
            "guard",
            r"^@%p\d+ bra",
            "both ways copy the tile, and the one that is always taken now tests every element",
            after=r"^bra",
        ),
    ),
    "gemm_hopper": (
        Equivalent(
            "drop-fence",
            r"^wgmma\.fence",
            "only products of the same shape touch the accumulators since the last fence, and they need none",
        ),
        Equivalent("drop-wait", r"^wgmma\.wait_group\S* 1;", _FIRST_WAIT),
        Equivalent("later-wait", r"^wgmma\.wait_group\S* 1;", _FIRST_WAIT),
        Equivalent("shuffle", r"^shfl\.sync\.idx", "the value is the same in all lanes of the warp"),
    ),
    "gemm_f16": (
        Equivalent(
            "drop-commit",
            r"^cp\.async\.commit_group",
            "the last commit closes an empty group, and no wait comes after it",
        ),
    ),
}
