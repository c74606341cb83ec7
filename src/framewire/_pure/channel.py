"""The pump of one stream in Python: it receives, cuts, queues and sends.

The twin of _native/channel. Four layers, each a subclass of the one before: `Stream` (the transport,
deadlines, turns, the end), `Sender`, `Receiver`, and here `Channel`, where both directions meet: how it
begins, what it asks a select loop for, what it has counted, how it ends.
"""

from __future__ import annotations

from functools import partial
from types import GeneratorType

from .. import errors
from .receiving import Receiver
from .stream import DEFAULT, READ, WRITE, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._transport import Transport
    from .receiving import T as T

__all__ = ["Channel"]

FAIR = 1024  # messages and bytes of one connection that are handled before others have a turn
FAIR_SIZE = 262144


class Channel(Receiver["T"]):
    """Messages over one stream; see `MessageSocket`, which inherits every verb."""

    def __init__(
        self,
        transport: Transport,
        *,
        codec: tuple[Callable[..., Any] | None, ...] | None = None,
        high_water: int = 1048576,
        frame_timeout: float | None = None,
        idle_timeout: float | None = None,
        heartbeat: bytes | None = None,
        peer_timeout: float | None = None,
    ) -> None:
        self._begin(transport, codec, frame_timeout, idle_timeout, heartbeat, peer_timeout)
        self._begin_sending(high_water)
        self._begin_receiving()
        self._opened = self._last_in
        self._closed = False

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
        return self._transport.events(read | (WRITE if self._out and not self._corks else 0))

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

    def _serve(self, handler: Callable[[Any, Any], Any], wait: bool) -> Any:
        """Hand each message that is there to `handler(self, message)` and send what it returns: all that a
        server does with a connection that can be read.

        With `wait` it first waits for one message as `recv` does, and in the end for the replies to go;
        else it reads at most once and waits for nothing. The replies go together, when no whole message is
        left, a lot was done or much is unsent. A reply that is a generator ends it, too, and is returned: its
        items are the replies. Otherwise the result says what to do next: 1 call again, there may be more;
        2 wait for room to write as well, 4 for nothing else. What recv, send and the handler raise passes.
        """
        until = self._until(DEFAULT)
        done = False
        if self._out and not wait:
            self._drive()
        self._corks += 1
        try:
            rest = self._answer(handler, wait, until)
            done = True
        finally:
            self._corks -= 1
            if self._out and not self._corks and not self._closed:
                if done and wait:
                    self._sending.run(until, "send", self._push_all, until)
                else:
                    self._drive()
        if rest is not None and rest is not True:
            return rest
        full = self.unsent >= self._high_water
        return (rest is True and not full) | 2 * bool(self._out) | 4 * full

    def _answer(self, handler: Callable[[Any, Any], Any], wait: bool, until: Until) -> Any:
        """None when no message is left, True if there may be more, or a generator of replies."""
        count = size = 0
        while count < FAIR and size < FAIR_SIZE and self.unsent < self._high_water:
            began = self._decoder.offset
            waits = wait and not count
            self._corks -= waits  # what other threads send meanwhile goes at once
            try:
                messages = self._receiving.run(
                    self._now(), "recv", self._pull, 1, until if waits else None, not count
                )
            finally:
                self._corks += waits
            if not messages:
                return None
            size += self._decoder.offset - began
            count += 1
            reply = handler(self, messages[0])
            if reply is None:
                continue
            if type(reply) is GeneratorType:
                return reply
            self._sending.run(until, "send", self._send, reply, until)
        return True

    def _check(self) -> float:
        """Raise if one of the connection's own timeouts is over, and say a heartbeat if it is time; what
        `recv` does while it waits. How many seconds until that is due again."""
        if self._closed:
            raise errors.closed_here(self._peer_name())
        if not self._watch:
            return 1e9
        if self._frame_timeout is not None:
            self._watch_frame()
        return self._watch_peer()

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
            self._release(abort=True)

    def _last_words(self, until: Until) -> None:
        if self._closed and not self._out:
            return  # by another thread, meanwhile
        if not self._push_all(until):
            raise errors.close_lost(self._peer_name(), self.unsent, until.timeout or 0)
        try:
            self._shutdown_write(until)
        except (errors.Timeout, BlockingIOError):
            pass  # nothing that was sent is lost

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

    def _upgrade(self, transport: Transport) -> None:
        """Go on over `transport`, which stands on the one so far; nothing may have been read ahead of it."""
        self._need_open()
        self._receiving.run(
            self._now(), "recv", self._sending.run, self._now(), "send", self._change, transport
        )

    def _change(self, transport: Transport) -> None:
        self._commit()
        if self._out:
            raise errors.detach_unsent(self.unsent)
        ahead = self._decoder.buffered + sum(map(len, self._cut))
        if ahead:
            # No message of it may be delivered, whole as it may be.
            self._send_over = partial(errors.read_ahead, self._peer_name(), ahead)
            self._cut, self._decoder._fault = [], self._send_over()
            raise self._send_over()
        self._transport = transport
