"""The sending half of a channel: framed messages to the kernel, whole and in order.

The twin of _native/sending. What is to be sent goes into `_out`, a list of memoryviews, before the first
system call, so that a send that was cut short is continued by the next call.
"""

from __future__ import annotations

import errno

from .. import errors
from .._transport import IOV_MAX
from .encoder import Encoder, size_of
from .stream import DEFAULT, Stream, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, SupportsIndex

    from typing_extensions import Buffer

__all__ = ["Sender"]

SMALL = 2048  # below it, copying a message is cheaper than one more buffer in a system call
BATCH = 262144  # small messages are joined up to this much for one system call


class Cork:
    """While it is entered, sent messages gather; at the end they go together."""

    __slots__ = ("_sender",)

    _sender: Sender

    def __enter__(self) -> None:
        self._sender._corks += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sender = self._sender
        sender._corks -= 1
        if not sender._corks and sender._out:
            if kind is None:
                sender._sending.run(sender._until(DEFAULT), "send", sender._uncork)
            else:
                sender._drive()


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


class Sender(Stream):
    """What sends; see `MessageSocket`, which inherits every verb."""

    _half_closed = True  # the peer can see that we have ended

    def _begin_sending(self, high_water: int) -> None:
        self._encoder = Encoder(self._plan(True))
        self._high_water = high_water
        self._batch = min(BATCH, high_water)  # how much gathers before it goes
        self._out: list[memoryview] = []
        self._sent: list[int] = []  # what the transport took, if it is not yet taken off `_out`
        self._reserved: bytearray | None = None
        self._corks = 0
        self._reset: Callable[[], Exception] | None = None  # what a send has found to have ended the stream
        self._writes = self._bytes_out = self._messages_out = 0
        self._last_out = self._transport.clock()

    def send(self, message: Any, timeout: float | None = DEFAULT) -> None:
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

    def send_many(self, messages: Iterable[Any], timeout: float | None = DEFAULT) -> int:
        """Send all `messages` with as few system calls as will do, and return how many.

        They are drawn one at a time, when there is room, and held back until 256 KiB have gathered or the
        iterable ends. Without a timeout all are sent; with one, as many as were taken in time are counted:
        Timeout or BlockingIOError only where that is none. If one cannot be encoded, or the iterable
        raises, those before it are sent. Otherwise as `send`.
        """
        until = self._until(timeout)
        return self._sending.run(until, "send", self._send_many, messages, until)  # type: ignore[no-any-return]

    def cork(self) -> Cork:
        """A context in which sent messages gather, to go together at its end or when 256 KiB are there.

        It serves all threads' sends, and may be nested. Its end waits as `flush` does, but for the
        connection's own `timeout`, and leaves the rest in `unsent`. After an exception it does not wait.
        """
        cork = Cork()
        cork._sender = self
        return cork

    def flush(self, timeout: float | None = DEFAULT) -> None:
        """Wait until nothing is `unsent`; Timeout or BlockingIOError if that takes longer.

        Otherwise it raises as `send`. Safe to cancel and to call from any thread.
        """
        until = self._until(timeout)
        self._sending.run(until, "send", self._flush, until)

    def shutdown_write(self, timeout: float | None = DEFAULT) -> None:
        """Send what is unsent and tell the peer that nothing more will come; receiving goes on.

        Every later send raises ConnectionClosed. Timeout or BlockingIOError as `flush`: call again.
        DeclarationError over an ssl.SSLSocket, which throws away what comes while it says the end.
        """
        if getattr(self._transport, "whole", False):
            raise errors.cannot_halve(self._peer_name())
        until = self._until(timeout)
        self._sending.run(until, "send", self._shutdown_write, until)

    def reserve(self, size: SupportsIndex) -> memoryview:
        """A writable view of `size` bytes in which the next message can be built; `commit` sends it.

        The seam for code that packs messages in place. One thread at a time, with no other send in between.
        """
        size = size_of(size)
        if size < 0:
            raise errors.bad_reserve(size)
        self._need_open()
        self._reserved = bytearray(size)
        return memoryview(self._reserved)

    def commit(self, size: SupportsIndex, timeout: float | None = DEFAULT) -> None:
        """Send the first `size` bytes of what `reserve` gave as one message; raises as `send`.

        ValueError if `reserve` gave fewer.
        """
        size = size_of(size)
        if self._reserved is None or not 0 <= size <= len(self._reserved):
            raise errors.bad_commit(size, -1 if self._reserved is None else len(self._reserved))
        message, until = memoryview(self._reserved)[:size], self._until(timeout)
        self._sending.run(until, "send", self._send, message, until, self._enqueue)
        self._reserved = None

    @property
    def unsent(self) -> int:
        """Bytes of sent messages that the kernel has not taken yet."""
        return sum(map(len, self._out)) - sum(self._sent)

    def _switch_send(self, plan: tuple[Any, ...]) -> None:
        """Frame what is sent by `plan` from here on; waits for a send in another thread."""
        self._need_open()
        self._sending.run(self._forever(), "send", self._switch_encoder, plan)

    def _switch_encoder(self, plan: tuple[Any, ...]) -> None:
        self._encoder = Encoder(plan)

    def _send(self, message: Any, until: Until, take: Callable[[Any], int] | None = None) -> None:
        self._make_room(until)
        try:
            (take or self._queue)(message)
            self._after_queue(until)
        finally:
            self._own()

    def _after_queue(self, until: Until) -> None:
        if not self._corks:
            self._push_all(until)
        elif self.unsent >= self._batch:
            self._push_all(self._now())

    def _send_many(self, messages: Iterable[Any], until: Until) -> int:
        iterator = iter(messages)
        end = object()
        count = gathered = 0
        self._need_sender(until)
        try:
            while True:
                if gathered >= self._batch:
                    self._push_all(until if until.timeout is None else self._now())
                    # Go on gathering only if a whole batch more stays below the high water mark.
                    gathered = 0 if self.unsent + self._batch <= self._high_water else self._batch
                if gathered >= self._batch or not count:
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

    def _flush(self, until: Until) -> None:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if not self._push_all(until):
            raise until.error("send", f"{self.unsent} bytes could not be sent to {self._peer_name()}")

    def _uncork(self) -> None:
        self._push_all(self._until(DEFAULT))

    def _shutdown_write(self, until: Until) -> None:
        self._flush(until)
        while self._send_over is None:
            try:
                self._half_closed = self._transport.end()
            except BlockingIOError:
                if not self._transport.wait(False, True, until.left()) and until.left() == 0:
                    raise until.error("send", f"{self._peer_name()} could not be told the end") from None
                self._need_open()
                continue
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno not in errors.LOST:
                    self._send_over = errors.write_was_shut
                    raise
            self._send_over = errors.write_was_shut

    def _need_sender(self, until: Until) -> None:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if self._send_over is not None:
            raise self._send_over()

    def _make_room(self, until: Until) -> None:
        """Wait until less than the high water mark is unsent."""
        self._need_sender(until)
        if self._out and not (self._corks and self.unsent < self._batch):
            self._push_all(self._now())
            while self.unsent >= self._high_water:
                if not self._transport.wait(False, True, until.left()) and until.left() == 0:
                    raise until.error(
                        "send", f"{self.unsent} bytes are unsent, {self._peer_name()} took too few"
                    )
                self._need_open()
                self._push_all(self._now())

    def _drive(self) -> bool:
        """Send what is unsent without waiting, if nobody else is sending; whether to wait for more room."""
        if self._sending.busy:
            return False
        try:
            return not self._sending.run(self._now(), "send", self._push_all, self._now())
        except (OSError, errors.ConcurrencyError):
            # The next send reports it; frames that have arrived come first.
            return False

    # --- what is unsent ----------------------------------------------------------------------------

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
        if len(self._out) > 64:
            self._out = _coalesced(self._out)
        self._messages_out += 1
        return size

    def _own(self) -> None:
        """The caller may reuse his buffers when send returns: copy what is unsent of them."""
        if self._out:
            self._out = [v if type(v.obj) is bytes else memoryview(bytes(v)) for v in self._out]

    # --- the system --------------------------------------------------------------------------------

    def _push_all(self, until: Until) -> bool:
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
