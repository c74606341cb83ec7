"""TLS between the loop's transport and a connection: the filter of _tls.py, brought and asked by the loop.

`SecureTransport` is two things at once: the protocol of the loop's own transport, from which ciphertext
comes, and the transport of the connection above, which it gives what was decrypted. asyncio's own TLS is not
used because it hides that a stream was cut off.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from time import monotonic

from .. import errors
from .._tls import ANSWERS, TLSTransport
from .._transport import OTHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from typing import Any

__all__ = ["SecureTransport"]

ROOM = 65536  # ciphertext that is received at once, plaintext that is handed over at once
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_NONE = memoryview(b"")
_rooms: list[memoryview] = []  # a few of that size, for whoever needs one now


class _Ciphertext:
    """The stream below, as the filter knows it: what the loop has brought, and where what goes is put."""

    direct = OTHER
    pending = unclean = False
    clock = staticmethod(monotonic)

    def __init__(self, transport: Any, fd: int) -> None:
        self.transport = transport
        self.sock = None if fd < 0 else _Borrowed(fileno=fd)
        self.came = _NONE
        self.ended = False

    def receiving(self, view: memoryview) -> Iterator[int]:
        size = min(len(view), len(self.came))
        if not size and not self.ended:
            raise BlockingIOError
        view[:size] = self.came[:size]
        self.came = self.came[size:]
        return iter([size])

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        """Take all of it: by the socket where nothing is before it, else by the loop's transport."""
        waiting = self.transport.get_write_buffer_size()
        if waiting > ANSWERS or self.transport.is_closing():
            raise BlockingIOError
        view, size, taken = views[0], len(views[0]), 0
        if self.sock is not None and not waiting:
            try:
                taken = self.sock.send(view, _NO_SIGNAL)
            except OSError:
                pass  # there is no room; or the transport finds out by itself what is wrong
        if taken < size:
            self.transport.write(bytes(view[taken:]))
        return iter([size])


def _room() -> memoryview:
    return _rooms.pop() if _rooms else memoryview(bytearray(ROOM))


def _give_back(room: memoryview) -> None:
    if len(_rooms) < 2:
        _rooms.append(room)


class _Borrowed(socket.socket):
    """The loop's socket, to be sent to; it is the loop's to close."""

    def __del__(self) -> None:
        self.detach()


