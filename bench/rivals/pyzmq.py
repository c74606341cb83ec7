"""pyzmq: PUSH to PULL over TCP; the given sockets only carry where.

The sender binds, to a listener of our making: the connections that it accepts inherit the congestion control
which all others here have, and there is no other way to give zmq one.
"""

from __future__ import annotations

import socket
from time import perf_counter

import zmq

from . import Received

PACKAGE = "pyzmq"


def send(sock: socket.socket, body: bytes, count: int) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as push, socket.socket() as listener:
        if hasattr(socket, "TCP_CONGESTION"):
            control = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.rstrip(b"\0"))
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        push.linger = 10_000  # ms: without a limit, a receiver that died would keep us for ever
        push.use_fd = listener.detach()
        push.bind(address)
        sock.sendall(address.encode())
        for _ in range(count):
            push.send(body)


def receive(sock: socket.socket, count: int, check: bool) -> Received:
    size = total = 0
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.connect(sock.recv(100).decode())
        pull.poll()
        start = perf_counter()
        for _ in range(count):
            message = pull.recv()
            if check:
                size += len(message)
                total += sum(message)
        return perf_counter() - start, count, size, total
