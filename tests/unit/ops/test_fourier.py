"""Fourier transforms: the compositions on their own for many sizes, and programs of all forms, symbolic sizes too."""

import pytest
import torch
from harness import Case, Inputs, check_cases

from stepwell.frontends.torch.composed.fourier import fft_c2c, fft_c2r, fft_r2c

aten = torch.ops.aten
# Sizes done by one matrix, by one and by several splits, with large prime factors, by convolution.
SIZES = (1, 2, 3, 5, 16, 31, 33, 37, 64, 127, 131, 210, 257, 262, 500, 1009)


@pytest.mark.parametrize("size", SIZES)
def test_sizes(size: int) -> None:
    draw = Inputs()
    z, x = draw.complexes(3, size, dtype=torch.complex128), draw.floats(3, size, dtype=torch.float64)
    pairs = [
        *((fft_c2c(z, [1], way, forward), aten._fft_c2c(z, [1], way, forward)) for way, forward in _WAYS),
        *((fft_r2c(x, [1], way, half), aten._fft_r2c(x, [1], way, half)) for way, half in _WAYS),
        *((fft_c2r(z, [1], 0, n), aten._fft_c2r(z, [1], 0, n)) for n in (2 * size - 2, 2 * size - 1) if n),
    ]
    for found, wanted in pairs:
        assert found.dtype is wanted.dtype
        # Ours are off by 1e-15; torch's, on processors where it calls MKL, by up to 5e-14: so is a c2r of 522.
        assert (found - wanted).abs().max() <= 1e-13 * wanted.abs().max()


_WAYS = [(0, True), (1, False), (2, True)]


def test_forms() -> None:
    draw = Inputs()
    z, x = draw.complexes(2, 6, 40), draw.floats(2, 6, 40)
    cases = [
        Case("fft", lambda z: torch.fft.fft(z, norm="ortho"), [z]),
        Case("rfft", lambda x: torch.fft.rfft(x, 30, dim=1), [x]),
        Case("ifft", lambda z: torch.fft.ifft(z, 50), [z]),
        Case("fft2", lambda z: torch.fft.ifft2(z, dim=(0, 1)), [z]),
        Case("fftn", lambda x: torch.fft.fftn(x).real, [x]),
        Case("irfftn", lambda z: (torch.fft.irfftn(z), torch.fft.irfft(z, 77)), [z]),
        Case("hermitian", lambda x: (torch.fft.ihfft(x), torch.fft.hfft(x)), [x]),
        Case("shifts", lambda z: torch.fft.ifftshift(torch.fft.fftshift(z, dim=2) * 2), [z]),
    ]
    check_cases("model", cases)


def test_short_time_transforms() -> None:
    draw = Inputs()
    sound, window = draw.floats(2, 400), torch.hann_window(64)

    def spectrum(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.stft(x, 64, 16, window=w, return_complex=True)

    def there_and_back(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.istft(spectrum(x, w) * 0.5, 64, 16, window=w, length=400)

    def power(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return spectrum(x, w).abs() ** 2

    check_cases("model", [Case(f.__name__, f, [sound, window]) for f in (spectrum, power, there_and_back)])


def test_symbolic_batches() -> None:
    draw = Inputs()
    x, more = draw.floats(3, 48), draw.floats(7, 48)
    check_cases("model", [Case("rfft", torch.fft.rfft, [x], {0: {0: "batch"}}, [more])])


def test_symbolic_sizes() -> None:
    draw = Inputs()
    x, more = draw.floats(3, 48), draw.floats(3, 7)
    z, others = draw.complexes(3, 9), draw.complexes(3, 2)
    sizes = {0: {1: "n"}}
    cases = [
        Case("rfft", torch.fft.rfft, [x], sizes, [more]),
        Case("fft", lambda x: torch.fft.fft(x, norm="ortho"), [x], sizes, [more]),
        Case("fft2", lambda x: torch.fft.fft2(x).real, [x], sizes, [more]),
        Case("ifft", torch.fft.ifft, [z], {0: {1: "m"}}, [others]),
        Case("irfft", torch.fft.irfft, [z], {0: {1: "m"}}, [others]),
    ]
    check_cases("model", cases)
