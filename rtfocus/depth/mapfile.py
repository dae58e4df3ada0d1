"""Single depth maps in files: .npy, .npz, 16-bit .png and .pfm.

What they hold, unless the user says otherwise:

    .npz              key `z`: metric_depth; key `disparity`: inverse_depth
    .npy, .png, .pfm  inverse_depth, as MiDaS writes it

A .png of metric_depth is in millimetres (as TUM, ScanNet and most depth cameras write it),
everything else in metres. What rtfocus writes is read back without a word about the kind: an .npz
keeps the units (and a `scale` entry that says what they are); the other formats get disparity,
which loses them.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.coding import Codes, inverse_metres
from rtfocus.depth.kinds import Kind, scale_of, to_disparity
from rtfocus.errors import InputError, UsageError
from rtfocus.frame import Disparity, Map, Scale

SUFFIXES = (".npy", ".npz", ".png", ".pfm")

_KEYS: dict[str, tuple[Kind, ...]] = {
    "z": ("metric_depth", "depth"),
    "disparity": ("inverse_depth",),
}
_FARTHEST = 1e4
"""Metres; stands for infinity in a `z` that rtfocus writes."""


def read_map(path: Path, kind: Kind | None) -> tuple[Map, Scale]:
    """Read one depth map as disparity, (h, w) float32, larger = nearer.

    Args:
        path: a file with one of `SUFFIXES`.
        kind: what it holds; None: see the table above.

    Raises:
        InputError: absent, unreadable, or its values make no sense as depth.
        UsageError: `kind` contradicts the key in an .npz.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        values, kind, own = _read_npz(path, kind)
    else:
        values, kind, own = _READERS[suffix](path), kind or "inverse_depth", None
        if suffix == ".png" and kind == "metric_depth":
            values = values / np.float32(1000)
    plane = _plane(values, path)
    _check_values(plane, kind, path, constant_allowed=own is not None)
    return to_disparity(plane, kind), own or scale_of(kind)


def read_codes(path: Path) -> Codes:
    """The (h, w) uint16 values of a 16-bit grey .png.

    Raises:
        InputError: it is absent, unreadable or something else.
    """
    data = np.frombuffer(_bytes(path), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is None:
        raise InputError(f"depth file {str(path)!r} is not a PNG, or is damaged. Write it again.")
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise InputError(
            f"depth file {str(path)!r} has {8 * pixels.itemsize} bits and {channels} channels; "
            "depth needs 16 bits and one channel (8 bits show as bands). Save it as 16-bit grey, "
            ".npy or .pfm."
        )
    return pixels  # type: ignore[return-value]


def write_map(path: Path, suffix: str, disparity: Disparity) -> None:
    """Write one map in the format that `suffix` names, so that `read_map` needs no kind.

    An .npz gets `z` in metres for metric disparity and `disparity`, normalised, otherwise. The
    others get disparity, larger = nearer: the .png stretched over its 16 bits, as MiDaS does it.

    Raises:
        OSError: it cannot be written.
    """
    metric = disparity.metric is not None
    values = inverse_metres(disparity) if metric else disparity.values
    with path.open("wb") as file:
        if suffix == ".npy":
            np.save(file, values)
        elif suffix == ".npz":
            entry = (
                {"z": 1 / np.maximum(values, 1 / _FARTHEST)} if metric else {"disparity": values}
            )
            scale = np.array("metric" if metric else "normalised")
            np.savez_compressed(file, allow_pickle=False, **entry, scale=scale)
        elif suffix == ".png":
            file.write(png_bytes(_stretch(values)))
        else:
            height, width = values.shape
            file.write(f"Pf\n{width} {height}\n-1.0\n".encode())
            file.write(values[::-1].astype("<f4").tobytes())


def png_bytes(codes: Codes) -> bytes:
    """A 16-bit grey PNG file."""
    return cv2.imencode(".png", codes)[1].tobytes()


def _stretch(values: Map) -> Codes:
    """Minimum to 0 and maximum to 65535."""
    low, high = float(values.min()), float(values.max())
    stretched: Map = (values - low) * (65535 / ((high - low) or 1))
    return np.rint(stretched).astype(np.uint16)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"there is no depth file {str(path)!r}. Check the path given to --depth."
        ) from error
    except OSError as error:
        raise InputError(
            f"depth file {str(path)!r} cannot be read: {error.strerror}. Check its permissions."
        ) from error


