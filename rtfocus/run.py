"""A run, whatever its input and outputs are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rtfocus.errors import UsageError
from rtfocus.live.job import LiveJob, is_live_source, is_watched
from rtfocus.pipeline import Job, Summary
from rtfocus.readers.address import shown
from rtfocus.readers.stream import is_clip, is_web, open_address
from rtfocus.settings import Settings


def open_job(
    source: str,
    outputs: Sequence[str],
    settings: Settings,
    *,
    overwrite: bool = False,
    announce: Callable[[str], None] = print,
) -> Job | LiveJob:
    """The job that suits: every frame of a file, or the newest of what is live or watched.

    Args:
        source: the input, as on the command line.
        outputs: likewise.
        settings: what to do.
        overwrite: replace outputs that exist.
        announce: told the address of the page, if there is one.

    Raises:
        RtfocusError: an output makes no sense, or nobody answers at an http(s) address.
    """
    live = partial(LiveJob, source, outputs, settings, overwrite=overwrite, announce=announce)
    if is_watched(outputs, settings) or (is_live_source(source) and not is_web(source)):
        return live()
    job = Job(source, outputs, settings, overwrite=overwrite)  # which looks at the outputs first
    if is_web(source):
        first = open_address(source)
        if not is_clip(first):
            return live(first=first)
        first.close()
    if settings.record_original is not None:
        raise UsageError(
            f"--record-original keeps what is live; {shown(source)!r} is there already. Leave it "
            "out."
        )
    return job


def refocus(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    overwrite: bool = False,
    **options: Any,
) -> Summary:
    """Refocus a video, an image or a directory of images.

    Args:
        source: the input, as on the command line: a file, a directory of images, or "pattern".
        output: a video or image file, or a directory ending in "/"; or several of them.
        overwrite: replace outputs that exist.
        **options: see `rtfocus.Settings`, for example focus=(0.3, 0.5), f_number=1.4.

    Raises:
        RtfocusError: see `rtfocus.errors`; nothing appears under the output's name then, except
            after `InputCutShort`, when what was read until there is kept.
    """
    several = (output,) if isinstance(output, str | os.PathLike) else output
    outputs = [os.fspath(each) for each in several]
    settings = Settings.create(**options)
    return open_job(os.fspath(source), outputs, settings, overwrite=overwrite).run()
