"""A channel that an event loop drives: it is told what has come, and never waits.

The twin of _native/protocol. `Protocol` has what asyncio calls for every piece of a stream. Whole messages
are handed to `_deliver`, or, if it is `pulling`, stay uncut until `_take` asks for them. What is sent goes to
the socket at once, where the loop's transport has nothing before it; what the kernel does not take is given
to that transport piece by piece, which then says when there is room again (`_flow`). So what is `unsent` here
is sent before the transport ends, whoever closes that.
"""

from __future__ import annotations

import socket
from types import GeneratorType

from .. import errors
from .channel import FAIR, FAIR_SIZE, Channel
from .receiving import BLOCK
from .stream import DEFAULT, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from typing_extensions import Buffer

    from .._transport import Transport
    from ..errors import FramewireError
    from .receiving import T as T

__all__ = ["Link", "Protocol"]

PIECE = 65536  # how much of what the kernel does not take the loop's transport is given at once
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_spare_blocks: list[bytearray] = []


class _Borrowed(socket.socket):
    """The loop's socket, to be sent to; it is the loop's to close."""

    def __del__(self) -> None:
        self.detach()


class _Outward:
    """The stream below as a channel sends to it: the socket, or else the loop's transport."""

    def __init__(self, below: Transport) -> None:
        self.below = below
        self.loop_transport: Any = None
        self.direct = below.direct
        self.sock: socket.socket | None = None  # if it may be sent to
        self.flowing = False  # what it had has gone, so that it takes more, even if somebody has closed it
        self.behind = False  # the loop's transport has bytes before ours

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        transport = self.loop_transport
        closing = transport.is_closing()
        if self.behind or closing and not self.flowing:
            raise BlockingIOError
        if self.sock is not None and not closing:
            try:
                return iter([self.sock.sendmsg(views, (), _NO_SIGNAL)])
            except OSError:
                pass  # there is no room; or the transport finds out by itself what is wrong
        piece = bytearray()
        for view in views:
            piece += view[: PIECE - len(piece)]
        transport.write(piece)
        return iter([len(piece)])

    def wait(self, read: bool, write: bool, seconds: float | None) -> bool:
        if seconds != 0:
            raise errors.cannot_wait()
        return False


