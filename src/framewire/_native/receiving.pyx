# cython: language_level=3, auto_pickle=False
"""The receiving half of a channel: bytes from the kernel, cut into messages, none lost.

Bytes are received into a block that is borrowed for the call and cut there in place; a block stays borrowed
only while whole frames in it are uncut. A large frame is received into its own object, or the caller's
memory. `_read` is the only place that knows what kind of stream there is. While it waits, a receiver also
sends what is unsent, says heartbeats and keeps to every timeout. The decoder is made when it is first
needed.
"""

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, ENOMEM, errno
from libc.string cimport memcpy

from ._csrc cimport uint8_t
from ._python cimport PY_SSIZE_T_MAX, Py_XDECREF, PyList_GET_SIZE, bytes_data
from ._system cimport *
from .codec cimport Block, Decoder, new_block
from .encoder cimport acquire_writable
from .stream cimport DEFAULT, OTHER, PIPE, SOCKET, Limits, Until, Watch, short

import os

from .. import errors

__all__ = ["Receiver"]

cdef enum:
    BLOCK = 131072         # one receive: with the objects made of it, it should fit the second cache
    SPARE = 4              # blocks kept for the next calls
    LONE = 4096            # so little of a held block is rather copied
    DIRECT = 32768         # a large frame of which so much is there, and is missing, is received in place
    DISCARD = 67108864     # the most that close() reads and throws away
    FRUITLESS = 4096       # reads and heartbeats without a message that a call takes which must not wait

cdef list spare_blocks = []


cdef Block borrow():
    return spare_blocks.pop() if spare_blocks else new_block(BLOCK)


cdef int give_back(Block block) except -1:
    if block.exports == 0 and len(spare_blocks) < SPARE:
        spare_blocks.append(block)
    return 0


