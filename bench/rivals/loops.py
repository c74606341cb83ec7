"""u32-framed messages in an event loop without framewire: a BufferedProtocol in Python, and streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

from . import Received

PACKAGE = ""
__all__ = ["buffered", "streams", "streams_talking"]


def _run(loop: str, main: Callable[[], Any]) -> Any:
    made = import_module("uvloop").new_event_loop() if loop == "uvloop" else asyncio.SelectorEventLoop()
    try:
        return made.run_until_complete(main())
    finally:
        made.close()


class _Buffered(asyncio.BufferedProtocol):
    """One kept buffer of 256 KiB; the unfinished tail moves to its front."""

    def __init__(self, count: int, check: bool) -> None:
        self._room = bytearray(262144)
        self._view = memoryview(self._room)
        self._end = self.got = self.size = self.total = 0
        self._count, self._check = count, check
        self.done = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        view, end, at, got = self._view, self._end + nbytes, 0, self.got
        while end - at >= 4:
            stop = at + 4 + int.from_bytes(view[at : at + 4], "big")
            if stop > end:
                break
            message = bytes(view[at + 4 : stop])
            self.size += len(message)
            if self._check:
                self.total += sum(message)
            got += 1
            at = stop
        view[: end - at] = bytes(view[at:end])
        self._end, self.got = end - at, got
        if got >= self._count and not self.done.done():
            self.done.set_result(perf_counter())


def buffered(loop: str) -> Callable[..., Received]:
    def receive(sock: socket.socket, count: int, check: bool) -> Received:
        async def main() -> Received:
            protocol = _Buffered(count, check)
            sock.setblocking(False)
            start = perf_counter()
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)
            seconds = await protocol.done - start
            transport.abort()
            await asyncio.sleep(0)
            return seconds, protocol.got, protocol.size, protocol.total

        return _run(loop, main)  # type: ignore[no-any-return]

    return receive


async def _next(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


def streams(loop: str) -> Callable[..., Received]:
    def receive(sock: socket.socket, count: int, check: bool) -> Received:
        async def main() -> Received:
            start = perf_counter()
            reader, writer = await asyncio.open_connection(sock=sock)
            size = total = 0
            for _ in range(count):
                message = await _next(reader)
                size += len(message)
                if check:
                    total += sum(message)
            seconds = perf_counter() - start
            writer.transport.abort()
            await asyncio.sleep(0)
            return seconds, count, size, total

        return _run(loop, main)  # type: ignore[no-any-return]

    return receive


def streams_talking(loop: str) -> tuple[Callable[..., Received], Callable[..., object]]:
    def echo(sock: socket.socket, size: int, count: int) -> None:
        async def main() -> None:
            reader, writer = await asyncio.open_connection(sock=sock)
            for _ in range(count):
                message = await _next(reader)
                writer.write(len(message).to_bytes(4, "big") + message)
                await writer.drain()
            await reader.read()
            writer.close()

        _run(loop, main)

    def ping(sock: socket.socket, body: bytes, count: int, check: bool) -> Received:
        async def main() -> Received:
            reader, writer = await asyncio.open_connection(sock=sock)
            size = total = 0
            start = perf_counter()
            for _ in range(count):
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
                message = await _next(reader)
                size += len(message)
                if check:
                    total += sum(message)
            seconds = perf_counter() - start
            writer.close()
            await writer.wait_closed()
            return seconds, count, size, total

        return _run(loop, main)  # type: ignore[no-any-return]

    return ping, echo
