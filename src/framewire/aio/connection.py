"""What the connections of an event loop share: how they begin and end, and their timeouts.

`LoopConnection` is the backend's `Protocol`, a channel that the loop drives, with a name, options and an end.
`LoopTransport` is what it knows of the stream below; a filter (as _tls.py is one) may stand between the two.
Each loop has one `Clock` for the timeouts of all its connections.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import weakref
from functools import partial
from time import monotonic

from .. import _backend, _options, errors
from .._connection import HIGH_WATER, Connection, name_of, need_framings, need_options
from .._transport import OTHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from logging import Logger
    from typing import Any, TypeVar

    from ..framings import Framing
    from .tls import SecureTransport

    T = TypeVar("T")

__all__ = ["HANDSHAKE", "LINGER", "Clock", "LoopConnection", "tls_context"]

PULSES = 0.02, 0.25  # how often, at most and at least, the timeouts of a connection are looked at
HANDSHAKE = 10.0  # seconds for the handshake of TLS
LINGER = 5.0  # seconds in which a close may send what is unsent and read to the peer's end
# Transports whose socket may be sent to directly, when nothing stands in their own buffer.
_DIRECT = {
    ("asyncio.selector_events", "_SelectorSocketTransport"),
    ("uvloop.loop", "TCPTransport"),
    ("uvloop.loop", "UnixTransport"),
}


class LoopTransport:
    """The loop's transport, as a channel knows the stream below it."""

    __slots__ = ("transport", "sock", "unclean")

    direct = OTHER
    pending = False
    clock = staticmethod(monotonic)

    def __init__(self) -> None:
        self.transport: Any = None
        self.sock: Any = None  # as the loop shows it
        self.unclean = False  # TLS was cut off

    @property
    def tls(self) -> Any:
        return None if self.transport is None else self.transport.get_extra_info("ssl_object")

    @property
    def reader(self) -> int:
        return -1 if self.sock is None else self.sock.fileno()

    writer = reader

    def events(self, wanted: int) -> int:
        return wanted

    def pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def end(self) -> bool:
        """Nothing more will be sent; whether the peer can see that."""
        if self.transport.is_closing() or not self.transport.can_write_eof():
            return False
        self.transport.write_eof()
        return True

    def wake(self) -> None:
        """Nobody waits inside of a call."""

    def close(self) -> None:
        self.sock = None  # the descriptor may soon be another's
        for name in ("abort", "close"):  # the reading end of a pipe has the second only
            if self.transport is not None and not self.transport.is_closing():
                try:
                    getattr(self.transport, name)()
                except (AttributeError, NotImplementedError, RuntimeError):
                    pass  # the last: the loop is closed, and with it this

    def abort(self) -> None:
        """Close so that the peer learns at once, and loses what it has not read."""
        if self.sock is not None:
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except (OSError, ValueError):
                pass  # it is gone
        self.close()


class Clock:
    """The timeouts and heartbeats of a loop's connections. Those for which nothing is due are forgotten."""

    _clocks: weakref.WeakKeyDictionary[Any, Clock] = weakref.WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._watched: weakref.WeakSet[LoopConnection[Any]] = weakref.WeakSet()
        self._turn = 0  # which of the calls that were asked for counts; a handle would hold the loop
        self._pulse = PULSES[1]
        self._runs = False

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Clock:
        clock = cls._clocks.get(loop)
        if clock is None:
            clock = cls._clocks[loop] = cls(loop)
        return clock

    def watch(self, conn: LoopConnection[Any]) -> None:
        if conn._is_watched:
            return
        conn._is_watched = True
        self._watched.add(conn)
        if not self._runs or conn._pulse < self._pulse:
            self._pulse = min(self._pulse, conn._pulse)
            self._go_on()

    def _go_on(self) -> None:
        loop = self._loop()
        if loop is not None:
            self._runs = True
            self._turn += 1
            loop.call_later(self._pulse, self._tick, self._turn)

    def _tick(self, turn: int) -> None:
        if turn != self._turn:
            return  # it was asked for a sooner one
        self._runs = False
        pulse = PULSES[1]
        for conn in list(self._watched):
            if conn._tick() < 1e9:
                pulse = min(pulse, conn._pulse)
            else:
                conn._is_watched = False
                self._watched.discard(conn)
        self._pulse = pulse
        if self._watched and not self._runs:
            self._go_on()


