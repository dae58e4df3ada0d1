"""A reader in a thread of its own, of which whoever iterates gets the newest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace

from rtfocus.errors import InputError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.newest import Closed, Newest
from rtfocus.readers.base import Reader

_REPEAT_S = 0.2
"""How often the last picture is given again while the source is lost."""

_JOIN_S = 1.0


class Capture(Reader):
    """Decouples a reader that has its own pace from whoever takes its frames.

    Frames that come faster than they are taken are dropped, the newest wins. When none has come for
    a while, the last is given again and again with `lost` set, so that all that hangs on the frames
    goes on; times that are made up for that may delay those of later frames. Opening, iterating and
    closing end in good time even where the source hangs: its thread is then left to end by itself.
    """

    def __init__(
        self,
        source: str,
        open_source: Callable[[], Reader],
        *,
        hold: float | None = None,
        start_timeout: float = 15.0,
    ) -> None:
        """Open the source in a thread and wait until that is done.

        Args:
            source: as messages name it.
            open_source: opens the reader whose frames are taken; called in the thread.
            hold: seconds without a frame after which the source counts as lost; None: never.
            start_timeout: seconds to wait for the source to open.

        Raises:
            InputError: it did not open in that time.
            RtfocusError: of `open_source`.
        """
        self._open, self._hold = open_source, hold
        self._slot: Newest[Frame] = Newest()
        self._closed = threading.Event()
        self._lost = False
        self._opened: Future[Reader] = Future()
        self._thread = threading.Thread(target=self._run, name="rtfocus-capture", daemon=True)
        self._thread.start()
        try:
            self._info = self._opened.result(start_timeout).info
        except TimeoutError as error:
            raise InputError(
                f"{source!r} gave no picture within {start_timeout:g} s. Check that the device or "
                "sender is running and the address is right."
            ) from error
        finally:
            if not self._opened.done() or self._opened.exception() is not None:
                self._closed.set()

    @property
    def info(self) -> StreamInfo:
        """What is known before the first frame."""
        return self._info

    @property
    def drops(self) -> int:
        """Frames that nobody took."""
        return self._slot.drops

    @property
    def lost(self) -> bool:
        """Whether the source is lost at present; only told to whoever iterates."""
        return self._lost

    def __iter__(self) -> Iterator[Frame]:
        """The newest frame each time; what ended the reader is raised after its last frame."""
        last: Frame | None = None
        since, pts, index = 0.0, -1, 0
        while True:
            try:
                frame = self._slot.get(_REPEAT_S if self._lost else self._hold)
            except Closed:
                return
            except TimeoutError:
                if last is None:
                    continue
                self._lost = True
                frame = replace(last, captured=None, lost=True, pts=_now(last, since))
            else:
                self._lost = False
                last, since = frame, time.monotonic()
            # Only times that were made up can be ahead of the source's; a player's may go back.
            pts = frame.pts if self._hold is None else max(frame.pts, pts + 1)
            yield replace(frame, index=index, pts=pts)
            index += 1

    def close(self) -> None:
        """End the iteration and the thread; waits a second for it at most."""
        self._closed.set()
        self._slot.close()
        self._opened.result().close()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            reader = self._open()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(reader)
        ended: BaseException | None = None
        try:
            for frame in reader:
                if self._closed.is_set():
                    break
                self._slot.put(frame)
        except BaseException as raised:  # whatever it is, the taker must not wait for ever
            ended = raised
        finally:
            reader.close()
            self._slot.close(ended)


def _now(last: Frame, since: float) -> int:
    """The pts of a frame that is shown again now, having come at `since`."""
    return last.pts + round((time.monotonic() - since) / last.time_base)
