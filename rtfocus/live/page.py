"""The browser page of a live run: what it shows, and what it may ask for beside controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtfocus.errors import UsageError
from rtfocus.focus.steering import Steering, open_detector
from rtfocus.frame import StreamInfo
from rtfocus.live.control import Control
from rtfocus.pipeline import Job
from rtfocus.server.feed import Feed
from rtfocus.server.media import Media
from rtfocus.server.server import Server
from rtfocus.settings import Settings
from rtfocus.state import to_settings
from rtfocus.writers import can_write

if TYPE_CHECKING:
    from rtfocus.server.rendering import RenderTask

_LOCAL = "127.0.0.1"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of [HOST:]PORT; an IPv6 address stands in brackets.

    Raises:
        UsageError: it is not of that form.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not int(port) < 1 << 16:
        raise UsageError(
            f"--serve {text!r}: must be a port, such as 8080, or HOST:PORT, such as 0.0.0.0:8080"
        )
    return host.removeprefix("[").removesuffix("]") or _LOCAL, int(port)


def make_server(
    control: Control,
    feed: Feed,
    settings: Settings,
    open_file: Callable[[Path], None],
    playing: Callable[[], tuple[str, Settings]],
) -> Server:
    """The server of the page that the settings ask for.

    Args:
        control: what the page changes.
        feed: what it shows.
        settings: of the run.
        open_file: shows another file of the media folder.
        playing: the source that is shown, which the page may have rendered if it is a file, and
            the settings that go with it.

    Raises:
        RtfocusError: the address or the folder is not usable, or the extra is not installed.
    """
    assert settings.serve is not None
    host, port = parse_address(settings.serve)
    media = None if settings.media is None else Media(Path(settings.media), open_file)

    def render(task: RenderTask) -> str:
        if feed.source.kind != "file":
            raise UsageError("what is live cannot be rendered: record it with -o FILE instead")
        return render_file(*playing(), task)

    return Server(control, feed, host=host, port=port, media=media, render=render)


def render_file(source: str, settings: Settings, task: RenderTask) -> str:
    """Render a file as the page shows it, beside the file; see `rtfocus.server.rendering.Render`.

    Args:
        source: the file.
        settings: of the run, for what the page does not change.
        task: what it does.
    """
    # A file that is rendered can wait for its best; what the run records is not its business.
    base = replace(settings, quality=None, save_depth=None)
    wished = to_settings(replace(task.state, view=settings.view), base)
    output = _free_name(source)
    job = Job(source, [str(output)], wished, steering=Steering(task.state, open_detector(settings)))

    def on_frame(done: int, info: StreamInfo) -> None:
        task.report(done / info.frames if info.frames else 0.0)
        if task.cancelled:
            job.stop()

    try:
        job.run(on_frame)
    except KeyboardInterrupt:
        output.unlink(missing_ok=True)
        return ""
    return output.name


def _free_name(source: str) -> Path:
    """Where to render to: beside the source, under a name that nothing has yet, in its format."""
    path = Path(source)
    folder, stem = (path.parent, path.stem) if path.exists() else (Path(), "pattern")
    suffix = path.suffix.lower() if can_write(path) else ".mp4"
    names = (f"{stem}.refocused{'' if n == 1 else f'-{n}'}{suffix}" for n in range(1, 10_000))
    return next(folder / name for name in names if not (folder / name).exists())
