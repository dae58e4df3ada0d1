"""CPU kernel from wide-gamut or high-dynamic-range RGB to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtfocus.kernels.jit import F32, U8, kernel


@kernel
def map_tones(
    coded: NDArray[np.uint16],
    light: F32,
    weights: F32,
    system_gamma: float,
    matrix: F32,
    codes: U8,
    out: U8,
) -> None:
    """Take coded values to light, to other primaries, and to display codes.

    Args:
        coded: (h, 3 w) uint16 RGB.
        light: (65536,) linear light of every code, in units of the largest light that `codes`
            knows.
        weights: (3,) luminance of red, green and blue.
        system_gamma: light is multiplied by luminance ** (system_gamma - 1), the OOTF of BT.2100
            HLG; 1 for none.
        matrix: (3, 3) from the primaries of `coded` to those of `out`.
        codes: (n,) 8-bit code of the light (i / (n - 1)) ** 4.
        out: (h, 3 w) uint8 RGB.
    """
    last = np.float32(len(codes) - 1)
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    exponent = np.float32(system_gamma - 1)
    for y in range(coded.shape[0]):
        source, row = coded[y], out[y]
        for x in range(0, coded.shape[1], 3):
            red, green, blue = light[source[x]], light[source[x + 1]], light[source[x + 2]]
            if exponent != 0:
                luminance = weights[0] * red + weights[1] * green + weights[2] * blue
                gain = luminance**exponent if luminance > 0 else zero
                red, green, blue = gain * red, gain * green, gain * blue
            for c in range(3):
                value = matrix[c, 0] * red + matrix[c, 1] * green + matrix[c, 2] * blue
                value = np.sqrt(np.sqrt(min(max(value, zero), one)))
                row[x + c] = codes[np.int32(value * last + half)]
