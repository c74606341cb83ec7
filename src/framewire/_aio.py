"""Messages in an event loop of asyncio or uvloop: `MessageProtocol`, `MessageStream`, `connect`.

Both are channels that the loop drives (the backend's `Protocol`). A `MessageProtocol` is what a loop calls, with
a callback for each message. A `MessageStream` is awaited; the loop holds a `Link` of it only, so that one that
its user has dropped is found. What both share is `LoopConnection`: how it begins and ends, and its timeouts,
for which each loop has one `_Clock`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import warnings
import weakref
from functools import partial, wraps
from itertools import islice
from time import monotonic

from . import _address, _backend, _devices, _options, errors
from ._connection import HIGH_WATER, Connection, name_of, need_framings, need_options
from ._transport import OTHER
from .errors import DeclarationError, EndOfStream, Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from logging import Logger
    from types import TracebackType
    from typing import Any, TypeAlias, TypeVar

    from typing_extensions import Buffer, Self

    from .framings import Framing

    T = TypeVar("T")
    Address: TypeAlias = str | tuple[str, int] | socket.socket

__all__ = ["MessageProtocol", "MessageStream", "connect"]

DEFAULT: Any = object()  # "timeout= was not given"
TURN = 4096  # messages that are sent before others have their turn
PULSES = 0.02, 0.25  # how often, at most and at least, the timeouts of a connection are looked at
LINGER = 5.0  # seconds in which a close may send what is unsent and read to the peer's end
# Transports whose socket may be sent to directly, when nothing stands in their own buffer.
_DIRECT = {
    ("asyncio.selector_events", "_SelectorSocketTransport"),
    ("uvloop.loop", "TCPTransport"),
    ("uvloop.loop", "UnixTransport"),
}


class LoopTransport:
    """The loop's transport, as a channel knows the stream below it."""

    __slots__ = ("transport", "sock")

    direct = OTHER
    pending = unclean = False
    clock = staticmethod(monotonic)

    def __init__(self) -> None:
        self.transport: Any = None
        self.sock: Any = None  # as the loop shows it

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
        if self.transport is not None:
            try:
                getattr(self.transport, "abort", self.transport.close)()
            except RuntimeError:
                pass  # the loop is closed, and with it this

    def abort(self) -> None:
        """Close so that the peer learns at once, and loses what it has not read."""
        if self.sock is not None:
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        self.close()


class _Clock:
    """The timeouts and heartbeats of a loop's connections. Those for which nothing is due are forgotten."""

    _clocks: weakref.WeakKeyDictionary[Any, _Clock] = weakref.WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._watched: weakref.WeakSet[LoopConnection[Any]] = weakref.WeakSet()
        self._handle: asyncio.TimerHandle | None = None
        self._pulse = PULSES[1]

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> _Clock:
        clock = cls._clocks.get(loop)
        if clock is None:
            clock = cls._clocks[loop] = cls(loop)
        return clock

    def watch(self, conn: LoopConnection[Any]) -> None:
        self._watched.add(conn)
        loop = self._loop()
        if loop is not None and (self._handle is None or conn._pulse < self._pulse):
            self._pulse = min(self._pulse, conn._pulse)
            if self._handle is not None:
                self._handle.cancel()
            self._handle = loop.call_later(self._pulse, self._tick)

    def _tick(self) -> None:
        self._handle = None
        pulse = PULSES[1]
        for conn in list(self._watched):
            if conn._tick() < 1e9:
                pulse = min(pulse, conn._pulse)
            else:
                self._watched.discard(conn)
        self._pulse = pulse
        loop = self._loop()
        if self._watched and loop is not None and self._handle is None:
            self._handle = loop.call_later(pulse, self._tick)


