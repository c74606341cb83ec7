# cython: language_level=3, auto_pickle=False
"""The sending half of a channel: framed messages to the kernel, whole and in order.

A sent message goes to the kernel from where it stands; what it does not take is copied to `out`, which
exists only while it holds something. Many small messages are gathered in `out` and go together. `_write` is
the only place that knows what kind of stream there is: what a simulated transport does to the code above it,
a system call could do. The encoder is made when it is first needed.
"""

from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, ENOBUFS, ENOMEM, EPIPE, errno
from libc.string cimport memcpy

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from cpython.tuple cimport PyTuple_GET_SIZE

from ._csrc cimport *
from ._python cimport *
from ._system cimport *
from .codec cimport Block, new_block
from .encoder cimport Encoder, acquire, wire_size, write_wire
from .messages cimport pack_message

from ._output cimport Output, SMALL as PACKED, begin_write
from .stream cimport DEFAULT, OTHER, PIPE, SOCKET, Until, Watch

import os

from .. import errors

__all__ = ["Sender"]

cdef const char *PACKS = "framewire.pack_message"

cdef enum:
    HEAD = 576             # room for the header and trailer of any small message
    BATCH = 262144         # small messages are joined up to this much for one system call
    FEW = 8192             # what a cork begins with


@cython.final
cdef class Cork:
    """While it is entered, sent messages gather; at the end they go together."""

    cdef Sender sender

    def __enter__(self):
        self.sender.corks += 1

    def __exit__(self, kind, error, trace):
        cdef Sender sender = self.sender
        cdef Until until
        sender.corks -= 1
        if sender.corks or not sender._unsent():
            return
        if kind is None:
            sender._until(DEFAULT, &until)
            sender._push_in_turn(&until)
        else:
            sender._drive()


