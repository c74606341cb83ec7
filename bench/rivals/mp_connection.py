"""multiprocessing.connection over the given socket: send_bytes and recv_bytes."""

from __future__ import annotations

import os
import select
import socket
from multiprocessing.connection import Connection
from time import perf_counter

from . import Received

PACKAGE = ""


def send(sock: socket.socket, body: bytes, count: int) -> None:
    with Connection(os.dup(sock.fileno())) as conn:
        for _ in range(count):
            conn.send_bytes(body)


def receive(sock: socket.socket, count: int, check: bool) -> Received:
    size = total = 0
    with Connection(os.dup(sock.fileno())) as conn:
        select.select([conn], [], [])
        start = perf_counter()
        for _ in range(count):
            message = conn.recv_bytes()
            if check:
                size += len(message)
                total += sum(message)
        return perf_counter() - start, count, size, total
