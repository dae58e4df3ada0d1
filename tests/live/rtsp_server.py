"""A small RTSP server (RFC 2326): one H.264 stream, RTP interleaved in the TCP connection."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Self

_CLOCK = 90000


class RtspServer:
    """Sends access units, each a list of NAL units, thirty a second and for ever.

    It refuses UDP transport, as many a firewall does.
    """

    def __init__(self, units: list[list[bytes]], sprop: str) -> None:
        """Args: units: what to send; sprop: the SDP's sprop-parameter-sets."""
        self._units, self._sprop = units, sprop
        self._stopped = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/live"
        self.transports: list[str] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        while not self._stopped.is_set():
            try:
                peer, _ = self._server.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._serve, args=(peer,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer, peer.makefile("rb") as requests:
                while True:
                    first = requests.readline().decode()
                    if not first:
                        return
                    headers = {}
                    while (line := requests.readline().decode().strip()) != "":
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    method = first.split()[0]
                    peer.sendall(self._answer(method, headers).encode())
                    if method == "PLAY":
                        self._play(peer)
                        return
        except OSError:  # the other side has hung up
            return

    def _answer(self, method: str, headers: dict[str, str]) -> str:
        status, more, body = "200 OK", "", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
                "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={self._sprop}\r\n"
                "a=control:track0\r\n"
            )
            more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            self.transports.append(headers["transport"])
            if "TCP" in headers["transport"]:
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            else:
                status = "461 Unsupported Transport"
        else:
            more = "Session: 1\r\n"
        return f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}"

    def _play(self, peer: socket.socket) -> None:
        sequence = frame = 0
        while not self._stopped.wait(1 / 30):
            unit = self._units[frame % len(self._units)]
            for i, nal in enumerate(unit):
                last = i == len(unit) - 1
                rtp = struct.pack(
                    ">BBHII", 0x80, 96 | last << 7, sequence & 0xFFFF, frame * _CLOCK // 30, 7
                )
                peer.sendall(struct.pack(">BBH", ord("$"), 0, len(rtp) + len(nal)) + rtp + nal)
                sequence += 1
            frame += 1