class Protocol(Channel["T"]):
    """What an event loop drives; see `MessageProtocol` and `MessageStream`."""

    _transport: Any

    def __init__(
        self,
        transport: Transport,
        *,
        pulling: bool = False,
        batches: bool = False,
        replies: bool = False,
        **options: Any,
    ) -> None:
        below: Any = _Outward(transport)
        super().__init__(below, **options)
        self._loop_transport: Any = None
        self._pulling, self._batches, self._replies = pulling, batches, replies
        self._waiter: Any = None  # the future of who waits for input
        self._lent: bytearray | None = None  # by get_buffer
        self._turn = self._turn_size = 0  # messages and bytes taken since the loop had its turn
        self._pending = self._delivering = False
        self._paused = False  # reading is: by ourselves
        self._held = False  # reading and delivering are: by the user
        self._discarding = False  # what comes is thrown away
        self._waiting = False  # somebody waits for input
        self._crowded = False  # the high water mark was reached, and the user knows
        self._connecting = True

    def _until(self, timeout: float | None) -> Until:
        return super()._until(0 if timeout is DEFAULT else timeout)

    @property
    def transport(self) -> Any:
        """The loop's transport, None before there is one."""
        return self._loop_transport

    # --- for the connection above ------------------------------------------------------------------

    def _deliver(self, message: Any) -> Any:
        """A message has come, or several in a list if this protocol takes batches."""
        raise NotImplementedError

    def _stop(self, error: FramewireError) -> None:
        """The stream has ended, by what `error` says."""

    def _crowding(self) -> None:
        """The high water mark is reached."""

    def _uncrowd(self) -> None:
        """There is room again."""

    def _came_something(self) -> None:
        """A frame is unfinished, and has a limit in time."""

    def _reply_by(self, replies: Any) -> None:
        """The reply to a message is a generator of replies."""

    def _end_by(self, error: Exception) -> None:
        """What the user does with a message has raised."""

    def _later(self) -> None:
        """Call `_resume` soon, when others have had their turn."""
        raise NotImplementedError

    def _attach(self, transport: Any, fd: int, exact: bool) -> None:
        """The loop's transport is there. `fd` is the socket's if that may be sent to directly, else -1; with
        `exact` it asks of a buffer nothing but that it is one."""
        self._loop_transport = self._transport.loop_transport = transport
        self._connecting = False
        self._opened = self._last_in = self._transport.clock()
        self._transport.sock = _Borrowed(fileno=fd) if fd >= 0 else None

    def _lose(self, made: Callable[[], Exception]) -> None:
        """The transport is gone; `made` makes what every further call raises, where that is not clear yet."""
        if self._over is None and not self._eof:
            self._over = made
        if self._send_over is None:
            self._send_over = made
        self._transport.sock = None
        self._transport.behind = False
        self._out = []
        self._lent = None

    # --- receiving ---------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> Any:
        """Where the loop shall receive to. `buffer_updated` follows."""
        if self._lent is None:
            self._lent = _spare_blocks.pop() if _spare_blocks else bytearray(BLOCK)
        return memoryview(self._lent)

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has received `nbytes` bytes into what `get_buffer` gave."""
        block = self._lent
        if block is None or not 0 <= nbytes <= len(block):
            raise ValueError(
                f"buffer_updated({nbytes}): get_buffer() gave {0 if block is None else len(block)} bytes"
            )
        self._lent = None
        data = bytes(memoryview(block)[:nbytes])
        if not _spare_blocks:
            _spare_blocks.append(block)
        self._came(data)

    def data_received(self, data: Buffer) -> None:
        """The loop has received `data`: a transport that knows no buffers."""
        self._came(bytes(data))

    def _came(self, data: bytes) -> None:
        self._reads += 1
        self._last_in = self._transport.clock()
        self._turn = self._turn_size = 0
        if self._discarding or self._closed or self._over is not None or self._broken:
            return
        try:
            self._decoder.feed(data)
        except errors.DecodeError:
            pass  # found before, and what comes behind it means nothing
        except MemoryError:
            self._broken = True
        if not self._pulling:
            if not self._pending:
                self._resume()
        elif self._is_there():
            self._wake()
            if self._decoder.buffered >= self._high_water and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        if self._frame_timeout is not None and self._decoder.buffered:
            self._came_something()

    def _is_there(self) -> bool:
        """Whether there is something to take: a message, or what ends them."""
        return self.ready

    def _wake(self) -> None:
        """Let who waits for input look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _wait_with(self, waiter: Any) -> None:
        """`waiter` is the future of who waits for input now."""
        self._waiter = waiter

    def _take(self, limit: int | None = None) -> list[Any]:
        """The messages that are there, at most `limit`; none of them cut ahead. Raises what ends them."""
        if self._waiting:
            raise errors.receiving_twice("task")
        if limit is not None and limit < 1:
            raise errors.bad_limit(limit)
        before = self._decoder.offset
        messages = self._more_messages(limit)
        self._took(len(messages), before)
        return messages

    def _take_into(self, buffer: Buffer) -> int | None:
        """The size of the message that is there, which is in `buffer` now; None if there is none."""
        if self._waiting:
            raise errors.receiving_twice("task")
        before = self._decoder.offset
        try:
            size = super().recv_into(buffer, 0)
        except BlockingIOError:
            self._took(0, before)
            return None
        self._took(1, before)
        return size

    def _took(self, count: int, before: int) -> None:
        self._turn += count
        self._turn_size += self._decoder.offset - before
        if self._paused and (not count or self._decoder.buffered < self._high_water // 2):
            self._read_on()

    def _more_messages(self, limit: int | None) -> list[Any]:
        return self._receiving.run(self._now(), "recv", self._pull, limit, None, False)  # type: ignore[no-any-return]

    def _read_on(self) -> None:
        self._paused = False
        self._last_in = self._transport.clock()  # the silence was ours
        if not self._eof and not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def _tired(self) -> bool:
        """Whether so much was taken or sent that it is time for others."""
        return self._turn >= FAIR or self._turn_size >= FAIR_SIZE

    def _rest(self) -> None:
        """The loop has had its turn."""
        self._turn = self._turn_size = 0

    def _resume(self) -> None:
        """Hand over the messages that are there, unless the user wants none now."""
        self._pending = False
        if self._held or self._closed or self._discarding or self._delivering or self._connecting:
            return
        more = False
        self._corks += 1
        self._delivering = True
        try:
            more = self._hand_over()
        finally:
            self._delivering = False
            self._corks -= 1
            if self._out and not self._corks and not self._closed:
                self._drive()
        if more:
            self._pending = True
            self._later()
            if not self._paused and self._decoder.buffered >= self._high_water // 2:
                self._paused = True
                self._transport.pause_reading()
        elif self._paused and not self._held and not self._closed:
            self._read_on()

    def _hand_over(self) -> bool:
        """Whether there may be more than one connection's share."""
        count, began = 0, self._decoder.offset
        while count < FAIR and self._decoder.offset - began < FAIR_SIZE:
            try:
                messages = self._more_messages(FAIR if self._batches else 1)
            except errors.FramewireError as error:
                if getattr(error, "recoverable", False):
                    continue  # what was skipped; it has been reported
                self._stop(error)
                return False
            except Exception as error:  # the codec's
                if not self._replies:
                    raise
                self._end_by(error)
                return False
            if not messages:
                return False
            count += len(messages)
            self._hand(messages if self._batches else messages[0])
            if self._held or self._closed or self._discarding:
                return False
        return True

    def _hand(self, message: Any) -> None:
        """One message, or a batch, to the user; what he returns is sent if this protocol replies."""
        if not self._replies:
            self._deliver(message)
            return
        try:
            reply = self._deliver(message)
            if type(reply) is GeneratorType:
                self._reply_by(reply)
            elif reply is not None:
                self.send(reply)
        except Exception as error:
            self._end_by(error)

    def _end_of_stream(self) -> None:
        """The peer has ended the stream."""
        self._over = self._over or self._reset
        self._eof = True
        if self._pulling:
            self._wake()
        else:
            self._resume()

    def _receive(self) -> None:
        raise BlockingIOError  # what comes is brought

    # --- sending -----------------------------------------------------------------------------------

    def _offer(self, message: Any) -> bool:
        """Send `message` if there is room for it now, and it is not the turn of others; whether it was."""
        if self.unsent >= self._high_water or self._turn >= 4 * FAIR or self._turn_size >= 4 * FAIR_SIZE:
            self._need_sending()
            return False
        before, until = self._bytes_out, self._now()
        self._sending.run(until, "send", self._send, message, until)
        self._turn += 1
        self._turn_size += self._bytes_out - before
        return True

    def send(self, message: Any, timeout: float | None = DEFAULT) -> None:
        """Send one message now; see `MessageSocket.send`. With the default timeout, 0, BlockingIOError while
        `high_water` bytes are unsent: nothing was taken. The loop sends the rest by itself."""
        self._begin_send(timeout)
        super().send(message, 0)
        if self.unsent >= self._high_water:
            self._crowd()

    def send_many(self, messages: Iterable[Any], timeout: float | None = DEFAULT) -> int:
        """Send `messages` now, and return how many were taken before `high_water` bytes were unsent;
        BlockingIOError if that is none. See `MessageSocket.send_many`."""
        self._begin_send(timeout)
        count = super().send_many(messages, 0)
        if self.unsent >= self._high_water:
            self._crowd()
        return count

    def _begin_send(self, timeout: float | None) -> None:
        """Only for room may a call wait, which is refused here: what is taken then is taken."""
        until = self._until(timeout)
        if until.timeout != 0 and self._is_full:
            self._make_room(until)

    @property
    def _is_full(self) -> bool:
        """Whether the high water mark is reached."""
        return self.unsent >= self._high_water

    def _need_sending(self) -> None:
        """Raise what a send would."""
        self._need_open()
        if self._send_over is not None:
            raise self._send_over()

    def _flow(self, stopped: bool) -> None:
        """The transport has, or no longer has, bytes before ours."""
        self._transport.behind = stopped
        if not stopped and self._out and not self._closed:
            self._transport.flowing = True
            self._drive()
            self._transport.flowing = False
        if self._crowded and self.unsent < self._high_water // 2:
            self._crowded = False
            self._uncrowd()

    def _make_room(self, until: Until) -> None:
        self._need_sender(until)
        if self.unsent >= self._batch:
            self._push_all(self._now())
        if self.unsent >= self._high_water:
            self._transport.wait(False, True, until.left())
            raise until.error("send", f"{self.unsent} bytes are unsent, {self._peer_name()} took too few")

    def _let_out(self) -> None:
        """Give all that is unsent to the loop's transport, corked or not: it goes before what follows."""
        before, corks = -1, self._corks
        self._corks = 0
        try:
            while super().unsent not in (0, before):
                before = super().unsent
                self._transport.behind = False
                self._drive()
        finally:
            self._corks = corks

    def _crowd(self) -> None:
        if not self._crowded and not self._pulling:
            self._crowded = True
            self._crowding()

    # --- the end -----------------------------------------------------------------------------------

    def _end_sending(self) -> None:
        """Nothing is unsent: tell the peer that nothing more will come."""
        if self._send_over is None:
            self._transport.end()
            self._send_over = errors.write_was_shut

    def _judge(self, receiving: bool) -> float:
        """Say a heartbeat if it is time; if somebody is `receiving`, raise if one of the connection's own
        timeouts is over. How many seconds until it is time again."""
        if self._closed or self._connecting or not self._watch:
            return 1e9
        if receiving and not self._paused and not self._held:
            if self._frame_timeout is not None:
                self._watch_frame()
            return self._watch_peer()
        if self._heartbeat is None or self._peer_timeout is None or self._send_over is not None:
            return 1e9
        third = self._peer_timeout / 3
        if self._last_out + third <= self._transport.clock():
            self._beat()
        return third


class Link:
    """What the loop holds of a connection that its user may drop: it forgets that one with him."""

    def __init__(self, weak: Callable[[], Any]) -> None:
        self._weak = weak
        self._held: Any = None

    def _hold(self, stream: Any) -> None:
        """Keep `stream` while it is waited for; None: no longer."""
        self._held = stream

    def _stream(self) -> Any:
        return self._held if self._held is not None else self._weak()

    def get_buffer(self, sizehint: int) -> Any:
        return self._stream().get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        self._stream().buffer_updated(nbytes)

    def data_received(self, data: Buffer) -> None:
        self._stream().data_received(data)

    def connection_made(self, transport: Any) -> None:
        self._stream()._made(transport)

    def eof_received(self) -> Any:
        stream = self._stream()
        return None if stream is None else stream._ended_by_peer()

    def connection_lost(self, exc: Exception | None) -> None:
        stream = self._stream()
        if stream is not None:
            stream._lost(exc)

    def pause_writing(self) -> None:
        stream = self._stream()
        if stream is not None:
            stream._flow(True)

    def resume_writing(self) -> None:
        stream = self._stream()
        if stream is not None:
            stream._resumed()