class LoopConnection(Connection["T"], _backend.protocol.Protocol["T"]):
    """What `MessageProtocol` and `MessageStream` share."""

    __slots__ = (
        *("_framing", "_send_framing", "_names", "_log", "state"),
        *(
            "_loop",
            "_pulse",
            "_limited",
            "_peer_timeout_",
            "_failure_",
            "_peer_ended",
            "_closing",
            "_linger",
            "_gone",
            "_is_gone",
            "_can_write",
            "_is_watched",
            "_begins",
        ),
    )

    if TYPE_CHECKING:
        _loop: asyncio.AbstractEventLoop
        _transport: Any

    def __init__(
        self,
        framing: Framing,
        send_framing: Framing | None = None,
        *,
        codec: Any = None,
        high_water: int = HIGH_WATER,
        frame_timeout: float | None = None,
        idle_timeout: float | None = None,
        peer_timeout: float | None = None,
        heartbeat: bytes | None = None,
        logger: Logger | None = None,
        _how: Any = None,
    ) -> None:
        need_framings(framing, send_framing)
        calls = need_options(
            framing,
            send_framing,
            codec=codec,
            high_water=high_water,
            frame_timeout=frame_timeout,
            idle_timeout=idle_timeout,
            peer_timeout=peer_timeout,
            heartbeat=heartbeat,
        )
        self._describe(framing, send_framing)
        self._peer_timeout_ = peer_timeout
        silence = None if heartbeat is None else peer_timeout
        limits = [limit for limit in (frame_timeout, idle_timeout, silence) if limit]
        self._pulse = min(max(min(limits, default=1.0) / 4, PULSES[0]), PULSES[1])
        self._limited = bool(limits)
        self._failure_: Exception | None = None  # what has ended it
        self._peer_ended = False
        self._closing: Any = None  # the timer of a close
        self._linger: float | None = None  # its seconds
        self._gone: Any = None  # a future: the transport has gone
        self._is_gone = self._can_write = self._is_watched = False
        self._begins: Callable[[], Any] | None = None  # with TLS: before anything can be read
        super().__init__(
            LoopTransport(),  # type: ignore[arg-type]
            codec=calls,
            high_water=high_water,
            frame_timeout=frame_timeout,
            idle_timeout=idle_timeout,
            heartbeat=None if heartbeat is None else bytes(heartbeat),
            peer_timeout=peer_timeout,
            **(_how or {}),
        )
        self._open_log(logger)

    # --- what the loop calls ---------------------------------------------------------------------------

    def _made(self, transport: Any) -> None:
        self._loop = asyncio.get_running_loop()
        below = self._below()
        below.transport = transport
        sock: Any = transport.get_extra_info("socket")
        below.sock = sock
        kind = type(transport)
        plain = (kind.__module__, kind.__name__) in _DIRECT
        if sock is not None and plain:
            try:
                _options.keep_alive(sock, self._peer_timeout_)
            except OSError:
                pass  # it is dead: the loop will say so
        try:
            # So it says when there is something in its buffer, and when there is nothing.
            transport.set_write_buffer_limits(high=0, low=0)
            transport.get_write_buffer_size()
            self._can_write = True
        except (AttributeError, NotImplementedError):
            pass  # the reading end of a pipe
        fd = -1 if sock is None or not plain or os.name != "posix" else sock.fileno()
        self._attach(transport, fd, plain)
        if self._limited:
            Clock.of(self._loop).watch(self)
        begins, self._begins = self._begins, None
        if begins is not None:
            begins()

    def _below(self) -> LoopTransport:
        return getattr(self._transport, "below", self._transport)  # type: ignore[no-any-return]

    def _lost(self, error: Exception | None) -> None:
        self._name()
        peer, failure = self._peer_name(), self._failure_
        if isinstance(error, OSError):
            number, text = error.errno, error.strerror or str(error)
            if self._closed and failure is None:
                self._lose(partial(errors.closed_here, peer))
            else:
                self._lose(partial(errors.lost, peer, number, text))
                self._failure_ = failure or errors.lost(peer, number, text)
        else:
            self._lose(partial(errors.closed_here, peer))
            self._failure_ = failure or error
        if self._closing is not None:
            self._closing.cancel()
        self._is_gone = True
        self._below().sock = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _ended_by_peer(self) -> bool:
        if not self._peer_ended:
            self._peer_ended = True
            self._end_of_stream()
            if self._discarding:
                self._go_on_closing()
        return self.transport.get_extra_info("sslcontext") is None

    def _came_something(self) -> None:
        if not self._is_watched:
            Clock.of(self._loop).watch(self)

    def _later(self) -> None:
        self._loop.call_soon(self._resume)

    def _tick(self) -> float:
        """What is due; how many seconds until something is again."""
        raise NotImplementedError

    # --- TLS -------------------------------------------------------------------------------------------

    def _secure(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        timeout: float | None,
        peer: str = "",
        received: bytes = b"",
    ) -> SecureTransport:
        """Go on in TLS from here; `received` came already and belongs to it."""
        if self.transport is None:
            raise errors.not_connected()
        if self.tls is not None:
            raise errors.tls_already(self._peer_name())
        if self._waiting:
            raise errors.receiving_twice("task")
        from .tls import SecureTransport

        transport = self.transport
        direct = (type(transport).__module__, type(transport).__name__) in _DIRECT and os.name == "posix"
        secure = SecureTransport(
            self,
            transport,
            context,
            self._below().sock.fileno() if direct else -1,
            server_side=server_side,
            server_hostname=server_hostname,
            timeout=timeout,
            peer=peer or self._peer_name(),
            received=received,
        )
        self._let_out()
        try:
            self._upgrade(self._transport)
        except errors.MalformedFrame as error:
            self._report(error)
            raise
        self._below().transport = secure
        self._attach(secure, -1, False)
        secure.begin(timeout, self._paused or self._held)
        return secure

    def _broke(self, made: Callable[[], Exception]) -> None:
        """TLS has ended by a fault: what has come is delivered, then what `made` makes raised."""
        self._failure_ = self._failure_ or made()
        self._lose(made)
        self._resumed()
        self._wake()

    def _resumed(self) -> None:
        """There is room for sending again."""
        raise NotImplementedError

    # --- what it is ------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Bytes of sent messages that the kernel has not taken yet."""
        transport = self.transport
        here: int = super().unsent
        return here + (0 if transport is None or not self._can_write else transport.get_write_buffer_size())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the loop's transport knows: "socket", "peername", "sockname" and so on."""
        return default if self.transport is None else self.transport.get_extra_info(name, default)

    def fileno(self) -> int:
        """The descriptor, -1 after close. It is the loop's: to know it is all that it is good for."""
        return self._below().reader

    def _name(self) -> None:
        local, peer = self._names
        sock = self._below().sock
        if sock is not None and sock.fileno() >= 0:
            secure = self.tls is not None
            local = local or name_of(sock, sock.getsockname, secure)
            peer = peer or name_of(sock, sock.getpeername, secure)
        elif sock is None and self.transport is not None:
            peer = peer or "pipe:"
        self._names = local, peer

    _first_use = _name

    # --- the end ---------------------------------------------------------------------------------------

    def _push_out(self) -> bool:
        """Send what is unsent, corked or not, as far as there is room; whether something is left."""
        if self.unsent and not self._is_gone:
            self._drive()
        return self.unsent > 0

    def _begin_closing(self, seconds: float | None) -> None:
        """Send what is unsent, say the end, read and throw away to the peer's end; `_finish` comes then, or
        after so many seconds."""
        self._name()
        self._linger = seconds
        if self._closing is None and seconds is not None:
            self._closing = self._loop.call_later(seconds, self._finish)
        self._discarding = True
        self._held = False
        if not self._peer_ended and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()
        self._loop.call_soon(self._go_on_closing)

    def _go_on_closing(self) -> None:
        if self._closed:
            return
        if self.transport.is_closing():
            self._finish()
        elif not self._push_out():
            if self._can_write:
                self._end_sending()
            if self._peer_ended or not self._can_write:
                self._finish()

    def _finish(self) -> None:
        """Close, whatever has become of it."""
        if self._closed:
            return
        if self._closing is not None:
            self._closing.cancel()
        unsent = self.unsent
        if unsent and self._failure_ is None:
            self._failure_ = errors.close_lost(self._peer_name(), unsent, self._linger or 0)
        self._release()
        self._farewell()

    def abort(self) -> None:
        """Close at once: the peer gets a reset (over TCP), and what is unsent is lost."""
        if not self._closed:
            self._name()
            if self._closing is not None:
                self._closing.cancel()
            super().abort()
            self._wake()
            self._farewell()


def tls_context(tls: object, server_side: bool) -> ssl.SSLContext:
    """The context that `tls=` means."""
    from .. import _tls

    return _tls.server_context(tls) if server_side else _tls.client_context(tls)
