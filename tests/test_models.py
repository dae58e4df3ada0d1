"""Networks by name: the registry, and pulling from a server that does not always behave."""

import errno
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_onnx import write_network

from rtfocus.depth.network import NetworkDepth
from rtfocus.device import resolve
from rtfocus.errors import ModelError, OutputError
from rtfocus.models import pull as pulling
from rtfocus.models import registry
from rtfocus.models.pull import pull
from rtfocus.models.registry import BUILT_IN, Published, find_network, find_published, published

Cli = Callable[..., tuple[int, str, str]]

CARD = """
kind = "inverse_depth"
input = "image"
output = "depth"
input_range = [0.0, 255.0]
size = [32, 48]
multiple = 16
"""


class Server(ThreadingHTTPServer):
    """Serves one file, and counts what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = np.random.default_rng(0).bytes(700_000)
        self.etag: str | None = '"one"'
        self.status: int | None = None
        self.breaks: list[int] = []  # bytes after which each answer in turn breaks off
        self.pause = 0.0
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.onnx"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.ranges.append(wanted)
        if server.status is not None:
            self.send_error(server.status)
            return
        fresh = self.headers.get("If-Range") == server.etag
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and fresh else 0
        if start >= len(server.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = server.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        if server.breaks:
            rest = rest[: server.breaks.pop(0)]
        for i in range(0, len(rest), 100_000):
            self.wfile.write(rest[i : i + 100_000])
            time.sleep(server.pause)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache" / "models"
    monkeypatch.setattr(registry, "cache_folder", lambda: folder)
    return folder


@pytest.fixture
def network(server: Server, cache: Path) -> Published:
    del cache  # only to be in place
    return entry(server)


def entry(server: Server, **changes: Any) -> Published:
    values = {
        "name": "net",
        "about": "a test",
        "url": server.url,
        "megabytes": 1,
        "license": "MIT",
        "card": CARD,
        "sha256": hashlib.sha256(server.data).hexdigest(),
        **changes,
    }
    return Published(**values)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


# Pulling


def test_a_whole_file_arrives_with_its_card(server: Server, network: Published) -> None:
    seen: list[tuple[int, int | None]] = []
    path = pull(network, on_progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == server.data
    assert 'name = "net"' in path.with_suffix(".toml").read_text()
    assert seen[-1] == (700_000, 700_000)
    assert files(path.parent) == {"net.onnx", "net.toml", "net.sha256"}


def test_pulling_again_fetches_nothing(server: Server, network: Published) -> None:
    pull(network)
    pull(network)
    assert len(server.ranges) == 1


def test_an_answer_that_breaks_off_is_gone_on_with(server: Server, network: Published) -> None:
    server.breaks = [300_000, 200_000]
    assert pull(network).read_bytes() == server.data
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_server_that_gives_nothing_more_keeps_what_came(
    server: Server, network: Published
) -> None:
    server.breaks = [300_000, 0]
    with pytest.raises(ModelError, match=r"could not be fetched whole.*0 MB are kept"):
        pull(network)
    assert files(network.path.parent) == {"net.part", "net.part.tag"}
    assert pull(network).read_bytes() == server.data
    assert server.ranges[-1] == "bytes=300000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(
    server: Server, cache: Path
) -> None:
    del cache
    server.breaks = [300_000, 0]
    with pytest.raises(ModelError):
        pull(entry(server, sha256=None))
    server.data, server.etag = server.data[::-1], '"two"'
    assert pull(entry(server, sha256=None)).read_bytes() == server.data


@pytest.mark.parametrize(("more", "asked"), [(b"", 1), (b"too much", 2)])
def test_what_was_interrupted_at_the_end_is_gone_on_with(
    more: bytes, asked: int, server: Server, network: Published
) -> None:
    part = network.path.with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(server.data + more)
    part.with_suffix(".part.tag").write_text(str(server.etag))
    assert pull(network).read_bytes() == server.data
    assert len(server.ranges) == asked
    assert files(part.parent) == {"net.onnx", "net.toml", "net.sha256"}


def test_without_a_tag_it_starts_again(server: Server, network: Published) -> None:
    server.etag, server.breaks = None, [300_000]
    assert pull(network).read_bytes() == server.data
    assert server.ranges == [None, None]


def test_a_wrong_digest_leaves_nothing(server: Server, cache: Path) -> None:
    with pytest.raises(ModelError, match=r"is not 'net': its SHA-256 is .* deleted"):
        pull(entry(server, sha256="0" * 64))
    assert files(cache) == set()


def test_an_unknown_digest_is_pinned(server: Server, cache: Path) -> None:
    pull(entry(server, sha256=None))
    (cache / "net.onnx").unlink()
    server.data = server.data[::-1]
    with pytest.raises(ModelError, match="is not 'net'"):
        pull(entry(server, sha256=None))


def test_a_missing_file_says_what_to_do(server: Server, network: Published) -> None:
    server.status = 404
    with pytest.raises(ModelError, match=r"404 Not Found.*save it as .*net\.onnx"):
        pull(network)
    assert len(server.ranges) == 1  # asking again would not help


def test_a_slow_server_is_waited_for(server: Server, network: Published) -> None:
    server.pause = 0.05
    assert pull(network).read_bytes() == server.data


def test_a_silent_server_is_given_up(
    server: Server, network: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "_SILENCE_S", 0.1)
    server.pause, server.breaks = 1.0, [100_000] * 4
    with pytest.raises(ModelError, match="could not be fetched whole: timed out"):
        pull(network)


def test_offline_says_what_to_fetch_and_where_to_put_it(cache: Path, server: Server) -> None:
    network = entry(server, url="http://127.0.0.1:9/model.onnx")
    with pytest.raises(ModelError, match=r"fetch http://127\.0\.0\.1:9/model\.onnx elsewhere") as e:
        pull(network)
    assert str(cache / "net.onnx") in str(e.value)
    cache.mkdir(parents=True, exist_ok=True)
    network.path.write_bytes(server.data)
    pull(network)
    assert files(cache) == {"net.onnx", "net.toml", "net.sha256"}


def test_a_proxy_is_asked(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del cache
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/model.onnx"))
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    elsewhere = entry(server, url="http://nowhere.invalid/model.onnx")
    assert pull(elsewhere).read_bytes() == server.data


def test_no_room(network: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(OutputError, match="Make room"):
        pull(network)


def test_a_disk_that_fills_up(network: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    class Full:
        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(self: Path, mode: str = "r", **keywords: Any) -> Any:
        return Full() if self.suffix == ".part" else real(self, mode, **keywords)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"No space left on device.*needs 1 MB"):
        pull(network)


def test_a_licence_that_forbids_commerce_must_be_accepted(server: Server, cache: Path) -> None:
    network = entry(server, non_commercial=True, license="CC-BY-NC-4.0")
    with pytest.raises(ModelError, match=r"CC-BY-NC-4\.0.*--accept-license"):
        pull(network)
    assert server.ranges == []
    assert files(cache) == set()
    pull(network, accept_license=True)


# Names


def test_a_pulled_network_runs_by_name(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cache
    server.data = write_network(tmp_path / "n.onnx").read_bytes()
    network = entry(server)
    monkeypatch.setattr(registry, "published", lambda: {"net": network})
    with pytest.raises(ModelError, match=r"rtfocus models pull net"):
        find_network("net")
    pull(network)
    source = NetworkDepth(find_network("net"), device=resolve("cpu"), picture=(64, 96))
    assert source.card.name == "net"


def test_a_pulled_file_that_changed_is_refused(
    server: Server, network: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "published", lambda: {"net": network})
    pull(network).write_bytes(server.data[::-1])
    with pytest.raises(ModelError, match="is not the file it should be"):
        find_network("net")


@pytest.mark.parametrize("path", ["n.onnx", "folder/n", "weights.pt"])
def test_what_looks_like_a_path_is_one(path: str) -> None:
    assert find_network(path) == Path(path)


def test_a_name_with_a_slip() -> None:
    with pytest.raises(ModelError, match="Did you mean 'dpt-large'"):
        find_published("dpt-larg")


def test_a_name_that_nothing_is_like() -> None:
    with pytest.raises(ModelError, match=r"no network 'nope'\. `rtfocus models list` shows all\."):
        find_published("nope")


def test_what_is_built_in_needs_no_pull(cli: Cli) -> None:
    code, _, err = cli("models", "pull", BUILT_IN)
    assert code == 4
    assert "'rtfocus-small' comes with rtfocus: there is nothing to pull" in err


@pytest.mark.parametrize("name", list(published()))
def test_registry_entries_make_sense(name: str, tmp_path: Path) -> None:
    network = published()[name]
    assert network.url.startswith("https://")
    assert network.sha256 is None or len(bytes.fromhex(network.sha256)) == 32
    assert network.non_commercial == ("NC" in network.license)
    (tmp_path / "n.toml").write_text(network.full_card())
    from rtfocus.depth.card import read_card

    card = read_card(tmp_path / "n.onnx", {})
    assert (card.name, card.source) == (name, network.url)


def test_list_shows_every_network(cli: Cli, cache: Path) -> None:
    del cache
    code, out, _ = cli("models", "list", "--json")
    rows = {row["name"]: row["state"] for row in json.loads(out)}
    assert code == 0
    assert rows.pop(BUILT_IN) == "built in"
    assert set(rows) == set(published())
    assert set(rows.values()) == {"to pull"}


def test_info_says_licence_and_card(cli: Cli) -> None:
    code, out, _ = cli("models", "info", "depth-anything-v2-small")
    assert code == 0
    assert "Apache-2.0" in out
    assert "multiple:            14" in out
    assert cli("models", "info", BUILT_IN)[0] == 0


def test_pull_from_the_command_line(
    cli: Cli, server: Server, network: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "published", lambda: {"net": network})
    code, out, _ = cli("models", "pull", "net")
    assert (code, out.strip()) == (0, str(network.path))
    server.status = 500
    network.path.unlink()
    code, _, err = cli("models", "pull", "net")
    assert code == 4
    assert "500" in err
