"""Addresses of streams."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from rtfocus.errors import UsageError

_NOT_BUILT_IN = ("srt", "rist")


def is_address(name: str) -> bool:
    """Whether an input or output is named by a URL."""
    return "://" in name


def for_ffmpeg(name: str) -> str:
    """An address, or a file's name as FFmpeg takes it for one even if a colon is in it."""
    return name if is_address(name) else os.path.abspath(name)


def check_address(url: str, schemes: tuple[str, ...]) -> str:
    """The scheme of a URL, lower case.

    Raises:
        UsageError: none of `schemes`, or a URL without a host or port where one is needed.
    """
    scheme = url.partition("://")[0].lower()
    if scheme in _NOT_BUILT_IN:
        raise UsageError(
            f"{shown(url)!r}: {scheme} is not built in. Let ffmpeg relay it, as in: ffmpeg "
            f"-i {scheme}://... -c copy -f mpegts udp://127.0.0.1:5000 (or the other way round), "
            "and give udp://127.0.0.1:5000 here."
        )
    if scheme not in schemes:
        raise UsageError(f"{shown(url)!r}: {scheme}:// is not known; use {', '.join(schemes)}.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{shown(url)!r} is no address: {error}.") from error
    if scheme in ("udp", "tcp") and port is None:
        raise UsageError(f"{shown(url)!r} lacks a port, as in {scheme}://127.0.0.1:5000.")
    if scheme != "udp" and not host:
        raise UsageError(f"{shown(url)!r} lacks a host, as in {scheme}://127.0.0.1/live.")
    return scheme


def shown(name: str) -> str:
    """The name of an input or output without what a URL has that is secret.

    That is the password, and the stream key of rtmp.
    """
    if not is_address(name):
        return name
    scheme, _, rest = name.partition("://")
    place, slash, path = rest.partition("/")
    if "@" in place:
        user, _, host = place.rpartition("@")
        place = f"{user.partition(':')[0]}:***@{host}" if ":" in user else place
    if scheme.lower().startswith("rtmp") and "/" in path:
        path = f"{path.rpartition('/')[0]}/***"
    return f"{scheme}://{place}{slash}{path}"
