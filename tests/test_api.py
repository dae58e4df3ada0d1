"""From Python, picture by picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import rtfocus
from rtfocus.errors import InputError, UsageError

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
DEPTH = np.where(np.arange(160) < 80, 0.0, 1.0).astype(np.float32) * np.ones((90, 1), np.float32)


def test_a_picture_with_its_depth() -> None:
    with rtfocus.Refocus(focus=(0.9, 0.5), f_number=1.0) as refocus:
        out = refocus(IMAGE, disparity=DEPTH)
    assert (out[:, 80:] == IMAGE[:, 80:]).all()
    assert out[:, :70].std() < 0.8 * IMAGE[:, :70].std()


def test_pictures_of_a_video() -> None:
    with rtfocus.Refocus(focus=(0.1, 0.5), smooth=0.5) as refocus:
        for i in range(4):
            assert refocus(IMAGE, disparity=DEPTH, time=i / 25).shape == IMAGE.shape


@pytest.mark.parametrize("smooth", [0.0, 0.5])
def test_the_callers_arrays_may_be_used_again(smooth: float) -> None:
    buffer, results = np.empty_like(DEPTH), []
    for array in (lambda depth: depth, lambda depth: np.copyto(buffer, depth) or buffer):
        with rtfocus.Refocus(focus=(0.1, 0.5), f_number=1.0, smooth=smooth) as refocus:
            for i in range(3):
                depth = (1 + i) * np.roll(DEPTH, 20 * i, axis=1)
                out = refocus(IMAGE, disparity=array(depth), time=i / 25)
        results.append(out)
    np.testing.assert_array_equal(*results)


def test_a_thing_is_followed() -> None:
    """The near stripe that was clicked moves on; what is there now at its place is blurred."""
    image = np.random.default_rng(5).integers(0, 90, (90, 160, 3), dtype=np.uint8)
    sharp = []
    for follow in (False, True):
        with rtfocus.Refocus(focus=(0.25, 0.5), follow=follow, f_number=0.7, smooth=0) as refocus:
            for step in range(12):
                x = 24 + 6 * step
                picture, depth = image.copy(), np.zeros((90, 160), np.float32)
                picture[20:70, x : x + 32] = IMAGE[20:70, 24:56]
                depth[20:70, x : x + 32] = 1
                out = refocus(picture, disparity=depth, time=step / 30, scale="normalised")
        sharp.append(float(np.abs(out.astype(int) - picture)[30:60, x + 6 : x + 26].mean()))
    assert sharp[1] < 0.1 * sharp[0]


def test_what_is_no_picture_is_refused() -> None:
    with rtfocus.Refocus() as refocus:
        for image, depth in (
            (IMAGE[..., 0], DEPTH),
            (IMAGE.astype(np.float32), DEPTH),
            (IMAGE, DEPTH[0]),
            (IMAGE, DEPTH.T.copy()),
            (IMAGE, DEPTH[:0]),
            (IMAGE[:0], DEPTH),
            (IMAGE.tolist(), DEPTH),
            (IMAGE, DEPTH.tolist()),
            (IMAGE, np.full_like(DEPTH, np.nan)),
        ):
            with pytest.raises(UsageError):
                refocus(image, disparity=depth)
        refocus(IMAGE, disparity=DEPTH)
        with pytest.raises(UsageError, match="new Refocus"):
            refocus(IMAGE[:50], disparity=DEPTH[:50])
        with pytest.raises(InputError, match="picture 1 came without disparity"):
            refocus(IMAGE)
        with pytest.raises(UsageError, match="scale 'metric' after 'relative'"):
            refocus(IMAGE, disparity=DEPTH, scale="metric")


def test_the_original_is_a_copy() -> None:
    image = IMAGE.copy()
    with rtfocus.Refocus(view="original") as refocus:
        out = refocus(image, disparity=DEPTH)
    image[:] = 0
    assert (out == IMAGE).all()


def test_disparity_that_would_be_ignored() -> None:
    with rtfocus.Refocus(view="depth") as refocus:
        refocus(IMAGE)
        with pytest.raises(InputError, match="picture 1 came with disparity, those before it with"):
            refocus(IMAGE, disparity=DEPTH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": float("nan")}, "time nan"),
        ({"time": float("inf")}, "time inf"),
        ({"time": "1"}, "time '1'"),
        ({"scale": "metrics"}, "Did you mean 'metric'"),
    ],
)
def test_what_comes_with_a_picture(options: dict[str, Any], message: str) -> None:
    with rtfocus.Refocus() as refocus, pytest.raises(UsageError, match=message):
        refocus(IMAGE, disparity=DEPTH, **options)


@pytest.mark.parametrize("used", [False, True])
def test_after_the_end(used: bool) -> None:
    refocus = rtfocus.Refocus()
    if used:
        refocus(IMAGE, disparity=DEPTH)
    refocus.close()
    refocus.close()
    with pytest.raises(UsageError, match="closed"):
        refocus(IMAGE, disparity=DEPTH)


def test_paths_name_files_as_text_does(tmp_path: Path) -> None:
    source, several = tmp_path / "in.png", [tmp_path / "a.png", str(tmp_path / "b.png")]
    cv2.imwrite(str(source), IMAGE)
    summary = rtfocus.refocus(source, tmp_path / "out.png", view="original")
    assert summary.outputs == (str(tmp_path / "out.png"),)
    assert rtfocus.refocus(source, several, view="original").outputs == tuple(map(str, several))
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "a.png", "b.png", "in.png", "out.png",
    ]  # fmt: skip


def test_the_built_in_network_serves_where_nothing_is_given() -> None:
    with rtfocus.Refocus() as refocus:
        assert refocus(IMAGE).shape == IMAGE.shape


def test_options_and_settings_exclude_each_other() -> None:
    with pytest.raises(UsageError):
        rtfocus.Refocus(rtfocus.Settings(), f_number=2.0)
    with pytest.raises(UsageError, match="Did you mean"):
        rtfocus.Refocus(f_numbr=2.0)


def test_importing_the_package_is_light() -> None:
    code = "import rtfocus, sys; print([m for m in ('numba', 'cv2', 'av') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_kernels_can_be_imported_first() -> None:
    """Each alone: nothing that they import imports them."""
    code = """
import importlib, pkgutil, sys, rtfocus.kernels as kernels
names = [module.name for module in pkgutil.iter_modules(kernels.__path__, "rtfocus.kernels.")]
for name in names:
    for known in [known for known in sys.modules if known.startswith("rtfocus")]:
        del sys.modules[known]
    importlib.import_module(name)
print(len(names))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) > 10


def test_there_is_nothing_else() -> None:
    assert rtfocus.__version__
    with pytest.raises(AttributeError):
        rtfocus.nothing  # noqa: B018
