"""asyncio's streams over TLS, as they are usually written: writes of a thousand frames, readexactly twice a
frame. The certificate is trustme's, on both sides of the comparison."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import cache
from time import perf_counter

from . import Received

PACKAGE = ""
NAME = "localhost"
_BATCH = 1000


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's, and a server's."""
    import trustme

    authority = trustme.CA()
    client, server = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(client)
    authority.issue_cert(NAME).configure_cert(server)
    return client, server


def send(sock: socket.socket, body: bytes, count: int, batch: int = _BATCH) -> None:
    async def run() -> None:
        reader, writer = await asyncio.open_connection(sock=sock, ssl=contexts()[0], server_hostname=NAME)
        frame = len(body).to_bytes(4, "big") + body
        for start in range(0, count, batch):
            writer.write(frame * min(batch, count - start))
            await writer.drain()
        with suppress(ConnectionError):
            await reader.read()  # until the receiver has done
        writer.transport.abort()

    asyncio.run(run())


def send_each(sock: socket.socket, body: bytes, count: int) -> None:
    send(sock, body, count, 1)


def receive(sock: socket.socket, count: int, check: bool) -> Received:
    async def run() -> Received:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=contexts()[1])
        size = total = 0
        start = 0.0
        for _ in range(count):
            header = await reader.readexactly(4)
            start = start or perf_counter()
            message = await reader.readexactly(int.from_bytes(header, "big"))
            size += len(message)
            if check:
                total += sum(message)
        seconds = perf_counter() - start
        transport.abort()
        await asyncio.sleep(0)  # in which it is closed
        return seconds, count, size, total

    return asyncio.run(run())
