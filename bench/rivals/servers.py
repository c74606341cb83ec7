"""Echo servers of u32-framed messages in Python, without framewire."""

from __future__ import annotations

import asyncio
import selectors
import socket
from typing import Any

__all__ = ["protocol_on_uvloop", "selectors_tuned", "selectors_usual", "twisted"]


def _cut(buffer: bytearray, handler: Any) -> bytes:
    """The replies to the whole frames in `buffer`, which are taken off it."""
    at, out = 0, []
    while len(buffer) - at >= 4:
        size = int.from_bytes(buffer[at : at + 4], "big")
        if len(buffer) - at - 4 < size:
            break
        reply = handler(bytes(buffer[at + 4 : at + 4 + size]))
        out.append(len(reply).to_bytes(4, "big") + reply)
        at += 4 + size
    del buffer[:at]
    return b"".join(out)


def _echo(message: bytes) -> bytes:
    return message


def selectors_usual(listener: socket.socket) -> None:
    """As it is usually written: sock.recv(256 KiB) into a bytearray of the connection."""
    _loop(listener, _recv)


def selectors_tuned(listener: socket.socket) -> None:
    """One buffer for all, received into; most often a read is whole frames, cut from it directly."""
    room = bytearray(262144)
    view = memoryview(room)

    def receive(sock: socket.socket, tail: bytearray) -> bytes | None:
        size = sock.recv_into(room)
        if not size:
            return None
        if not tail:
            at, out = 0, []
            while size - at >= 4:
                end = at + 4 + int.from_bytes(view[at : at + 4], "big")
                if end > size:
                    break
                reply = _echo(bytes(view[at + 4 : end]))
                out += (len(reply).to_bytes(4, "big"), reply)
                at = end
            tail += view[at:size]
            return b"".join(out)
        tail += view[:size]
        return _cut(tail, _echo)

    _loop(listener, receive)


def _recv(sock: socket.socket, tail: bytearray) -> bytes | None:
    data = sock.recv(262144)
    if not data:
        return None
    tail += data
    return _cut(tail, _echo)


def _loop(listener: socket.socket, receive: Any) -> None:
    selector = selectors.DefaultSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                sock, _peer = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ, bytearray())
                continue
            sock: Any = key.fileobj  # type: ignore[no-redef]
            try:
                replies = receive(sock, key.data)
            except ConnectionError:
                replies = None
            if replies is None:
                selector.unregister(sock)
                sock.close()
            elif replies:
                sock.sendall(replies)


class _Protocol(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if replies := _cut(self._buffer, _echo):
            self._transport.write(replies)


def protocol_on_uvloop(listener: socket.socket) -> None:
    import uvloop

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Protocol, sock=listener)
        await server.serve_forever()

    uvloop.run(main())


def twisted(listener: socket.socket) -> None:
    from twisted.internet import epollreactor

    epollreactor.install()  # type: ignore[no-untyped-call]
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory
    from twisted.protocols.basic import Int32StringReceiver

    class Echo(Int32StringReceiver):
        def stringReceived(self, string: bytes) -> None:
            self.sendString(string)  # type: ignore[no-untyped-call]

    listener.setblocking(False)
    loop: Any = reactor
    loop.adoptStreamPort(listener.fileno(), socket.AF_INET, Factory.forProtocol(Echo))
    loop.run(installSignalHandlers=False)
