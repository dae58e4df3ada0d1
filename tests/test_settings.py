"""Options, wherever they come from."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rtfocus.config import load_config, to_toml
from rtfocus.errors import UsageError
from rtfocus.focus.plane import FocusDisparity, FocusDistance, FocusPoint
from rtfocus.settings import Settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"f_number": 0.0}, "f_number"),
        ({"focus": (1.5, 0.5)}, r"0\.\.1"),
        ({"focus": (0.5, 0.5), "focus_disparity": 0.4}, "contradict"),
        ({"focus_distance": -1.0}, "metres"),
        ({"focus_range": -0.1}, "focus_range"),
        ({"blades": 2}, "blades"),
        ({"smooth": 1.5}, "smooth"),
        ({"look_ahead": -1}, "look ahead"),
        ({"depth_every": 0}, "depth_every"),
        ({"focus_range": 1e300}, "focus_range 1e.300: must be 0 to 1000"),
        ({"blade_rotation": 361.0}, "blade_rotation 361.0: must be -360 to 360"),
        ({"threads": -1}, "threads"),
        ({"highlights": float("nan")}, "highlights"),
        ({"rate": 0.0}, "rate"),
        ({"rate": 0.0001}, r"rate 0.0001: must be 0\.01 to 1000"),
        ({"rate": 1e300}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"f_number": 1e-9}, r"f_number 1e-09: must be 0\.01 to 1000"),
        ({"f_number": 1e-300}, "f_number"),
        ({"f_number": 1e300}, "f_number"),
        ({"focus_disparity": 1e300}, r"must be -1000 to 1000"),
        ({"f_number": "2"}, "f number '2': must be a number"),
        ({"f_number": True}, "f number True: must be a number"),
        ({"focus": (0.5, 0.5, 0.5)}, "must be two numbers"),
        ({"focus": 0.5}, "focus 0.5"),
        ({"depth_size": (192.5, 320)}, "depth size.*two whole numbers"),
        ({"blades": 5.5}, "blades 5.5: must be a whole number"),
        ({"follow": "yes"}, "follow 'yes': must be true or false"),
        ({"model": 3}, "model 3: must be text"),
        ({"quality": "hihg"}, "Did you mean 'high'"),
        ({"view": "depht"}, "Did you mean 'depth'"),
        ({"method": "lense"}, "Did you mean 'lens'"),
        ({"focal_length": 50.0}, "belong together"),
        ({"f_numbr": 2.0}, "Did you mean 'f_number'"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings.create(**options)


def test_what_to_focus_on() -> None:
    assert Settings().target() == FocusPoint(0.5, 0.5)
    assert Settings(focus=(0.1, 0.2)).target() == FocusPoint(0.1, 0.2)
    assert Settings(focus_distance=2.0).target() == FocusDistance(2.0)
    assert Settings(focus_disparity=0.0).target() == FocusDisparity(0.0)


@pytest.mark.parametrize("rate", [0.01, 23.976, 29.97, 1000])
def test_rates_are_kept(rate: float) -> None:
    made = Settings(rate=rate).rate
    assert made is not None
    assert float(Fraction(made).limit_denominator(1001)) == pytest.approx(rate, rel=1e-4)


def test_a_list_is_as_good_as_a_tuple() -> None:
    made = Settings(focus=[0.3, 0.5], depth_size=[192, 320])  # type: ignore[arg-type]
    assert made == Settings(focus=(0.3, 0.5), depth_size=(192, 320))


def test_what_numbers_and_paths_may_be() -> None:
    """Whatever counts as one in Python: numbers of NumPy, fractions, whole ones, and paths."""
    settings = Settings(
        f_number=np.float32(2), blades=np.int64(5), rate=Fraction(30000, 1001), model=Path("a.onnx")
    )  # type: ignore[arg-type]
    assert (settings.f_number, settings.blades, settings.model) == (2, 5, "a.onnx")


def test_toml_round_trip(tmp_path: Path) -> None:
    made = Settings(focus=(0.25, 0.75), f_number=1.2, model='a "b"\\c.onnx', depth_size=(192, 320))
    path = tmp_path / "all.toml"
    path.write_text(to_toml(made))
    values = load_config(str(path))
    assert Settings.create(**values) == made


def test_a_preset_wins_over_the_rest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("f-number = 4\nblades = 6\n[preset.soft]\nf-number = 1.2\n")
    assert load_config(str(path)) == {"f_number": 4, "blades": 6}
    assert load_config(str(path), "soft") == {"f_number": 1.2, "blades": 6}
    with pytest.raises(UsageError, match="Did you mean 'soft'"):
        load_config(str(path), "sofd")


@pytest.mark.parametrize("text", ["preset = 3", "[preset]\nsoft = 3"])
def test_presets_that_are_no_tables(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"must be tables, such as \[preset\.NAME\]"):
        load_config(str(path), "soft")


@pytest.mark.parametrize("text", ["f-number = ", "f-numbr = 2", "\x00"])
def test_files_that_are_no_settings(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"c\.toml"):
        load_config(str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(str(tmp_path / "absent.toml"))
