# cython: language_level=3, auto_pickle=False
"""The Encoder, over the C core: fw_encode says which bytes go before, into and behind a message, and every
verb here puts them where its caller wants them. Also the one way in which this backend takes buffers."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT64_MAX, uintptr_t
from libc.string cimport memcpy

cimport cython
from ._csrc cimport *
from ._python cimport Py_XDECREF, PyObject, _PyBytes_Resize, bytes_data, bytes_size, new_bytes
from .plan cimport Plan, compile_plan

from .. import errors

__all__ = ["Encoder"]

cdef enum:
    CUSTOM = 5
    PREAMBLE = 6
    MAX_HEADER = 512


cdef object not_contiguous(object data):
    try:
        memoryview(data)
    except TypeError:
        return TypeError(f"a bytes-like object is required, not {type(data).__name__}")
    return BufferError("the buffer is not C-contiguous")


cdef int acquire(object data, Py_buffer *view) except -1:
    try:
        PyObject_GetBuffer(data, view, PyBUF_SIMPLE)
    except (TypeError, BufferError):
        raise not_contiguous(data) from None
    return 0


cdef int acquire_writable(object buffer, Py_buffer *view) except -1:
    try:
        PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE)
    except (TypeError, BufferError):
        raise TypeError(f"a writable contiguous buffer is required, not {type(buffer).__name__}") from None
    return 0


cdef inline bint overlap(const Py_buffer *one, const Py_buffer *other) noexcept:
    cdef uintptr_t a = <uintptr_t> one.buf, b = <uintptr_t> other.buf
    return a < b + <size_t> other.len and b < a + <size_t> one.len


cdef object signed_or_not(int status, uint64_t value):
    """The value of a fault: two's complement where the fault is that it is negative."""
    if status == FW_E_NEGATIVE:
        return <int64_t> value
    return value


cdef object refusal(int status, const fw_plan *leaf, const fw_wire *w, const uint8_t *p, Py_ssize_t size):
    """The EncodeError for a message that fw_encode refused."""
    if status == FW_E_TOO_LARGE:
        return errors.encode_too_large(w.value, leaf.max_frame)
    if status == FW_E_UNSAYABLE:
        return errors.encode_unsayable(w.value, leaf.capacity)
    if status == FW_E_SCALE:
        return errors.encode_scale(w.value, leaf.scale)
    if status == FW_E_FIXED:
        return errors.encode_fixed(size, leaf.size)
    if status == FW_E_MISMATCH:
        return errors.encode_mismatch(size, None if w.announced == UINT64_MAX else w.announced)
    if status == FW_E_WHOLE_SHORT:
        return errors.encode_short(size, w.announced)
    if status == FW_E_DELIMITER:
        # It stands in the message, or begins there and ends in the delimiter that would follow.
        near = p[w.at:min(<size_t> size, w.at + w.value)]
        near += leaf.delimiters[0].bytes[:leaf.delimiters[0].size] if leaf.strip else b""
        return errors.encode_delimiter(w.at, near[:w.value], size)
    if status == FW_E_EMPTY:
        return errors.encode_empty()
    if status == FW_E_LAST_LINE:
        return errors.encode_line(size)
    if status == FW_E_UNTERMINATED:
        return errors.encode_unterminated(size)
    value = signed_or_not(status, w.value)
    return errors.encode_broken(status, value, PyBytes_FromStringAndSize(<const char *> p, w.proof), size)


