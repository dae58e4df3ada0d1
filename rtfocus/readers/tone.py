"""From HDR and wide-gamut video to what an ordinary display shows."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Image
from rtfocus.kernels.colour import linear_to_srgb, srgb_to_linear
from rtfocus.kernels.jit import F32, F64, U8
from rtfocus.kernels.tone import map_tones

# Transfer characteristics and colour primaries as ITU-T H.273 numbers them.
_PQ, _HLG = 16, 18
_BT709, _BT2020, _DISPLAY_P3 = 1, 9, 12

HDR_TRANSFERS = {_PQ: "PQ", _HLG: "HLG"}
_WIDE_PRIMARIES = {_BT2020: "BT.2020", _DISPLAY_P3: "Display P3"}

_WHITE_XY = (0.3127, 0.3290)
_PRIMARIES_XY = {
    _BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    _DISPLAY_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}

_PEAK_NITS = 1000.0
"""Brightest light that keeps detail: BT.2100's nominal HLG display, and most PQ mastering."""

_WHITE_NITS = 203.0
"""Where SDR white lies: the HDR reference white of ITU-R BT.2408."""

_HLG_SYSTEM_GAMMA = 1.2
_CODES = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class ToneMapper:
    """Converts 16-bit R'G'B' to 8-bit sRGB with BT.709 primaries.

    HDR is taken to display light (ITU-R BT.2100: PQ EOTF, or HLG inverse OETF and OOTF at
    1000 cd/m2), its primaries are converted, and each channel is compressed from 1000 to 203 cd/m2
    by the EETF of ITU-R BT.2390. Wide-gamut SDR only has its primaries converted.

    Attributes:
        name: what is converted, for messages.
    """

    name: str
    _light: F32
    _weights: F32
    _system_gamma: float
    _matrix: F32
    _codes: U8

    def map(self, coded: NDArray[np.uint16]) -> Image:
        """Convert (h, w, 3) uint16, full range."""
        height, width, _ = coded.shape
        out = np.empty((height, 3 * width), np.uint8)
        rows = coded.reshape(height, 3 * width)
        map_tones(
            rows, self._light, self._weights, self._system_gamma, self._matrix, self._codes, out
        )
        return out.reshape(height, width, 3)


@functools.cache
def find_mapper(transfer: int, primaries: int) -> ToneMapper | None:
    """The mapper for H.273 transfer characteristics and primaries; None for what is plain SDR."""
    if transfer not in HDR_TRANSFERS and primaries not in _WIDE_PRIMARIES:
        return None
    signal = np.linspace(0, 1, 1 << 16)
    light = np.linspace(0, 1, _CODES) ** 4
    if transfer == _PQ:
        linear = np.minimum(pq_to_nits(signal) / _PEAK_NITS, 1)
    elif transfer == _HLG:
        linear = hlg_to_scene(signal)
    else:
        linear = srgb_to_linear(signal)
    if transfer in HDR_TRANSFERS:
        light = compress(light * _PEAK_NITS) / _WHITE_NITS
    known = primaries if primaries in _PRIMARIES_XY else _BT709
    to_xyz = _rgb_to_xyz(known)
    words = (HDR_TRANSFERS.get(transfer), _WIDE_PRIMARIES.get(primaries))
    return ToneMapper(
        name=" ".join(word for word in words if word),
        _light=linear.astype(np.float32),
        _weights=to_xyz[1].astype(np.float32),
        _system_gamma=_HLG_SYSTEM_GAMMA if transfer == _HLG else 1.0,
        _matrix=(np.linalg.inv(_rgb_to_xyz(_BT709)) @ to_xyz).astype(np.float32),
        _codes=np.rint(255 * linear_to_srgb(light)).astype(np.uint8),
    )


def pq_to_nits(signal: F64) -> F64:
    """EOTF of SMPTE ST 2084 (ITU-R BT.2100 table 4): 0..1 to cd/m2."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def nits_to_pq(nits: F64) -> F64:
    """Inverse of `pq_to_nits`."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (nits / 10000) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def hlg_to_scene(signal: F64) -> F64:
    """Inverse OETF of hybrid log-gamma (ITU-R BT.2100 table 5): 0..1 to scene light 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def compress(nits: F64) -> F64:
    """EETF of ITU-R BT.2390 section 5.4.1, from 0..1000 to 0..203 cd/m2, black unchanged."""
    peak = float(nits_to_pq(np.array(_PEAK_NITS)))
    target = float(nits_to_pq(np.array(_WHITE_NITS))) / peak
    knee = 1.5 * target - 0.5
    e = nits_to_pq(nits) / peak
    t = np.maximum(e - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * target
    )
    return pq_to_nits(np.where(e < knee, e, spline) * peak)


def _rgb_to_xyz(primaries: int) -> F64:
    """(3, 3) matrix from linear RGB to CIE XYZ, white at Y = 1 (SMPTE RP 177)."""
    xyz = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _PRIMARIES_XY[primaries]]).T
    x, y = _WHITE_XY
    white = np.array([x / y, 1, (1 - x - y) / y])
    return np.asarray(xyz * np.linalg.solve(xyz, white))
