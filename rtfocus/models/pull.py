"""Fetch a published network: resumed where it broke off, verified, whole or not at all."""

from __future__ import annotations

import http.client
import itertools
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from rtfocus.errors import ModelError, OutputError, RtfocusError
from rtfocus.models.registry import Published, check_digest, digest_of

Progress = Callable[[int, int | None], None]

_BLOCK = 1 << 18
_SILENCE_S = 30.0
_ATTEMPTS = 4
_BROKEN = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


def pull(
    network: Published,
    *,
    accept_license: bool = False,
    on_progress: Progress = lambda _, __: None,
) -> Path:
    """Bring a network and its card into the cache folder.

    Proxies are those of the environment (`https_proxy`). A file that was put there by hand is
    verified and kept. A network without a known digest is pinned: from then on its file must stay
    the same.

    Args:
        network: which.
        accept_license: its licence is accepted; needed where that forbids commercial use.
        on_progress: called with the bytes that are there and how many there will be, if known.

    Returns:
        The ONNX file.

    Raises:
        ModelError: refused for its licence, not to be had, or not the file it should be.
        OutputError: it cannot be written.
    """
    if network.non_commercial and not accept_license:
        raise ModelError(
            f"the weights of {network.name!r} are under {network.license}, which forbids "
            "commercial use. If that suits you, pull it with --accept-license."
        )
    path = network.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            _fetch(network, path.with_suffix(".part"), on_progress)
        digest = check_digest(network)
        network.pin.write_text(digest + "\n", encoding="ascii")
        path.with_suffix(".toml").write_text(network.full_card(), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{str(error.filename or path.parent)!r} cannot be written: {error.strerror or error}. "
            f"{network.name!r} needs {network.megabytes} MB there."
        ) from error
    return path


def _fetch(network: Published, part: Path, on_progress: Progress) -> None:
    """Download into `part`, as often as it breaks off and goes on, then give it its name."""
    for attempt in itertools.count(1):
        before = _size(part)
        try:
            _download(network, part, on_progress)
            break
        except urllib.error.HTTPError as error:
            with error:
                if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                    raise _refused(network, error) from error
            if error.headers.get("Content-Range") == f"bytes */{before}":
                break  # interrupted after its last byte
            part.unlink()
        except _BROKEN as error:
            if _size(part) == before or attempt >= _ATTEMPTS:
                raise _unreachable(network, part, error) from error
    expected, digest = network.expected(), digest_of(part)
    if expected is not None and digest != expected:
        part.unlink()
        _tag(part).unlink(missing_ok=True)
        raise ModelError(
            f"what {network.url} gives is not {network.name!r}: its SHA-256 is {digest}, wanted is "
            f"{expected}. It was deleted. Try again later; if it stays so, the file there has "
            "changed or something on the way changes it."
        )
    part.replace(network.path)
    _tag(part).unlink(missing_ok=True)


def _download(network: Published, part: Path, on_progress: Progress) -> None:
    """One request for what is still missing."""
    done = _size(part)
    request = urllib.request.Request(network.url, headers={"User-Agent": "rtfocus"})
    if done and _tag(part).is_file():
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", _tag(part).read_text(encoding="utf-8"))
    opener = urllib.request.build_opener()  # knows the proxies of the environment
    with opener.open(request, timeout=_SILENCE_S) as answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            done = 0  # from the start: nothing to go on with, or the file there is another now
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        length = answer.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        _check_room(network, part, total, done)
        _remember(part, tag)
        with part.open("ab" if done else "wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                on_progress(done, total)
    if total is not None and done < total:
        raise http.client.IncompleteRead(b"", total - done)


def _check_room(network: Published, part: Path, total: int | None, done: int) -> None:
    wanted = (total or network.megabytes * 1_000_000) - done
    free = shutil.disk_usage(part.parent).free
    if wanted > free:
        raise OutputError(
            f"{network.name!r} needs {wanted // 1_000_000} MB more in {str(part.parent)!r}, and "
            f"{free // 1_000_000} MB are free. Make room, or set XDG_CACHE_HOME to another disk."
        )


def _remember(part: Path, tag: str | None) -> None:
    """Keep what tells this file from a later one at the same address, to go on with it."""
    if tag is None or tag.startswith("W/"):
        _tag(part).unlink(missing_ok=True)
    else:
        _tag(part).write_text(tag, encoding="utf-8")


def _tag(part: Path) -> Path:
    return part.with_suffix(".part.tag")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _refused(network: Published, error: urllib.error.HTTPError) -> RtfocusError:
    return ModelError(
        f"{network.url} answers {error.code} {error.reason}. The file may have moved: look for "
        f"{network.name!r} there with a browser, save it as {str(network.path)!r} and run "
        f"`rtfocus models pull {network.name}` again, which checks it."
    )


def _unreachable(network: Published, part: Path, error: Exception) -> RtfocusError:
    why = error.reason if isinstance(error, urllib.error.URLError) else error
    kept = f" {_size(part) / 1e6:.0f} MB are kept for the next time." if _size(part) else ""
    return ModelError(
        f"{network.name!r} could not be fetched whole: {why}.{kept} On a machine without internet, "
        f"fetch {network.url} elsewhere, save it as {str(network.path)!r} and run `rtfocus models "
        f"pull {network.name}` again, which checks it."
    )