@cython.final
cdef class Encoder:
    """Turns messages into the bytes that carry them. Made by `framing.encoder()`.

    Nothing is written when a message is refused. Only under `Preamble` has it a state: the messages
    encoded so far; then one thread at a time may use it, otherwise any number may.

    >>> import framewire as fw
    >>> encoder = fw.Preamble(fw.FixedLength(4), fw.Netstring()).encoder()
    >>> encoder.encode(b"HELO"), encoder.encode(b"hi")
    (b'HELO', b'2:hi,')
    """

    def __init__(self, tuple plan not None, shared=False):
        self.shared = shared
        self._begin(plan)

    def __reduce__(self):
        raise errors.uncopyable(self)

    cdef int _begin(self, tuple plan) except -1:
        self.then = None
        self.phase_left = -1
        if plan[0] == PREAMBLE:
            self.then = plan[7]
            self.phase_left = plan[6]
            plan = plan[5]
        self.plan = compile_plan(plan)
        return 0

    cdef int _count(self) except -1:
        if self.phase_left > 0:
            self.phase_left -= 1
            if self.phase_left == 0:
                self._begin(self.then)
        return 0

    cdef int _check_phase(self) except -1:
        if self.then is not None and self.shared:
            raise errors.EncodeError("Preamble: its first messages differ, so use framing.encoder()")
        return 0

    cdef bint _joins(self) noexcept:
        """Whether messages go through _join first. A chunked one does not: it is written as one chunk."""
        return self.plan.kind == CUSTOM or self.plan.c.joins and self.plan.kind != FW_CHUNKED

    cdef object _join(self, object message):
        """The wire form of a message that does not stand in it as it is: Custom's own, or the stuffed one."""
        cdef const fw_plan *leaf = &self.plan.c
        cdef PyObject *out = NULL
        cdef Py_buffer view
        cdef fw_wire w
        cdef const uint8_t *p
        cdef int status
        if self.plan.kind == CUSTOM:
            if self.plan.join is None:
                raise errors.encode_no_join()
            return self.plan.join(message)
        acquire(message, &view)
        try:
            self._check_phase()
            p = <const uint8_t *> view.buf
            status = fw_encode(leaf, p, view.len, &w)
            if status != FW_FRAME:
                raise refusal(status, leaf, &w, p, view.len)
            out = new_bytes(NULL, <Py_ssize_t> fw_expanded_most(leaf, view.len))
            _PyBytes_Resize(&out, <Py_ssize_t> fw_expand(leaf, p, view.len, <uint8_t *> bytes_data(out)))
            return <object> out
        finally:
            Py_XDECREF(out)
            PyBuffer_Release(&view)

    cdef int _measure(self, const uint8_t *p, Py_ssize_t size, fw_wire *w) except -1:
        """How the message is written; an EncodeError if it cannot be."""
        cdef const fw_plan *leaf = &self.plan.c
        cdef int status = FW_FRAME, tag = 0, other = 0
        self._check_phase()
        if self._joins():
            if self.plan.kind == CUSTOM and <uint64_t> size > leaf.max_frame:
                raise errors.encode_too_large(size, leaf.max_frame)
            w.keep = w.resume = size
            w.made_size = w.tail_size = 0
            return 0
        if leaf.kind == FW_TAGGED:
            leaf = fw_choose(leaf, p, size, w, &status)
        if status == FW_FRAME:
            status = fw_encode(leaf, p, size, w)
        if status != FW_FRAME:
            raise refusal(status, leaf, w, p, size)
        if self.plan.c.kind == FW_TAGGED and fw_retags(&self.plan.c, p, size, w, &tag, &other):
            raise errors.encode_retagged(tag, other, size)
        return 0

    def encode(self, message):
        """The bytes that carry `message` (any C-contiguous buffer). EncodeError if the framing cannot."""
        cdef Py_buffer view
        cdef fw_wire w
        cdef bytes out
        if self._joins():
            message = self._join(message)
        acquire(message, &view)
        try:
            self._measure(<const uint8_t *> view.buf, view.len, &w)
            out = PyBytes_FromStringAndSize(NULL, wire_size(&w, view.len))
            write_wire(&w, <const uint8_t *> view.buf, view.len, <uint8_t *> PyBytes_AS_STRING(out))
        finally:
            PyBuffer_Release(&view)
        self._count()
        return out

    def encode_many(self, messages):
        """The bytes that carry all `messages` in order; EncodeError, and nothing, if one cannot be."""
        cdef PyObject *out = NULL
        cdef Py_ssize_t used = 0, size = MAX_HEADER
        cdef Plan plan = self.plan
        cdef tuple then = self.then
        cdef Py_ssize_t left = self.phase_left
        if type(messages) is list:  # anything else is drawn one by one: it may reuse a buffer
            for item in <list> messages:
                size += 16 + (PyBytes_GET_SIZE(item) if PyBytes_CheckExact(item) else 64)
        out = new_bytes(NULL, size)
        try:
            for item in messages:
                used = self._append(&out, used, item)
            _PyBytes_Resize(&out, used)
            return <object> out
        except BaseException:
            self.plan, self.then, self.phase_left = plan, then, left
            raise
        finally:
            Py_XDECREF(out)

    cdef Py_ssize_t _append(self, PyObject **out, Py_ssize_t used, object message) except -1:
        """Encode one message behind the `used` bytes of *out, which grows; how many are used then."""
        cdef Py_buffer view
        cdef fw_wire w
        cdef Py_ssize_t size, need, room = bytes_size(out[0]) - used
        cdef size_t head
        cdef uint8_t *p = <uint8_t *> bytes_data(out[0]) + used
        if self.plan.c.simple and self.plan.c.strip and PyBytes_CheckExact(message):
            size = PyBytes_GET_SIZE(message)
            if room >= MAX_HEADER and room - MAX_HEADER >= size:
                head = fw_put_head(&self.plan.c, size, p)
                if head:
                    memcpy(p + head, PyBytes_AS_STRING(message), size)
                    if self.phase_left > 0:
                        self._count()
                    return used + <Py_ssize_t> head + size
        if self._joins():
            message = self._join(message)
        acquire(message, &view)
        try:
            self._measure(<const uint8_t *> view.buf, view.len, &w)
            need = wire_size(&w, view.len)
            if room < need:
                _PyBytes_Resize(out, max(2 * bytes_size(out[0]), used + need + MAX_HEADER))
            write_wire(&w, <const uint8_t *> view.buf, view.len, <uint8_t *> bytes_data(out[0]) + used)
        finally:
            PyBuffer_Release(&view)
        self._count()
        return used + need

    def encode_into(self, buffer, offset, message):
        """Write the encoded `message` at `offset` of a writable buffer; the offset behind it is returned.

        EncodeError, or BufferError naming both sizes where it does not fit; `buffer` is then untouched.
        """
        cdef Py_buffer view, target
        cdef Py_ssize_t at = offset, need
        cdef fw_wire w
        acquire_writable(buffer, &target)
        try:
            if self._joins():
                message = self._join(message)
            acquire(message, &view)
            try:
                if overlap(&view, &target):  # the header would overwrite what is still to be copied
                    message = PyBytes_FromStringAndSize(<const char *> view.buf, view.len)
                    PyBuffer_Release(&view)
                    acquire(message, &view)
                self._measure(<const uint8_t *> view.buf, view.len, &w)
                need = wire_size(&w, view.len)
                if at < 0 or at > target.len or need > target.len - at:
                    raise errors.encode_no_room(need, at, target.len)
                write_wire(&w, <const uint8_t *> view.buf, view.len, <uint8_t *> target.buf + at)
            finally:
                PyBuffer_Release(&view)
        finally:
            PyBuffer_Release(&target)
        self._count()
        return at + need

    def encode_head(self, size):
        """(header, trailer) of a message of `size` bytes, under a framing that strips a length from it.

        For messages that are sent in pieces; EncodeError if the framing cannot carry so many bytes.
        """
        cdef fw_wire w
        cdef int status = fw_encode(&self.plan.c, b"", size, &w)
        if status != FW_FRAME:
            raise refusal(status, &self.plan.c, &w, b"", size)
        made = PyBytes_FromStringAndSize(<const char *> w.made, <Py_ssize_t> w.made_size)
        if not w.tail_size:
            return made, b""
        return made, PyBytes_FromStringAndSize(<const char *> w.tail, <Py_ssize_t> w.tail_size)

    def encode_parts(self, message):
        """The encoded `message` as a tuple of buffers for a vectored send: header, body, trailer.

        The body is `message` itself or a view of it, not a copy; empty parts are left out.
        """
        cdef Py_buffer view
        cdef fw_wire w
        cdef Py_ssize_t size
        if self._joins():
            message = self._join(message)
        acquire(message, &view)
        try:
            size = view.len
            self._measure(<const uint8_t *> view.buf, size, &w)
            made = PyBytes_FromStringAndSize(<const char *> w.made, <Py_ssize_t> w.made_size)
            tail = w.tail[:w.tail_size] if w.tail_size else b""
        finally:
            PyBuffer_Release(&view)
        if made and (w.keep or w.resume):
            body = memoryview(message).cast("B")
            before, behind = body[:<Py_ssize_t> w.keep], body[<Py_ssize_t> w.resume:]
            parts = [(before, w.keep), (made, 1), (behind, <size_t> size - w.resume), (tail, w.tail_size)]
        else:
            parts = [(made, w.made_size), (message, size), (tail, w.tail_size)]
        self._count()
        # By sizes, because a ctypes object has no length.
        return tuple([part for part, length in parts if length])
