"""Sequences of kernels that the GPU replays as one: launching each costs more than many take."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from rtfocus.cuda.gpu import Gpu

_KEPT = 64


class Graphs:
    """CUDA graphs of one stage, by what their kernels were given.

    The first time work is simply done, which loads what it needs; when the same comes again it is
    captured, and from then on replayed. Memory comes from a pool and so has few addresses.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._graphs: OrderedDict[Hashable, Any] = OrderedDict()

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Do the work.

        Args:
            key: all that differs from call to call: addresses and numbers.
            work: only fills arrays and launches kernels.
        """
        if key not in self._graphs:
            work()
            self._graphs[key] = None
        else:
            if self._graphs[key] is None:
                self._graphs[key] = self._gpu.capture(work)
            self._gpu.replay(self._graphs[key])
        self._graphs.move_to_end(key)
        if len(self._graphs) > _KEPT:
            self._graphs.popitem(last=False)
