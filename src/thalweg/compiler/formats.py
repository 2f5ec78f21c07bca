"""The floating-point formats, and constants split so that reductions in them are exact."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True)
class Format:
    """A floating-point format, and constants split to suit it."""

    mantissa: int  # bits stored
    bias: int  # of the exponent
    ln2: tuple[float, float]  # log(2): few enough bits that n log(2) is exact, and the rest
    half_pi: tuple[float, float, float]  # π/2 in three positive parts of full length
    largest_log: float  # a little above the log of the largest number
    smallest_log: float  # below the log of half the smallest denormal number
    trigonometric: float  # largest argument reduced here, not by the C library

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def magic(self) -> float:
        """Adding this number rounds to an integer, which appears in the lowest bits."""
        return 1.5 * 2.0**self.mantissa


FORMATS = {
    "float32": Format(
        23, 127, (0.693359375, -0.00021219444170128554),
        (1.570796251296997, 7.549789415861596e-08, 5.390302953474238e-15),
        89.0, -104.0, 1e5,
    ),
    "float64": Format(
        52, 1023, (0.6931471805601177, -1.7239444525614835e-13),
        (1.5707963267948966, 6.123233995736765e-17, 1.082856673921914e-32),
        710.0, -746.0, 1e5,
    ),
}  # fmt: skip
