# cython: language_level=3, auto_pickle=False
"""A channel that an event loop drives: it is told what has come, and never waits.

`Protocol` has what asyncio calls for every piece of a stream: `get_buffer` and `buffer_updated`, which
receive into borrowed blocks. Whole messages are handed to `_deliver`, or, if it is `pulling`, stay uncut
until `_take` asks for them. What is sent goes to the socket at once, where the loop's transport has nothing
before it; what the kernel does not take is given to that transport piece by piece, which then says when there
is room again (`_flow`). So what is `unsent` here is sent before the transport ends, whoever closes that.
"""

from cpython.buffer cimport PyBuffer_Release
from libc.errno cimport EINTR, errno

from ._csrc cimport uint8_t
from ._python cimport PY_SSIZE_T_MAX, PyList_GET_SIZE, is_generator
from ._system cimport *
from .channel cimport FAIR, FAIR_SIZE, SMALL_UNIX, Channel
from .codec cimport Block, Decoder
from .encoder cimport acquire
from .receiving cimport borrow, give_back
from .stream cimport DEFAULT, OTHER, SOCKET, Until, Watch

from .. import errors

__all__ = ["Link", "Protocol"]

cdef enum:
    PIECE = 65536          # how much of what the kernel does not take the loop's transport is given at once
    HOLD = 32768           # from here on a block is rather kept than copied


