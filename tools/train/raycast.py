"""A small ray caster: boxes, ellipsoids and cylinders, textured, lit by one lamp with shadows."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

BOX, ELLIPSOID, CYLINDER, HALL = 0, 1, 2, 3  # a hall is a box seen from within
SKY = 1e4
_Floats = NDArray[np.float32]


@numba.njit(inline="always")
def _hit(kind, ox, oy, oz, dx, dy, dz):
    """Distance along a ray to a unit solid at the origin; infinity where it misses."""
    if kind in (ELLIPSOID, CYLINDER):
        b = ox * dx + oz * dz
        a = dx * dx + dz * dz
        c = ox * ox + oz * oz - 1.0
        if kind == ELLIPSOID:
            b, a, c = b + oy * dy, a + dy * dy, c + oy * oy
        if a < 1e-12:
            a = 1e-12
        root = b * b - a * c
        if root < 0.0:
            return np.inf
        near = (-b - math.sqrt(root)) / a
        if kind == ELLIPSOID:
            return near if near > 1e-4 else np.inf
        far = (-b + math.sqrt(root)) / a
        if abs(dy) > 1e-9:
            t0, t1 = (-1.0 - oy) / dy, (1.0 - oy) / dy
            near, far = max(near, min(t0, t1)), min(far, max(t0, t1))
        elif abs(oy) > 1.0:
            return np.inf
        return near if near <= far and near > 1e-4 else np.inf
    near, far = -np.inf, np.inf
    for o, d in ((ox, dx), (oy, dy), (oz, dz)):
        if abs(d) < 1e-9:
            d = 1e-9
        t0, t1 = (-1.0 - o) / d, (1.0 - o) / d
        near, far = max(near, min(t0, t1)), min(far, max(t0, t1))
    if near > far or far <= 1e-4:
        return np.inf
    if kind == HALL:
        return far
    return near if near > 1e-4 else np.inf


@numba.njit(inline="always")
def _local(turn, i, x, y, z, size):
    """A vector in the frame of solid i, where it is a unit solid."""
    return (
        (turn[i, 0, 0] * x + turn[i, 1, 0] * y + turn[i, 2, 0] * z) / size[i, 0],
        (turn[i, 0, 1] * x + turn[i, 1, 1] * y + turn[i, 2, 1] * z) / size[i, 1],
        (turn[i, 0, 2] * x + turn[i, 1, 2] * y + turn[i, 2, 2] * z) / size[i, 2],
    )


@numba.njit(inline="always")
def _first(kinds, at, turn, size, reach, ox, oy, oz, dx, dy, dz, furthest):
    """The first solid on a ray of unit length, and how far it is."""
    best, who = furthest, -1
    for i in range(kinds.shape[0]):
        px, py, pz = ox - at[i, 0], oy - at[i, 1], oz - at[i, 2]
        if kinds[i] != HALL:  # does the ray come near it at all?
            along = -(px * dx + py * dy + pz * dz)
            off = px * px + py * py + pz * pz - along * along
            if off > reach[i] * reach[i] or along + reach[i] < 0 or along - reach[i] > best:
                continue
        a, b, c = _local(turn, i, px, py, pz, size)
        u, v, w = _local(turn, i, dx, dy, dz, size)
        t = _hit(kinds[i], a, b, c, u, v, w)
        if t < best:
            best, who = t, i
    return best, who


@numba.njit(parallel=True, cache=True)
def cast(kinds, at, turn, size, tint, texture, pitch, textures, camera, sky, lamp, shape):
    """Render a scene.

    Args:
        kinds: (n,) int32, what each solid is.
        at: (n, 3) float32, its centre [m], y down, z ahead.
        turn: (n, 3, 3) float32, its axes as columns.
        size: (n, 3) float32, half its sides [m].
        tint: (n, 3) float32, its colour 0..1.
        texture: (n,) int32, which of `textures` it wears.
        pitch: (n,) float32, texels a metre.
        textures: (k, t, t, 3) uint8.
        camera: (6,) float32: height of y, pitch and roll [rad], focal length / width, and the
            lamp's share of the light, its reach [m].
        sky: (2, 3) float32, colour 0..1 at the horizon and above.
        lamp: (3,) float32, where the lamp is.
        shape: height, width.

    Returns:
        RGB, (h, w, 3) float32 0..1, and z along the optical axis [m], (h, w) float32.
    """
    height, width = shape
    picture = np.empty((height, width, 3), np.float32)
    depth = np.empty((height, width), np.float32)
    reach = np.sqrt((size**2).sum(axis=1))
    cosp, sinp = math.cos(camera[1]), math.sin(camera[1])
    cosr, sinr = math.cos(camera[2]), math.sin(camera[2])
    focal, oy = camera[3] * width, camera[0]
    side = textures.shape[1]
    for row in numba.prange(height):
        for column in range(width):
            u, v = (column + 0.5 - width / 2) / focal, (row + 0.5 - height / 2) / focal
            u, v = cosr * u - sinr * v, sinr * u + cosr * v
            length = math.sqrt(u * u + v * v + 1.0)
            dx, dy, dz = u / length, (cosp * v + sinp) / length, (cosp - sinp * v) / length
            t, who = _first(kinds, at, turn, size, reach, 0.0, oy, 0.0, dx, dy, dz, SKY)
            depth[row, column] = t / length
            if who < 0:
                up = min(max(-dy * 2.0, 0.0), 1.0)
                for k in range(3):
                    picture[row, column, k] = sky[0, k] + up * (sky[1, k] - sky[0, k])
                continue
            x, y, z = t * dx, oy + t * dy, t * dz
            a, b, c = _local(turn, who, x - at[who, 0], y - at[who, 1], z - at[who, 2], size)
            # the surface's direction, and its texture's coordinates, in the solid's frame
            na, nb, nc = 0.0, 0.0, 0.0
            p, q = a * size[who, 0], b * size[who, 1]
            kind = kinds[who]
            if kind == ELLIPSOID:
                na, nb, nc = a / size[who, 0], b / size[who, 1], c / size[who, 2]
            elif kind == CYLINDER and a * a + c * c > 0.998:
                na, nc = a / size[who, 0], c / size[who, 2]
                p = math.atan2(a, c) * size[who, 0]
            elif kind != CYLINDER and abs(a) > max(abs(b), abs(c)):
                na = math.copysign(1.0, a)
                p, q = c * size[who, 2], b * size[who, 1]
            elif kind == CYLINDER or abs(b) > abs(c):
                nb = math.copysign(1.0, b)
                q = c * size[who, 2]
            else:
                nc = math.copysign(1.0, c)
            if kind == HALL:
                na, nb, nc = -na, -nb, -nc
            norm = math.sqrt(na * na + nb * nb + nc * nc)
            nx = (turn[who, 0, 0] * na + turn[who, 0, 1] * nb + turn[who, 0, 2] * nc) / norm
            ny = (turn[who, 1, 0] * na + turn[who, 1, 1] * nb + turn[who, 1, 2] * nc) / norm
            nz = (turn[who, 2, 0] * na + turn[who, 2, 1] * nb + turn[who, 2, 2] * nc) / norm
            lx, ly, lz = lamp[0] - x, lamp[1] - y, lamp[2] - z
            far = math.sqrt(lx * lx + ly * ly + lz * lz)
            lx, ly, lz = lx / far, ly / far, lz / far
            facing = max(nx * lx + ny * ly + nz * lz, 0.0)
            if facing > 0.0:
                _, blocker = _first(
                    kinds, at, turn, size, reach,
                    x + 1e-3 * nx, y + 1e-3 * ny, z + 1e-3 * nz, lx, ly, lz, far * 0.999,
                )  # fmt: skip
                if blocker >= 0 and kinds[blocker] != HALL:
                    facing *= 0.15
            fall = camera[5] / (camera[5] + far)
            light = (1.0 - camera[4]) * (0.75 - 0.25 * ny) + camera[4] * 2.0 * facing * fall
            i, j = int(p * pitch[who]) % side, int(q * pitch[who]) % side
            for k in range(3):
                texel = textures[texture[who], j, i, k] / 255.0
                picture[row, column, k] = light * tint[who, k] * texel
    return picture, depth
