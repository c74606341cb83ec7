"""The receiving half of a channel: bytes from the kernel, cut into messages, none lost.

The twin of _native/receiving. Received bytes go through a borrowed block into the decoder, which keeps what
is not delivered, so a timeout loses nothing. While it waits, a receiver also sends what is unsent, says
heartbeats and keeps to every timeout.
"""

from __future__ import annotations

import errno
import os

from .. import errors
from .codec import Decoder
from .encoder import writable
from .sending import Sender
from .stream import DEFAULT, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, TypeVar

    from typing_extensions import Buffer, Self

    T = TypeVar("T")

    class Typed(Generic[T]):
        pass
else:

    class Typed:
        __slots__ = ()

        def __class_getitem__(cls, item):
            return cls


__all__ = ["Receiver"]

BLOCK = 131072  # one receive
SPARE = 4  # blocks kept for the next calls
DISCARD = 64 << 20  # the most that close() reads and throws away
FRUITLESS = 4096  # so many heartbeats and reads without a message does a call take that must not wait

_spare_blocks: list[bytearray] = []


class Receiver(Typed["T"], Sender):
    """What receives; see `MessageSocket`, which inherits every verb."""

    def _begin_receiving(self) -> None:
        self._decoder = Decoder(self._plan(False))
        self._arrived: list[int] = []  # what the transport received, if the decoder has not been told yet
        self._block: bytearray | None = None  # where it is
        self._mark = 0  # the decoder's end of stream before that
        self._cut: list[bytes] = []  # frames cut, but not delivered
        self._reads = self._beats = 0
        self._last_in = self._frame_since = self._transport.clock()
        self._frame_at = -1  # the offset of the unfinished frame that `_frame_since` is about

    def recv(self, timeout: float | None = DEFAULT) -> T:
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

    def recv_many(self, limit: int | None = None, timeout: float | None = DEFAULT) -> list[T]:
        """All messages (at most `limit`) that are buffered or come with one read, at least one.

        Waits and raises as `recv`.
        """
        if limit is not None and limit < 1:
            raise errors.bad_limit(limit)
        until = self._until(timeout)
        return self._receiving.run(self._now(), "recv", self._pull, limit, until)  # type: ignore[no-any-return]

    def recv_into(self, buffer: Buffer, timeout: float | None = DEFAULT) -> int:
        """Receive the next message into a writable C-contiguous buffer; how many bytes it has.

        BufferError naming both sizes if it does not fit: the message stays, for the next call. A large
        message is received in place. The codec is not asked. Waits and raises as `recv`; after a timeout the
        buffer's content means nothing, and the next call of whatever kind has the whole message.
        """
        until = self._until(timeout)
        with writable(buffer) as target:
            return self._receiving.run(self._now(), "recv", self._pull_into, target, until)  # type: ignore[no-any-return]

    def request(self, message: Any, timeout: float | None = DEFAULT) -> T:
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

    @property
    def ready(self) -> bool:
        """Whether `recv` has an answer without reading: a whole message, the end, or an error.

        A read may take several messages off the stream: act on them before waiting for more.
        """
        if self._closed or self._cut or self._over is not None or self._eof or self._broken:
            return True
        if self._transport.pending:
            return True
        return bool(self._decoder.buffered or self._decoder.error) and self._decoder.needed == 0

    def _switch(self, framing: Any) -> None:
        """Cut by `framing` from here on."""
        self._need_open()
        self._receiving.run(self._now(), "recv", self._switch_decoder, framing)

    def _switch_decoder(self, framing: Any) -> None:
        self._commit()
        self._decoder.switch(framing)

    def _pull(self, limit: int | None, until: Until | None, read: bool = True) -> list[Any]:
        frames = self._frames(limit, until, read)
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

    def _pull_into(self, target: memoryview, until: Until) -> int:
        frame: bytes
        (frame,) = self._frames(1, until)
        if len(frame) > len(target):
            self._cut.insert(0, frame)
            raise errors.no_room(len(frame), len(target))
        target[: len(frame)] = frame
        if self._trace is not None:
            self._trace("<", frame)
        return len(frame)

    def _frames(self, limit: int | None, until: Until | None, read: bool = True) -> list[bytes]:
        """At least one frame, at most `limit`.

        Without `until` it reads at most once, and not at all without `read`, and there may be none."""
        try:
            return self._more_frames(limit, until, read)
        except errors.DecodeError as error:
            self._report(error)
            raise
        except MemoryError:
            # What had arrived may be lost, or cut and not handed over: never deliver what follows.
            self._broken = True
            raise

    def _more_frames(self, limit: int | None, until: Until | None, read: bool) -> list[bytes]:
        self._need_open()
        if self._connecting:
            self._need_connected(until or self._now())
        if until is not None and self._out:
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
                    if until is not None:
                        self._keep_time(fruitless, until)
                    continue
            if frames:
                return frames
            if self._over is not None:
                raise self._over()
            if self._frame_timeout is not None:
                self._watch_frame()
            try:
                if self._eof and self._transport.unclean:
                    self._over = self._unclean_end()
                    continue
                if self._eof:
                    # Repeating this is harmless, should a signal handler have raised in the middle.
                    self._cut += self._decoder.feed_eof()
                    self._over = self._clean_end()
                    continue
                if until is None and not read:
                    return []
                if until is not None and fruitless:
                    self._keep_time(fruitless, until)
                read = False
                self._receive()
                fruitless += 1
            except BlockingIOError:
                if until is None:
                    return []
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

    def _clean_end(self) -> Callable[[], Exception]:
        peer = self._peer_name()
        return lambda: errors.ended(peer)

    def _unclean_end(self) -> Callable[[], Exception]:
        """The stream may have been cut off: no tail of it is a message."""
        decoder = self._decoder
        partial = bytes(decoder._source[decoder._start : decoder._end])
        peer, needed, offset, index = self._peer_name(), decoder.needed, decoder.offset, decoder._index
        return lambda: errors.unclean_end(peer, partial, needed, offset, index)

    # --- reading -----------------------------------------------------------------------------------

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

    def _skip(self) -> bool:
        """Read and throw away some of what has come; whether the end was there."""
        scratch = memoryview(bytearray(BLOCK))
        try:
            for _ in range(16):
                if not next(self._transport.receiving(scratch)):
                    return True
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            return True
        return False

    def _discard(self, until: Until) -> None:
        """Read to the peer's end."""
        scratch, size = bytearray(BLOCK), 0
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

    # --- waiting -----------------------------------------------------------------------------------

    def _await_input(self, until: Until) -> None:
        """Nothing has come: wait for it, or for room to send what is unsent, and keep to every timeout."""
        self._need_open()
        writing = bool(self._out) and not self._corks and self._drive()
        seconds = until.left()
        if self._watch:
            due = self._watch_peer()
            seconds = due if seconds is None else min(seconds, due)
        if not self._transport.wait(True, writing, seconds) and until.left() == 0:
            raise until.error("recv", f"no whole message came from {self._peer_name()}")

    def _keep_time(self, fruitless: int, until: Until) -> None:
        """Something came, but nothing for the caller: a peer that never pauses must not keep him here."""
        if until.left() == 0 and (until.timeout or fruitless >= FRUITLESS):
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
