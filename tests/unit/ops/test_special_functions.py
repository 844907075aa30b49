"""Special functions against torch's own in float64."""

import torch
from harness import Case, Inputs, check_cases, gradients

special = torch.special


def test_bessel_functions() -> None:
    draw = Inputs()
    x = torch.cat([draw.floats(60, low=-40, high=40), draw.floats(40, low=-2, high=2), torch.tensor([0.0, torch.nan])])
    y = torch.cat([draw.floats(60, low=0.1, high=60), draw.floats(40, low=1e-3, high=2), torch.tensor([0.0, -1.0])])
    first = (special.bessel_j0, special.bessel_j1, special.spherical_bessel_j0)
    modified = (
        special.i0,
        special.i0e,
        special.i1,
        special.i1e,
        special.modified_bessel_i0,
        special.modified_bessel_i1,
    )
    second = (special.bessel_y0, special.bessel_y1, special.modified_bessel_k0, special.modified_bessel_k1)
    scaled = (special.scaled_modified_bessel_k0, special.scaled_modified_bessel_k1)
    cases = [
        Case("first-kind", lambda x: tuple(f(x) for f in first + modified), [x]),
        Case("second-kind", lambda x: tuple(f(x) for f in second + scaled), [y]),
        Case("half", lambda x: (special.i0(x), special.i1e(x)), [draw.floats(20, dtype=torch.float16)]),
        # In float32, for float64 has no say: not i1, where eager itself is eight roundings off.
        Case("integers", lambda x: (special.i0e(x), special.bessel_j1(x)), [draw.integers(9)]),
    ]
    check_cases("activation", cases)


def test_functions_of_error() -> None:
    draw = Inputs()
    x = torch.cat(
        [draw.floats(60, low=-9, high=40), draw.floats(40, low=-2, high=2), torch.tensor([0.0, -30.0, torch.nan])]
    )
    p = torch.cat([draw.floats(60, low=0, high=1), torch.tensor([1e-30, 0.5, 0.0, 1.0, -0.1, torch.nan])])
    airy = torch.cat([draw.floats(60, low=-15, high=8), torch.tensor([0.0, torch.nan])])
    cases = [
        Case("erfcx", lambda x: (special.erfcx(x), special.log_ndtr(x.clamp(max=4))), [x]),
        Case("ndtri", special.ndtri, [p]),
        Case("airy", special.airy_ai, [airy]),
    ]
    check_cases("activation", cases)


def test_functions_of_gamma() -> None:
    draw = Inputs()
    x = torch.cat([draw.floats(40, low=0.05, high=20), draw.floats(20, low=-6, high=-0.05)])
    s, q = draw.floats(50, low=1.05, high=12), draw.floats(50, low=0.01, high=30)
    a, b = draw.floats(80, low=0.05, high=12), draw.floats(80, low=0.01, high=20)
    large = draw.floats(60, low=30, high=300)
    near = large * draw.floats(60, low=0.6, high=1.5)
    ends = torch.tensor([0.0, 1.0, -1.0, torch.inf, torch.nan])
    cases = [
        Case("polygamma", lambda x: tuple(torch.polygamma(n, x) for n in (0, 1, 4)), [x]),
        Case("zeta", lambda s, q: (special.zeta(s, q), special.zeta(3.0, q)), [s, q]),
        Case("whole", special.zeta, [torch.tensor([2.0, 3.0, 4.0, 3.0]), torch.tensor([-2.5, -0.25, -7.75, -3.0])]),
        Case("gradient", gradients(lambda x: x.lgamma().exp() + x.digamma()), [draw.floats(9, low=0.5, high=4)]),
        Case(
            "igamma",
            lambda a, x: (torch.igamma(a, x), torch.igammac(a, x)),
            [torch.cat([a, large, ends[:4].repeat_interleave(5)[:15]]), torch.cat([b, near, ends.repeat(3)])],
            family="reduction",
        ),
    ]
    check_cases("activation", cases)


def test_chebyshev_polynomials() -> None:
    draw = Inputs()
    x = torch.cat([draw.floats(60, low=-1, high=1), draw.floats(10, low=-2, high=2), torch.tensor([1.0, -1.0, 0.0])])
    n = draw.integers(73, low=-2, high=12).float()
    kinds = [getattr(special, f"{shift}chebyshev_polynomial_{kind}") for shift in ("", "shifted_") for kind in "tuvw"]
    cases = [
        Case("degrees", lambda x, n: tuple(f(x, n) for f in kinds), [x, n]),
        Case("one-degree", lambda x: tuple(f(x, 5) for f in kinds[:4]), [x]),
        Case("one-place", lambda n: kinds[1](0.3, n), [n]),
        Case("zeros", lambda x: tuple(f(x, 1) for f in kinds), [torch.tensor([0.0])]),
        Case("zeros-of-halves", lambda x: tuple(f(x, 1) for f in kinds), [torch.tensor([0.5])]),
    ]
    check_cases("reduction", cases)


def test_polynomials_of_one_degree() -> None:
    draw = Inputs()
    names = ("hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p")
    kinds = [getattr(special, name) for name in names]
    cases = [
        Case(f"degree-{n}", lambda x, n=n: tuple(f(x, n) for f in kinds), [draw.floats(9, low=-2, high=2)])
        for n in (-1, 0, 1, 2, 5)
    ]
    check_cases("reduction", cases)


def test_polynomials_of_broadcast_and_of_no_degrees() -> None:
    draw = Inputs()
    x = draw.floats(4, 1, 3, low=-2, high=2).double()
    cases = [
        Case("broadcast", special.legendre_polynomial_p, [x, torch.arange(3.0).double()]),
        Case("none", special.hermite_polynomial_he, [x[:0], torch.ones(0, 5, 3).double()]),
    ]
    check_cases("reduction", cases)
