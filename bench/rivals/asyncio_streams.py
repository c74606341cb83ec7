"""asyncio.StreamReader: readexactly(4), then readexactly(length); and readline.

The reading coroutine is stepped by hand as each chunk is fed, which spares it the event loop's own cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from . import Feed

PACKAGE = ""
_Reading = Callable[[asyncio.StreamReader, Callable[[bytes], None]], Coroutine[Any, Any, None]]


def _stepped(reading: _Reading) -> Feed:
    # Futures are all that a reader wants of its loop, and a closed one makes them too.
    loop = asyncio.new_event_loop()
    loop.close()
    reader = asyncio.StreamReader(loop=loop)
    done: list[bytes] = []
    steps = reading(reader, done.append)
    steps.send(None)

    def feed(chunk: bytes) -> list[bytes]:
        reader.feed_data(chunk)
        steps.send(None)
        frames = done.copy()
        done.clear()
        return frames

    return feed


async def _read_u32(reader: asyncio.StreamReader, deliver: Callable[[bytes], None]) -> None:
    while True:
        header = await reader.readexactly(4)
        deliver(await reader.readexactly(int.from_bytes(header, "big")))


async def _read_lines(reader: asyncio.StreamReader, deliver: Callable[[bytes], None]) -> None:
    while True:
        line = await reader.readline()
        deliver(line[:-1])


def u32() -> Feed:
    return _stepped(_read_u32)


def lines() -> Feed:
    return _stepped(_read_lines)
