"""The measures that depth networks are compared by."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluate_depth import Network, _fill, edge_f1, truth
from make_onnx import write_card, write_network


def scene() -> np.ndarray:
    """Inverse depth of a slope with a box before it."""
    inverse = np.linspace(0.1, 0.4, 270)[:, None] * np.ones((1, 480))
    inverse[80:200, 150:300] = 1.0
    return inverse


KNOWN = np.ones((270, 480), bool)


def test_the_truth_has_all_its_own_edges_at_any_scale_and_shift() -> None:
    assert edge_f1(3 * scene() - 7, scene(), KNOWN) == pytest.approx((1, 1), abs=0.02)


def test_blur_and_displacement_cost_edges() -> None:
    inverse = scene()
    blurred = [cv2.GaussianBlur(inverse, (0, 0), sigma) for sigma in (1, 4, 12, 40)]
    scores = [edge_f1(each, inverse, KNOWN)[0] for each in blurred]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9 > 0.5 > scores[2]
    moved = [edge_f1(np.roll(inverse, by, axis=1), inverse, KNOWN)[0] for by in (0, 1, 12)]
    assert moved[0] - moved[1] < 0.05 < 0.2 < moved[1] - moved[2]


def test_a_false_edge_costs_precision() -> None:
    more = scene()
    more[20:60, 350:450] = 1.0
    assert max(edge_f1(more, scene(), KNOWN)) < 0.9


def test_edges_in_place_count_however_low_they_are() -> None:
    """A map that is wrong in the large, as its slope goes the other way."""
    wrong = scene() - 6 * np.linspace(0, 1, 270)[:, None]
    plain, placed = edge_f1(wrong, scene(), KNOWN)
    assert plain < 0.3
    assert placed > 0.9
    assert max(edge_f1(np.roll(wrong, 12, axis=1), scene(), KNOWN)) < placed - 0.2


def test_holes_are_as_far_as_what_is_behind() -> None:
    inverse, known = scene(), KNOWN.copy()
    known[80:200, 296:310] = False
    filled = _fill(np.where(known, inverse, 0), known)
    assert filled[80:200, 296:310].max() <= inverse[80:200, 310].max()
    assert filled.min() == inverse.min()


def test_a_perfect_network_correlates_perfectly(tmp_path: Path) -> None:
    """Pictures whose grey is their inverse depth, and a network that answers the grey."""
    path = write_network(tmp_path / "n.onnx", block=1)
    write_card(path)
    folder = tmp_path / "data" / "gt" / "scene"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    inverse = np.round(scene() * 255) / 255
    np.savez(folder / "depth.npz", z=1 / inverse)
    cv2.imwrite(str(folder / "aif.png"), np.dstack([np.round(inverse * 255)] * 3))
    measured = tmp_path / "data" / "rgbd" / "motorcycle"
    measured.mkdir(parents=True)
    np.savez(measured / "motorcycle_disp.npz", np.where(inverse > 0.2, inverse, np.inf))
    cv2.imwrite(str(measured / "motorcycle_left.png"), np.dstack([np.round(inverse * 255)] * 3))
    figures = truth(tmp_path / "data", {"n": Network(path, (256, 448))})["n"]
    assert figures["r scene"] > 0.99
    assert figures["F1 scene"] > 0.95
    assert figures["r mean"] == pytest.approx((figures["r scene"] + figures["r motorcycle"]) / 2)
