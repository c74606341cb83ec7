"""Echo servers under load: what one request costs the server, in CPU time.

The server is a forked child on one CPU, the load (serve.c, for all servers the same) has the other. A
server's time is what the kernel says its main thread has run, from the first request to the last reply, so
that waiting costs nobody anything. Every reply is compared with its request.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import framewire as fw

from . import floor, live, loops
from .paired import Side

__all__ = ["against", "workers"]

BODY = bytes(range(64))
Serve = Callable[[socket.socket], object]


def ours(listener: socket.socket) -> None:
    fw.serve(lambda conn, message: message, listener, live.U32, mode="selector")


def c_epoll(listener: socket.socket) -> None:
    floor.module("serve").serve(listener.fileno())


def _cost(serve: Serve, connections: int, depth: int, requests: int) -> tuple[float, int]:
    """CPU seconds of the server, and how many replies they were for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * connections + 1000), hard))
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        pid = os.fork()
        if not pid:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.sched_setaffinity(0, {live.CPUS[0]})
                serve(listener)
            finally:
                os._exit(1)
        try:
            load, port = floor.module("serve").load, listener.getsockname()[1]
            listener.close()  # so that nobody waits for a server that has died
            load(port, connections, depth, connections * depth, BODY, pid)  # until it runs as it will
            _, replies, cost = load(port, connections, depth, requests, BODY, pid)
            return max(cost, 1e-9), replies  # a short load may be less than the kernel counts
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _side(serve: Serve, connections: int, depth: int, unit: int) -> Side:
    def time(repeats: int) -> float:
        cost, replies = _cost(serve, connections, depth, unit * repeats)
        return cost / replies * unit * repeats

    def proof() -> object:
        return _cost(serve, connections, depth, connections * depth)[1] == connections * depth

    return Side(time, proof)


def against(
    rival: str, connections: int, depth: int, packages: tuple[str, ...] = (), loop: str = ""
) -> Callable[[int], tuple[Side, Side]]:
    """Our selector server, or that on a `loop`, against C's epoll server ("") or a rival's
    `serve(listener)`."""

    def make(stream: int) -> tuple[Side, Side]:
        live.native()
        for package in packages:
            import_module(package)
        floor.module("serve")
        other: Any = c_epoll
        if rival:
            module, _, name = rival.partition(".")
            other = getattr(import_module(f".rivals.{module}", __package__), name)
        unit = max(connections * depth, stream // 256)
        mine = loops.serving(loop) if loop else ours
        return _side(mine, connections, depth, unit), _side(other, connections, depth, unit)

    return make


def _burn(conn: Any, message: bytes) -> bytes:
    """A handler that computes for 200 microseconds."""
    end = perf_counter() + 200e-6
    while perf_counter() < end:
        pass
    return message


def _crew(count: int) -> Side:
    """So many workers, each request of whose costs 200 microseconds; wall time at the load."""

    def load(requests: int) -> tuple[float, int]:
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.sched_setaffinity(0, live.CPUS)
                with fw.Server(
                    _burn, "tcp://127.0.0.1:0", live.U32, mode="processes", workers=count
                ) as server:
                    os.write(writer, struct.pack("i", int(server.address.rpartition(":")[2])))
                    signal.pause()
            finally:
                os._exit(1)
        try:
            (port,) = struct.unpack("i", os.read(reader, 4))
            seconds, replies, _ = floor.module("serve").load(port, 32, 1, requests, BODY, pid)
            return seconds, replies
        finally:
            os.close(reader)
            os.close(writer)
            os.kill(pid, signal.SIGKILL)  # the workers end when they see that
            os.waitpid(pid, 0)

    return Side(lambda repeats: load(100 * repeats)[0], lambda: load(100)[1] >= 100)


def workers(stream: int) -> tuple[Side, Side]:
    """Two workers against one."""
    live.native()
    floor.module("serve")
    return _crew(2), _crew(1)
