"""The pump of one stream in Python: the twin of _native/channel. It receives, cuts, queues and sends.

Below it is a transport (_transport.py), above it the connection that inherits its verbs. Received bytes go
through a borrowed block into the decoder, which keeps what is not delivered, so a timeout loses nothing. What
is to be sent goes into `_out`, a list of memoryviews, before the first system call, so that a send that was
cut short is continued by the next call. Each direction has a `_Turn`: one thread at a time.

A Python signal handler may raise between any two bytecodes, just not inside one. So that it never tears a
stream, the count a system call returns is stored by C code (`list.extend` of the transport's iterator) and
taken into account, then or by the next call, by steps that can be repeated.

A subclass gives the peer a name (`_peer_name`), and a connecting transport its end (`_connected`).
"""

from __future__ import annotations

import errno
import os
import threading
from functools import partial

from .. import errors
from .._transport import IOV_MAX as IOV_MAX
from .codec import Decoder, Encoder
from .encoder import size_of, writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Generic, TypeVar

    from typing_extensions import Buffer, Self

    from .._transport import Transport

    T = TypeVar("T")

    class _Typed(Generic[T]):
        pass
else:

    class _Typed:
        __slots__ = ()

        def __class_getitem__(cls, item):
            return cls


__all__ = ["Channel"]

SMALL = 2048  # below it, copying a message is cheaper than one more buffer in a system call
BATCH = 65536  # small messages are joined up to this much for one system call
HIGH_WATER = 1 << 20  # a send waits while this much is unsent
DISCARD = 64 << 20  # the most that close() reads and throws away
BLOCK = 131072  # one receive
SPARE = 4  # blocks kept for the next calls
FRUITLESS = 4096  # so many heartbeats and reads without a message does a call take that must not wait
READ, WRITE = 1, 2  # selectors.EVENT_READ and EVENT_WRITE

_DEFAULT: Any = object()  # "timeout= was not given"
_spare_blocks: list[bytearray] = []
_generation = [0]  # how many forks lie between this process and the first one
_forks = [0]  # how many forks this process has seen, as parent or child


def _forked(child: bool) -> None:
    _generation[0] += child
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=lambda: _forked(False), after_in_child=lambda: _forked(True))


class _Until:
    """A deadline: `timeout` as the caller gave it, and when that is."""

    __slots__ = ("timeout", "_at", "_clock")

    def __init__(self, timeout: float | None, clock: Callable[[], float]) -> None:
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        self.timeout = timeout
        self._clock = clock
        self._at = clock() + timeout if timeout else 0.0

    def left(self) -> float | None:
        """Seconds to go, at least 0; None for ever."""
        return self.timeout and max(0.0, self._at - self._clock())

    def error(self, phase: str, what: str) -> Exception:
        return errors.timed_out(self.timeout or 0, phase, what)


class _Turn:
    """One direction of a connection: one thread at a time uses it, and never from inside itself."""

    __slots__ = ("lock", "busy", "_generation")

    def __init__(self) -> None:
        self._generation = -1
        self.renew()

    def renew(self) -> None:
        """Whoever had the turn when this process was forked off is not in it."""
        if self._generation != _generation[0]:
            self.lock = threading.RLock()
            self.busy = False
            self._generation = _generation[0]

    def run(self, until: _Until, phase: str, action: Callable[..., Any], *args: Any) -> Any:
        """Call `action` when it is this thread's turn; an error if that is not so before `until`."""
        left = until.left()
        wait = -1.0 if left is None else min(left, threading.TIMEOUT_MAX)
        held: list[bool] = []
        self.renew()
        lock = self.lock
        try:
            # extend() stores that we hold the lock before a signal handler can raise.
            held.extend(filter(None, map(lock.acquire, (wait != 0,), (wait or -1.0,))))
            if not held and phase == "recv":
                raise errors.receiving_twice()
            if not held:
                raise until.error(phase, "another thread was still sending, nothing was done")
            if self.busy:
                raise errors.inside_itself()
            self.busy = True
            try:
                return action(*args)
            finally:
                self.busy = False
        finally:
            if held:
                lock.release()


