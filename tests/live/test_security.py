"""Who is let in: DNS rebinding, other sites, tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtfocus.errors import UsageError
from rtfocus.live.control import Control
from rtfocus.server.feed import Feed
from rtfocus.server.security import is_loopback
from rtfocus.server.server import Server

from .wire import request, upgrade_status

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def local() -> Iterator[int]:
    """Port of a server that binds 127.0.0.1."""
    with Server(Control(), Feed(), port=0) as server:
        yield server.port


@pytest.fixture(scope="module")
def public() -> Iterator[int]:
    """Port of a server that binds every address."""
    with Server(Control(), Feed(), host="0.0.0.0", port=0, token=TOKEN) as server:
        assert server.url.endswith(f"/?token={TOKEN}")
        yield server.port


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:9000", "[::1]:8080", "LOCALHOST"])
def test_our_own_names(local: int, host: str) -> None:
    assert request(local, "/", host=host).status == 200
    assert upgrade_status(local, host=host, origin=f"http://{host}") == 101


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.5:8080",
        "user@localhost",
        "localhost/evil.example",
        "localhost:port",
        "[::1",
        "",
    ],
)
def test_names_that_are_not_ours(local: int, host: str) -> None:
    for path in ("/", "/stream.mjpg", "/static/app.js", "/absent"):
        assert request(local, path, host=host).status == 403
    assert upgrade_status(local, host=host) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:3000",
        "http://localhost:8080",
        "http://127.0.0.1",
        "null",
        "",
    ],
)
def test_other_sites_get_no_socket(local: int, origin: str) -> None:
    assert upgrade_status(local, host="127.0.0.1:8080", origin=origin) == 403
    assert request(local, "/", host="127.0.0.1:8080", origin=origin).status == 403


def test_our_page_and_programs_get_one(local: int) -> None:
    assert upgrade_status(local) == 101
    for scheme in ("http", "https"):
        assert upgrade_status(local, origin=f"{scheme}://127.0.0.1:{local}") == 101


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_link_but_not_embed(local: int, site: str) -> None:
    def ask(path: str, dest: str) -> int:
        return request(local, path, sec_fetch_site=site, sec_fetch_dest=dest).status

    assert ask("/stream.mjpg", "image") == 403
    assert ask("/static/app.js", "script") == 403
    assert ask("/", "iframe") == 403
    assert ask("/", "document") == 200
    assert ask("/stream.mjpg", "document") == 403


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/absent"])
def test_headers_are_on_every_answer(local: int, path: str) -> None:
    headers = request(local, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert request(local, path, host="evil.example").headers["x-frame-options"] == "DENY"


def test_the_page_has_nothing_that_the_policy_forbids(local: int) -> None:
    text = request(local, "/").text
    assert "<style" not in text
    assert " style=" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert text.count("<script") == text.count('<script type="module" src="/static/') == 1


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/",
    ],
)
def test_only_the_pages_own_files_are_served(local: int, path: str) -> None:
    assert request(local, path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_posted(local: int, method: str) -> None:
    assert request(local, "/", method).status == 405


@pytest.mark.parametrize(
    "path", ["/", "/?token=wrong", "/?token=", "/?token=%C3%A9", "/stream.mjpg", "/static/app.js"]
)
def test_others_need_the_token(public: int, path: str) -> None:
    for headers in ({}, {"cookie": f"rtfocus-{public}=x"}, {"cookie": "rtfocus-" * 500}):
        answer = request(public, path, **headers)
        assert answer.status == 401
        assert "set-cookie" not in answer.headers
        assert TOKEN not in answer.text


def test_the_token_becomes_a_cookie(public: int) -> None:
    answer = request(public, f"/?clean=1&token={TOKEN}")
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert TOKEN not in answer.text
    assert 'url=/?clean=1"' in answer.text
    own = cookie.partition(";")[0]
    assert "stage" in request(public, "/?clean=1", cookie=own).text
    assert upgrade_status(public, cookie=own) == 101
    assert upgrade_status(public) == 403
    assert upgrade_status(public, f"/ws?token={TOKEN}") == 101
    # Another program's page on another port of this machine has the cookie, but not the Origin.
    assert upgrade_status(public, cookie=own, origin="http://127.0.0.1:3000") == 403


def test_what_the_address_carries_is_not_written_into_the_page(public: int) -> None:
    assert "<script>" not in request(public, f"/?token={TOKEN}&a=%22%3E%3Cscript%3E").text


def test_a_public_server_answers_to_addresses_and_its_own_name_only(public: int) -> None:
    for host, status in {"10.0.0.7:8080": 401, "[fe80::1]:8080": 401, "evil.example": 403}.items():
        assert request(public, "/", host=host).status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert "token=" not in Server(Control(), Feed(), host=host).url


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_every_other_address_needs_one(host: str) -> None:
    addresses = {Server(Control(), Feed(), host=host).url for _ in range(2)}
    assert len(addresses) == 2
    assert all(len(address.partition("token=")[2]) >= 32 for address in addresses)
    with pytest.raises(UsageError, match="too short"):
        Server(Control(), Feed(), host=host, token="1234")
