"""Requests as they stand on the wire, with whatever headers and paths a test wants."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage, HTTPResponse


@dataclass
class Answer:
    status: int
    headers: HTTPMessage
    text: str


def request(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """One request; the Host is the server's own unless it is given."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": f"127.0.0.1:{port}", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


def upgrade(port: int, path: str = "/ws", **headers: str) -> socket.socket:
    """Ask for a WebSocket; nothing is ever read from it here."""
    lines = {
        "host": f"127.0.0.1:{port}",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec_websocket_version": "13",
        **headers,
    }
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    raw = socket.socket()
    # A small window: what is not read fills it at once.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(5)
    raw.connect(("127.0.0.1", port))
    raw.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    return raw


def status_of(raw: socket.socket) -> int:
    """What a request for a WebSocket was answered; 101 lets it in."""
    response = HTTPResponse(raw)
    response.begin()
    return response.status


def upgrade_status(port: int, path: str = "/ws", **headers: str) -> int:
    """Ask for a WebSocket, and leave again."""
    with upgrade(port, path, **headers) as raw:
        return status_of(raw)
