# cython: language_level=3, auto_pickle=False
"""The pump of one stream, over the C core and the system's calls: it receives, cuts, queues and sends.

Four layers, each a subclass of the one before: `Stream` (the transport, deadlines, turns, the end),
`Sender`, `Receiver`, and here `Channel`, where both directions meet: how it begins, what it asks a select
loop for, what it has counted, how it ends.
"""

from ._python cimport is_generator
from ._system cimport *
from .codec cimport Decoder
from .receiving cimport Receiver
from .sending cimport SMALL
from .stream cimport DEFAULT, OTHER, READ, SOCKET, WRITE, Until, Watch, limits_of, short

import os

from .. import errors

__all__ = ["Channel"]


cdef class Channel(Receiver):
    """Messages over one stream; see `MessageSocket`, which inherits every verb."""

    def __init__(self, transport, *, codec=None, Py_ssize_t high_water=1 << 20, frame_timeout=None,
                 idle_timeout=None, heartbeat=None, peer_timeout=None):
        self._use_codec(codec)
        self._transport = transport
        self.direct = transport.direct
        self.reader, self.writer = transport.reader, transport.writer
        self.high_water = high_water
        self.small = SMALL
        if self.direct == SOCKET:
            # Every call here says itself that it must not wait, but for the one that shall.
            set_blocking(self.reader)
            if is_unix(self.reader):
                self.small = SMALL_UNIX
        self.opened = self.last_in = self._clock() if self.direct == OTHER else coarse()
        self.limits = limits_of(frame_timeout, idle_timeout, peer_timeout, heartbeat)
        if heartbeat is not None:
            self._watching().last_out = self.opened
        self._closed = False

    @property
    def events(self):
        """What to wait for in a select, poll or selectors loop: 1 to read, 2 to write, 3 either
        (selectors.EVENT_READ, EVENT_WRITE); 0 if nothing will come any more. On `fileno()`, but to write to
        pipes on `write_fileno()`.

        Writing is asked for while bytes are `unsent` and while it connects. Check `ready` before waiting.
        """
        if self._closed:
            return 0
        if self._connecting:
            return WRITE
        read = READ if not self.eof and self.over is None and not self.broken else 0
        wanted = read | (WRITE if self._unsent() and not self.corks else 0)
        return self._transport.events(wanted) if self.direct == OTHER else wanted

    def _counters(self):
        """messages in and out, bytes in and out, reads, writes, buffered, unsent, opened, last received."""
        cdef Py_ssize_t index = 0, buffered = 0
        cdef unsigned long long position = 0
        cdef list cut = []
        if self.decoder is not None:
            index, position, buffered = self.decoder.index, self.decoder.position, self.decoder._buffered()
            cut = self.decoder.cut or cut
        if self.limits is not None and self.limits.heartbeat is not None:
            index -= <Py_ssize_t> (<Watch> self.limits).beats
        return (index - len(cut), self.messages_out, position + <unsigned long long> buffered, self.bytes_out,
                self.reads, self.writes, buffered + sum([len(frame) for frame in cut]), self._unsent(),
                self.opened, self.last_in)

    def _serve(self, handler, bint wait):
        """Hand each message that is there to `handler(self, message)` and send what it returns: all that a
        server does with a connection that can be read.

        With `wait` it first waits for one message as `recv` does, and in the end for the replies to go;
        else it reads at most once and waits for nothing. The replies go together, when no whole message is
        left, a lot was done or much is unsent. A reply that is a generator ends it, too, and is returned: its
        items are the replies. Otherwise the result says what to do next: 1 call again, there may be more;
        2 wait for room to write as well, 4 for nothing else. What recv, send and the handler raise passes.
        """
        cdef Until until
        cdef bint done = False, full
        self._until(DEFAULT, &until)
        if self._unsent() and not wait:
            self._drive()
        self.corks += 1
        try:
            rest = self._answer(handler, wait, &until)
            done = True
        finally:
            self.corks -= 1
            if self._unsent() and not self.corks and not self._closed:
                if done and wait:
                    self._push_in_turn(&until)
                else:
                    self._drive()
        if rest is not None and rest is not True:
            return rest
        full = self._unsent() >= self.high_water
        return (rest is True and not full) | 2 * (self._unsent() > 0) | 4 * full

    cdef object _answer(self, handler, bint wait, const Until *until):
        """None when no message is left, True if there may be more, or a generator of replies."""
        cdef Py_ssize_t count = 0
        cdef Decoder decoder = self._decoder()
        cdef unsigned long long began = decoder.position
        cdef list messages
        cdef bint waits
        while count < FAIR and decoder.position - began < FAIR_SIZE and self._unsent() < self.high_water:
            waits = wait and count == 0
            self._enter_recv()
            self.corks -= waits  # what other threads send meanwhile goes at once
            try:
                message = decoder._whole() if count and self._is_plain() else None
                if message is None:
                    messages = self._frames(1, until if waits else NULL, -1, count == 0)
                    if not messages:
                        return None
                    if self.codec is not None or self._trace is not None:
                        messages = self._shown(messages)
                    message = messages[0]
            finally:
                self.corks += waits
                self._leave_recv()
            count += 1
            reply = handler(self, message)
            if reply is None:
                continue
            if is_generator(reply):
                return reply
            self._send(reply, until, False)
        return True

    cdef bint _is_plain(self) noexcept:
        """Whether what the decoder cuts is what is delivered, and is delivered at once."""
        return (self.codec is None and self._trace is None and not self.decoder.cut and not self._closed
                and (self.limits is None or self.limits.heartbeat is None))

    def _check(self):
        """Raise if one of the connection's own timeouts is over, and say a heartbeat if it is time; what
        `recv` does while it waits. How many seconds until that is due again."""
        if self._closed:
            raise errors.closed_here(self._peer_name())
        if self.limits is None:
            return 1e9
        if self.limits.frame_timeout >= 0:
            self._watch_frame()
        return self._watch_peer()

    def close(self, timeout=5.0):
        """End the connection so that nothing that was sent is lost, within `timeout` seconds.

        Sends what is unsent, tells the peer that this is the end, reads and discards until his end (closing
        with unread input would make the kernel throw away what the peer has not read yet) and closes. 0 does
        not wait for the peer. If bytes stay unsent: Timeout, or ConnectionLost; it is closed all the same.
        Calling it again does nothing. A thread that waits in recv or send is woken by ConnectionClosed; the
        peer's end is then not waited for. In a process that does not own it, only the descriptor is closed.
        """
        cdef Until until
        cdef bint nested
        self._until(timeout, &until)
        if self._closed or self._foreign() or self._passed_on():
            self._release_again()
            return
        try:
            if (self._unsent() or self.send_over is None) and not self._connecting:
                nested = self._enter_send(&until, "close")
                try:
                    if self._closed and not self._unsent():
                        return  # by another thread, meanwhile
                    if not self._push_all(&until):
                        raise errors.close_lost(self._peer_name(), self._unsent(), short(until.timeout))
                    try:
                        self._shutdown_write(&until)
                    except (errors.Timeout, BlockingIOError):
                        pass  # nothing that was sent is lost
                finally:
                    self._leave_send(nested)
            if not (self.eof or self.over is not None or self._connecting or self.receiving or self.unending):
                self._enter_recv()
                try:
                    self._discard(&until)
                finally:
                    self._leave_recv()
        finally:
            self._release()

    def abort(self):
        """Close at once: the peer gets a reset (over TCP), and what is unsent is lost. Wakes as `close`."""
        if self._closed or self._foreign() or self._passed_on():
            self._release_again()
        else:
            self._release(abort=True)

    def _detach(self):
        """End the connection without closing the transport; the bytes that were read ahead."""
        cdef Decoder decoder
        self._need_open()
        self._enter_recv()
        try:
            if self._unsent():
                raise errors.detach_unsent(self._unsent())
            decoder = self._decoder()
            if decoder.cut:
                raise errors.detach_uncut(len(decoder.cut))
            rest = decoder.detach()
            self._release_block()
            self._closed = self.detached = True
            return rest
        finally:
            self._leave_recv()

    def _upgrade(self, transport):
        """Go on over `transport`, which stands on the one so far; nothing may have been read ahead of it."""
        cdef Decoder decoder
        cdef Until now
        cdef bint nested
        self._need_open()
        self._enter_recv()
        try:
            self._now(&now)
            nested = self._enter_send(&now, "send")
            try:
                if self._unsent():
                    raise errors.detach_unsent(self._unsent())
                decoder = self._decoder()
                ahead = decoder._buffered() + sum([len(frame) for frame in decoder.cut or ()])
                if ahead:
                    # No message of it may be delivered, whole as it may be.
                    self.send_over = errors.read_ahead, self._peer_name(), ahead
                    decoder.cut, decoder.fault = None, self._error(self.send_over)
                    raise self._error(self.send_over)
                if self.direct == SOCKET:
                    os.set_blocking(self.reader, False)  # as its methods want it
                self._transport = transport
                self.direct = transport.direct
                self.reader, self.writer = transport.reader, transport.writer
            finally:
                self._leave_send(nested)
        finally:
            self._leave_recv()
