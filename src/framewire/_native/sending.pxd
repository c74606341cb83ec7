from ._csrc cimport fw_wire, uint8_t
from ._system cimport iovec
from .codec cimport Block
from ._output cimport Output
from .encoder cimport Encoder
from .stream cimport Stream, Until


cdef enum:
    SMALL = 2048    # below it, copying a message is cheaper than one more buffer in a system call


cdef class Sender(Stream):
    cdef Encoder encoder
    cdef Block out
    cdef object reserved
    cdef Py_ssize_t out_start, out_end, high_water
    cdef unsigned long long writes, bytes_out, messages_out
    cdef unsigned short corks, small
    cdef unsigned char batching, starved, unending, resets

    cdef Py_ssize_t _unsent(self) noexcept
    cdef Py_ssize_t _batch(self) noexcept
    cdef Encoder _encoder(self)
    cdef int _send(self, object message, const Until *until, bint raw) except -1
    cdef object _encoded(self, object message)
    cdef int _use_codec(self, tuple codec) except -1
    cdef bint _packs(self) noexcept
    cdef int _pack(self, Output *s, object message) except -1
    cdef int _send_record(self, object message, const Until *until) except -1
    cdef Py_ssize_t _gather_record(self, object message) except -1
    cdef int _send_memory(self, const uint8_t *p, Py_ssize_t length, const Until *until) except -1
    cdef int _send_direct(self, object message, const Until *until) except -1
    cdef int _send_from(self, iovec *parts, int count, const Until *until) except -1
    cdef Py_ssize_t _gather(self, object message, const Until *until) except -1
    cdef Py_ssize_t _gather_run(self, list messages, Py_ssize_t at, Py_ssize_t *gathered) except -1
    cdef object _send_many(self, object messages, const Until *until)
    cdef int _make_room(self, const Until *until) except -1
    cdef int _need_sender(self, const Until *until) except -1
    cdef int _flush(self, const Until *until) except -1
    cdef int _shutdown_write(self, const Until *until) except -1
    cdef uint8_t *_out_room(self, Py_ssize_t more) except NULL
    cdef int _append_bytes(self, const uint8_t *p, Py_ssize_t size) except -1
    cdef int _append_wire(self, const fw_wire *w, const uint8_t *p, Py_ssize_t length,
                          Py_ssize_t size) except -1
    cdef int _keep_parts(self, iovec *parts, int count) except -1
    cdef Py_ssize_t _enqueue(self, object message) except -1
    cdef Py_ssize_t _queue(self, const uint8_t *data, Py_ssize_t length) except -1
    cdef int _taken(self, Py_ssize_t size) noexcept
    cdef int _shrink(self) noexcept
    cdef int _drop_out(self) noexcept
    cdef int _push_now(self) except -1
    cdef int _push_in_turn(self, const Until *until) except -1
    cdef bint _push_all(self, const Until *until) except -1
    cdef Py_ssize_t _write(self, iovec *parts, int count, bint wait=*) except -2
    cdef bint _is_starved(self, int number) noexcept
    cdef int _fail_sending(self, object error, int number) except -1