def _load(path: Path) -> Any:
    """`np.load` that never unpickles: a pickle can run any code."""
    try:
        return np.load(io.BytesIO(_bytes(path)), allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"depth file {str(path)!r} cannot be read as {path.suffix}: {error}. "
        "Save it again with numpy, as a plain array of numbers (no objects)."
    )


def _read_npy(path: Path) -> NDArray[Any]:
    array = _load(path)
    if not isinstance(array, np.ndarray):
        raise InputError(f"depth file {str(path)!r} is an archive; give it the suffix .npz.")
    return array


def _read_npz(path: Path, kind: Kind | None) -> tuple[NDArray[Any], Kind, Scale | None]:
    """Values, their kind and, in a file that rtfocus wrote, the scale it says."""
    archive = _load(path)
    if isinstance(archive, np.ndarray):
        raise InputError(f"depth file {str(path)!r} is a single array; give it the suffix .npy.")
    with archive:
        found = [key for key in _KEYS if key in archive.files]
        if not found:
            there = ", ".join(map(repr, archive.files)) or "none"
            raise InputError(
                f"depth file {str(path)!r} has no key 'z' (metres) or 'disparity'; its keys: "
                f"{there}. Save the map under one of those names."
            )
        key = next((key for key in found if kind in _KEYS[key]), found[0])
        if kind is not None and kind not in _KEYS[key]:
            raise UsageError(
                f"--depth-kind {kind} does not suit {str(path)!r}, which holds {key!r}: "
                f"that is {' or '.join(_KEYS[key])}. Leave --depth-kind out."
            )
        try:
            values = archive[key]
            scale = str(archive["scale"]) if "scale" in archive.files else None
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise _unreadable(path, error) from error
    kind = kind or _KEYS[key][0]
    if scale == "normalised" and kind == "inverse_depth":
        return values, kind, "normalised"
    return values, kind, "metric" if scale == "metric" and kind == "metric_depth" else None


def _read_pfm(path: Path) -> NDArray[np.float32]:
    """Portable float map: `Pf`, width, height, scale (< 0: little-endian), rows from the bottom up.

    The scale's amount is a unit that no depth data set uses; it is not applied (OpenCV would divide
    by it).
    """
    data = _bytes(path)
    header = re.match(rb"(P[fF])\s+(\d+)\s+(\d+)\s+(\S+)\s", data)
    if header is None:
        raise InputError(f"depth file {str(path)!r} is not a PFM. Give another file.")
    width, height = int(header[2]), int(header[3])
    if header[1] == b"PF":
        raise InputError(f"depth file {str(path)!r} is a colour PFM; one channel ('Pf') is wanted.")
    order = "<f4" if header[4].startswith(b"-") else ">f4"
    if len(data) - header.end() < 4 * width * height:
        raise InputError(
            f"depth file {str(path)!r} is cut short: {len(data) - header.end()} bytes of values "
            f"where {width}x{height} takes {4 * width * height}. Write it again."
        )
    values = np.frombuffer(data, order, width * height, header.end())
    return values.reshape(height, width)[::-1].astype(np.float32)


_READERS = {".npy": _read_npy, ".png": read_codes, ".pfm": _read_pfm}


def _plane(values: NDArray[Any], path: Path) -> Map:
    """The values as (h, w) float32."""
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiu":
        raise InputError(
            f"depth file {str(path)!r} holds {values.dtype} of shape {list(values.shape)}; "
            "one map of numbers is wanted: [height, width]."
        )
    with np.errstate(over="ignore"):  # what becomes infinite is reported as such
        return np.ascontiguousarray(values, np.float32)


def _check_values(values: Map, kind: Kind, path: Path, *, constant_allowed: bool) -> None:
    what = f"depth file {str(path)!r}"
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise InputError(
            f"{what} has {_count_and_place(wrong)} that are NaN or infinite. Fill the holes first."
        )
    if kind == "metric_depth" and (values <= 0).any():
        raise InputError(
            f"{what} has {_count_and_place(values <= 0)} at 0 m or less; 0 usually marks the "
            "unknown. Fill the holes first."
        )
    if not constant_allowed and values.size > 1 and values.min() == values.max():
        raise InputError(
            f"{what} is {values.flat[0]:g} everywhere: nothing is nearer than anything else, so "
            "there is nothing to focus on. Check how it was written."
        )


def _count_and_place(wrong: NDArray[np.bool_]) -> str:
    y, x = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return f"{int(wrong.sum())} of {wrong.size} values (the first at x={x}, y={y})"