cdef class Receiver(Sender):
    """What receives; see `MessageSocket`, which inherits every verb."""

    def __class_getitem__(cls, item):
        return cls

    def recv(self, timeout=DEFAULT):
        """The next message.

        EndOfStream at a clean end, Truncated if the stream ended inside a message, ConnectionLost, or the
        DecodeError of bytes that break the framing; messages completed before come first, and every later
        call raises the same. Timeout or BlockingIOError lose nothing: call again (phase "recv": nothing
        whole came in time; "frame", "idle": see `frame_timeout` and `idle_timeout`). ConcurrencyError if
        another thread is receiving, ConnectionClosed after close or in another process. What the codec
        raises passes through, and its message is consumed. Also sends what is `unsent`. Safe to cancel; one
        thread at a time.
        """
        cdef Until until
        self._until(timeout, &until)
        return self._pull(1, &until)[0]

    def recv_many(self, limit=None, timeout=DEFAULT):
        """All messages (at most `limit`) that are buffered or come with one read, at least one.

        Waits and raises as `recv`.
        """
        cdef Until until
        cdef Py_ssize_t cap = PY_SSIZE_T_MAX
        if limit is not None:
            cap = limit
            if cap < 1:
                raise errors.bad_limit(limit)
        self._until(timeout, &until)
        return self._pull(cap, &until)

    def recv_into(self, buffer, timeout=DEFAULT):
        """Receive the next message into a writable C-contiguous buffer; how many bytes it has.

        BufferError naming both sizes if it does not fit: the message stays, for the next call. A large
        message is received in place. The codec is not asked. Waits and raises as `recv`; after a timeout the
        buffer's content means nothing, and the next call of whatever kind has the whole message.
        """
        cdef Until until
        cdef Py_buffer target
        cdef Py_ssize_t size
        self._until(timeout, &until)
        acquire_writable(buffer, &target)
        try:
            self._enter_recv()
            try:
                size = self._pull_into(<uint8_t *> target.buf, target.len, &until)
                if self._trace is not None:
                    self._trace("<", (<uint8_t *> target.buf)[:size])
                return size
            finally:
                self._leave_recv()
        finally:
            PyBuffer_Release(&target)

    def request(self, message, timeout=DEFAULT):
        """Send one message and receive the next one: `send` and `recv` under one deadline.

        It raises what they raise. Nothing pairs the two but their order: one thread at a time, and after a
        Timeout the late reply is still to come.
        """
        cdef Until until
        self._until(timeout, &until)
        self._send(message, &until, False)
        return self._pull(1, &until)[0]

    def __iter__(self):
        """The messages until the clean end; what `recv` raises otherwise."""
        return self

    def __next__(self):
        cdef Until until
        self._until(DEFAULT, &until)
        try:
            return self._pull(1, &until)[0]
        except errors.EndOfStream:
            raise StopIteration from None

    @property
    def ready(self):
        """Whether `recv` has an answer without reading: a whole message, the end, or an error.

        A read may take several messages off the stream: act on them before waiting for more.
        """
        cdef Decoder decoder = self.decoder
        if self._closed or self.over is not None or self.eof or self.broken:
            return True
        if self.direct == OTHER and self._transport.pending:
            return True
        if decoder is None:
            return False
        if decoder.cut:
            return True
        return (decoder._buffered() or decoder.fault is not None) and decoder._needed() == 0

    cdef Decoder _decoder(self):
        if self.decoder is None:
            self.decoder = Decoder(self._plan(False))
        return self.decoder

    def _switch(self, framing):
        """Cut by `framing` from here on."""
        self._need_open()
        self._enter_recv()
        try:
            self._decoder().switch(framing)
            self._release_block()
        finally:
            self._leave_recv()

    cdef list _pull(self, Py_ssize_t cap, const Until *until):
        """At least one message, at most `cap`."""
        cdef list messages
        self._enter_recv()
        try:
            messages = self._frames(cap, until)
            if self.codec is not None or self._trace is not None:
                messages = self._shown(messages)
            return messages
        finally:
            self._leave_recv()

    cdef list _shown(self, list frames):
        """`frames`, decoded and traced."""
        cdef list messages = frames if self.codec is None else []
        try:
            if self.codec is not None:
                self._decode_all(frames, messages)
            trace = self._trace  # which may close the connection, and with it the trace
            if trace is not None:
                for message in messages:
                    trace("<", message)
        except BaseException:
            # None of these was delivered: the next call has them.
            self._put_back(frames[:len(messages)])
            raise
        return messages

    cdef list _put_back(self, list frames):
        """`frames` were not delivered: the next call has them first. All that wait."""
        cdef Decoder decoder = self._decoder()
        decoder.cut = frames + (decoder.cut or [])
        return decoder.cut

    cdef int _decode_all(self, list frames, list messages) except -1:
        """Append what the codec makes of `frames`. What is not decoded yet is not delivered yet; a message
        that cannot be decoded is consumed."""
        decode, decode_from = self.codec[2], self.codec[3]
        cdef list cut = self._put_back(frames)
        for frame in frames:
            if messages:
                try:
                    message = decode(frame) if decode_from is None else decode_from(frame, 0, len(frame))
                except Exception:
                    break
                del cut[0]
            else:
                del cut[0]
                message = decode(frame) if decode_from is None else decode_from(frame, 0, len(frame))
            messages.append(message)
        return 0

    cdef Py_ssize_t _pull_into(self, uint8_t *p, Py_ssize_t room, const Until *until) except -1:
        cdef list frames = self._frames(1, until, room)
        cdef bytes frame
        cdef Py_ssize_t size
        if not frames:
            return self._receive_large(self.decoder, p, until)
        frame = frames[0]
        size = PyBytes_GET_SIZE(frame)
        if size > room:
            self._put_back(frames)
            raise errors.no_room(size, room)
        memcpy(p, PyBytes_AS_STRING(frame), size)
        return size

    cdef list _frames(self, Py_ssize_t cap, const Until *until, Py_ssize_t room=-1, bint read=True):
        try:
            return self._more_frames(cap, until, room, read)
        except errors.DecodeError as error:
            self._report(error)
            raise
        except MemoryError:
            # What had arrived may be lost, or cut and not handed over: never deliver what follows.
            self.broken = True
            raise

    cdef list _more_frames(self, Py_ssize_t cap, const Until *until, Py_ssize_t room, bint read):
        """At least one frame, at most `cap`; none if the next one can be received into `room` bytes.

        Without `until` it reads at most once, and not at all without `read`, and there may be none."""
        cdef Decoder decoder
        cdef list out = []
        cdef Py_ssize_t found
        cdef int got, fruitless = 0
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if until is not NULL and self._unsent():
            self._drive()
        while True:
            self._need_open()
            if self.broken:
                raise errors.lost(self._peer_name(), ENOMEM, os.strerror(ENOMEM))
            decoder = self.decoder
            if decoder is not None:
                if decoder.cut:
                    out = decoder.cut[:cap]
                    del decoder.cut[:len(out)]
                    return out
                decoder._enter()
                if decoder.pending is None:
                    decoder._run(b"", 0, None, out, cap, False)
                found = PyList_GET_SIZE(out)
                if self._delivered(out) or self._goes_into(room):
                    return out
                if found:  # a heartbeat; what is behind it has come already
                    fruitless += 1
                    if until is not NULL:
                        self._keep_time(fruitless, until)
                    continue
            if self.over is not None:
                raise self._error(self.over)
            if self.limits is not None and self.limits.frame_timeout >= 0:
                self._watch_frame()
            if self.eof and self.direct == OTHER and self._transport.unclean:
                self._end_uncleanly()
                continue
            if self.eof:
                self._put_back(self._decoder().feed_eof())
                self.over = errors.ended, self._peer_name()
                continue
            if until is NULL and not read:
                return out
            if until is not NULL and fruitless:
                self._keep_time(fruitless, until)
            got = self._receive(out, cap, until)
            fruitless += 1
            read = False
            if got < 0 and until is NULL:
                return out
            if got < 0:
                self._await_input(until)
            elif got > 0 and self._delivered(out):
                return out

    cdef bint _delivered(self, list out) except -1:
        """Whether `out`, just cut, has something for the caller; raises what the decoder found instead."""
        cdef Decoder decoder = self.decoder
        cdef Py_ssize_t live
        cdef bytes heartbeat
        decoder._result(out)
        if self.held is not None:
            live = decoder.end - decoder.start
            # Do not let an unfinished frame keep the block: asking is cheap where frames are not small.
            if not out or live < LONE or (live < 2 * len(out[0]) and decoder._needed() != 0):
                decoder._settle()
            self._release_block()
        if out and self.limits is not None and self.limits.heartbeat is not None:
            heartbeat = self.limits.heartbeat
            heard = len(out)
            out[:] = [frame for frame in out if frame != heartbeat]
            (<Watch> self.limits).beats += <unsigned long long> (heard - len(out))
        return len(out) > 0

    # --- reading -------------------------------------------------------------------------------------------

    cdef int _receive(self, list out, Py_ssize_t cap, const Until *until) except -2:
        """One read, and the frames it completes: -1 nothing came, 0 the end or nothing whole, 1 look."""
        cdef Decoder decoder
        cdef Block block
        cdef uint8_t small[LONE]
        cdef Py_ssize_t count
        decoder = self._decoder()
        if decoder.large is not NULL and self.direct != OTHER and (
                decoder.trusted >= DIRECT or
                decoder.large_fill >= DIRECT and decoder.large_size - decoder.large_fill >= DIRECT):
            return self._receive_in_place(decoder, out, cap, until)
        block = borrow()
        try:
            count = self._read(block, block.data, BLOCK, False)
        except BaseException:
            give_back(block)
            raise
        if count <= 0:
            give_back(block)
            if count == 0:
                return self._ended()
            if not self._may_sleep(until):
                return -1
            count = self._read(None, small, LONE, True)
            if count < 0 or self._closed:
                return 0
            if count == 0:
                return self._ended()
            decoder._run(small, count, None, out, cap, False)
            return 1
        decoder._run(block.data, count, None, out, cap, False, block)
        if decoder.source is block:
            self.held = block
        else:
            give_back(block)
        return 1

    cdef int _receive_in_place(self, Decoder decoder, list out, Py_ssize_t cap, const Until *until) except -2:
        """As _receive, when a large frame has begun: into its own object, and a little of what is behind it,
        so that the next one begins, too."""
        cdef uint8_t behind[LONE]
        cdef Py_ssize_t count, room = 0, gone
        cdef uint8_t *p = decoder._large_room(&room)
        cdef bint whole = decoder.large_fill + room == decoder.large_size
        count = self._read(None, p, room, False, behind if whole else NULL)
        if count < 0:
            if not self._may_sleep(until):
                return -1
            count = self._read(None, p, room, True, behind if whole else NULL)
            if count < 0 or self._closed:
                return 0
        if count == 0:
            return self._ended()
        gone = min(count, room)
        decoder.large_fill += gone
        if decoder.large_fill == decoder.large_size:
            decoder._run(behind, count - gone, None, out, cap, False)
        return 1

    cdef Py_ssize_t _receive_large(self, Decoder decoder, uint8_t *p, const Until *until) except -1:
        """The rest of a large frame, straight into the caller's memory; if it does not come, what has come
        goes where it would have gone."""
        cdef Py_ssize_t size = decoder.large_size, fill = decoder.large_fill, had = fill, count
        memcpy(p, bytes_data(decoder.large), fill)
        try:
            while fill < size:
                count = self._read(None, p + fill, size - fill, False)
                if count < 0 and self._may_sleep(until):
                    count = self._read(None, p + fill, size - fill, True)
                    self._need_open()
                if count > 0:
                    fill += count
                    continue
                if count == 0:
                    break
                if self.limits is not None and self.limits.frame_timeout >= 0:
                    self._watch_frame()
                self._await_input(until)
                self._need_open()
        finally:
            if fill < size:
                decoder._add_large(p + had, fill - had)
        if fill < size:
            self._ended()
            return PyBytes_GET_SIZE(self._frames(1, until)[0])  # raises Truncated
        Py_XDECREF(decoder.large)
        decoder.large = NULL
        decoder.position += <unsigned long long> (PyBytes_GET_SIZE(decoder.large_head) + size)
        decoder.large_head = b""
        decoder._count(1)
        return size

    cdef bint _goes_into(self, Py_ssize_t room) noexcept:
        """Whether the next frame is a large one that has begun and can be received in place."""
        cdef Decoder decoder = self.decoder
        return (decoder is not None and decoder.large is not NULL and self.direct != OTHER
                and decoder.large_size <= room and decoder.large_size - decoder.large_fill >= DIRECT
                and (self.limits is None or self.limits.heartbeat is None))

    cdef bint _may_sleep(self, const Until *until) noexcept:
        """Whether there is nothing else to do until something comes: then the receive itself may wait."""
        return (self.direct == SOCKET and until is not NULL and until.timeout < 0
                and self.limits is None and not self._unsent()
                and not self._connecting and not self._closed)

    cdef int _ended(self) except -1:
        # A send that was refused has used up the error that a receive would have raised.
        if self.over is None:
            self.over = self.send_over if self.resets else None
        self.eof = True
        return 0

    cdef int _end_uncleanly(self) except -1:
        """The stream may have been cut off: no tail of it is a message."""
        cdef Decoder decoder = self._decoder()
        needed = decoder._needed()
        decoder._unpack_large()
        self.over = (errors.unclean_end, self._peer_name(), decoder.data[decoder.start:decoder.end],
                     needed, decoder.position, decoder.index)
        return 0

    cdef int _release_block(self) except -1:
        """Give the held block back, if the decoder has left it."""
        cdef Block block = self.held
        if block is not None and self.decoder.source is not block:
            self.held = None
            give_back(block)
        return 0

    def _skip(self):
        """Read and throw away some of what has come; whether the end was there."""
        cdef Block block = borrow()
        cdef Py_ssize_t count
        try:
            for _ in range(16):
                count = self._read(block, block.data, BLOCK, False)
                if count <= 0:
                    return count == 0
            return False
        except OSError:
            return True
        finally:
            give_back(block)

    cdef int _discard(self, const Until *until) except -1:
        """Read to the peer's end."""
        cdef Block block = borrow()
        cdef Py_ssize_t count, size = 0
        try:
            while size < DISCARD and not self._closed:
                count = self._read(block, block.data, BLOCK, False)
                if count > 0:
                    size += count
                elif count == 0:
                    return 0
                elif not self._wait(True, False, self._left(until)) and self._left(until) == 0:
                    return 0
        except OSError:
            pass
        finally:
            give_back(block)
        return 0

    cdef Py_ssize_t _read(self, Block block, uint8_t *p, Py_ssize_t size, bint wait,
                          uint8_t *behind=NULL) except -2:
        """Receive into p[0..size), which is the start of `block` if there is one, and LONE bytes more into
        `behind`: how many bytes, 0 at the end, -1 if there is nothing now. With `wait` it waits, where the
        system can do that by itself."""
        cdef Py_ssize_t count = 0
        cdef int number = 0
        cdef iovec parts[2]
        parts[0].iov_base, parts[0].iov_len = p, <size_t> size
        parts[1].iov_base, parts[1].iov_len = behind, LONE
        while True:
            if self.direct == SOCKET:
                if wait and behind is not NULL:
                    with nogil:
                        count = receive_parts(self.reader, parts, 0)
                elif wait:
                    with nogil:
                        count = recv(self.reader, p, size, 0)
                elif behind is not NULL:
                    count = receive_parts(self.reader, parts, MSG_DONTWAIT)
                else:
                    count = recv(self.reader, p, size, MSG_DONTWAIT)
                number = errno
            elif self.direct == PIPE:
                count = readv(self.reader, parts, 2) if behind is not NULL else read(self.reader, p, size)
                number = errno
            else:
                try:
                    view = memoryview(block)
                    try:
                        count = next(self._transport.receiving(view))
                    finally:
                        view.release()
                except BlockingIOError:
                    return -1
                except InterruptedError:
                    continue
                except OSError as error:
                    if isinstance(error, errors.FramewireError):
                        raise
                    failure = self._failure(error.errno or 0, error.strerror)
                    if failure is None:
                        raise
                    self.over = failure
                    raise self._error(failure) from error
            if count >= 0:
                self.reads += 1
                if self.direct == OTHER:
                    self.last_in = self._clock()
                else:
                    self.last_in = coarse()
                return count
            if number == EAGAIN:
                return -1
            if number == EINTR:
                PyErr_CheckSignals()
                if self._closed:
                    return -1
                continue
            error = OSError(number, os.strerror(number))
            failure = self._failure(number, error.strerror)
            if failure is None:
                raise error
            self.over = failure
            raise self._error(failure) from error

    # --- waiting -------------------------------------------------------------------------------------------

    cdef int _await_input(self, const Until *until) except -1:
        """Nothing has come: wait for it, or for room to send what is unsent, and keep to every timeout."""
        cdef double seconds, due
        cdef bint writing
        self._need_open()
        writing = self._unsent() and not self.corks and self._drive()
        seconds = self._left(until)
        if self.limits is not None:
            due = self._watch_peer()
            seconds = due if seconds < 0 else min(seconds, due)
        if not self._wait(True, writing, seconds) and self._left(until) == 0:
            raise self._late(until, "recv", f"no whole message came from {self._peer_name()}")
        return 0

    cdef int _keep_time(self, int fruitless, const Until *until) except -1:
        """Something came, but nothing for the caller: a peer that never pauses must not keep him here, nor
        other threads and signal handlers waiting."""
        if self._left(until) == 0 and (until.timeout > 0 or fruitless >= FRUITLESS):
            raise self._late(until, "recv", f"no whole message came from {self._peer_name()}")
        if fruitless % 64 == 0:
            with nogil:
                pass
            PyErr_CheckSignals()
            self._need_open()
        return 0

    cdef Watch _watching(self):
        cdef Watch watch
        cdef Limits shared = self.limits
        if type(shared) is not Watch:
            watch = Watch()
            watch.shared = shared
            watch.frame_timeout, watch.idle_timeout = shared.frame_timeout, shared.idle_timeout
            watch.peer_timeout, watch.heartbeat = shared.peer_timeout, shared.heartbeat
            watch.frame_at = -1
            self.limits = watch
        return <Watch> self.limits

    cdef int _watch_frame(self) except -1:
        """Timeout if the frame that has begun takes too long."""
        cdef Watch watch
        cdef Decoder decoder = self.decoder
        if decoder is None or not decoder._buffered():
            if self.limits.heartbeat is None and type(self.limits) is Watch:
                self.limits = (<Watch> self.limits).shared
            return 0
        watch = self._watching()
        if watch.frame_at != <long long> decoder.position:
            watch.frame_at = <long long> decoder.position
            watch.frame_since = self.last_in
        elif self._clock() - watch.frame_since >= self.limits.frame_timeout:
            raise errors.slow_frame(self._peer_name(), decoder._buffered(), short(self.limits.frame_timeout))
        return 0

    cdef double _watch_peer(self) except -1:
        """Judge a silence, and say something into it; how many seconds until that is due again."""
        cdef Limits limits = self.limits
        cdef Watch watch = <Watch> limits if type(limits) is Watch else None
        cdef double now = self._clock(), due = 1e9, left
        if limits.idle_timeout >= 0:
            due = self.last_in + limits.idle_timeout - now
            if due <= 0:
                raise errors.idle(self._peer_name(), short(limits.idle_timeout))
        if watch is not None and limits.frame_timeout >= 0 and self.decoder is not None and (
                watch.frame_at == <long long> self.decoder.position):
            due = min(due, watch.frame_since + limits.frame_timeout - now)
        if limits.heartbeat is not None:
            left = self.last_in + limits.peer_timeout - now
            if left <= 0:
                self.over = self.send_over = errors.silent, self._peer_name(), short(limits.peer_timeout)
                raise self._error(self.over)
            due = min(due, left)
            if self.send_over is None:
                if watch.last_out + limits.peer_timeout / 3 <= now:
                    self._beat()
                due = min(due, watch.last_out + limits.peer_timeout / 3 - now)
        return max(0.0, due)

    cdef int _beat(self) except -1:
        """Send a heartbeat, unless something else is on its way out."""
        cdef Until until
        if not self._unsent() and not self.sending:
            self._now(&until)
            self._enter_send(&until, "send")
            try:
                self._enqueue(self.limits.heartbeat)
                self.messages_out -= 1
                self._push_all(&until)
            except OSError:
                pass  # the next send reports it
            finally:
                self._leave_send(False)
        (<Watch> self.limits).last_out = self._clock()
        return 0
