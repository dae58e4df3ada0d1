"""Starts and stops the server, in a thread of its own."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from rtfocus.errors import InputError, OutputError, UnavailableError, UsageError
from rtfocus.live.control import Control
from rtfocus.server.feed import Feed

if TYPE_CHECKING:
    import uvicorn

    from rtfocus.server.media import Media
    from rtfocus.server.rendering import Render

MAX_CONNECTIONS = 200
"""Of all kinds; more are answered 503, so that connections cannot use up the file descriptors."""

START_TIMEOUT = 10.0


class Server:
    """The browser page on one address.

    with Server(control, feed, port=8080) as server:
        print(server.url)
        for frame in frames:
            feed.publish(image, info)
    """

    def __init__(
        self,
        control: Control,
        feed: Feed,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        token: str | None = None,
        media: Media | None = None,
        render: Render | None = None,
    ) -> None:
        """Args: see below.

        Args:
            control: what the page changes.
            feed: what it shows.
            host: address to bind; any but a loopback address needs a token to use.
            port: to bind; 0 takes a free one.
            token: for other machines; default: a new one.
            media: files that the page may open.
            render: renders a file with the page's settings; None hides the button.

        Raises:
            UnavailableError: the extra `serve` is not installed.
            UsageError: the port is no port, or the token is too short.
        """
        _require_extra()
        from rtfocus.server.security import is_loopback

        if not 0 <= port <= 65535:
            raise UsageError(f"port {port}: must be 0 (any that is free) to 65535")
        if token is not None and len(token) < 16:
            raise UsageError("the token is too short: give 16 characters or more, or none")
        self._control, self._feed, self._host, self._port = control, feed, host, port
        self._media, self._render = media, render
        self._token = None if is_loopback(host) else token or secrets.token_urlsafe(24)
        self._stop: Callable[[], None] | None = None
        self._bound: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._failure = f"it was not ready within {START_TIMEOUT:g} s"

    @property
    def port(self) -> int:
        """The port; once started, the one that was taken."""
        return self._port

    @property
    def url(self) -> str:
        """Where the page is, with the token where it needs one: for the user's eyes only."""
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(
            self._host, self._host
        )
        host = f"[{host}]" if ":" in host else host
        query = "" if self._token is None else f"?token={self._token}"
        return f"http://{host}:{self._port}/{query}"

    def bind(self) -> None:
        """Take the address, to serve there later.

        Raises:
            OutputError: the address cannot be bound.
            UsageError: it is no address of this machine.
        """
        self._bound = _bind(self._host, self._port)
        self._port = self._bound.getsockname()[1]

    def start(self) -> None:
        """Serve; errors as `bind`, which is done here where it was not yet.

        Raises:
            InputError: the folder of media cannot be read.
            OutputError: the server does not start.
        """
        import uvicorn

        from rtfocus.server.app import Site
        from rtfocus.server.patience import ImpatientProtocol
        from rtfocus.server.security import Hosts, Token

        if self._bound is None:
            self.bind()
        token = None if self._token is None else Token(self._token, self._port)
        try:
            site = Site(
                self._control,
                self._feed,
                Hosts(self._host),
                token=token,
                media=self._media,
                render=self._render,
            )
        except InputError:
            self.stop()
            raise
        config = uvicorn.Config(
            site.app,
            http=ImpatientProtocol,
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            ws_per_message_deflate=False,  # JPEG does not get smaller
            lifespan="on",
            log_config=None,
            log_level="critical",  # what peers do wrong is no concern of the user
            access_log=False,  # addresses may carry the token
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._serve, args=[server], name="rtfocus-server", daemon=True
        )

        def stop() -> None:
            site.end()
            server.should_exit = True

        self._stop = stop
        self._thread.start()
        self._await(server)

    def stop(self) -> None:
        """Let everyone go and free the port; safe to call twice, or before `start`."""
        if self._thread is not None and self._stop is not None:
            self._stop()
            self._thread.join()
            self._thread = None
        if self._bound is not None:
            self._bound.close()
            self._bound = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _serve(self, server: uvicorn.Server) -> None:
        assert self._bound is not None
        try:
            server.run([self._bound])
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"

    def _await(self, server: uvicorn.Server) -> None:
        assert self._thread is not None
        deadline = time.monotonic() + START_TIMEOUT
        while self._thread.is_alive() and time.monotonic() < deadline:
            if server.started:
                return
            time.sleep(0.01)  # uvicorn has a flag for it, and no event
        self.stop()
        raise OutputError(f"the page's server did not start ({self._failure})")


def _require_extra() -> None:
    missing = [name for name in ("starlette", "uvicorn", "websockets") if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"the browser page needs {' and '.join(missing)}: "
            "python -m pip install 'rtfocus[serve]'"
        )


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"--serve {host!r} is no address of this machine ({error})") from error
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # A port that was served from a moment ago is free; elsewhere the option means
            # that two may share one.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise OutputError(_why_not(host, port, error)) from error
    return bound


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program: give another port, or 0 for any that is free"
    if error.errno == errno.EACCES:
        return f"{where} may not be used without rights: give a port of 1024 or more"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} is no address of this machine: give one that is, or 0.0.0.0 for all"
    return f"{where} cannot be bound ({error.strerror})"
