"""What the depth network is trained on: is the depth that is called known really that?"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from make_photographs import write_photographs

from augment import another_camera, another_frame
from composites import Composites
from crisp import crisp
from label import make_label, store
from photographs import Photographs
from raycast import BOX, CYLINDER, ELLIPSOID, HALL, SKY, cast
from rooms import Rooms
from samples import Sample
from shapes import draw_person, draw_shape
from suitable import Seen, fitted, flaw

SIZE = (96, 160)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    return Photographs([write_photographs(tmp_path_factory.mktemp("photographs"))], "train")


def test_a_crop_keeps_picture_and_label_together(photographs: Photographs) -> None:
    rng = np.random.default_rng(0)
    assert len(photographs) == 5
    for _ in range(20):
        sample = photographs.draw(rng, SIZE)
        wanted = 0.5 + sample.picture[..., 0] / 255
        assert sample.picture.shape == (*SIZE, 3)
        assert np.abs(sample.inverse_depth - wanted).mean() < 0.01


def test_everything_laid_over_a_photograph_is_nearer(photographs: Photographs) -> None:
    class Same(Photographs):
        def __init__(self) -> None: ...

        def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
            state = np.random.default_rng(1)
            rng.random()
            return photographs.draw(state, size)

    background = photographs.draw(np.random.default_rng(1), SIZE)
    rng, covered = np.random.default_rng(2), 0
    for _ in range(30):
        sample = Composites(Same()).draw(rng, SIZE)
        nearer = sample.inverse_depth - background.inverse_depth
        changed = np.abs(nearer) > 1e-6
        covered += changed.sum()
        assert (nearer[changed] > 0).mean() > 0.95  # a shape may lean a little
        assert (sample.confidence[changed] == 1).all()
        beside = cv2.dilate(changed.astype(np.uint8), np.ones((7, 7))) > 0
        assert beside[sample.edges > 1].all()
    assert covered > 0


def test_the_same_seed_draws_the_same(photographs: Photographs) -> None:
    pair = [Composites(photographs).draw(np.random.default_rng(3), SIZE) for _ in range(2)]
    np.testing.assert_array_equal(pair[0].picture, pair[1].picture)
    np.testing.assert_array_equal(pair[0].inverse_depth, pair[1].inverse_depth)


def test_what_moves_is_not_static(photographs: Photographs) -> None:
    rng = np.random.default_rng(4)
    for _ in range(10):
        first, second = Composites(photographs).draw_pair(rng, SIZE)
        still = (first.static > 0) & (second.static > 0)
        np.testing.assert_array_equal(first.picture[still], second.picture[still])
        np.testing.assert_array_equal(first.inverse_depth[still], second.inverse_depth[still])


def test_theta_takes_the_second_frame_to_the_first(photographs: Photographs) -> None:
    rng = np.random.default_rng(5)
    height, width = SIZE
    for _ in range(20):
        first = photographs.draw(rng, SIZE)
        second, theta = another_frame(rng, first)
        y, x = np.mgrid[:height, :width]
        place = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1, np.ones_like(x)], -1)
        u, v = np.moveaxis(place @ theta.T.astype(np.float64), -1, 0)
        at = np.stack([((u + 1) * width - 1) / 2, ((v + 1) * height - 1) / 2]).astype(np.float32)
        wanted = cv2.remap(first.inverse_depth, at[0], at[1], cv2.INTER_LINEAR)
        seen = second.static > 0
        assert seen.mean() > 0.2
        np.testing.assert_allclose(second.inverse_depth[seen], wanted[seen], atol=0.01)
        outside = (at[0] < -0.5) | (at[0] > width - 0.5) | (at[1] < -0.5) | (at[1] > height - 0.5)
        assert not (seen & outside).any()


def test_another_camera_moves_nothing() -> None:
    rng = np.random.default_rng(6)
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[:, 80:] = 200
    for _ in range(20):
        changed = another_camera(rng, picture).astype(float).mean(axis=2)
        assert changed.dtype == np.float64
        assert changed[:, 84:].mean() > changed[:, :76].mean() + 40


@pytest.mark.parametrize("seed", range(5))
def test_shapes_cover_something_and_stay_within_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [draw_shape(rng, SIZE) for _ in range(40)]
    shapes += [part for _ in range(10) for part in draw_person(rng, SIZE).values()]
    assert all(s.shape == SIZE and s.min() >= 0 and s.max() <= 1 for s in shapes)
    assert np.mean([(s > 0.5).any() for s in shapes]) > 0.9
    assert any(((s > 0.1) & (s < 0.9)).any() for s in shapes)  # anti-aliased


# The ray caster against what geometry says


def render(*solids: tuple[int, tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
    """z seen from (0, 0, 0) along +z, focal length = width, 65x65."""
    n = len(solids)
    camera = np.array([0, 0, 0, 1, 0.5, 5], np.float32)
    _, z = cast(
        np.array([s[0] for s in solids], np.int32),
        np.array([s[1] for s in solids], np.float32),
        np.tile(np.eye(3, dtype=np.float32), (n, 1, 1)),
        np.array([s[2] for s in solids], np.float32),
        np.ones((n, 3), np.float32),
        np.zeros(n, np.int32),
        np.ones(n, np.float32),
        np.full((1, 4, 4, 3), 255, np.uint8),
        camera,
        np.ones((2, 3), np.float32),
        np.array([0, -1, 1], np.float32),
        (65, 65),
    )
    return np.asarray(z)


def test_a_ball_is_as_far_as_its_surface() -> None:
    z = render((ELLIPSOID, (0, 0, 5), (1, 1, 1)))
    u = (np.arange(65) - 32) / 65
    square = 1 + u**2
    root = 25 - 24 * square
    wanted = np.where(root > 0, (5 - np.sqrt(np.maximum(root, 0))) / square, SKY)
    hit = (z[32] < 100) & (wanted < 100)
    np.testing.assert_allclose(z[32][hit], wanted[hit], rtol=1e-4)
    assert abs((z[32] < 100).sum() - (wanted < 100).sum()) <= 2


def test_a_box_a_post_and_a_hall() -> None:
    assert render((BOX, (0, 0, 5), (1, 1, 1)))[32, 32] == pytest.approx(4, rel=1e-4)
    assert render((CYLINDER, (0, 0, 5), (0.5, 3, 0.5)))[32, 32] == pytest.approx(4.5, rel=1e-4)
    np.testing.assert_allclose(render((HALL, (0, 0, 0), (9, 9, 4))), 4, rtol=1e-4)


def test_what_is_in_front_hides_what_is_behind() -> None:
    z = render((HALL, (0, 0, 0), (9, 9, 8)), (ELLIPSOID, (0, 0, 6), (1, 1, 1)),
               (BOX, (0, 0, 3), (0.2, 0.2, 0.2)))  # fmt: skip
    assert z[32, 32] == pytest.approx(2.8, rel=1e-4)
    assert z[32, 27] == pytest.approx(5.05, abs=0.1)
    assert z[32, 2] == pytest.approx(8, rel=1e-4)


def test_rooms_come_with_inverse_depth(photographs: Photographs) -> None:
    rooms, rng = Rooms(3, photographs, 0), np.random.default_rng(0)
    for _ in range(6):
        sample = rooms.draw(rng, SIZE)
        assert sample.picture.shape == (*SIZE, 3)
        assert np.isfinite(sample.inverse_depth).all()
        assert sample.inverse_depth.min() >= 0
        assert not sample.absolute


def test_photographs_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Photographs([tmp_path], "train")


def slope_with_a_thing_in_front(sigma: float) -> np.ndarray:
    """8 bits: a floor that comes nearer, and before it a disc of 160, blurred."""
    y, x = np.mgrid[:256, :320]
    floor = 20 + 180 * y / 255.0
    thing = np.where((x - 160) ** 2 + (y - 70) ** 2 < 50**2, 160.0, floor)
    return cv2.GaussianBlur(thing, (0, 0), sigma).round().astype(np.uint8)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 3.5])
def test_soft_edges_become_steps_where_they_were(sigma: float) -> None:
    sharp, soft = slope_with_a_thing_in_front(0.01), slope_with_a_thing_in_front(sigma)
    made = crisp(soft).astype(int)
    assert np.abs(made - sharp).mean() < 0.5 * np.abs(soft.astype(int) - sharp).mean()
    across = made[70, 90:160]  # from the floor into the disc
    assert np.abs(np.diff(across)).max() > 0.7 * (int(sharp[70, 160]) - int(sharp[70, 90]))
    assert abs(int(np.abs(np.diff(across)).argmax()) + 90 - 110) <= 1


def test_slopes_stay_slopes() -> None:
    y, x = np.mgrid[:256, :320]
    for slope in (255 * y / 255, 120 + 0.4 * x * y / 255, 255 * (y / 255) ** 3):
        label = slope.round().astype(np.uint8)
        np.testing.assert_array_equal(crisp(label)[20:-20, 20:-20], label[20:-20, 20:-20])


def test_labels_are_made_crisp_on_demand(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path)
    soft = cv2.resize(slope_with_a_thing_in_front(3.0), (128, 192))
    cv2.imwrite(str(folder / "labels" / "0.jpg"), soft, [cv2.IMWRITE_JPEG_QUALITY, 100])
    plain, stepped = (
        Photographs([folder], "train", steps=steps).whole(0).inverse_depth
        for steps in (False, True)
    )
    assert np.abs(np.diff(stepped)).max() > 2 * np.abs(np.diff(plain)).max()
    assert np.abs(stepped - plain).mean() < 0.02


class TestLabels:
    """A teacher whose answer is known: how red a picture is, at the scale and shift of its run."""

    @pytest.fixture
    def picture(self) -> np.ndarray:
        rng = np.random.default_rng(1)
        rough = rng.integers(0, 256, (12, 18, 3), np.uint8)
        grain = rng.integers(-20, 20, (256, 384, 3))
        smooth = cv2.resize(rough, (384, 256), interpolation=cv2.INTER_NEAREST).astype(int)
        return np.clip(smooth + grain, 0, 255).astype(np.uint8)

    def test_scale_and_shift_of_runs_do_not_matter(self, picture: np.ndarray) -> None:
        runs = iter([(1, 0), (3, 5), (0.5, 1), (2, -9), (1, 1), (7, 0)])

        def teacher(seen: np.ndarray) -> np.ndarray:
            scale, shift = next(runs)
            return (scale * cv2.GaussianBlur(seen[..., 0] / 255, (0, 0), 4) + shift).astype("f4")

        label, confidence, spread = make_label(picture, teacher)
        true = cv2.GaussianBlur(picture[..., 0] / 255, (0, 0), 4)
        assert np.corrcoef(label.ravel(), true.ravel())[0, 1] > 0.97
        assert confidence.mean() > 0.75
        assert spread == pytest.approx(np.subtract(*np.percentile(true, (97.5, 2.5))), rel=0.1)

    def test_what_runs_disagree_about_is_not_believed(self, picture: np.ndarray) -> None:
        rng = np.random.default_rng(2)

        def teacher(seen: np.ndarray) -> np.ndarray:
            depth = cv2.GaussianBlur(seen[..., 0] / 255, (0, 0), 4)
            middle = seen.shape[1] // 2
            depth[:, :middle] += 0.5 * rng.normal(size=depth[:, :middle].shape)
            return depth.astype(np.float32)

        confidence = make_label(picture, teacher)[1]
        # half of the runs are mirrored, and so every side is disturbed in some of them
        assert confidence.mean() < 0.5

    def test_what_is_stored_can_be_trained_on(self, picture: np.ndarray, tmp_path: Path) -> None:
        for part in ("images", "labels", "conf"):
            (tmp_path / part).mkdir()
        label = np.linspace(0.5, 2.5, picture[..., 0].size, dtype=np.float32).reshape(256, 384)
        confidence = np.full((256, 384), 0.5, np.float32)
        numbers = store(tmp_path, "src_000007.jpg", picture, label, confidence)
        index = {"name": "src_000007.jpg", **numbers}
        lines = [",".join(index), ",".join(map(str, index.values()))]
        (tmp_path / "index.csv").write_text("\n".join(lines))
        sample = Photographs([tmp_path], "train").whole(0)
        np.testing.assert_allclose(sample.inverse_depth, label, atol=0.03)
        np.testing.assert_allclose(sample.confidence, 0.2 + 0.8 * 0.5, atol=0.01)
        assert cv2.PSNR(sample.picture, picture) > 20

    def test_what_is_suitable(self, picture: np.ndarray) -> None:
        assert flaw(picture) == ""
        assert flaw(np.repeat(picture[..., :1], 3, axis=2)) == "grey or of one hue"
        assert flaw(cv2.GaussianBlur(picture, (0, 0), 6)) == "blurred"
        assert flaw(picture // 8) in ("dark", "on black", "flat", "grey or of one hue")
        framed = cv2.copyMakeBorder(picture, 40, 40, 0, 0, cv2.BORDER_CONSTANT)
        kept = fitted(framed)
        assert kept is not None
        assert min(kept.shape[:2]) == 256
        assert kept[0].mean() > 60  # the bars are gone
        assert fitted(picture[:100]) is None

    def test_near_duplicates(self, picture: np.ndarray) -> None:
        seen = Seen()
        assert seen.add(picture)
        smaller = cv2.resize(picture, (300, 200), interpolation=cv2.INTER_AREA)
        assert not seen.add(smaller)
        assert not seen.add(np.ascontiguousarray(smaller[:, ::-1]))
        assert seen.add(np.ascontiguousarray(picture[::-1]))
