"""Messages in an event loop: ours on asyncio and uvloop, against C and against what Python has without it.

Set up as live.py does: a forked child at the other end, one way on two CPUs, a conversation on one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import framewire as fw

from . import floor, live
from .paired import Side
from .rivals import Received

__all__ = ["conversation", "one_way", "serving"]

Main = Callable[[], Awaitable[Any]]


def run(loop: str, main: Main) -> Any:
    """`main` in a fresh loop of that kind."""
    made = import_module("uvloop").new_event_loop() if loop == "uvloop" else asyncio.SelectorEventLoop()
    try:
        return made.run_until_complete(main())
    finally:
        made.close()


async def begun(sock: socket.socket, protocol: Any) -> Any:
    sock.setblocking(False)
    return (await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock))[1]


# --- ours --------------------------------------------------------------------------------------------------


def receiving(loop: str) -> live.Receive:
    """Batches, by callbacks."""

    def receive(sock: socket.socket, count: int, check: bool) -> Received:
        class Counting(fw.aio.MessageProtocol[bytes]):
            got = total = 0
            start = 0.0

            def messages_received(self, messages: list[bytes]) -> None:
                self.got += len(messages)
                if check:
                    self.total += sum(map(sum, messages))
                if self.got >= count:
                    self.done.set_result(perf_counter() - self.start)

        async def main() -> Received:
            conn = Counting(live.U32)
            conn.done = asyncio.get_running_loop().create_future()
            live._started(LookedAt(sock))
            conn.start = perf_counter()
            await begun(sock, conn)
            seconds = await conn.done
            size = conn.stats().bytes_in - 4 * conn.got
            conn.transport.abort()
            await asyncio.sleep(0)
            return seconds, conn.got, size, conn.total

        return run(loop, main)  # type: ignore[no-any-return]

    return receive


class LookedAt:
    """A socket as `live._started` asks of a connection."""

    ready = False

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno


def calling_back(loop: str) -> tuple[Callable[..., Received], Callable[..., object]]:
    """A conversation of two protocols."""

    class Echo(fw.aio.MessageProtocol[bytes]):
        def message_received(self, message: bytes) -> None:
            self.send(message)

        def connection_lost(self, error: object) -> None:
            self.over.set_result(None)

    class Asking(fw.aio.MessageProtocol[bytes]):
        left = total = 0
        check = False
        body = b""

        def message_received(self, message: bytes) -> None:
            if self.check:
                self.total += sum(message)
            self.left -= 1
            if self.left:
                self.send(self.body)
            else:
                self.over.set_result(None)

    def echo(sock: socket.socket, size: int, count: int) -> None:
        async def main() -> None:
            conn = Echo(live.U32)
            conn.over = asyncio.get_running_loop().create_future()
            await begun(sock, conn)
            await conn.over

        run(loop, main)

    def ping(sock: socket.socket, body: bytes, count: int, check: bool) -> Received:
        async def main() -> Received:
            conn = Asking(live.U32)
            conn.left, conn.check, conn.body = count, check, body
            conn.over = asyncio.get_running_loop().create_future()
            await begun(sock, conn)
            start = perf_counter()
            conn.send(body)
            await conn.over
            seconds, size = perf_counter() - start, conn.stats().bytes_in - 4 * count
            conn.transport.abort()
            await asyncio.sleep(0)
            return seconds, count, size, conn.total

        return run(loop, main)  # type: ignore[no-any-return]

    return ping, echo


def awaiting(loop: str) -> tuple[Callable[..., Received], Callable[..., object]]:
    """A conversation of two streams."""

    def echo(sock: socket.socket, size: int, count: int) -> None:
        async def main() -> None:
            async with await fw.aio.connect(sock, live.U32) as conn:
                for _ in range(count):
                    await conn.send(await conn.recv())

        run(loop, main)

    def ping(sock: socket.socket, body: bytes, count: int, check: bool) -> Received:
        async def main() -> Received:
            conn = await fw.aio.connect(sock, live.U32)
            total = 0
            start = perf_counter()
            for _ in range(count):
                reply = await conn.request(body)
                if check:
                    total += sum(reply)
            seconds, size = perf_counter() - start, conn.stats().bytes_in - 4 * count
            conn.transport.abort()
            await asyncio.sleep(0)
            return seconds, count, size, total

        return run(loop, main)  # type: ignore[no-any-return]

    return ping, echo


def served(loop: str) -> Callable[[socket.socket], object]:
    def serve(listener: socket.socket) -> None:
        async def main() -> None:
            server = await fw.aio.serve(lambda conn, message: message, listener, live.U32)
            await server.serve_forever()

        run(loop, main)

    return serve


# --- sides and pairs ---------------------------------------------------------------------------------------


def _ready(loop: str) -> None:
    live.native()
    floor.module("live")
    if loop == "uvloop":
        import_module("uvloop")


def one_way(loop: str, rival: str = "") -> live.Made:
    """64 bytes over TCP in batches against C with one malloc a frame, or a function of rivals/loops.py."""

    def make(stream: int) -> tuple[Side, Side]:
        _ready(loop)
        unit = live._unit(64, stream)
        theirs: Any = live.c_receive
        if rival:
            theirs = getattr(import_module(f"{__package__}.rivals.loops"), rival)(loop)
        return (
            live._side("tcp", live.c_batch, receiving(loop), 64, unit),
            live._side("tcp", live.c_batch, theirs, 64, unit),
        )

    return make


def conversation(loop: str, way: str, rival: str = "") -> live.Made:
    """64 bytes there and back, both ends on one CPU, "calling_back" or "awaiting", against C or streams."""

    def make(stream: int) -> tuple[Side, Side]:
        _ready(loop)
        ours = {"calling_back": calling_back, "awaiting": awaiting}[way](loop)
        theirs: Any = (live.c_ping, live.c_echo)
        if rival:
            theirs = getattr(import_module(f"{__package__}.rivals.loops"), rival)(loop)
        unit, body = max(10, min(500, stream // 4096)), live._body(64)

        def side(ping: Callable[..., Received], echo: Callable[..., object]) -> Side:
            def spoken(count: int, check: bool) -> Received:
                return live.run(
                    "tcp",
                    live.CPUS[-1],
                    lambda sock: echo(sock, len(body), count),
                    lambda sock: ping(sock, body, count, check),
                )

            return Side(lambda repeats: spoken(unit * repeats, False)[0], lambda: spoken(unit, True)[1:])

        return side(*ours), side(*theirs)

    return make


def serving(loop: str) -> Callable[[socket.socket], object]:
    """An echo server of ours on that loop."""
    if loop == "uvloop":
        import_module("uvloop")
    return served(loop)
