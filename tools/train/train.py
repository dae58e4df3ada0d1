"""Train the depth network.

    python tools/train/train.py ../shared/distill --out runs/a --steps 6000

The same command goes on where the last one stopped, with another `--steps` too: the learning rate
stays up and comes down over the last `--cooldown` of the steps, whenever they are. Everything drawn
at random depends on `--seed` and the step alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from batches import Batch, Mixer
from depthwise import widen_gradients
from export import load
from losses import (
    PENALTIES,
    consistency,
    gradient_matching,
    normalised,
    scale_shift_invariant,
)  # fmt: skip
from network import CELL, SmallDPT
from photographs import Photographs
from rooms import Rooms
from stages import STAGES
from stereo import Pairs, StereoLoss

_ABSOLUTE, _CONSISTENCY, _STEREO = 0.3, 0.3, 1.0
_WARMUP = 100
_REPORT, _SAVE, _VALIDATE = 50, 250, 500


def main() -> None:
    """Train, from the start or from the last checkpoint."""
    options = _parse()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "options.json").write_text(json.dumps(vars(options), default=str, indent=1))
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    stage = STAGES[options.stage]
    photographs = Photographs(options.data, "train", least_crop=stage.least_crop, steps=stage.steps)
    validation = Photographs(options.data, "val")
    rooms = Rooms(options.rooms, photographs, options.seed)
    mixer = Mixer(photographs, rooms, stage, options.seed, options.batch)
    trainer = Trainer(options, device)
    trainer.resume()
    log = _Log(options.out / "log.csv", trainer.step)
    start, first = time.monotonic(), trainer.step
    with ThreadPoolExecutor(1) as ahead:
        for batch in _prefetch(ahead, mixer, first, options.steps):
            losses = trainer.train_step(batch.to(device))
            done = trainer.step
            if done % _VALIDATE == 0 or done == options.steps:
                losses["val_error"] = validate(trainer.average, validation, device)
            losses["images_per_second"] = (
                options.batch * (done - first) / (time.monotonic() - start)
            )
            log.add(done, losses)
            if done % _SAVE == 0 or done == options.steps:
                trainer.save()


class Trainer:
    """The network, its running average, the optimiser, and the step they are at."""

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        self.step = 0
        self._options, self._device = options, device
        self._cooling = max(1, round(options.steps * options.cooldown))
        self._stage = STAGES[options.stage]
        self.network = _first(options.start).to(device, memory_format=torch.channels_last)
        if options.bfloat16 and device.type == "cpu":
            widen_gradients(self.network)
        if self._stage.coarse:
            self.network.freeze_fine()
        self.average = AveragedModel(self.network, avg_fn=_blend, use_buffers=True)
        self._pairs = Pairs(options.stereo) if options.stereo else None
        self._stereo = StereoLoss().to(device)
        learning = [p for p in self.network.parameters() if p.requires_grad]
        known = set(map(id, self.network.backbone.parameters()))
        backbone = [p for p in learning if id(p) in known]
        others = [p for p in learning if id(p) not in known]
        others += self._stereo.parameters()
        self._optimiser = torch.optim.AdamW(
            [
                {"params": backbone, "share": self._stage.backbone},
                {"params": others, "share": 1.0},
            ],
            weight_decay=0.02,
        )

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; the losses by name."""
        self.network.train()
        for group in self._optimiser.param_groups:
            group["lr"] = group["share"] * self._rate()
        prediction = self._predict(batch.pictures)
        terms = self._terms(prediction, batch)
        loss = torch.stack(list(terms.values())).sum()
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}

    def _predict(self, pictures: Tensor) -> Tensor:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._options.bfloat16):
            see = self.network.coarse if self._stage.coarse else self.network
            prediction: Tensor = see(pictures)
        return prediction.float()

    def _terms(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        penalty, stage = PENALTIES[self._options.penalty], self._stage
        if stage.coarse:
            batch = batch.reduced(CELL)
        target = batch.inverse_depth
        residual = normalised(prediction) - normalised(target)
        spread = (target - target.mean(dim=(2, 3), keepdim=True)).abs().mean(dim=(2, 3))
        off = (batch.confidence * (prediction - target).abs()).mean(dim=(2, 3)) / (spread + 0.02)
        cooling = self.step >= self._options.steps - self._cooling
        steep = stage.label_edges[cooling] * batch.confidence
        edges = torch.where(batch.edges == 0, steep, batch.edges)
        firsts, seconds = prediction[: batch.pairs], prediction[-batch.pairs :]
        terms = {
            "ssi": stage.error * scale_shift_invariant(residual, batch.confidence, penalty),
            "gradient": stage.gradient[cooling]
            * gradient_matching(residual, batch.confidence, edges),
            "absolute": _ABSOLUTE * (off[:, 0] * batch.absolute).mean(),
            "consistency": _CONSISTENCY
            * consistency(firsts, seconds, batch.theta, batch.static[-batch.pairs :]),
        }
        if self._pairs:
            rng = np.random.default_rng((self._options.seed, self.step, 1))
            left, right = self._pairs.draw(rng, tuple(batch.pictures.shape[-2:]))
            both = torch.cat((left, right)).to(self._device)
            at_left, at_right = self._predict(both).chunk(2)
            terms["stereo"] = _STEREO * self._stereo(*both.chunk(2), at_left, at_right)
        return terms

    def _rate(self) -> float:
        """Up in the first steps, level, and down in the last."""
        options = self._options
        left = (options.steps - self.step) / self._cooling
        return float(self._stage.rate * min(1.0, (self.step + 1) / _WARMUP, max(left, 0.01)))

    def _state(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "network": self.network,
            "average": self.average,
            "stereo": self._stereo,
            "optimiser": self._optimiser,
        }

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        path = self._options.out / "checkpoint.pt"
        state = {name: part.state_dict() for name, part in self._state().items()}
        torch.save({"step": self.step, **state}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self) -> None:
        """Go on from the last checkpoint, where there is one."""
        path = self._options.out / "checkpoint.pt"
        if path.is_file():
            saved = torch.load(path, map_location=self._device, weights_only=True)
            self.step = saved["step"]
            for name, part in self._state().items():
                part.load_state_dict(saved[name])


def _blend(average: Tensor, now: Tensor, seen: Tensor | int) -> Tensor:
    """The running average of weights after one more step; it soon forgets where they started."""
    if not average.is_floating_point():
        return now
    return average + (now - average) * max(0.001, 1 / (0.1 * float(seen) + 1))


def _first(start: Path | None) -> SmallDPT:
    if start is None:
        network = SmallDPT()
        network.backbone.load_imagenet()
        return network
    network = load(start)
    network.fold()
    return network


@torch.no_grad()
def validate(network: nn.Module, photographs: Photographs, device: torch.device) -> float:
    """Mean error on whole photographs after least-squares scale and shift; label range 0..1."""
    network.eval()
    errors = []
    for index in range(len(photographs)):
        sample = photographs.whole(index)
        picture = torch.from_numpy(sample.picture).permute(2, 0, 1)[None].float().to(device)
        x = network(picture)[0, 0].cpu().numpy().ravel().astype(np.float64)
        y, weight = sample.inverse_depth.ravel(), np.sqrt(sample.confidence.ravel())
        columns = np.stack((x, np.ones_like(x)), axis=1)
        fit, *_ = np.linalg.lstsq(columns * weight[:, None], y * weight, rcond=None)
        errors.append(np.abs(columns @ fit - y).mean() / np.ptp(y))
    return float(np.mean(errors))


def _prefetch(ahead: ThreadPoolExecutor, mixer: Mixer, first: int, last: int) -> Iterator[Batch]:
    """Batches first..last-1; two are under way while one is used."""
    waiting = [ahead.submit(mixer.make, step) for step in range(first, min(first + 2, last))]
    for step in range(first, last):
        batch = waiting.pop(0).result()
        if step + 2 < last:
            waiting.append(ahead.submit(mixer.make, step + 2))
        yield batch


class _Log:
    """Mean losses of every few steps, as CSV and on the screen."""

    _COLUMNS = ("step", "loss", "ssi", "gradient", "absolute", "consistency", "stereo",
                "images_per_second", "val_error")  # fmt: skip

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._sums: dict[str, list[float]] = {}
        rows = list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._COLUMNS)
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"]) <= step)

    def add(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._sums.setdefault(name, []).append(value)
        if step % _REPORT:
            return
        row = {name: f"{np.mean(v):.4f}" for name, v in self._sums.items()}
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._COLUMNS).writerow({"step": step, **row})
        print(step, *(f"{name} {value}" for name, value in row.items()), flush=True)
        self._sums.clear()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="folders of photographs with labels (photographs.py)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument(
        "--start",
        type=Path,
        help="first weights: a checkpoint, or an exported network; without batch normalisation",
    )
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--cooldown", type=float, default=0.3, help="share of the steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--stage", choices=list(STAGES), default="shapes", help="stages.py")
    parser.add_argument("--rooms", type=int, default=1500, help="rooms and streets to render")
    parser.add_argument("--penalty", choices=sorted(PENALTIES), default="absolute")
    parser.add_argument("--stereo", type=Path, help="stereo pairs to train on too (stereo.py)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--bfloat16", action="store_true", help="for GPUs, and CPUs that have AMX (others crawl)"
    )
    options = parser.parse_args()
    if options.stereo and STAGES[options.stage].coarse:
        parser.error(f"--stereo compares pictures at full size, --stage {options.stage} has none")
    return options


if __name__ == "__main__":
    main()
