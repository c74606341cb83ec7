"""What TLS tests stand on: certificates of a CA of our own, and a TLS peer inside a simulated stream."""

from __future__ import annotations

import socket
import ssl
import threading
from functools import cache
from typing import Any

import trustme

from framewire._tls import TLSTransport
from framewire._transport import SocketTransport
from framewire.testing import SimulatedStream

HOST = "server.test"


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_context(*alpn: str, version: str = "TLSv1_3") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(HOST, "localhost", "127.0.0.1").configure_cert(context)
    context.maximum_version = ssl.TLSVersion[version]
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@cache
def client_context(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def client(sock: socket.socket, **options: Any) -> TLSTransport:
    options.setdefault("server_hostname", HOST)
    return TLSTransport(SocketTransport(sock), client_context(), **options)


def server(sock: socket.socket, context: ssl.SSLContext | None = None, **options: Any) -> TLSTransport:
    return TLSTransport(SocketTransport(sock), context or server_context(), server_side=True, **options)


def shaken(left: TLSTransport, right: TLSTransport) -> tuple[TLSTransport, TLSTransport]:
    """Both ends, when their handshake is done."""
    thread = threading.Thread(target=right.handshake, args=(30,))
    thread.start()
    left.handshake(30)
    thread.join()
    return left, right


class SecureStream(SimulatedStream):
    """A simulated stream whose peer speaks TLS as `side` ("server" or "client"): `incoming` is what he says
    inside TLS when the handshake is done, `plain` what he has received."""

    def __init__(self, incoming: Any = (), *, side: str = "server", **options: Any) -> None:
        super().__init__(incoming, **options)
        self.plain = bytearray()
        self.shaken = self.said_end = self.heard_end = False
        self._to, self._from = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_context() if side == "server" else client_context()
        name = HOST if side == "client" else None
        self.tls = context.wrap_bio(self._to, self._from, side == "server", name)

    def _meet(self) -> None:
        """The peer reads what has come, and answers."""
        if self.reads:
            self._to.write(bytes(self._out.data))
            self.sent += self._out.data
            self._out.data.clear()
        try:
            if not self.shaken:
                self.tls.do_handshake()
                self.shaken = True
                self._due = self.clock()
            while data := self.tls.read(65536):
                self.plain += data
            self.heard_end = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.heard_end = True
        self._in.data += self._from.read()

    def _arrive(self) -> None:
        self._meet()
        while self.shaken and self._events and self._due <= self.clock():
            event = self._events.pop()
            if isinstance(event, (int, float)):
                self._due += event
            elif isinstance(event, OSError):
                self._in.error = event
            elif event is None:
                self.say_end()
            elif event == "cut":
                self._in.ended = True
            else:
                for at in range(0, len(event), 16384):
                    self.tls.write(event[at : at + 16384])
                self._in.data += self._from.read()

    def say_end(self) -> None:
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._in.data += self._from.read()
        self.said_end = True

    def _drain(self) -> None:
        self._meet()

    def secured(self, **options: Any) -> TLSTransport:
        """Our end of it."""
        if self.tls.server_side:
            return TLSTransport(self, client_context(), server_hostname=HOST, **options)
        return TLSTransport(self, server_context(), server_side=True, **options)
