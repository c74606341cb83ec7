"""The Socket HOWTO's loop around recv, which asks for exactly the header, then exactly the body; sendall."""

from __future__ import annotations

import socket
from struct import Struct
from time import perf_counter

from . import Received

PACKAGE = ""
_U32 = Struct(">I")


def _exactly(sock: socket.socket, size: int) -> bytes:
    chunks = []
    received = 0
    while received < size:
        chunk = sock.recv(min(size - received, 2048))
        if chunk == b"":
            raise RuntimeError("socket connection broken")
        chunks.append(chunk)
        received = received + len(chunk)
    return b"".join(chunks)


def _message(sock: socket.socket) -> bytes:
    (size,) = _U32.unpack(_exactly(sock, 4))
    return _exactly(sock, size)


def ping(sock: socket.socket, body: bytes, count: int, check: bool) -> Received:
    size = total = 0
    start = perf_counter()
    for _ in range(count):
        sock.sendall(_U32.pack(len(body)) + body)
        reply = _message(sock)
        if check:
            size += len(reply)
            total += sum(reply)
    return perf_counter() - start, count, size, total


def echo(sock: socket.socket, size: int, count: int) -> None:
    for _ in range(count):
        message = _message(sock)
        sock.sendall(_U32.pack(len(message)) + message)