class _Cork:
    """While it is entered, sent messages gather; at the end they go together."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel[Any]) -> None:
        self._channel = channel

    def __enter__(self) -> None:
        self._channel._corks += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        channel = self._channel
        channel._corks -= 1
        if not channel._corks and channel._out:
            if kind is None:
                channel._sending.run(channel._until(_DEFAULT), "send", channel._uncork)
            else:
                channel._drive()


def _coalesced(views: list[memoryview]) -> list[memoryview]:
    """The same bytes with small neighbours joined."""
    out: list[memoryview] = []
    run: list[memoryview] = []
    size = 0
    for view in views:
        if len(view) < SMALL:
            run.append(view)
            size += len(view)
        if run and (len(view) >= SMALL or size >= BATCH):
            out.append(memoryview(b"".join(run)))
            run, size = [], 0
        if len(view) >= SMALL:
            out.append(view)
    if run:
        out.append(memoryview(b"".join(run)))
    return out


class Channel(_Typed["T"]):
    """Messages over one stream; see `MessageSocket`, which inherits every verb."""

    timeout: float | None
    _closed = True  # until the constructor has got through
    _connecting = False
    _detached = False
    _half_closed = True  # the peer can see that we have ended

    def __init__(
        self,
        transport: Transport,
        plan: tuple[Any, ...],
        send_plan: tuple[Any, ...],
        *,
        codec: tuple[Callable[..., Any] | None, ...] | None = None,
        high_water: int = HIGH_WATER,
        frame_timeout: float | None = None,
        idle_timeout: float | None = None,
        heartbeat: bytes | None = None,
        peer_timeout: float | None = None,
    ) -> None:
        self.timeout = None
        self._decoder = Decoder(plan)
        self._encoder = Encoder(send_plan)
        self._encode, self._encode_into, self._decode, self._decode_from = codec or (None,) * 4
        self._high_water = high_water
        self._frame_timeout, self._idle_timeout = frame_timeout, idle_timeout
        self._heartbeat, self._peer_timeout = heartbeat, peer_timeout
        self._watch = frame_timeout is not None or idle_timeout is not None or heartbeat is not None
        self._receiving, self._sending = _Turn(), _Turn()
        self._arrived: list[int] = []  # what the transport received, if the decoder has not been told yet
        self._block: bytearray | None = None  # where it is
        self._mark = 0  # the decoder's end of stream before that
        self._cut: list[bytes] = []  # frames cut, but not delivered
        self._eof = False
        self._broken = False  # there was no memory for what had arrived
        self._over: Callable[[], Exception] | None = None  # what every further recv raises
        self._reset: Callable[[], Exception] | None = None  # what a send has found to have ended the stream
        self._out: list[memoryview] = []
        self._reserved: bytearray | None = None
        self._sent: list[int] = []  # what the transport took, if it is not yet taken off `_out`
        self._send_over: Callable[[], Exception] | None = None  # what every further send raises
        self._corks = 0
        self._transport = transport
        self._generation: int | None = None
        self._born = _forks[0]
        self._pid = 0
        self._beats = self._reads = self._writes = self._bytes_out = self._messages_out = 0
        self._last_in = self._last_out = self._frame_since = self._opened = transport.clock()
        self._frame_at = -1  # the offset of the unfinished frame that `_frame_since` is about
        self._trace: Callable[[str, Any], None] | None = None
        self._closed = False

    # --- for the connection above --------------------------------------------------------------------

    def _peer_name(self) -> str:
        return "the peer"

    def _connected(self) -> None:
        """The transport has stopped connecting: raise if that failed."""

    def _first_use(self) -> None:
        """Called once, before the first call that needs the connection open."""

    def _report(self, error: errors.DecodeError) -> None:
        """The peer has broken the framing, or a limit."""

    def _switch(self, framing: Any) -> None:
        """Cut by `framing` from here on."""
        self._need_open()
        self._receiving.run(self._now(), "recv", self._switch_decoder, framing)

    def _switch_send(self, plan: tuple[Any, ...]) -> None:
        """Frame what is sent by `plan` from here on; waits for a send in another thread."""
        self._need_open()
        self._sending.run(self._forever(), "send", self._switch_encoder, plan)

    def _switch_decoder(self, framing: Any) -> None:
        self._commit()
        self._decoder.switch(framing)

    def _switch_encoder(self, plan: tuple[Any, ...]) -> None:
        self._encoder = Encoder(plan)

    # --- what both directions need -------------------------------------------------------------------

    def _until(self, timeout: float | None) -> _Until:
        return _Until(self.timeout if timeout is _DEFAULT else timeout, self._transport.clock)

    def _now(self) -> _Until:
        return _Until(0, self._transport.clock)

    def _forever(self) -> _Until:
        return _Until(None, self._transport.clock)

    def _need_open(self) -> None:
        """Raise unless the connection is open and belongs to this process, which it does from the first
        use on."""
        if self._closed:
            raise errors.closed_here(self._peer_name())
        if self._generation != _generation[0]:
            if self._generation is not None:
                raise errors.foreign(self._peer_name(), self._pid)
            self._first_use()
            self._pid = os.getpid()
            self._generation = _generation[0]

    def _need_connected(self, until: _Until) -> None:
        while self._connecting:
            # A pipe's wait may return early, but nothing but a socket connects.
            if not self._transport.wait(False, True, until.left()):
                raise until.error("connect", f"not yet connected to {self._peer_name()}")
            self._need_open()
            try:
                self._connected()
            except OSError as error:
                self._connecting = False
                self._over = self._send_over = partial(OSError, error.errno, error.strerror)
                raise

    def _failure(self, error: OSError) -> Callable[[], Exception] | None:
        """Makes what a failed system call means for this connection; None if it ends nothing.

        A function, and a fresh error each time: a kept error would hold the frames of its traceback, and so
        the connection itself."""
        peer, number, text = self._peer_name(), error.errno, error.strerror
        if self._closed:
            return lambda: errors.closed_here(peer)
        if number not in errors.LOST:
            return None
        return lambda: errors.lost(peer, number, text)

    @property
    def events(self) -> int:
        """What to wait for in a select, poll or selectors loop: 1 to read, 2 to write, 3 either
        (selectors.EVENT_READ, EVENT_WRITE); 0 if nothing will come any more. On `fileno()`, but to write to
        pipes on `write_fileno()`.

        Writing is asked for while bytes are `unsent` and while it connects. Check `ready` before waiting.
        """
        if self._closed:
            return 0
        if self._connecting:
            return WRITE
        read = READ if not self._eof and self._over is None and not self._broken else 0
        return read | (WRITE if self._out and not self._corks else 0)

    @property
    def ready(self) -> bool:
        """Whether `recv` has an answer without reading: a whole message, the end, or an error.

        A read may take several messages off the stream: act on them before waiting for more.
        """
        if self._closed or self._cut or self._over is not None or self._eof or self._broken:
            return True
        return bool(self._decoder.buffered or self._decoder.error) and self._decoder.needed == 0

    @property
    def unsent(self) -> int:
        """Bytes of sent messages that the kernel has not taken yet."""
        return sum(map(len, self._out)) - sum(self._sent)

    def _counters(self) -> tuple[int, int, int, int, int, int, int, int, float, float]:
        """messages in and out, bytes in and out, reads, writes, buffered, unsent, opened, last received."""
        decoder = self._decoder
        return (
            decoder._index - len(self._cut) - self._beats,
            self._messages_out,
            decoder.offset + decoder.buffered,
            self._bytes_out,
            self._reads,
            self._writes,
            decoder.buffered + sum(map(len, self._cut)),
            self.unsent,
            self._opened,
            self._last_in,
        )

    # --- receiving -----------------------------------------------------------------------------------

    def recv(self, timeout: float | None = _DEFAULT) -> T:
        """The next message.

        EndOfStream at a clean end, Truncated if the stream ended inside a message, ConnectionLost, or the
        DecodeError of bytes that break the framing; messages completed before come first, and every later
        call raises the same. Timeout or BlockingIOError lose nothing: call again (phase "recv": nothing
        whole came in time; "frame", "idle": see `frame_timeout` and `idle_timeout`). ConcurrencyError if
        another thread is receiving, ConnectionClosed after close or in another process. What the codec
        raises passes through, and its message is consumed. Also sends what is `unsent`. Safe to cancel; one
        thread at a time.
        """
        until = self._until(timeout)
        return self._receiving.run(self._now(), "recv", self._pull, 1, until)[0]  # type: ignore[no-any-return]

    def recv_many(self, limit: int | None = None, timeout: float | None = _DEFAULT) -> list[T]:
        """All messages (at most `limit`) that are buffered or come with one read, at least one.

        Waits and raises as `recv`.
        """
        if limit is not None and limit < 1:
            raise errors.bad_limit(limit)
        until = self._until(timeout)
        return self._receiving.run(self._now(), "recv", self._pull, limit, until)  # type: ignore[no-any-return]

    def recv_into(self, buffer: Buffer, timeout: float | None = _DEFAULT) -> int:
        """Receive the next message into a writable C-contiguous buffer; how many bytes it has.

        BufferError naming both sizes if it does not fit: the message stays, for the next call. A large
        message is received in place. The codec is not asked. Waits and raises as `recv`; after a timeout the
        buffer's content means nothing, and the next call of whatever kind has the whole message.
        """
        until = self._until(timeout)
        with writable(buffer) as target:
            return self._receiving.run(self._now(), "recv", self._pull_into, target, until)  # type: ignore[no-any-return]

    def request(self, message: Any, timeout: float | None = _DEFAULT) -> T:
        """Send one message and receive the next one: `send` and `recv` under one deadline.

        It raises what they raise. Nothing pairs the two but their order: one thread at a time, and after a
        Timeout the late reply is still to come.
        """
        until = self._until(timeout)
        self._sending.run(until, "send", self._send, message, until)
        return self._receiving.run(self._now(), "recv", self._pull, 1, until)[0]  # type: ignore[no-any-return]

    def __iter__(self) -> Self:
        """The messages until the clean end; what `recv` raises otherwise."""
        return self

    def __next__(self) -> T:
        try:
            return self.recv()
        except errors.EndOfStream:
            raise StopIteration from None

    def _pull(self, limit: int | None, until: _Until) -> list[Any]:
        frames = self._frames(limit, until)
        messages: list[Any] = frames if self._decode is None else []
        try:
            if self._decode is not None:
                self._decode_all(frames, messages)
            trace = self._trace  # which may close the connection, and with it the trace
            if trace is not None:
                for message in messages:
                    trace("<", message)
        except BaseException:
            # None of these was delivered: the next call has them.
            self._cut = frames[: len(messages)] + self._cut
            raise
        return messages

    def _decode_all(self, frames: list[bytes], messages: list[Any]) -> None:
        """Append what the codec makes of `frames`. What is not decoded yet is not delivered yet; a message
        that cannot be decoded is consumed."""
        decode: Any = self._decode
        decode_from = self._decode_from
        self._cut = frames + self._cut
        for frame in frames:
            if messages:
                try:
                    message = decode(frame) if decode_from is None else decode_from(frame, 0, len(frame))
                except Exception:
                    break
                del self._cut[0]
            else:
                del self._cut[0]
                message = decode(frame) if decode_from is None else decode_from(frame, 0, len(frame))
            messages.append(message)

    def _pull_into(self, target: memoryview, until: _Until) -> int:
        frame: bytes
        (frame,) = self._frames(1, until)
        if len(frame) > len(target):
            self._cut.insert(0, frame)
            raise errors.no_room(len(frame), len(target))
        target[: len(frame)] = frame
        if self._trace is not None:
            self._trace("<", frame)
        return len(frame)

    def _frames(self, limit: int | None, until: _Until) -> list[bytes]:
        """At least one frame, at most `limit`."""
        try:
            return self._more_frames(limit, until)
        except errors.DecodeError as error:
            self._report(error)
            raise
        except MemoryError:
            # What had arrived may be lost, or cut and not handed over: never deliver what follows.
            self._broken = True
            raise

    def _more_frames(self, limit: int | None, until: _Until) -> list[bytes]:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if self._out:
            self._drive()
        fruitless = 0
        while True:
            self._need_open()
            if self._broken:
                raise errors.lost(self._peer_name(), errno.ENOMEM, os.strerror(errno.ENOMEM))
            self._commit()
            if self._cut:
                frames = self._cut[:limit]
                del self._cut[: len(frames)]
                return frames
            frames = self._decoder.decode(b"", limit)
            if frames and self._heartbeat is not None:
                heard = len(frames)
                frames = [frame for frame in frames if frame != self._heartbeat]
                self._beats += heard - len(frames)
                if not frames:
                    fruitless += 1
                    self._keep_time(fruitless, until)
                    continue
            if frames:
                return frames
            if self._over is not None:
                raise self._over()
            if self._frame_timeout is not None:
                self._watch_frame()
            try:
                if not self._eof:
                    if fruitless:
                        self._keep_time(fruitless, until)
                    self._receive()
                    fruitless += 1
                else:
                    # Repeating this is harmless, should a signal handler have raised in the middle.
                    self._cut += self._decoder.feed_eof()
                    self._over = self._clean_end()
            except BlockingIOError:
                self._await_input(until)
            except InterruptedError:
                pass
            except OSError as error:
                if isinstance(error, errors.FramewireError):
                    raise
                self._over = self._failure(error)
                if self._over is None:
                    raise
                raise self._over() from error

    def _keep_time(self, fruitless: int, until: _Until) -> None:
        """Something came, but nothing for the caller: a peer that never pauses must not keep him here."""
        if until.left() == 0 and (until.timeout or fruitless >= FRUITLESS):
            raise until.error("recv", f"no whole message came from {self._peer_name()}")

    def _clean_end(self) -> Callable[[], Exception]:
        peer = self._peer_name()
        return lambda: errors.ended(peer)

    def _receive(self) -> None:
        """Take one block from the transport into the decoder. The block is borrowed: others need one too."""
        decoder = self._decoder
        if self._block is None:
            self._block = _spare_blocks.pop() if _spare_blocks else bytearray(BLOCK)
        self._mark = decoder.offset + decoder.buffered
        try:
            self._arrived.extend(self._transport.receiving(memoryview(self._block)))
        finally:
            self._commit()

    def _commit(self) -> None:
        """Give the decoder what has arrived, unless it has it already."""
        if not self._arrived:
            self._give_back()
            return
        decoder, size = self._decoder, self._arrived[0]
        if not size:
            # A send that was refused has used up the error that a receive would have raised.
            self._over = self._over or self._reset
            self._eof = True
        elif decoder.offset + decoder.buffered == self._mark:
            assert self._block is not None
            decoder.feed(bytes(memoryview(self._block)[:size]))
        self._last_in = self._transport.clock()
        self._reads += 1
        self._arrived = []
        self._give_back()

    def _give_back(self) -> None:
        block, self._block = self._block, None
        if block is not None and len(_spare_blocks) < SPARE:
            _spare_blocks.append(block)

    def _await_input(self, until: _Until) -> None:
        """Nothing has come: wait for it, or for room to send what is unsent, and keep to every timeout."""
        self._need_open()
        writing = bool(self._out) and not self._corks and self._drive()
        seconds = until.left()
        if self._watch:
            due = self._watch_peer()
            seconds = due if seconds is None else min(seconds, due)
        if not self._transport.wait(True, writing, seconds) and until.left() == 0:
            raise until.error("recv", f"no whole message came from {self._peer_name()}")

    def _watch_frame(self) -> None:
        """Timeout if the frame that has begun takes too long."""
        decoder = self._decoder
        if not decoder.buffered:
            self._frame_at = -1
        elif self._frame_at != decoder.offset:
            self._frame_at, self._frame_since = decoder.offset, self._last_in
        elif self._transport.clock() - self._frame_since >= (self._frame_timeout or 0):
            raise errors.slow_frame(self._peer_name(), decoder.buffered, self._frame_timeout)

    def _watch_peer(self) -> float:
        """Judge a silence, and say something into it; how many seconds until that is due again."""
        now, due = self._transport.clock(), [1e9]
        if self._idle_timeout is not None:
            due.append(self._last_in + self._idle_timeout - now)
            if due[-1] <= 0:
                raise errors.idle(self._peer_name(), self._idle_timeout)
        if self._frame_timeout is not None and self._frame_at == self._decoder.offset:
            due.append(self._frame_since + self._frame_timeout - now)
        if self._heartbeat is not None and self._peer_timeout is not None:
            due.append(self._last_in + self._peer_timeout - now)
            if due[-1] <= 0:
                peer, silence = self._peer_name(), self._peer_timeout
                self._over = self._send_over = lambda: errors.silent(peer, silence)
                raise self._over()
            if self._send_over is None:
                if self._last_out + self._peer_timeout / 3 <= now:
                    self._beat()
                due.append(self._last_out + self._peer_timeout / 3 - now)
        return max(0.0, min(due))

    def _beat(self) -> None:
        """Send a heartbeat, unless something else is on its way out."""
        if not self._out and not self._sending.busy:
            try:
                self._sending.run(self._now(), "send", self._queue_heartbeat)
            except (OSError, errors.ConcurrencyError):
                pass  # the next send reports it
        self._last_out = self._transport.clock()

    def _queue_heartbeat(self) -> None:
        assert self._heartbeat is not None
        self._out.append(memoryview(self._encoder.encode(self._heartbeat)))
        self._push_all(self._now())

    # --- sending -------------------------------------------------------------------------------------

    def send(self, message: Any, timeout: float | None = _DEFAULT) -> None:
        """Send one message, any C-contiguous buffer; with a codec, an object.

        Waits for its turn and until less than `high_water` bytes are unsent: Timeout, and BlockingIOError
        with `timeout=0`, come only from that, and nothing was taken. Then the message is taken: without a
        timeout send returns when the kernel has every byte; with one it may leave a rest in `unsent`, which
        later calls of send, recv, flush and close continue (a recv that already waits in another thread does
        not). EncodeError if the framing cannot carry it: nothing was sent. ConnectionLost, then and from
        every later send; ConnectionClosed after close or in another process. Any number of threads may send,
        and their messages never mix. Safe to cancel: a message that was taken is continued by the next call.
        """
        until = self._until(timeout)
        self._sending.run(until, "send", self._send, message, until)

    def send_many(self, messages: Iterable[Any], timeout: float | None = _DEFAULT) -> int:
        """Send all `messages` with as few system calls as will do, and return how many.

        They are drawn one at a time, when there is room, and held back until 64 KiB have gathered or the
        iterable ends. Without a timeout all are sent; with one, as many as were taken in time are counted:
        Timeout or BlockingIOError only where that is none. If one cannot be encoded, or the iterable
        raises, those before it are sent. Otherwise as `send`.
        """
        until = self._until(timeout)
        return self._sending.run(until, "send", self._send_many, messages, until)  # type: ignore[no-any-return]

    def cork(self) -> _Cork:
        """A context in which sent messages gather, to go together at its end or when 64 KiB are there.

        It serves all threads' sends, and may be nested. Its end waits as `flush` does, but for the
        connection's own `timeout`, and leaves the rest in `unsent`. After an exception it does not wait.
        """
        return _Cork(self)

    def flush(self, timeout: float | None = _DEFAULT) -> None:
        """Wait until nothing is `unsent`; Timeout or BlockingIOError if that takes longer.

        Otherwise it raises as `send`. Safe to cancel and to call from any thread.
        """
        until = self._until(timeout)
        self._sending.run(until, "send", self._flush, until)

    def shutdown_write(self, timeout: float | None = _DEFAULT) -> None:
        """Send what is unsent and tell the peer that nothing more will come; receiving goes on.

        Every later send raises ConnectionClosed. Timeout or BlockingIOError as `flush`: call again.
        """
        until = self._until(timeout)
        self._sending.run(until, "send", self._shutdown_write, until)

    def reserve(self, size: int) -> memoryview:
        """A writable view of `size` bytes in which the next message can be built; `commit` sends it.

        The seam for code that packs messages in place. One thread at a time, with no other send in between.
        """
        size = size_of(size)
        if size < 0:
            raise errors.bad_reserve(size)
        self._need_open()
        self._reserved = bytearray(size)
        return memoryview(self._reserved)

    def commit(self, size: int, timeout: float | None = _DEFAULT) -> None:
        """Send the first `size` bytes of what `reserve` gave as one message; raises as `send`.

        ValueError if `reserve` gave fewer.
        """
        size = size_of(size)
        if self._reserved is None or not 0 <= size <= len(self._reserved):
            raise errors.bad_commit(size, -1 if self._reserved is None else len(self._reserved))
        message, until = memoryview(self._reserved)[:size], self._until(timeout)
        self._sending.run(until, "send", self._send, message, until, self._enqueue)
        self._reserved = None

    def _send(self, message: Any, until: _Until, take: Callable[[Any], int] | None = None) -> None:
        self._make_room(until)
        try:
            (take or self._queue)(message)
            self._after_queue(until)
        finally:
            self._own()

    def _after_queue(self, until: _Until) -> None:
        if not self._corks:
            self._push_all(until)
        elif self.unsent >= BATCH:
            self._push_all(self._now())

    def _send_many(self, messages: Iterable[Any], until: _Until) -> int:
        iterator = iter(messages)
        end = object()
        count = gathered = 0
        self._need_sender(until)
        try:
            while True:
                if gathered >= BATCH:
                    self._push_all(until if until.timeout is None else self._now())
                    # Go on gathering only if a whole batch more stays below the high water mark.
                    gathered = 0 if self.unsent + BATCH <= self._high_water else BATCH
                if gathered >= BATCH or not count:
                    try:
                        self._make_room(until)
                    except (errors.Timeout, BlockingIOError):
                        if not count:
                            raise
                        return count
                # The iterable's own code may use this connection.
                self._sending.busy = False
                message: Any = next(iterator, end)
                self._sending.busy = True
                self._need_open()
                if message is end:
                    break
                gathered += self._queue(message)
                count += 1
            self._after_queue(until)
            return count
        except Exception:
            self._sending.busy = True
            if self._send_over is None and not self._closed and not self._is_foreign():
                self._push_all(until)
            raise
        finally:
            self._own()

    def _flush(self, until: _Until) -> None:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if not self._push_all(until):
            raise until.error("send", f"{self.unsent} bytes could not be sent to {self._peer_name()}")

    def _uncork(self) -> None:
        self._push_all(self._until(_DEFAULT))

    def _shutdown_write(self, until: _Until) -> None:
        self._flush(until)
        if self._send_over is None:
            self._send_over = errors.write_was_shut
            try:
                self._half_closed = self._transport.end()
            except OSError as error:
                if error.errno not in errors.LOST:
                    raise

    def _need_sender(self, until: _Until) -> None:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if self._send_over is not None:
            raise self._send_over()

    def _make_room(self, until: _Until) -> None:
        """Wait until less than the high water mark is unsent."""
        self._need_sender(until)
        if self._out and not (self._corks and self.unsent < BATCH):
            self._push_all(self._now())
            while self.unsent >= self._high_water:
                if not self._transport.wait(False, True, until.left()) and until.left() == 0:
                    raise until.error(
                        "send", f"{self.unsent} bytes are unsent, {self._peer_name()} took too few"
                    )
                self._need_open()
                self._push_all(self._now())

    def _queue(self, message: Any) -> int:
        """Take one message for sending; how many bytes it is on the wire."""
        if self._encode_into is not None:
            scratch = bytearray()
            size = self._encode_into(message, scratch, 0)
            # msgspec's own encode_into cuts the bytearray to size and returns nothing.
            size = self._enqueue(bytes(scratch if size is None else scratch[:size]))
        else:
            size = self._enqueue(message if self._encode is None else self._encode(message))
        if self._trace is not None:
            self._trace(">", message)
        return size

    def _enqueue(self, message: Buffer) -> int:
        views = [memoryview(part).cast("B") for part in self._encoder.encode_parts(message)]
        size = sum(map(len, views))
        if size and size < SMALL:
            views = [memoryview(b"".join(views))]
        self._out.extend(views)
        self._messages_out += 1
        return size

    def _push_all(self, until: _Until) -> bool:
        """Give the kernel all that is unsent; False if `until` came first."""
        retried = False
        if self._out:
            self._need_open()
        while self._out:
            try:
                self._push()
                retried = False
                continue
            except BlockingIOError:
                pass
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.ENOMEM) or retried:
                    self._fail_sending(error)
                    raise
                retried = True
            if not self._transport.wait(False, True, until.left()) and until.left() == 0:
                return False
            self._need_open()
        return True

    def _push(self) -> None:
        """One system call's worth."""
        self._settle()
        if len(self._out) > 4:
            self._out = _coalesced(self._out)
        if not self._out:
            return
        self._sent.extend(self._transport.sending(self._out[:IOV_MAX]))
        self._settle()

    def _settle(self) -> None:
        """Take what the kernel has accepted off the queue."""
        if not self._sent:
            return
        taken = size = self._sent[0]
        at, out = 0, self._out
        while at < len(out) and size >= len(out[at]):
            size -= len(out[at])
            at += 1
        rest, none = out[at:], list[int]()
        if size:
            rest[0] = rest[0][size:]
        self._out, self._sent = rest, none
        self._bytes_out += taken
        self._writes += 1
        if self._heartbeat is not None:
            self._last_out = self._transport.clock()

    def _own(self) -> None:
        """The caller may reuse his buffers when send returns: copy what is unsent of them."""
        if self._out:
            self._out = [v if type(v.obj) is bytes else memoryview(bytes(v)) for v in self._out]

    def _fail_sending(self, error: OSError) -> None:
        """Raise what ends sending, and forget what can no longer be sent."""
        failure = self._failure(error)
        if failure is None:
            return
        self._send_over = failure
        if error.errno != errno.EPIPE:
            # After EPIPE the peer's own end still counts: it had come before he refused our bytes.
            self._reset = failure
        self._out, self._sent = [], []
        raise failure() from error

    def _drive(self) -> bool:
        """Send what is unsent without waiting, if nobody else is sending; whether to wait for more room."""
        if self._sending.busy:
            return False
        try:
            return not self._sending.run(self._now(), "send", self._push_all, self._now())
        except (OSError, errors.ConcurrencyError):
            # The next send reports it; frames that have arrived come first.
            return False

    # --- the end -------------------------------------------------------------------------------------

    def close(self, timeout: float | None = 5.0) -> None:
        """End the connection so that nothing that was sent is lost, within `timeout` seconds.

        Sends what is unsent, tells the peer that this is the end, reads and discards until his end (closing
        with unread input would make the kernel throw away what the peer has not read yet) and closes. 0 does
        not wait for the peer. If bytes stay unsent: Timeout, or ConnectionLost; it is closed all the same.
        Calling it again does nothing. A thread that waits in recv or send is woken by ConnectionClosed; the
        peer's end is then not waited for. In a process that does not own it, only the descriptor is closed.
        """
        until = self._until(timeout)
        if self._closed or self._is_foreign() or self._is_passed_on():
            self._release_again()
            return
        try:
            if (self._out or self._send_over is None) and not self._connecting:
                self._sending.run(until, "close", self._last_words, until)
            if not self._eof and self._over is None and not self._connecting and self._half_closed:
                try:
                    self._receiving.run(self._now(), "recv", self._discard, until)
                except (errors.ConcurrencyError, errors.ConnectionLost, errors.ConnectionClosed):
                    pass
        finally:
            self._release()

    def abort(self) -> None:
        """Close at once: the peer gets a reset (over TCP), and what is unsent is lost. Wakes as `close`."""
        if self._closed or self._is_foreign() or self._is_passed_on():
            self._release_again()
        else:
            self._release(self._transport.abort)

    def _is_foreign(self) -> bool:
        return self._generation is not None and self._generation != _generation[0]

    def _is_passed_on(self) -> bool:
        """Whether this process has not used the connection but has forked: the other one may use it."""
        return self._generation is None and self._born != _forks[0]

    def _last_words(self, until: _Until) -> None:
        if self._closed and not self._out:
            return  # by another thread, meanwhile
        if not self._push_all(until):
            raise errors.close_lost(self._peer_name(), self.unsent, until.timeout or 0)
        self._shutdown_write(self._now())

    def _discard(self, until: _Until) -> None:
        """Read to the peer's end."""
        scratch, size = bytearray(BATCH), 0
        while size < DISCARD and not self._closed:
            try:
                more = next(self._transport.receiving(memoryview(scratch)))
                if not more:
                    return
                size += more
            except BlockingIOError:
                if not self._transport.wait(True, False, until.left()) and until.left() == 0:
                    return
            except InterruptedError:
                pass
            except OSError:
                return

    def _release(self, close: Callable[[], None] | None = None) -> None:
        """Close at once; wake who waits, and let him leave before the descriptor can mean another file."""
        self._closed = True
        for turn in () if self._is_foreign() else (self._receiving, self._sending):
            held: list[bool] = []
            try:
                held.extend(filter(None, map(turn.lock.acquire, (False,))))
                if not held:
                    self._transport.wake()
                    held.extend(filter(None, map(turn.lock.acquire, (True,), (1.0,))))
            finally:
                if held:
                    turn.lock.release()
        (close or self._transport.close)()

    def _release_again(self) -> None:
        """A signal handler may have raised in the middle of _release, or another thread be there."""
        if not self._detached:
            self._release()

    def _detach(self) -> bytes:
        """End the connection without closing the transport; the bytes that were read ahead."""
        self._need_open()
        return self._receiving.run(self._now(), "recv", self._let_go)  # type: ignore[no-any-return]

    def _let_go(self) -> bytes:
        self._commit()
        if self._out:
            raise errors.detach_unsent(self.unsent)
        if self._cut:
            raise errors.detach_uncut(len(self._cut))
        rest = self._decoder.detach()
        self._closed = self._detached = True
        return rest