class LoopConnection(Connection["T"], _backend.protocol.Protocol["T"]):
    """What `MessageProtocol` and `MessageStream` share."""

    __slots__ = (
        *("_framing", "_send_framing", "_names", "_log", "state"),
        *(
            "_loop",
            "_pulse",
            "_peer_timeout_",
            "_failure_",
            "_peer_ended",
            "_closing",
            "_linger",
            "_gone",
            "_is_gone",
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
        limits = [limit for limit in (frame_timeout, idle_timeout, heartbeat and peer_timeout) if limit]
        self._pulse = min(max(min(limits, default=1.0) / 4, PULSES[0]), PULSES[1])
        self._failure_: Exception | None = None  # what has ended it
        self._peer_ended = False
        self._closing: Any = None  # the timer of a close
        self._linger: float | None = None  # its seconds
        self._gone: Any = None  # a future: the transport has gone
        self._is_gone = False
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
        below.sock = sock = transport.get_extra_info("socket")
        kind = type(transport)
        plain = (kind.__module__, kind.__name__) in _DIRECT
        if sock is not None and plain:
            try:
                _options.keep_alive(sock, self._peer_timeout_)
            except OSError:
                pass  # it is dead: the loop will say so
        if hasattr(transport, "set_write_buffer_limits"):
            # So it says when there is something in its buffer, and when there is nothing.
            transport.set_write_buffer_limits(high=0, low=0)
        self._attach(transport, sock.fileno() if plain and os.name == "posix" else -1, plain)
        if self._watches:
            _Clock.of(self._loop).watch(self)

    def _below(self) -> LoopTransport:
        return getattr(self._transport, "below", self._transport)  # type: ignore[no-any-return]

    @property
    def _watches(self) -> bool:
        """Whether there is something to look after though nothing comes."""
        return self._judge(False) < 1e9

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
        _Clock.of(self._loop).watch(self)

    def _later(self) -> None:
        self._loop.call_soon(self._resume)

    def _tick(self) -> float:
        """What is due; how many seconds until something is again."""
        raise NotImplementedError

    # --- what it is ------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Bytes of sent messages that the kernel has not taken yet."""
        transport = self.transport
        here: int = super().unsent
        return here + (0 if transport is None or not self._writes_ else transport.get_write_buffer_size())

    @property
    def _writes_(self) -> bool:
        return hasattr(self.transport, "get_write_buffer_size")

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
            local = local or name_of(sock, sock.getsockname)
            peer = peer or name_of(sock, sock.getpeername)
        elif sock is None and self.transport is not None:
            peer = peer or "pipe:"
        self._names = local, peer

    _first_use = _name

    # --- the end ---------------------------------------------------------------------------------------

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
        elif not self.unsent:
            if hasattr(self.transport, "write_eof"):
                self._end_sending()
            if self._peer_ended or not self._writes_:
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


# --- callbacks -------------------------------------------------------------------------------------------


def _entry(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """What the loop calls as `name`: the engine's part, which calls `function`. Calls from inside that, by
    super() that is, go on to `function`."""

    @wraps(function)
    def entry(self: Any, *args: Any) -> Any:
        if self._inside == name:
            return function(self, *args)
        return getattr(self, _ENGINE[name])(*args)

    entry._is_entry = True  # type: ignore[attr-defined]
    return entry


_ENGINE = {
    "connection_made": "_made",
    "eof_received": "_ended_by_peer",
    "connection_lost": "_lost",
    "pause_writing": "_stopped",
    "resume_writing": "_resumed",
}


class MessageProtocol(LoopConnection["T"], asyncio.BufferedProtocol):
    """A protocol whose callbacks get messages: for `loop.create_connection`, `create_server`,
    `connect_read_pipe` and so on.

    Subclass it and override what is wanted: `connection_made(transport)`, `message_received(message)` or
    `messages_received(messages)`, `eof_received()`, `connection_lost(error)`, `pause_writing()`,
    `resume_writing()`; none needs to call its super(). There is no future and no task for a message. `send`
    and `send_many` never wait: BlockingIOError while `high_water` bytes are unsent, nothing was taken then.
    What callbacks send while they handle what arrived together goes together. `framing` may be changed in
    `message_received`, for the next message; who overrides `messages_received`, and gets lists, gives that up.

    The options are those of `MessageSocket`; its timeouts end the connection. One loop, and its thread.

    >>> import asyncio
    >>> import framewire as fw
    >>> class Echo(fw.aio.MessageProtocol):
    ...     def message_received(self, message):
    ...         self.send(message.upper())
    >>> async def main():
    ...     loop = asyncio.get_running_loop()
    ...     server = await loop.create_server(lambda: Echo(fw.Lines()), "127.0.0.1", 0)
    ...     async with await fw.aio.connect(server.sockets[0].getsockname(), fw.Lines()) as conn:
    ...         print(await conn.request(b"hello"))
    ...     server.close()
    >>> asyncio.run(main())
    b'HELLO'
    """

    __slots__ = ("_inside",)

    _kind = "aio.MessageProtocol"
    _batches = False

    def __init__(self, framing: Framing, send_framing: Framing | None = None, **options: Any) -> None:
        self._inside = ""
        super().__init__(framing, send_framing, _how={"batches": self._batches}, **options)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _ENGINE:
            function = getattr(cls, name)
            if not hasattr(function, "_is_entry"):
                setattr(cls, name, _entry(name, function))
        if cls.messages_received is not MessageProtocol.messages_received:
            cls._batches = True
            cls._deliver = cls.messages_received  # type: ignore[method-assign, assignment]
        else:
            cls._deliver = cls.message_received  # type: ignore[method-assign, assignment]

    # --- to be overridden ------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """It is connected, by the loop's `transport`."""

    def message_received(self, message: T) -> None:
        """A message has come. What it returns does not matter; what it raises ends the connection, and is
        reported to the loop's exception handler."""

    def messages_received(self, messages: list[T]) -> None:
        """Messages have come, at most 1 024. Override it in place of `message_received`."""

    def eof_received(self) -> bool | None:
        """The clean end of what the peer sends. Unless it returns something true, the connection is closed
        then, when all that was sent has gone."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended: cleanly if `error` is None, else by what was wrong: a DecodeError,
        Truncated, ConnectionLost, Timeout, or what a callback has raised."""

    def pause_writing(self) -> None:
        """The peer takes less than is sent: `high_water` bytes or more are unsent. By default, nothing is
        received until `resume_writing`, so that replies cannot pile up."""
        self.pause_reading()

    def resume_writing(self) -> None:
        """So few bytes are unsent that there is room again. By default `resume_reading`."""
        self.resume_reading()

    # --- to be called ----------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`; at most the rest of one read is held."""
        if not self._held and not self._closed and self.transport is not None:
            self._held = True
            if not self._paused:
                self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on receiving; messages that are held come first, soon."""
        if self._held:
            self._held = False
            self._paused = True
            self._loop.call_soon(self._resume)

    def close(self, timeout: float | None = LINGER) -> None:
        """End the connection so that nothing that was sent is lost: sends what is unsent, says the end, reads
        and discards to the peer's end, within `timeout` seconds. It returns at once: `connection_lost` tells
        when that is done."""
        if not self._closed and self.transport is not None:
            self._begin_closing(timeout)

    # --- the engine ------------------------------------------------------------------------------------

    def _call(self, name: str, *args: Any) -> Any:
        before, self._inside = self._inside, name
        try:
            return getattr(self, name)(*args)
        finally:
            self._inside = before

    def _made(self, transport: Any) -> None:
        super()._made(transport)
        self._call("connection_made", transport)

    def _stop(self, error: errors.FramewireError) -> None:
        if isinstance(error, (errors.ConnectionLost, Timeout)):
            self._failure_ = error
            self._release()
        elif not isinstance(error, EndOfStream):
            self._failure_ = error
            self.close()
        elif not self._call("eof_received"):
            self.close()

    def _crowding(self) -> None:
        self._call("pause_writing")

    def _uncrowd(self) -> None:
        self._call("resume_writing")

    def _lost(self, error: Exception | None) -> None:
        super()._lost(error)
        self._closed = True
        self._call("connection_lost", self._failure_)

    def _stopped(self) -> None:
        self._flow(True)

    def _resumed(self) -> None:
        self._flow(False)
        if self._discarding:
            self._go_on_closing()

    def _tick(self) -> float:
        try:
            return self._judge(True)
        except errors.FramewireError as error:
            self._stop(error)
            return 1e9


for _name, _engine in _ENGINE.items():
    setattr(MessageProtocol, _name, _entry(_name, getattr(MessageProtocol, _name)))


# --- streams ---------------------------------------------------------------------------------------------


class _Link(_backend.protocol.Link, asyncio.BufferedProtocol):
    __slots__ = ()


class MessageStream(LoopConnection["T"]):
    """Messages over a connection in an event loop, awaited. Made by `connect`, or by `serve` for its handler.

    The verbs, options, limits and errors are those of `MessageSocket`. Every one may be cancelled: a cancelled
    `recv` loses nothing, a cancelled `send` has sent a whole message or none. Any number of tasks may send,
    one may receive (ConcurrencyError). It belongs to its loop and that one's thread. What comes while nobody
    receives is held, uncut, up to `high_water` bytes; then the peer has to wait. `frame_timeout` and
    `idle_timeout` are judged while somebody receives; heartbeats are sent at all times.

    As an asynchronous context manager it is closed at the end: at once after an exception.

    >>> import asyncio
    >>> import framewire as fw
    >>> async def main():
    ...     async with await fw.aio.serve(lambda conn, message: message, "tcp://127.0.0.1:0", fw.Lines()) as server:
    ...         async with await fw.aio.connect(server.address, fw.Lines()) as conn:
    ...             await conn.send_many([b"one", b"two"])
    ...             return await conn.recv(), await conn.recv(timeout=5)
    >>> asyncio.run(main())
    (b'one', b'two')
    """

    __slots__ = ("_link", "_room", "_waits", "_end_said", "timeout")

    _kind = "aio.MessageStream"

    def __init__(self, framing: Framing, send_framing: Framing | None = None, **options: Any) -> None:
        self._room: list[asyncio.Future[None]] = []  # who waits for room to send, or for all to be sent
        self._link = _Link(weakref.ref(self))
        self._waits = 0  # how many calls wait
        self._end_said = False  # by shutdown_write
        super().__init__(framing, send_framing, _how={"pulling": True}, **options)
        self.timeout: float | None = None

    # --- receiving -------------------------------------------------------------------------------------

    async def recv(self, timeout: float | None = DEFAULT) -> T:  # type: ignore[override]
        """The next message.

        EndOfStream at a clean end, Truncated if the stream ended inside a message, ConnectionLost, or the
        DecodeError of bytes that break the framing; messages completed before come first, and every later
        call raises the same. Timeout, or BlockingIOError for 0, lose nothing. ConcurrencyError if another
        task is receiving, ConnectionClosed after close. What the codec raises passes through, and its message
        is consumed. Safe to cancel.
        """
        messages: list[T] = [] if self._tired else self._take(1)
        if not messages:
            messages = await self._pull_in(1, timeout)
        return messages[0]

    async def recv_many(self, limit: int | None = None, timeout: float | None = DEFAULT) -> list[T]:  # type: ignore[override]
        """All messages (at most `limit`) that are there, at least one. Waits and raises as `recv`."""
        messages: list[T] = [] if self._tired else self._take(limit)
        return messages or await self._pull_in(limit, timeout)

    async def recv_into(self, buffer: Buffer, timeout: float | None = DEFAULT) -> int:  # type: ignore[override]
        """Receive the next message into a writable C-contiguous buffer; how many bytes it has.

        BufferError naming both sizes if it does not fit: the message stays. The codec is not asked. Waits and
        raises as `recv`. Safe to cancel.
        """
        return await self._pull_in(0, timeout, partial(super().recv_into, buffer, 0))  # type: ignore[no-any-return]

    async def request(self, message: Any, timeout: float | None = DEFAULT) -> T:  # type: ignore[override]
        """Send one message and receive the next one, under one deadline. Nothing pairs the two but their
        order: one task at a time."""
        if timeout is DEFAULT:
            timeout = self.timeout
        began = monotonic()
        await self.send(message, timeout)
        return await self.recv(timeout and max(1e-9, timeout - (monotonic() - began)))

    def __aiter__(self) -> Self:
        """The messages until the clean end; what `recv` raises otherwise."""
        return self

    async def __anext__(self) -> T:
        try:
            messages: list[T] = [] if self._tired else self._take(1)
            if not messages:
                messages = await self._pull_in(1, DEFAULT)
        except EndOfStream:
            raise StopAsyncIteration from None
        return messages[0]

    __iter__ = None  # type: ignore[assignment]

    async def _pull_in(
        self, limit: int | None, timeout: float | None, take: Callable[[], Any] | None = None
    ) -> Any:
        """What `take`, or `_take`, gives, as soon as that is something."""
        deadline = self._deadline(timeout)
        if self._tired:
            await asyncio.sleep(0)
            self._rest()
        late = False
        while True:
            if take is None:
                found = self._take(limit)
                if found:
                    return found
            else:
                if self._waiting:
                    raise errors.receiving_twice("task")
                try:
                    return take()
                except BlockingIOError:
                    pass
            if late or deadline == 0:
                peer = self._peer_name()
                text = f"no whole message came from {peer}"
                raise errors.timed_out(self._seconds(timeout), "recv", text)
            late = await self._input(deadline)

    async def _input(self, deadline: float | None) -> bool:
        """Wait for input, and judge the connection meanwhile; whether the deadline came first."""
        if self._judge(True) < 1e9:
            _Clock.of(self._loop).watch(self)
        waiter = self._loop.create_future()
        timer = None if deadline is None else self._loop.call_at(deadline, _set, waiter)
        self._wait_with(waiter)
        self._waiting = True
        self._hold(1)
        try:
            await waiter
        finally:
            self._waiting = False
            self._hold(-1)
            if timer is not None:
                timer.cancel()
        return deadline is not None and self._loop.time() >= deadline

    def _seconds(self, timeout: float | None) -> float:
        return (self.timeout if timeout is DEFAULT else timeout) or 0

    def _deadline(self, timeout: float | None) -> float | None:
        """When it is too late, by the loop's clock; 0 if nothing shall be waited for."""
        if timeout is DEFAULT:
            timeout = self.timeout
        if timeout is None:
            return None
        if not timeout >= 0:
            raise errors.bad_timeout(timeout)
        return self._loop.time() + timeout if timeout else 0

    def _tick(self) -> float:
        try:
            return self._judge(self._waiting)
        except errors.FramewireError:
            self._wake()  # who waits finds the same
            return self._pulse

    # --- sending ---------------------------------------------------------------------------------------

    async def send(self, message: Any, timeout: float | None = DEFAULT) -> None:  # type: ignore[override]
        """Send one message, any C-contiguous buffer; with a codec, an object.

        Waits, at most `timeout`, until less than `high_water` bytes are unsent: Timeout, and BlockingIOError
        with 0, come only from that, and nothing was taken; so it is with being cancelled. Then the message is
        taken, and what the kernel does not take of it now stays in `unsent`, which goes by itself: `flush`
        waits for that. EncodeError if the framing cannot carry it. ConnectionLost, ConnectionClosed.
        """
        if not self._offer(message):
            deadline = self._deadline(timeout)
            while True:
                await self._wait_for_room(deadline, timeout)
                if self._offer(message):
                    return

    async def send_many(self, messages: Iterable[Any], timeout: float | None = DEFAULT) -> int:  # type: ignore[override]
        """Send all `messages` with as few system calls as will do, and return how many.

        They are drawn one at a time, when there is room. Without a timeout all are sent; with one, as many as
        were taken in time are counted: Timeout or BlockingIOError only where that is none. If one cannot be
        encoded, or the iterable raises, those before it are sent. Cancelled, it has sent those drawn so far.
        """
        deadline = self._deadline(timeout)
        known = messages if type(messages) is list else None
        source: Iterator[Any] = iter(messages)
        count = 0
        while True:
            part: Any = islice(source, TURN) if known is None else known[count : count + TURN]
            try:
                taken = super().send_many(part, 0)
            except BlockingIOError:
                taken = 0
            count += taken
            if self._is_full and not (known is not None and count >= len(known)):
                try:
                    await self._wait_for_room(deadline, timeout)
                except (Timeout, BlockingIOError):
                    if count:
                        return count
                    raise
            elif taken < TURN:
                return count
            else:
                await asyncio.sleep(0)

    async def flush(self, timeout: float | None = DEFAULT) -> None:  # type: ignore[override]
        """Wait until nothing is `unsent`; Timeout or BlockingIOError if that takes longer. It raises as
        `send`. Safe to cancel."""
        deadline, waited = self._deadline(timeout), False
        while self.unsent:
            if not await self._progress(deadline) and self.unsent:
                text = f"{self.unsent} bytes could not be sent to {self._peer_name()}"
                raise errors.timed_out(self._seconds(timeout), "send", text)
            waited = True
        if waited and not self._is_shut:
            self._need_sending()

    @property
    def _is_shut(self) -> bool:
        """Whether sending has ended by our own will."""
        return self._end_said and not self._is_gone

    async def shutdown_write(self, timeout: float | None = DEFAULT) -> None:  # type: ignore[override]
        """Send what is unsent and tell the peer that nothing more will come; receiving goes on.

        Every later send raises ConnectionClosed. Timeout or BlockingIOError as `flush`: call again.
        """
        await self.flush(timeout)
        if not self._end_said:
            self._need_sending()
            self._end_said = True
            self._end_sending()

    async def _wait_for_room(self, deadline: float | None, timeout: float | None) -> None:
        """Until it may be tried again to send; Timeout or BlockingIOError if that takes too long."""
        if not self._is_full:
            await asyncio.sleep(0)  # it was only the turn of others
            self._rest()
        elif not await self._progress(deadline) and self._is_full:
            text = f"{self.unsent} bytes are unsent, {self._peer_name()} took too few"
            raise errors.timed_out(self._seconds(timeout), "send", text)

    async def _progress(self, deadline: float | None) -> bool:
        """Wait until something has been sent; False if the deadline came first."""
        self._need_open_()
        if deadline == 0:
            return False
        waiter = self._loop.create_future()
        timer = None if deadline is None else self._loop.call_at(deadline, _set, waiter)
        self._room.append(waiter)
        self._hold(1)
        try:
            await waiter
        finally:
            self._hold(-1)
            if timer is not None:
                timer.cancel()
            if waiter in self._room:
                self._room.remove(waiter)
        return deadline is None or self._loop.time() < deadline

    def _need_open_(self) -> None:
        if self._closed or self._is_gone:
            self._need_sending()

    def _hold(self, more: int) -> None:
        """While somebody waits, the loop holds this connection: its user may hold only the task."""
        self._waits += more
        self._link._hold(self if self._waits else None)

    # --- what the loop calls ---------------------------------------------------------------------------

    def _resumed(self) -> None:
        self._flow(False)
        self._wake_senders()
        if self._discarding:
            self._go_on_closing()

    def _wake_senders(self) -> None:
        room, self._room = self._room, []
        for waiter in room:
            _set(waiter)

    def _lost(self, error: Exception | None) -> None:
        super()._lost(error)
        self._wake()
        self._wake_senders()

    # --- the end ---------------------------------------------------------------------------------------

    async def close(self, timeout: float | None = LINGER) -> None:  # type: ignore[override]
        """End the connection so that nothing that was sent is lost, within `timeout` seconds.

        Sends what is unsent, tells the peer that this is the end, reads and discards until his end and closes.
        0 does not wait for the peer. If bytes stay unsent: Timeout (phase "close"), or ConnectionLost; it is
        closed all the same. Calling it again does nothing. A task that waits in recv or send is woken by
        ConnectionClosed. Cancelled, it closes at once.
        """
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        if self._closed:
            return
        unsent = self.unsent
        try:
            if not self._is_gone:
                self._begin_closing(timeout)
                await self._until_gone()
        finally:
            self._close_now()
        if unsent and isinstance(self._failure_, (Timeout, errors.ConnectionLost)):
            raise self._failure_

    async def _until_gone(self) -> None:
        if not self._is_gone:
            if self._gone is None:
                self._gone = self._loop.create_future()
            await asyncio.shield(self._gone)

    def _close_now(self) -> None:
        if not self._closed:
            self._name()
            self._release()
            self._farewell()
        self._wake()
        self._wake_senders()

    def _finish(self) -> None:
        super()._finish()
        self._wake()
        self._wake_senders()

    def abort(self) -> None:
        super().abort()
        self._wake_senders()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self._close_now()

    def __del__(self) -> None:
        if not self._closed and not self._connecting and not self._is_gone:
            foreign = self._is_foreign()
            unsent = f", {self.unsent} bytes unsent" if self.unsent else ""
            text = f"unclosed {self!r}{unsent}"
            self._release()
            if not foreign:
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


# --- making them -----------------------------------------------------------------------------------------


async def connect(
    address: Address,
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    timeout: float | None = 10.0,
    **options: Any,
) -> MessageStream[Any]:
    """Connect to "tcp://host:port", "unix:path", "unix:@abstract", (host, port) or "fd:3" (an inherited
    socket), or take over a connected socket.

    `options` are those of `MessageSocket`. A host's addresses are raced as RFC 8305 says, within `timeout`
    seconds altogether: Timeout(phase="connect"); else DeclarationError for an address that cannot be, OSError
    naming the address for what the system says. Safe to cancel.
    """
    need_framings(framing, send_framing)
    if timeout is not None and not timeout >= 0:
        raise errors.bad_timeout(timeout)
    stream: MessageStream[Any] = MessageStream(framing, send_framing, **options)
    sock = address if isinstance(address, socket.socket) else await _socket_to(address, timeout)
    try:
        await begin(stream, sock)
    except BaseException:
        if sock is not address:
            sock.close()
        raise
    return stream


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
    if kind not in ("tcp", "unix"):
        raise DeclarationError(f"address {address!r}: framewire.aio connects to 'tcp://...' and 'unix:...'")
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
                (sockets if isinstance(result, socket.socket) else failures).append(result)
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
