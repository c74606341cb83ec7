"""`connect`: the addresses of a host are raced, as _address.py does it for calls that wait."""

from __future__ import annotations

import asyncio
import os
import socket
from time import monotonic

from .. import _address, _devices, errors
from .._connection import need_framings
from ..errors import DeclarationError, Timeout
from ..sockets import _need_handshake, _shown
from .connection import HANDSHAKE, tls_context
from .pipes import spawn, stdio
from .stream import MessageStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any, TypeAlias

    from ..framings import Framing

    Address: TypeAlias = str | tuple[str, int] | socket.socket

__all__ = ["connect"]


async def connect(
    address: Address,
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    timeout: float | None = 10.0,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    handshake_timeout: float | None = HANDSHAKE,
    **options: Any,
) -> MessageStream[Any]:
    """Connect to "tcp://host:port", "tls://host:port", "unix:path", "unix:@abstract", (host, port) or "fd:3"
    (an inherited socket), "exec:COMMAND" (see `spawn`), "stdio:", or take over a connected socket.

    `options` are those of `MessageSocket`. A host's addresses are raced as RFC 8305 says, within `timeout`
    seconds altogether: Timeout(phase="connect"); else DeclarationError for an address that cannot be, OSError
    naming the address for what the system says. With `tls`, and over "tls://", it speaks TLS, as
    `framewire.connect` says; the handshake is done here. Safe to cancel.
    """
    need_framings(framing, send_framing)
    if timeout is not None and not timeout >= 0:
        raise errors.bad_timeout(timeout)
    _need_handshake(handshake_timeout)
    began = monotonic()
    kind, where = ("socket", "") if isinstance(address, socket.socket) else _address.parse(address)[:2]
    context, name = _security(address, tls, server_hostname)
    if kind in ("exec", "stdio"):
        if context is not None:
            raise DeclarationError(f"address {address!r}: tls= goes with sockets; start_tls() does it here")
        if kind == "stdio":
            return await stdio(framing, send_framing, **options)
        return await spawn(where, framing, send_framing, **options)
    stream: MessageStream[Any] = MessageStream(framing, send_framing, **options)
    sock = address if isinstance(address, socket.socket) else await _socket_to(address, timeout)
    secured: list[Any] = []

    def secure() -> None:
        limits = [handshake_timeout, None if timeout is None else max(1e-3, began + timeout - monotonic())]
        limit = min((limit for limit in limits if limit is not None), default=None)
        peer = "" if isinstance(address, socket.socket) else _shown(address)
        assert context is not None
        made: Any
        try:
            made = stream._secure(context, server_side=False, server_hostname=name, timeout=limit, peer=peer)
            stream._names = "", ""
        except errors.FramewireError as error:
            made = error
        secured.append(made)

    if context is not None:
        stream._begins = secure
    try:
        await begin(stream, sock)
    except BaseException:
        stream._close_now()
        if sock is not address:
            sock.close()
        raise
    for made in secured:
        try:
            if isinstance(made, Exception):
                raise made
            await made.wait()
        except BaseException:
            stream._close_now()
            raise
    return stream


def _security(address: Any, tls: object, name: str | None) -> tuple[ssl.SSLContext | None, str | None]:
    """The context, if it shall be TLS, and the name that the certificate must prove."""
    kind, where, _ = ("socket", "", None) if isinstance(address, socket.socket) else _address.parse(address)
    if kind == "tls" and tls is None:
        tls = True
    if tls is None and name is not None:
        raise DeclarationError("server_hostname= goes with TLS: tls=True, or a tls:// address")
    if tls is not None and kind in ("tcp", "tls"):
        name = name or where or "localhost"
    return None if tls is None else tls_context(tls, False), name


async def begin(stream: MessageStream[Any], sock: socket.socket) -> None:
    """Give a stream a connected socket."""
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    unix = sock.family == getattr(socket, "AF_UNIX", None)
    make: Any = loop.create_unix_connection if unix else loop.create_connection
    await make(lambda: stream._link, sock=sock)


async def _socket_to(address: str | tuple[str, int], timeout: float | None) -> socket.socket:
    kind, where, port = _address.parse(address)
    if kind == "fd":
        found = _devices.inherited(where)
        if not isinstance(found, socket.socket):
            raise DeclarationError(f"address {address!r}: the descriptor is no socket")
        return found
    if kind not in ("tcp", "tls", "unix"):
        raise DeclarationError(
            f"address {address!r}: framewire.aio connects to 'tcp://...', 'tls://...' and 'unix:...'"
        )
    if port == 0:
        raise DeclarationError(f"address {address!r}: port 0 cannot be connected to")
    dialing = _dial_unix(where) if kind == "unix" else _dial_tcp(address, where, port)
    try:
        return await asyncio.wait_for(dialing, timeout)
    except (OSError, asyncio.TimeoutError) as error:
        if isinstance(error, asyncio.TimeoutError) and getattr(error, "errno", None) is None:
            raise Timeout(f"no connection to {address} within {timeout} s", phase="connect") from None
        if isinstance(error, OSError):
            raise _address._named(error, address) from None
        raise


async def _dial_unix(path: str) -> socket.socket:
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(path)
            return sock
        except BlockingIOError:
            # The listener's queue is full, and there is nothing that could be polled for.
            sock.close()
        except BaseException:
            sock.close()
            raise
        await asyncio.sleep(0.01)


async def _dial_tcp(address: object, host: str, port: int | None) -> socket.socket:
    loop = asyncio.get_running_loop()
    if not host or ":" in host or host.replace(".", "").isdigit():
        found = _address._resolved(address, host, port)  # no name, so nobody is asked
    else:
        found = await loop.run_in_executor(None, _address._resolved, address, host, port)
    waiting = _address._in_turn(found)[::-1]
    failures: list[tuple[Any, OSError]] = []
    running: set[asyncio.Task[Any]] = set()
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_attempt(*waiting.pop())))
            done, running = await asyncio.wait(
                running,
                timeout=_address._ATTEMPT_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            sockets: list[socket.socket] = []
            for task in done:
                result = task.result()
                if isinstance(result, socket.socket):
                    sockets.append(result)
                else:
                    failures.append(result)
            for late in sockets[1:]:
                late.close()
            if sockets:
                return sockets[0]
    finally:
        for task in running:
            if task.done() and not task.cancelled() and isinstance(task.result(), socket.socket):
                task.result().close()
            task.cancel()
    raise _address._told(failures)


async def _attempt(family: int, to: Any) -> socket.socket | tuple[Any, OSError]:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return to, error
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, to)
        return sock
    except OSError as error:
        sock.close()
        number = error.errno or 0
        return to, OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