cdef class Sender(Stream):
    """What sends; see `MessageSocket`, which inherits every verb."""

    def send(self, message, timeout=DEFAULT):
        """Send one message, any C-contiguous buffer; with a codec, an object.

        Waits for its turn and until less than `high_water` bytes are unsent: Timeout, and BlockingIOError
        with `timeout=0`, come only from that, and nothing was taken. Then the message is taken: without a
        timeout send returns when the kernel has every byte; with one it may leave a rest in `unsent`, which
        later calls of send, recv, flush and close continue (a recv that already waits in another thread does
        not). EncodeError if the framing cannot carry it: nothing was sent. ConnectionLost, then and from
        every later send; ConnectionClosed after close or in another process. Any number of threads may send,
        and their messages never mix. Safe to cancel: a message that was taken is continued by the next call.
        """
        cdef Until until
        self._until(timeout, &until)
        self._send(message, &until, False)

    def send_many(self, messages, timeout=DEFAULT):
        """Send all `messages` with as few system calls as will do, and return how many.

        They are drawn one at a time, when there is room, and held back until 256 KiB have gathered or the
        iterable ends. Without a timeout all are sent; with one, as many as were taken in time are counted:
        Timeout or BlockingIOError only where that is none. If one cannot be encoded, or the iterable
        raises, those before it are sent. Otherwise as `send`.
        """
        cdef Until until
        cdef bint nested
        self._until(timeout, &until)
        nested = self._enter_send(&until, "send")
        try:
            return self._send_many(messages, &until)
        finally:
            self._leave_send(nested)

    def cork(self):
        """A context in which sent messages gather, to go together at its end or when 256 KiB are there.

        It serves all threads' sends, and may be nested. Its end waits as `flush` does, but for the
        connection's own `timeout`, and leaves the rest in `unsent`. After an exception it does not wait.
        """
        cdef Cork cork = Cork()
        cork.sender = self
        return cork

    def flush(self, timeout=DEFAULT):
        """Wait until nothing is `unsent`; Timeout or BlockingIOError if that takes longer.

        Otherwise it raises as `send`. Safe to cancel and to call from any thread.
        """
        cdef Until until
        cdef bint nested
        self._until(timeout, &until)
        nested = self._enter_send(&until, "send")
        try:
            self._flush(&until)
        finally:
            self._leave_send(nested)

    def shutdown_write(self, timeout=DEFAULT):
        """Send what is unsent and tell the peer that nothing more will come; receiving goes on.

        Every later send raises ConnectionClosed. Timeout or BlockingIOError as `flush`: call again.
        DeclarationError over an ssl.SSLSocket, which throws away what comes while it says the end.
        """
        cdef Until until
        cdef bint nested
        if getattr(self._transport, "whole", False):
            raise errors.cannot_halve(self._peer_name())
        self._until(timeout, &until)
        nested = self._enter_send(&until, "send")
        try:
            self._shutdown_write(&until)
        finally:
            self._leave_send(nested)

    def reserve(self, size):
        """A writable view of `size` bytes in which the next message can be built; `commit` sends it.

        The seam for code that packs messages in place. One thread at a time, with no other send in between.
        """
        cdef Py_ssize_t room = size
        if room < 0:
            raise errors.bad_reserve(room)
        self._need_open()
        self.reserved = bytearray(room)
        return memoryview(self.reserved)

    def commit(self, size, timeout=DEFAULT):
        """Send the first `size` bytes of what `reserve` gave as one message; raises as `send`.

        ValueError if `reserve` gave fewer.
        """
        cdef Py_ssize_t count = size
        cdef Until until
        if self.reserved is None or not 0 <= count <= len(self.reserved):
            raise errors.bad_commit(count, -1 if self.reserved is None else len(self.reserved))
        self._until(timeout, &until)
        self._send(memoryview(self.reserved)[:count], &until, True)
        self.reserved = None

    cdef Py_ssize_t _unsent(self) noexcept:
        return self.out_end - self.out_start

    cdef Py_ssize_t _batch(self) noexcept:
        """How much gathers before it goes."""
        return min(<Py_ssize_t> BATCH, self.high_water)

    @property
    def unsent(self):
        """Bytes of sent messages that the kernel has not taken yet."""
        return self._unsent()

    def _switch_send(self, tuple plan not None):
        """Frame what is sent by `plan` from here on; waits for a send in another thread."""
        cdef Until until
        cdef bint nested
        self._need_open()
        self._forever(&until)
        nested = self._enter_send(&until, "send")
        self.encoder = Encoder(plan)
        self._leave_send(nested)

    cdef Encoder _encoder(self):
        if self.encoder is None:
            self.encoder = Encoder(self._plan(True))
        return self.encoder

    cdef int _send(self, object message, const Until *until, bint raw) except -1:
        cdef bint nested = self._enter_send(until, "send")
        try:
            self._make_room(until)
            if not raw and self._packs():
                self._send_record(message, until)
                return 0
            encoded = message if raw else self._encoded(message)
            if self.corks or self._unsent():
                self._enqueue(encoded)
                if not self.corks:
                    self._push_all(until)
                elif self._unsent() >= self._batch():
                    self._push_now()
            else:
                self._send_direct(encoded, until)
            if self._trace is not None and not raw:
                self._trace(">", message)
        finally:
            self._leave_send(nested)
        return 0

    cdef int _use_codec(self, tuple codec) except -1:
        if codec is not None:
            owner = getattr(codec[0], "__self__", None)
            found = getattr(owner, "_packs", None)
            if PyCapsule_IsValid(found, PACKS):
                codec = (*codec, owner, found)
        self.codec = codec
        return 0

    cdef bint _packs(self) noexcept:
        """Whether the codec packs messages into memory of ours."""
        return self.codec is not None and PyTuple_GET_SIZE(self.codec) > 4

    cdef int _pack(self, Output *s, object message) except -1:
        cdef pack_message pack = <pack_message> PyCapsule_GetPointer(self.codec[5], PACKS)
        return pack(self.codec[4], s, message)

    cdef int _send_record(self, object message, const Until *until) except -1:
        """`_send` of a record, which is packed on the stack and goes from there, or to what is queued."""
        cdef Output s
        cdef uint8_t small[PACKED]
        begin_write(NULL, &s, small)
        try:
            self._pack(&s, message)
            self._need_open()
            if self._encoder()._joins():
                self._enqueue(PyBytes_FromStringAndSize(<const char *> s.out, s.used))
            elif self.corks or self._unsent():
                self._queue(s.out, s.used)
            else:
                self._send_memory(s.out, s.used, until)
        finally:
            PyMem_Free(s.heap)
        if not self.corks:
            self._push_all(until)
        elif self._unsent() >= self._batch():
            self._push_now()
        if self._trace is not None:
            self._trace(">", message)
        return 0

    cdef Py_ssize_t _gather_record(self, object message) except -1:
        """`_gather` of a record: it is packed on the stack and queued from there."""
        cdef Output s
        cdef uint8_t small[PACKED]
        begin_write(NULL, &s, small)
        try:
            self._pack(&s, message)
            self._need_open()
            self._out_room(self._batch() + self.small + HEAD)
            if self._encoder()._joins():
                return self._enqueue(PyBytes_FromStringAndSize(<const char *> s.out, s.used))
            return self._queue(s.out, s.used)
        finally:
            PyMem_Free(s.heap)

    cdef object _encoded(self, object message):
        """What the codec makes of a message."""
        if self.codec is None:
            return message
        encode_into = self.codec[1]
        if encode_into is None:
            return self.codec[0](message)
        scratch = bytearray()
        size = encode_into(message, scratch, 0)
        # msgspec's own encode_into cuts the bytearray to size and returns nothing.
        return bytes(scratch if size is None else scratch[:size])

    cdef int _send_direct(self, object message, const Until *until) except -1:
        """Send one message when nothing is before it: from where it stands, without a copy if it is large."""
        cdef Encoder encoder = self._encoder()
        cdef Py_buffer view
        if encoder._joins():
            message = encoder._join(message)
        acquire(message, &view)
        try:
            self._send_memory(<const uint8_t *> view.buf, view.len, until)
        finally:
            PyBuffer_Release(&view)
        if self._unsent():
            self._push_all(until)
        return 0

    cdef int _send_memory(self, const uint8_t *p, Py_ssize_t length, const Until *until) except -1:
        """The same of memory that is valid as long as this call lasts; what does not go is queued."""
        cdef Encoder encoder = self._encoder()
        cdef fw_wire w
        cdef iovec parts[4]
        cdef uint8_t small[SMALL + HEAD]
        cdef Py_ssize_t size
        encoder._measure(p, length, &w)
        size = wire_size(&w, length)
        encoder._count()
        self.messages_out += 1
        if self.direct == OTHER:
            self._append_wire(&w, p, length, size)
        elif size <= SMALL:
            write_wire(&w, p, length, small)
            add_part(parts, 0, small, <size_t> size)
            self._send_from(parts, size > 0, until)
        else:
            self._send_from(parts, fill_parts(parts, &w, p, length), until)
        return 0

    cdef int _send_from(self, iovec *parts, int count, const Until *until) except -1:
        """Send from the caller's memory, when nothing is queued; what does not go before he gets it back is
        queued then."""
        cdef Py_ssize_t taken
        cdef bint wait = False
        try:
            while count:
                taken = self._write(parts, count, wait)
                if taken >= 0:
                    count = skip_parts(parts, count, taken)
                elif until.timeout >= 0:
                    break
                elif self.direct == SOCKET and not self.starved:
                    wait = True  # the kernel then takes the rest piece by piece, as room comes
                else:
                    self._wait(False, True, -1)
                self._need_open()
        finally:
            if count and self.send_over is None:
                self._keep_parts(parts, count)
        return 0

    cdef Py_ssize_t _gather(self, object message, const Until *until) except -1:
        """Take one message of many: a small one is queued, a large one goes with all that is before it."""
        cdef Py_buffer view
        cdef fw_wire w
        cdef iovec parts[5]
        cdef Encoder encoder = self.encoder if self.encoder is not None else self._encoder()
        cdef Py_ssize_t size, taken, length, queued
        cdef int count
        if self.direct == OTHER or encoder._joins() or self.corks or (
                PyBytes_CheckExact(message) and PyBytes_GET_SIZE(message) < self.small):
            if self.out is None:
                # All that is gathered will stand here.
                self.out = new_block(self._batch() + self.small + HEAD)
                self.out_start = self.out_end = 0
            return self._enqueue(message)
        acquire(message, &view)
        try:
            length = view.len
            encoder._measure(<const uint8_t *> view.buf, length, &w)
            size = wire_size(&w, length)
            encoder._count()
            self.messages_out += 1
            if size < self.small or self._unsent() > self.high_water:
                self._append_wire(&w, <const uint8_t *> view.buf, length, size)
                return size
            count = fill_parts(parts + 1, &w, <const uint8_t *> view.buf, length)
            queued = self._unsent()
            if queued:
                parts[0].iov_base = self.out.data + self.out_start
                parts[0].iov_len = <size_t> queued
                taken = -1
                try:
                    taken = self._write(parts, count + 1)
                finally:
                    if taken < queued and self.send_over is None:
                        self._taken(max(taken, 0))
                        self._keep_parts(parts + 1, count)
                if taken < queued:
                    return size
                self._taken(queued)
                count = skip_parts(parts + 1, count, taken - queued)
            self._send_from(parts + 1, count, until)
        finally:
            PyBuffer_Release(&view)
        return self._unsent()

    cdef Py_ssize_t _gather_run(self, list messages, Py_ssize_t at, Py_ssize_t *gathered) except -1:
        """Queue the small bytes objects among `messages` from `at` on, until there is one that is not or the
        batch is full; where the next one stands. The same as _gather would do, without a call a message."""
        cdef Encoder encoder = self._encoder()
        cdef const fw_plan *plan = &encoder.plan.c
        cdef Py_ssize_t length, first = at, count
        cdef size_t head
        cdef uint8_t *p
        cdef uint8_t *full
        cdef PyObject *item
        if not (plan.simple and plan.strip) or encoder.phase_left >= 0:
            return at
        self._out_room(self._batch() + self.small + HEAD)
        p = self.out.data + self.out_end
        full = p + self._batch()
        count = PyList_GET_SIZE(messages)
        while at < count and p < full:
            item = PyList_GET_ITEM(messages, at)
            if not is_bytes(item) or bytes_size(item) >= self.small:
                break
            length = bytes_size(item)
            head = fw_put_head(plan, <uint64_t> length, p)
            if head == 0:
                break
            memcpy(p + head, bytes_data(item), length)
            p += head + <size_t> length
            at += 1
        gathered[0] += p - (self.out.data + self.out_end)
        self.out_end = p - self.out.data
        self.messages_out += <unsigned long long> (at - first)
        return at

    cdef object _send_many(self, object messages, const Until *until):
        cdef Py_ssize_t count = 0, gathered = 0, before, batch = self._batch()
        cdef list known = messages if type(messages) is list else None
        cdef object iterator = iter(messages) if known is None else None
        cdef bint outer = self.lending
        cdef bint plain = known is not None and self.codec is None and self._trace is None
        message = None
        self._need_sender(until)
        self.batching = True
        try:
            while True:
                if gathered >= batch:
                    if until.timeout < 0:
                        self._push_all(until)
                    else:
                        self._push_now()
                    # Go on gathering only if a whole batch more stays below the high water mark.
                    gathered = 0 if self._unsent() + batch <= self.high_water else batch
                if gathered >= batch or not count:
                    try:
                        self._make_room(until)
                    except (errors.Timeout, BlockingIOError):
                        if not count:
                            raise
                        return count
                if plain:
                    before = count
                    count = self._gather_run(known, count, &gathered)
                    if count > before:
                        continue
                if known is not None:
                    if count >= PyList_GET_SIZE(known):
                        break
                    message = known[count]
                else:
                    # The iterable's own code may use this connection.
                    self.lending = True
                    try:
                        message = next(iterator)
                    except StopIteration:
                        break
                    finally:
                        self.lending = outer
                    self._need_open()
                if self._packs():
                    gathered += self._gather_record(message)
                else:
                    gathered += self._gather(message if self.codec is None else self._encoded(message), until)
                count += 1
                if self._trace is not None:
                    self._trace(">", message)
            if not self.corks:
                self._push_all(until)
            elif self._unsent() >= batch:
                self._push_now()
            return count
        except Exception:
            if self.send_over is None and not self._closed and not self._foreign():
                self._push_all(until)
            raise
        finally:
            self.batching = False
            self._shrink()

    cdef int _make_room(self, const Until *until) except -1:
        """Wait until less than the high water mark is unsent."""
        self._need_sender(until)
        if self._unsent() and not (self.corks and self._unsent() < self._batch()):
            self._push_now()
            while self._unsent() >= self.high_water:
                if not self._wait(False, True, self._left(until)) and self._left(until) == 0:
                    raise self._late(until, "send",
                                     f"{self._unsent()} bytes are unsent, {self._peer_name()} took too few")
                self._need_open()
                self._push_now()
        return 0

    cdef int _need_sender(self, const Until *until) except -1:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if self.send_over is not None:
            raise self._error(self.send_over)
        return 0

    cdef int _flush(self, const Until *until) except -1:
        self._need_open()
        if self._connecting:
            self._need_connected(until)
        if not self._push_all(until):
            raise self._late(until, "send",
                             f"{self._unsent()} bytes could not be sent to {self._peer_name()}")
        return 0

    cdef int _shutdown_write(self, const Until *until) except -1:
        self._flush(until)
        while self.send_over is None:
            try:
                self.unending = not self._transport.end()
                self.writer = self._transport.writer
            except BlockingIOError:
                if not self._wait(False, True, self._left(until)) and self._left(until) == 0:
                    raise self._late(until, "send",
                                     f"{self._peer_name()} could not be told the end") from None
                self._need_open()
                continue
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno not in errors.LOST:
                    self.send_over = (errors.write_was_shut,)
                    raise
            self.send_over = (errors.write_was_shut,)
        return 0

    def _drive(self):
        """Send what is unsent without waiting, if nobody else is sending; whether to wait for more room."""
        cdef Until now
        cdef bint nested
        if self.sending and not (self.lending and self.sender == get_ident()):
            return False
        self._now(&now)
        nested = self._enter_send(&now, "send")
        try:
            return not self._push_all(&now)
        except OSError:
            # The next send reports it; frames that have arrived come first.
            return False
        finally:
            self._leave_send(nested)

    # --- what is unsent ------------------------------------------------------------------------------------

    cdef uint8_t *_out_room(self, Py_ssize_t more) except NULL:
        """Where the next bytes to be sent go; `out` grows by what is needed."""
        cdef Py_ssize_t live = self._unsent(), size
        cdef Block block
        if self.out is None:
            self.out = new_block(max(more, FEW) if self.corks else more + HEAD)
            self.out_start = self.out_end = 0
        elif self.out.size - self.out_end < more:
            if self.out_start >= live and self.out.size - live >= more and self.out.exports == 0:
                memcpy(self.out.data, self.out.data + self.out_start, live)
            else:
                size = live + more
                block = new_block(max(size, min(2 * self.out.size, size + self.high_water)))
                memcpy(block.data, self.out.data + self.out_start, live)
                self.out = block
            self.out_start = 0
            self.out_end = live
        return self.out.data + self.out_end

    cdef int _append_bytes(self, const uint8_t *p, Py_ssize_t size) except -1:
        if size:
            memcpy(self._out_room(size), p, size)
            self.out_end += size
        return 0

    cdef int _append_wire(self, const fw_wire *w, const uint8_t *p, Py_ssize_t length,
                          Py_ssize_t size) except -1:
        if size:
            write_wire(w, p, length, self._out_room(size))
            self.out_end += size
        return 0

    cdef int _keep_parts(self, iovec *parts, int count) except -1:
        cdef int i
        for i in range(count):
            self._append_bytes(<const uint8_t *> parts[i].iov_base, <Py_ssize_t> parts[i].iov_len)
        return 0

    cdef Py_ssize_t _enqueue(self, object message) except -1:
        """Take one message for sending behind what is there; how many bytes it is on the wire."""
        cdef Encoder encoder = self.encoder if self.encoder is not None else self._encoder()
        cdef Py_buffer view
        if PyBytes_CheckExact(message) and not encoder._joins():
            return self._queue(<const uint8_t *> PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        if encoder._joins():
            message = encoder._join(message)
        acquire(message, &view)
        try:
            return self._queue(<const uint8_t *> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t _queue(self, const uint8_t *data, Py_ssize_t length) except -1:
        """The same of memory, of an encoder that does not join."""
        cdef Encoder encoder = self.encoder if self.encoder is not None else self._encoder()
        cdef fw_wire w
        cdef Py_ssize_t size
        cdef size_t head
        cdef uint8_t *p
        if encoder.plan.c.simple and encoder.plan.c.strip and length < PY_SSIZE_T_MAX // 2 and (
                self.out is not None and self.out.size - self.out_end - HEAD >= length):
            p = self.out.data + self.out_end
            head = fw_put_head(&encoder.plan.c, length, p)
            if head:
                memcpy(p + head, data, length)
                self.out_end += <Py_ssize_t> head + length
                self.messages_out += 1
                if encoder.phase_left > 0:
                    encoder._count()
                return <Py_ssize_t> head + length
        encoder._measure(data, length, &w)
        size = wire_size(&w, length)
        self._append_wire(&w, data, length, size)
        encoder._count()
        self.messages_out += 1
        return size

    cdef int _taken(self, Py_ssize_t size) noexcept:
        """The first `size` unsent bytes are the kernel's now."""
        self.out_start += size
        if self.out_start == self.out_end:
            self.out_start = self.out_end = 0
        return 0

    cdef int _shrink(self) noexcept:
        """Nothing is kept for what is not there."""
        if self.out_start == self.out_end:
            self._drop_out()
        return 0

    cdef int _drop_out(self) noexcept:
        self.out = None
        self.out_start = self.out_end = 0
        return 0

    # --- the system ----------------------------------------------------------------------------------------

    cdef int _push_now(self) except -1:
        cdef Until now
        self._now(&now)
        return self._push_all(&now)

    cdef int _push_in_turn(self, const Until *until) except -1:
        """Send what is unsent, when it is this thread's turn."""
        cdef bint nested = self._enter_send(until, "send")
        try:
            self._push_all(until)
        finally:
            self._leave_send(nested)
        return 0

    cdef bint _push_all(self, const Until *until) except -1:
        """Give the kernel all that is unsent; False if `until` came first."""
        cdef iovec part
        cdef Py_ssize_t taken
        cdef bint wait = False
        if self._unsent():
            self._need_open()  # the descriptor may be another file's by now
        while self._unsent():
            part.iov_base = self.out.data + self.out_start
            part.iov_len = <size_t> self._unsent()
            taken = self._write(&part, 1, wait)
            if taken >= 0:
                self._taken(taken)
                continue
            if until.timeout < 0 and self.direct == SOCKET and not self.starved:
                wait = True
                self._need_open()
                continue
            if not self._wait(False, True, self._left(until)) and self._left(until) == 0:
                return False
            self._need_open()
        if not self.corks and not self.batching:
            self._shrink()
        return True

    cdef Py_ssize_t _write(self, iovec *parts, int count, bint wait=False) except -2:
        """Send from `parts`, all of which are in `out` if the transport is another: how many bytes, -1 if
        there is no room now; the kernel's own want of memory counts as that once. With `wait` it waits, where
        the system can do that by itself. Raises what ends sending."""
        cdef Py_ssize_t taken = 0
        cdef int number = 0
        while True:
            if self.direct == SOCKET:
                if wait:
                    with nogil:
                        taken = send_parts(self.writer, parts, count, 0)
                else:
                    taken = send_parts(self.writer, parts, count, MSG_DONTWAIT)
                number = errno
            elif self.direct == PIPE:
                taken = writev(self.writer, parts, count)
                number = errno
            else:
                view = memoryview(self.out)[self.out_start:self.out_end]
                try:
                    taken = next(self._transport.sending([view]))
                except BlockingIOError:
                    return -1
                except InterruptedError:
                    continue
                except OSError as error:
                    if self._is_starved(error.errno or 0):
                        return -1
                    self._fail_sending(error, error.errno or 0)
                finally:
                    view.release()
            if taken >= 0:
                self.starved = False
                self.writes += 1
                self.bytes_out += <unsigned long long> taken
                if self.limits is not None and self.limits.heartbeat is not None:
                    (<Watch> self.limits).last_out = self._clock()
                return taken
            if number == EAGAIN:
                return -1
            if number == EINTR:
                PyErr_CheckSignals()
                continue
            if self._is_starved(number):
                return -1
            self._fail_sending(OSError(number, os.strerror(number)), number)

    cdef bint _is_starved(self, int number) noexcept:
        """Whether this is the first time in a row that the kernel has no memory."""
        cdef bint before = self.starved
        self.starved = not before and (number == ENOBUFS or number == ENOMEM)
        return self.starved

    cdef int _fail_sending(self, object error, int number) except -1:
        """Raise what ends sending, and forget what can no longer be sent."""
        failure = self._failure(number, error.strerror)
        if failure is None:
            raise error
        self.send_over = failure
        if number != EPIPE:
            # After EPIPE the peer's own end still counts: it had come before he refused our bytes.
            self.resets = True
        self._drop_out()
        raise self._error(failure) from error


cdef int fill_parts(iovec *parts, const fw_wire *w, const uint8_t *message, Py_ssize_t size) noexcept:
    """The pieces of a message on the wire; how many."""
    cdef int count = 0
    count = add_part(parts, count, message, w.keep)
    count = add_part(parts, count, w.made, w.made_size)
    count = add_part(parts, count, message + w.resume, <size_t> size - w.resume)
    return add_part(parts, count, w.tail, w.tail_size)


cdef inline int add_part(iovec *parts, int count, const uint8_t *p, size_t size) noexcept:
    if size == 0:
        return count
    parts[count].iov_base = <void *> p
    parts[count].iov_len = size
    return count + 1


cdef int skip_parts(iovec *parts, int count, Py_ssize_t taken) noexcept:
    """Take the first `taken` bytes off the parts; how many parts are left."""
    cdef size_t gone = <size_t> taken
    cdef int at = 0, i
    while at < count and gone >= parts[at].iov_len:
        gone -= parts[at].iov_len
        at += 1
    for i in range(at, count):
        parts[i - at] = parts[i]
    if gone:
        parts[0].iov_base = <uint8_t *> parts[0].iov_base + gone
        parts[0].iov_len -= gone
    return count - at
