"""`MessageStream`: messages, awaited.

The loop holds a `Link` of a stream only, so that one that its user has dropped is found.
"""

from __future__ import annotations

import asyncio
import warnings
import weakref
from functools import partial
from itertools import islice

from .. import _backend, errors
from ..errors import EndOfStream, Timeout
from .connection import HANDSHAKE, LINGER, Clock, LoopConnection, tls_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, TypeVar

    from typing_extensions import Buffer, Self

    from ..framings import Framing

    T = TypeVar("T")

__all__ = ["MessageStream"]

DEFAULT: Any = object()  # "timeout= was not given"
TURN = 4096  # messages that are sent before others have their turn


class _Link(_backend.protocol.Link, asyncio.BufferedProtocol):
    __slots__ = ()


class MessageStream(LoopConnection["T"]):
    """Messages over a connection in an event loop, awaited. Made by `connect`, or by `serve` for its handler.

    The verbs, options, limits and errors are those of `MessageSocket`. Every one may be cancelled: a
    cancelled `recv` loses nothing, a cancelled `send` has sent a whole message or none. Any number of tasks
    may send, one may receive (ConcurrencyError). It belongs to its loop and that one's thread. What comes
    while nobody receives is held, uncut, up to `high_water` bytes; then the peer has to wait. `frame_timeout`
    and `idle_timeout` are judged while somebody receives; heartbeats are sent at all times.

    As an asynchronous context manager it is closed at the end: at once after an exception.

    >>> import asyncio
    >>> import framewire as fw
    >>> async def main():
    ...     echo = lambda conn, message: message
    ...     async with await fw.aio.serve(echo, "tcp://127.0.0.1:0", fw.Lines()) as server:
    ...         async with await fw.aio.connect(server.address, fw.Lines()) as conn:
    ...             await conn.send_many([b"one", b"two"])
    ...             return await conn.recv(), await conn.recv(timeout=5)
    >>> asyncio.run(main())
    (b'one', b'two')
    """

    __slots__ = ("_link", "_room", "_waits", "_end_said", "_gathers", "timeout")

    _kind = "aio.MessageStream"

    def __init__(self, framing: Framing, send_framing: Framing | None = None, **options: Any) -> None:
        self._room: list[asyncio.Future[None]] = []  # who waits for room to send, or for all to be sent
        self._link = _Link(weakref.ref(self))
        self._waits = 0  # how many calls wait
        self._end_said = False  # by shutdown_write
        self._gathers = False
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
        return await self._pull_in(0, timeout, partial(self._take_into, buffer))  # type: ignore[no-any-return]

    async def request(self, message: Any, timeout: float | None = DEFAULT) -> T:  # type: ignore[override]
        """Send one message and receive the next one, under one deadline. Nothing pairs the two but their
        order: one task at a time."""
        deadline = self._deadline(timeout)
        if not self._offer(message):
            await self._send_late(message, timeout, deadline)
        messages: list[T] = [] if self._tired else self._take(1)
        if not messages:
            messages = await self._pull_in(1, timeout, deadline=deadline)
        return messages[0]

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
        self,
        limit: int | None,
        timeout: float | None,
        take: Callable[[], Any] | None = None,
        deadline: float | None = DEFAULT,
    ) -> Any:
        """What `take`, or `_take`, gives, as soon as that is something."""
        if deadline is DEFAULT:
            deadline = self._deadline(timeout)
        if self._tired:
            await asyncio.sleep(0)
            self._rest()
        late = waited = False
        while True:
            found = self._take(limit) if take is None else take()
            if found or take is not None and found is not None:
                return found
            if late or deadline == 0:
                peer = self._peer_name()
                text = f"no whole message came from {peer}"
                raise errors.timed_out(self._seconds(timeout), "recv", text)
            if waited and self._limited:
                self._judge(True)
            late = await self._input(deadline)
            waited = True

    async def _input(self, deadline: float | None) -> bool:
        """Wait for input; whether the deadline came first."""
        if self._limited and not self._is_watched:
            Clock.of(self._loop).watch(self)
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
            await self._send_late(message, timeout, self._deadline(timeout))

    async def _send_late(self, message: Any, timeout: float | None, deadline: float | None) -> None:
        """Send a message for which there was no room."""
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
        if self._closed:
            self._need_sending()
        while self._push_out():
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

    def _gather(self) -> None:
        """What is sent until the loop has its next turn goes together."""
        if not self._gathers:
            self._gathers = True
            self._loop.call_soon(self._scatter, cork := self.cork())
            cork.__enter__()

    def _scatter(self, cork: Any) -> None:
        self._gathers = False
        if not self._closed and not self._is_gone:
            try:
                cork.__exit__(None, None, None)
            except OSError:
                pass  # who sends next is told
        if not self.unsent:
            self._wake_senders()
        if self._discarding:
            self._go_on_closing()

    # --- TLS -------------------------------------------------------------------------------------------

    async def start_tls(
        self,
        context: ssl.SSLContext | bool | tuple[Any, Any] = True,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        timeout: float | None = HANDSHAKE,
    ) -> None:
        """Go on in TLS from here, as both ends have agreed to (STARTTLS and the like).

        Arguments and errors are those of `MessageSocket.start_tls`; what was sent before goes in the clear,
        ahead of the handshake. 0 does not wait for that, nor does being cancelled undo it. ConcurrencyError
        while another task receives.
        """
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        secure = self._secure(
            tls_context(context, server_side),
            server_side=server_side,
            server_hostname=server_hostname,
            timeout=timeout or (None if timeout is None else HANDSHAKE),
        )
        if timeout != 0:
            await secure.wait()

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

        Sends what is unsent, tells the peer that this is the end, reads and discards until his end and
        closes. 0 does not wait for the peer. If bytes stay unsent: Timeout (phase "close"), or
        ConnectionLost; it is closed all the same. Calling it again does nothing. A task that waits in recv or
        send is woken by ConnectionClosed. Cancelled, it closes at once.
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