class SecureTransport(asyncio.BufferedProtocol):
    """TLS over the loop's `transport` for `conn`, which has it as its transport from now on.

    `fd` is the socket's where that may be sent to directly, else -1. The other arguments are those of
    `TLSTransport`, whose errors it tells the connection, as what ended it.
    """

    def __init__(self, conn: Any, transport: Any, context: ssl.SSLContext, fd: int, **how: Any) -> None:
        self._conn: Any = conn  # None when the transport has gone
        self._loop = conn._loop
        self._transport = transport
        self._below = _Ciphertext(transport, fd)
        self._context = context
        self._filter = TLSTransport(self._below, context, **how)  # type: ignore[arg-type]
        self._lent: memoryview | None = None
        self._stopped = False  # the loop's transport has bytes that are not sent
        self._paused = False  # the connection wants nothing now
        self._ready = self._over = self._failed = False
        self._shaken: asyncio.Future[None] | None = None  # somebody waits for the handshake
        self._timer: asyncio.TimerHandle | None = None

    # --- the handshake ---------------------------------------------------------------------------------

    def begin(self, timeout: float | None, paused: bool) -> None:
        """Stand between the two from now on, and do the handshake, in at most `timeout` seconds."""
        self._paused = paused
        self._transport.set_protocol(self)
        if timeout is not None:
            self._timer = self._loop.call_later(timeout, self._look_at_the_time)
        self._conn._flow(True)  # what is sent meanwhile waits
        self._pump()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def wait(self) -> None:
        """Until the handshake is done; raises what it failed with."""
        if not self._ready and not self._over:
            shaken: asyncio.Future[None] = self._loop.create_future()
            self._shaken = shaken
            await shaken
        if self._filter._fault is not None:
            raise self._filter._fault()

    def _look_at_the_time(self) -> None:
        """By its clock the filter decides whether it is too late; the loop's may be a little before."""
        self._timer = None
        if not self._ready and not self._over:
            self._pump()
            if not self._over:
                self._timer = self._loop.call_later(0.01, self._look_at_the_time)

    def _is_ready(self) -> None:
        self._ready = True
        self._wake()
        if self._conn is not None and not self._stopped:
            self._conn._resumed()

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shaken is not None and not self._shaken.done():
            self._shaken.set_result(None)

    # --- from the peer ---------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._lent is None:
            self._lent = _room()
        return self._lent

    def buffer_updated(self, nbytes: int) -> None:
        room, self._lent = self._lent, None
        assert room is not None
        came = self._below.came
        self._below.came = memoryview(b"".join((came, room[:nbytes]))) if came else room[:nbytes]
        try:
            self._pump()
        finally:
            self._below.came = memoryview(bytes(self._below.came)) if self._below.came else _NONE
            _give_back(room)

    def data_received(self, data: bytes) -> None:
        self._below.came = memoryview(b"".join((self._below.came, data)))
        self._pump()

    def eof_received(self) -> bool:
        self._below.ended = True
        self._pump()
        return True

    def _pump(self) -> None:
        """Hand over what can be decrypted of what has come, and what that is the end of."""
        room = _room()
        size = 1
        while size and not self._over and self._conn is not None:
            try:
                size = next(self._filter.receiving(room))
            except BlockingIOError:
                size = 0
            except OSError:
                self._fail()
                break
            else:
                if not size:
                    self._end()
            if self._filter.shaken and not self._ready:
                self._is_ready()
            if size and self._conn is not None:
                self._conn.data_received(room[:size])
        _give_back(room)
        if self._transport.is_closing():
            return
        if self._below.came or self._ready and self._paused:
            self._transport.pause_reading()
        elif not self._over:
            self._transport.resume_reading()

    def _end(self) -> None:
        self._over = True
        if self._conn is not None:
            self._conn._below().unclean = self._filter.unclean
            self._conn._ended_by_peer()

    def _fail(self) -> None:
        """What is wrong is what ends the connection; the peer has been told, if he can be."""
        if self._failed:
            return
        self._over = self._failed = True
        self._wake()
        conn = self._conn
        made = self._filter._fault or partial(errors.closed_here, self._filter.peer)
        if not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(1.0, self.abort)
        if conn is not None and not conn._closed:
            conn._broke(made)

    # --- what else the loop says -----------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._stopped = True
        if self._conn is not None:
            self._conn._flow(True)

    def resume_writing(self) -> None:
        self._stopped = False
        if self._below.came or not self._ready:
            self._pump()
        else:
            self._filter._flush_if_possible()
        if self._conn is not None and self._ready and not self._stopped:
            self._conn._resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        conn, self._conn = self._conn, None
        self._below.sock = None
        self._over = True
        self._wake()
        if self._filter._fault is None and not self._filter.shaken:
            peer = self._filter.peer
            if isinstance(exc, OSError):
                self._filter._fault = partial(errors.lost, peer, exc.errno, exc.strerror)
            else:
                self._filter._fault = partial(errors.handshake_ended, peer)
        if conn is not None:
            conn._lost(exc)

    # --- what the connection asks ----------------------------------------------------------------------

    def write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[next(self._filter.sending([view])) :]
        except BlockingIOError:
            self.abort()  # the transport is gone: nothing can be taken any more
        except OSError:
            self._loop.call_soon(self._fail)  # not now: the connection is in the middle of a send

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say close_notify. Where TLS has not begun nobody would understand."""
        if not self._ready:
            self.abort()
            return
        try:
            self._filter.end()
        except BlockingIOError:
            pass  # `resume_writing` sends it

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()  # type: ignore[no-any-return]

    def is_closing(self) -> bool:
        return self._transport.is_closing()  # type: ignore[no-any-return]

    def pause_reading(self) -> None:
        self._paused = True
        if self._ready:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if not self._below.came:
            self._transport.resume_reading()

    def close(self) -> None:
        self._below.sock = None
        self._transport.close()

    def abort(self) -> None:
        self._below.sock = None
        self._transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        tls = self._filter.tls
        if name == "ssl_object":
            return tls
        if name == "sslcontext":
            return self._context
        if name in ("cipher", "compression", "peercert"):
            if not self._ready:
                return default
            return tls.getpeercert() if name == "peercert" else getattr(tls, name)()
        return self._transport.get_extra_info(name, default)