cdef class Protocol(Channel):
    """What an event loop drives; see `MessageProtocol` and `MessageStream`."""

    cdef object loop_transport
    cdef object waiter             # the future of who waits for input
    cdef Block lent                # by get_buffer
    cdef Py_ssize_t turn           # messages and bytes that were taken since the loop had its turn
    cdef unsigned long long turn_size
    cdef Py_ssize_t given          # bytes that the transport was given, and may still have
    cdef unsigned char behind      # the transport has bytes before ours
    cdef unsigned char pulling, batches, replies, exact, delivering, flowing
    cdef public bint _pending      # messages are there that are handed over in the next turn
    cdef public bint _paused       # reading is: by ourselves
    cdef public bint _held         # reading and delivering are: by the user
    cdef public bint _discarding   # what comes is thrown away
    cdef public bint _waiting      # somebody waits for input
    cdef bint _crowded             # the high water mark was reached, and the user knows

    def __init__(self, transport, *, bint pulling=False, bint batches=False, bint replies=False, **options):
        Channel.__init__(self, transport, **options)
        self.pulling, self.batches, self.replies = pulling, batches, replies
        self._connecting = True
        self.timeout = 0

    @property
    def transport(self):
        """The loop's transport, None before there is one."""
        return self.loop_transport

    # --- for the connection above --------------------------------------------------------------------------

    def _deliver(self, message):
        """A message has come, or several in a list if this protocol takes batches."""
        raise NotImplementedError

    def _stop(self, error):
        """The stream has ended, by what `error` says."""

    def _crowding(self):
        """The high water mark is reached."""

    def _uncrowd(self):
        """There is room again."""

    def _came_something(self):
        """A frame is unfinished, and has a limit in time."""

    def _reply_by(self, replies):
        """The reply to a message is a generator of replies."""

    def _end_by(self, error):
        """What the user does with a message has raised."""

    def _later(self):
        """Call `_resume` soon, when others have had their turn."""
        raise NotImplementedError

    def _attach(self, transport, int fd, bint exact):
        """The loop's transport is there. `fd` is the socket's if that may be sent to directly, else -1; with
        `exact` it asks of a buffer nothing but that it is one."""
        self.loop_transport = transport
        self.exact = exact
        self._connecting = False
        self.opened = self.last_in = coarse()
        self.direct = SOCKET if fd >= 0 else OTHER
        self.reader = self.writer = fd
        if fd >= 0 and is_unix(fd):
            self.small = SMALL_UNIX

    def _lose(self, made):
        """The transport is gone; `made` makes what every further call raises, where that is not clear yet."""
        if self.over is None and not self.eof:
            self.over = (made,)
        if self.send_over is None:
            self.send_over = (made,)
        self.direct = OTHER
        self.reader = self.writer = -1
        self.behind = False
        self.given = 0
        self._drop_out()
        if self.lent is not None:
            give_back(self.lent)
            self.lent = None

    # --- receiving -----------------------------------------------------------------------------------------

    def get_buffer(self, sizehint):
        """Where the loop shall receive to. `buffer_updated` follows."""
        if self.lent is None:
            self.lent = borrow()
        return self.lent if self.exact else memoryview(self.lent)

    def buffer_updated(self, nbytes):
        """The loop has received `nbytes` bytes into what `get_buffer` gave."""
        cdef Block block = self.lent
        cdef Py_ssize_t size = nbytes
        if block is None or not 0 <= size <= block.size:
            raise ValueError(
                f"buffer_updated({size}): get_buffer() gave {0 if block is None else block.size} bytes")
        self.lent = None
        self._came(block.data, size, block)

    def data_received(self, data):
        """The loop has received `data`: a transport that knows no buffers."""
        cdef Py_buffer view
        acquire(data, &view)
        try:
            self._came(<const uint8_t *> view.buf, view.len, None)
        finally:
            PyBuffer_Release(&view)

    cdef int _came(self, const uint8_t *p, Py_ssize_t size, Block block) except -1:
        cdef bint keeps = self.pulling or self._held or self._pending or self.delivering
        cdef list messages = None
        self.reads += 1
        self.last_in = coarse()
        self.turn = 0
        self.turn_size = 0
        if self._discarding or self._closed or self.over is not None or self.broken:
            if block is not None:
                give_back(block)
            return 0
        try:
            self._decoder()
            if keeps:
                self._keep(p, size, block)
            else:
                messages = self._cut_first(p, size, block)
        except errors.DecodeError as error:
            self._report(error)
            if not keeps and not error.recoverable:
                self._stop(error)
                return 0
        except MemoryError:
            self.broken = True
        except Exception as error:  # the codec's
            if not self.replies:
                raise
            self._end_by(error)
            return 0
        if not self.pulling:
            if not keeps:
                self._go_on(messages)
        elif self._is_there():
            self._wake()
            if self.decoder._buffered() >= self.high_water and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        if self.limits is not None and self.limits.frame_timeout >= 0 and self.decoder._buffered():
            self._came_something()
        return 0

    cdef int _keep(self, const uint8_t *p, Py_ssize_t size, Block block) except -1:
        """Put what has come behind what is there, uncut; a full block is kept as it is."""
        cdef Decoder decoder = self.decoder
        try:
            decoder._enter()
            if (block is not None and size >= HOLD and self.held is None and decoder.end == decoder.start
                    and decoder.large is NULL and not decoder.skipping and not decoder.discarding
                    and not decoder.by_region):
                decoder.source = self.held = block
                decoder.data = block.data
                decoder.start, decoder.end = 0, size
                return 0
            decoder._take(p, size, None)
            self._release_block()
        finally:
            if block is not None and self.held is not block:
                give_back(block)
        return 0

    cdef list _cut_first(self, const uint8_t *p, Py_ssize_t size, Block block):
        """Cut from what has come, in place, what is to be delivered first."""
        cdef Decoder decoder = self.decoder
        cdef list out = []
        try:
            decoder._enter()
            decoder._run(p, size, None, out, FAIR if self.batches else 1, False, block)
        finally:
            if block is not None and decoder.source is not block:
                give_back(block)
            elif block is not None:
                self._release_block()
                self.held = block
        if self._delivered(out) and (self.codec is not None or self._trace is not None):
            out = self._shown(out)
        return out

    cdef bint _is_there(self) except -1:
        """Whether there is something to take: a message, or what ends them."""
        cdef Decoder decoder = self.decoder
        if self.eof or self.over is not None or self.broken or self._closed:
            return True
        if decoder is None:
            return False
        if decoder.cut or decoder.fault is not None or decoder.pending is not None:
            return True
        if decoder.large is not NULL:
            return decoder.large_fill == decoder.large_size
        if decoder.end == decoder.start:
            return False
        if decoder._needed() == 0:
            return True
        self._move_large()
        return False

    cdef int _move_large(self) except -1:
        """Nothing whole is there: let what there is of a large frame go to where that is completed."""
        cdef Decoder decoder = self.decoder
        if self.held is None and decoder.end - decoder.start < FAIR or decoder.large is not NULL:
            return 0
        decoder._run(b"", 0, None, [], 1, False)  # finds out whether it is one
        if decoder.direct and decoder._is_large():
            decoder._begin_large(decoder.data + decoder.start, decoder.end - decoder.start)
            decoder._rest()
        else:
            decoder._settle()
        return self._release_block()

    def _wake(self):
        """Let who waits for input look again."""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _wait_with(self, waiter):
        """`waiter` is the future of who waits for input now."""
        self.waiter = waiter

    def _take(self, limit=None):
        """The messages that are there, at most `limit`; none of them cut ahead. Raises what ends them."""
        cdef list messages
        cdef Py_ssize_t cap = PY_SSIZE_T_MAX
        cdef unsigned long long before
        if self._waiting:
            raise errors.receiving_twice("task")
        if limit is not None:
            cap = limit
            if cap < 1:
                raise errors.bad_limit(limit)
        self._enter_recv()
        try:
            if self.decoder is None:
                self._decoder()
            before = self.decoder.position
            messages = self._frames(cap, NULL, -1, False)
            if messages and (self.codec is not None or self._trace is not None):
                messages = self._shown(messages)
        finally:
            self._leave_recv()
        self._took(PyList_GET_SIZE(messages), before)
        return messages

    def _take_into(self, buffer):
        """The size of the message that is there, which is in `buffer` now; None if there is none."""
        cdef unsigned long long before
        if self._waiting:
            raise errors.receiving_twice("task")
        before = self._decoder().position
        try:
            size = Channel.recv_into(self, buffer, 0)
        except BlockingIOError:
            self._took(0, before)
            return None
        self._took(1, before)
        return size

    cdef int _took(self, Py_ssize_t count, unsigned long long before) except -1:
        self.turn += count
        self.turn_size += self.decoder.position - before
        if self._paused and (not count or self.decoder._buffered() < self.high_water // 2):
            self._read_on()
        return 0

    cdef int _read_on(self) except -1:
        self._paused = False
        self.last_in = coarse()  # the silence was ours
        if not self.eof and not self.loop_transport.is_closing():
            self.loop_transport.resume_reading()
        return 0

    @property
    def _tired(self):
        """Whether so much was taken or sent that it is time for others."""
        return self.turn >= FAIR or self.turn_size >= FAIR_SIZE

    def _rest(self):
        """The loop has had its turn."""
        self.turn = 0
        self.turn_size = 0

    def _resume(self):
        """Hand over the messages that are there, unless the user wants none now."""
        self._pending = False
        if not (self._held or self._discarding or self._closed or self.delivering or self._connecting):
            self._go_on(None)

    cdef int _go_on(self, list messages) except -1:
        """Hand over `messages` and those behind them, a connection's share; what is sent meanwhile goes
        together."""
        cdef bint more = False
        self.corks += 1
        self.delivering = True
        try:
            more = self._hand_over(messages)
        finally:
            self.delivering = False
            self.corks -= 1
            if self._unsent() and not self.corks and not self._closed:
                self._drive()
        if more:
            self._pending = True
            self._later()
            if not self._paused and self.decoder._buffered() >= self.high_water // 2:
                self._paused = True
                self._transport.pause_reading()
        elif self._paused and not self._held and not self._closed:
            self._read_on()
        return 0

    cdef bint _hand_over(self, list messages) except -1:
        """Whether there may be more than one connection's share."""
        cdef Py_ssize_t count = 0
        cdef Decoder decoder = self._decoder()
        cdef unsigned long long began = decoder.position
        while True:
            if not messages:
                try:
                    messages = self._more_messages(FAIR if self.batches else 1)
                except errors.FramewireError as error:
                    if getattr(error, "recoverable", False):
                        continue  # what was skipped; it has been reported
                    self._stop(error)
                    return False
                except Exception as error:  # the codec's
                    if not self.replies:
                        raise
                    self._end_by(error)
                    return False
                if not messages:
                    self._move_large()
                    return False
            count += PyList_GET_SIZE(messages)
            self._hand(messages if self.batches else messages[0])
            while not (self.batches or count >= FAIR or self._held or self._discarding):
                if not self._is_plain():
                    break
                message = decoder._whole()
                if message is None:
                    break
                count += 1
                self._hand(message)
            messages = None
            if self._held or self._closed or self._discarding:
                return False
            decoder = self.decoder
            if count >= FAIR or decoder.position - began >= FAIR_SIZE:
                return True

    cdef int _hand(self, message) except -1:
        """One message, or a batch, to the user; what he returns is sent if this protocol replies."""
        cdef Until now
        if not self.replies:
            self._deliver(message)
            return 0
        try:
            reply = self._deliver(message)
            if reply is None:
                return 0
            if is_generator(reply):
                self._reply_by(reply)
                return 0
            self._now(&now)
            self._send(reply, &now, False)
        except Exception as error:
            self._end_by(error)
            return 0
        if self._unsent() + self.given >= self.high_water:
            self._crowd()
        return 0

    cdef list _more_messages(self, Py_ssize_t cap):
        cdef list messages
        self._enter_recv()
        try:
            messages = self._frames(cap, NULL, -1, False)
            if messages and (self.codec is not None or self._trace is not None):
                messages = self._shown(messages)
            return messages
        finally:
            self._leave_recv()

    def _end_of_stream(self):
        """The peer has ended the stream."""
        self._ended()
        if self.pulling:
            self._wake()
        else:
            self._resume()

    cdef int _receive(self, list out, Py_ssize_t cap, const Until *until) except -2:
        return -1  # what comes is brought

    cdef bint _goes_into(self, Py_ssize_t room) noexcept:
        return False

    cdef bint _wait(self, bint read, bint write, double seconds) except -1:
        if seconds != 0:
            raise errors.cannot_wait()
        return False

    # --- sending -------------------------------------------------------------------------------------------

    def _offer(self, message):
        """Send `message` if there is room for it now, and it is not the turn of others; whether it was."""
        cdef Until now
        if (self._unsent() + self.given >= self.high_water or self.turn >= 4 * FAIR
                or self.turn_size >= 4 * FAIR_SIZE):
            self._need_sending()
            return False
        before = self.bytes_out
        self._now(&now)
        self._send(message, &now, False)
        self.turn += 1
        self.turn_size += self.bytes_out - before
        return True

    def send(self, message, timeout=DEFAULT):
        """Send one message now; see `MessageSocket.send`. With the default timeout, 0, BlockingIOError while
        `high_water` bytes are unsent: nothing was taken. The loop sends the rest by itself."""
        cdef Until until
        self._begin_send(timeout, &until)
        self._send(message, &until, False)
        if self._is_full:
            self._crowd()

    def send_many(self, messages, timeout=DEFAULT):
        """Send `messages` now, and return how many were taken before `high_water` bytes were unsent;
        BlockingIOError if that is none. See `MessageSocket.send_many`."""
        cdef Until until
        self._begin_send(timeout, &until)
        count = Channel.send_many(self, messages, 0)
        if self._is_full:
            self._crowd()
        return count

    cdef int _begin_send(self, timeout, Until *until) except -1:
        """Only for room may a call wait, which is refused here: what is taken then is taken."""
        self._until(timeout, until)
        if until.timeout != 0 and self._is_full:
            self._make_room(until)
        self._now(until)
        return 0

    @property
    def _is_full(self):
        """Whether the high water mark is reached."""
        return self._unsent() + self.given >= self.high_water

    def _need_sending(self):
        """Raise what a send would."""
        self._need_open()
        if self.send_over is not None:
            raise self._error(self.send_over)

    def _flow(self, bint stopped):
        """The transport has, or no longer has, bytes before ours."""
        self.behind = stopped
        if not stopped:
            self.given = 0
        if not stopped and self._unsent() and not self._closed:
            self.flowing = True  # a transport that somebody has closed still sends what it gets now
            self._drive()
            self.flowing = False
        if self._crowded and self._unsent() + self.given < self.high_water // 2:
            self._crowded = False
            self._uncrowd()

    def _let_out(self):
        """Give all that is unsent to the loop's transport, corked or not: it goes before what follows."""
        cdef Py_ssize_t before = -1, corks = self.corks
        self.corks = 0
        try:
            while self._unsent() and self._unsent() != before:
                before = self._unsent()
                self.behind = False
                self._drive()
        finally:
            self.corks = corks

    cdef int _crowd(self) except -1:
        if not self._crowded and not self.pulling:
            self._crowded = True
            self._crowding()
        return 0

    cdef int _make_room(self, const Until *until) except -1:
        self._need_sender(until)
        if self._unsent() >= self._batch():
            self._push_now()
        if self._unsent() + self.given >= self.high_water:
            self._wait(False, True, self._left(until))
            raise self._late(until, "send",
                             f"{self.unsent} bytes are unsent, {self._peer_name()} took too few")
        return 0

    cdef Py_ssize_t _write(self, iovec *parts, int count, bint wait=False) except -2:
        cdef Py_ssize_t taken, size = 0
        cdef int i
        if wait:
            raise errors.cannot_wait()
        if self.behind:
            return -1
        closing = self.loop_transport.is_closing()
        if closing and not self.flowing:
            return -1
        if self.direct == SOCKET and not closing:
            taken = send_parts(self.writer, parts, count, MSG_DONTWAIT)
            while taken < 0 and errno == EINTR:
                taken = send_parts(self.writer, parts, count, MSG_DONTWAIT)
            # The transport finds out by itself what is wrong, if it is more than that there is no room.
            if taken >= 0:
                self._wrote(taken)
                return taken
        data = bytearray()
        for i in range(count):
            taken = min(<Py_ssize_t> parts[i].iov_len, PIECE - size)
            data += (<uint8_t *> parts[i].iov_base)[:taken]
            size += taken
        self.given += size
        self.loop_transport.write(data)
        if not self.behind:
            self.given = 0
        self._wrote(size)
        return size

    cdef int _wrote(self, Py_ssize_t size) except -1:
        self.writes += 1
        self.bytes_out += <unsigned long long> size
        if self.limits is not None and self.limits.heartbeat is not None:
            (<Watch> self.limits).last_out = self._clock()
        return 0

    # --- the end -------------------------------------------------------------------------------------------

    def _end_sending(self):
        """Nothing is unsent: tell the peer that nothing more will come."""
        if self.send_over is None:
            self._transport.end()
            self.send_over = (errors.write_was_shut,)

    def _judge(self, bint receiving):
        """Say a heartbeat if it is time; if somebody is `receiving`, raise if one of the connection's own
        timeouts is over. How many seconds until it is time again."""
        cdef double third
        if self._closed or self._connecting or self.limits is None:
            return 1e9
        if receiving and not self._paused and not self._held:
            if self.limits.frame_timeout >= 0:
                self._watch_frame()
            return self._watch_peer()
        if self.limits.heartbeat is None or self.send_over is not None:
            return 1e9
        third = self.limits.peer_timeout / 3
        if (<Watch> self.limits).last_out + third <= self._clock():
            self._beat()
        return third


cdef class Link:
    """What the loop holds of a connection that its user may drop: it forgets that one with him."""

    cdef object stream             # while somebody waits for it
    cdef object weak

    def __init__(self, weak):
        self.weak = weak

    def _hold(self, stream):
        """Keep `stream` while it is waited for; None: no longer."""
        self.stream = stream

    cdef object _stream(self):
        if self.stream is not None:
            return self.stream
        return self.weak()

    def get_buffer(self, sizehint):
        return self._stream().get_buffer(sizehint)

    def buffer_updated(self, nbytes):
        self._stream().buffer_updated(nbytes)

    def data_received(self, data):
        self._stream().data_received(data)

    def connection_made(self, transport):
        self._stream()._made(transport)

    def eof_received(self):
        stream = self._stream()
        return None if stream is None else stream._ended_by_peer()

    def connection_lost(self, exc):
        stream = self._stream()
        if stream is not None:
            stream._lost(exc)

    def pause_writing(self):
        stream = self._stream()
        if stream is not None:
            stream._flow(True)

    def resume_writing(self):
        stream = self._stream()
        if stream is not None:
            stream._resumed()
