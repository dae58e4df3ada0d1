"""Mixes photographs, composites and rooms into batches, each a function of its number alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from augment import another_camera, another_frame
from composites import Composites
from photographs import Photographs
from rooms import Rooms
from samples import Sample
from stages import Stage


@dataclass(slots=True)
class Batch:
    """(n, c, h, w) float32 each; the last `pairs` are second frames of the first `pairs`."""

    pictures: Tensor
    inverse_depth: Tensor
    confidence: Tensor
    edges: Tensor
    static: Tensor
    absolute: Tensor  # (n,)
    theta: Tensor  # (pairs, 2, 3)

    @property
    def pairs(self) -> int:
        """How many scenes are seen twice."""
        return len(self.theta)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))

    def reduced(self, times: int) -> Batch:
        """Maps of means over squares, in which no edge weighs more than what is flat."""
        depth, confidence, static = (
            functional.avg_pool2d(x, times)
            for x in (self.inverse_depth, self.confidence, self.static)
        )
        still = (static > 0.99).float()
        return replace(
            self, inverse_depth=depth, confidence=confidence, edges=confidence, static=still
        )


class Mixer:
    """Makes batch after batch."""

    def __init__(
        self, photographs: Photographs, rooms: Rooms, stage: Stage, seed: int, batch: int
    ) -> None:
        self._stage = stage
        self._photographs, self._composites = photographs, Composites(photographs)
        self._rooms, self._seed = rooms, seed
        self._pairs = max(1, batch * 3 // 16)
        self._firsts = batch - self._pairs

    def make(self, step: int) -> Batch:
        """Batch number `step`, the same whenever it is made."""
        rng = np.random.default_rng((self._seed, step))
        size = self._stage.sizes[rng.integers(len(self._stage.sizes))]
        firsts, seconds, thetas = [], [], []
        for i in range(self._firsts):
            first, again = self._draw(rng, size)
            firsts.append(first)
            if i < self._pairs:
                second, theta = another_frame(rng, again)
                seconds.append(second)
                thetas.append(theta)
        samples = firsts + seconds
        pictures = np.stack([another_camera(rng, s.picture) for s in samples])
        depth, confidence, edges, static = (
            torch.from_numpy(np.stack(maps)[:, None])
            for maps in zip(*(s.maps for s in samples), strict=True)
        )
        return Batch(
            pictures=torch.from_numpy(pictures).permute(0, 3, 1, 2).float(),
            inverse_depth=depth,
            confidence=confidence,
            edges=edges,
            static=static,
            absolute=torch.tensor([float(s.absolute) for s in samples]),
            theta=torch.from_numpy(np.stack(thetas)),
        )

    def _draw(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Sample, Sample]:
        """A frame, and what the next one is made of."""
        kind = rng.choice(3, p=self._stage.shares)
        if kind == 1:
            return self._composites.draw_pair(rng, size)
        sample = (self._rooms if kind == 2 else self._photographs).draw(rng, size)
        return sample, sample
