# cython: language_level=3, auto_pickle=False
"""The Decoder, over the C core.

Bytes not yet delivered stand in at most one place. Usually that is the `region`: [start, end) of a block
of our own, of the caller's bytearray, or of a bytes object that was fed. A large frame of known size goes
straight into the bytes object that will be delivered (`large`), which grows as bytes arrive, never because
a header announced them. While data is given to decode(), whole frames are cut from it in place and only
the unfinished tail is kept; a tail that is there already is completed first with a few bytes of the new
data (`_bridge`), so that a chunk is never copied for the sake of one split frame.
`offset` moves with every byte that is delivered or discarded. Faults are set once and raised by every
later call (`fault`); the error of a skipped frame is raised once (`pending`), after the frames before it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBuffer_FillInfo, PyBuffer_Release
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport INT64_MAX
from libc.string cimport memcpy, memmove

cimport cython
from ._csrc cimport *
from ._python cimport (
    PY_SSIZE_T_MAX, Py_SET_SIZE, Py_XDECREF, PyList_GET_SIZE, PyListObject, PyObject, _PyBytes_Resize,
    bytes_data, bytes_size, new_bytes, new_list,
)
from .encoder cimport acquire, acquire_writable, signed_or_not
from .plan cimport compile_plan

from .. import errors
from .encoder import Encoder

__all__ = ["Decoder", "Encoder"]

cdef enum:
    CUSTOM = 5
    PREAMBLE = 6
    BATCH = 16
    BLOCK = 65536          # room for one receive, and the most that an idle decoder keeps
    LARGE = 512           # from here on a frame is assembled in its own bytes object
    FIRST_LARGE = 256     # what it starts with: many peers may announce such a frame and send no more


cdef int make_room(list frames, Py_ssize_t more) except -1:
    """Room for `more` items, made at once: a list that grows by appending moves often."""
    cdef PyListObject *target = <PyListObject *> frames
    cdef PyListObject *wider
    cdef Py_ssize_t size = PyList_GET_SIZE(frames)
    if target.allocated - size >= more:
        return 0
    # The items move into a list of the size wanted, which then changes bodies with `frames`.
    wider = <PyListObject *> new_list(size + more)
    if size:
        memcpy(wider.ob_item, target.ob_item, size * sizeof(PyObject *))
    target.ob_item, wider.ob_item = wider.ob_item, target.ob_item
    target.allocated, wider.allocated = wider.allocated, target.allocated
    Py_SET_SIZE(wider, 0)
    Py_XDECREF(<PyObject *> wider)
    return 0


cdef Py_ssize_t add_common(const fw_plan *plan, const uint8_t *p, size_t size, fw_cursor *c, list out,
                           Py_ssize_t most) except -1:
    """Append up to `most` frames of the kinds that fw_next knows; how many there were."""
    cdef PyListObject *target = <PyListObject *> out
    cdef Py_ssize_t length = PyList_GET_SIZE(out), count = 0, expected
    cdef size_t first = c.pos
    cdef fw_frame frame
    while count < most and fw_next(plan, p, size, c, &frame):
        if length == target.allocated:
            # As many more as there would be if they were all as long as those seen.
            expected = <Py_ssize_t> ((size - c.pos) / ((c.pos - first) / (<size_t> count + 1))) + 8
            make_room(out, min(expected, most - count))
        target.ob_item[length] = new_bytes(<const char *> p + frame.start,
                                           <Py_ssize_t> (frame.stop - frame.start))
        length += 1
        count += 1
        Py_SET_SIZE(target, length)
    return count


cdef object joined(const fw_plan *plan, const uint8_t *data, size_t size):
    """What is delivered of a frame whose bytes do not stand in the stream as they are."""
    cdef PyObject *frame = new_bytes(NULL, <Py_ssize_t> size)
    try:
        _PyBytes_Resize(&frame, <Py_ssize_t> fw_join(plan, data, size, <uint8_t *> bytes_data(frame)))
        return <object> frame
    finally:
        Py_XDECREF(frame)


cdef bint ends_custom(tuple plan):
    """Whether a plan that is still to come has a Custom phase."""
    while plan is not None and plan[0] == PREAMBLE:
        if plan[5][0] == CUSTOM:
            return True
        plan = plan[7]
    return plan is not None and plan[0] == CUSTOM


@cython.final
@cython.freelist(8)
cdef class Block:
    """Memory that may be handed out as a memoryview: it is never moved while `exports` is not 0."""

    def __len__(self):
        return self.size

    def __dealloc__(self):
        if self.is_foreign:
            PyBuffer_Release(&self.foreign)
        else:
            PyMem_Free(self.data)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1


cdef Block new_block(Py_ssize_t size):
    cdef Block block = Block()
    block.data = <uint8_t *> PyMem_Malloc(size)
    if block.data is NULL:
        raise MemoryError()
    block.size = size
    return block


cdef int grow_block(Block block, Py_ssize_t size) except -1:
    cdef uint8_t *data = <uint8_t *> PyMem_Realloc(block.data, size)
    if data is NULL:
        raise MemoryError()
    block.data = data
    block.size = size
    return 0


cdef Block foreign_block(object buffer):
    cdef Block block = Block()
    acquire_writable(buffer, &block.foreign)
    block.is_foreign = True
    block.data = <uint8_t *> block.foreign.buf
    block.size = block.foreign.len
    return block


@cython.final
cdef class Decoder:
    """Cuts one stream into frames, whatever pieces it arrives in. Made by `framing.decoder()`.

    Sans-IO: it never waits and knows no socket. One thread at a time may use it. Frames completed before a
    fault are returned first; then `error` is set and every later call raises it. `limit=` bounds the number
    of frames a call returns; what is not cut stays buffered.

    >>> import framewire as fw
    >>> decoder = fw.LengthPrefixed(fw.u16).decoder()
    >>> decoder.decode(b"\\0\\3one\\0\\3tw")
    [b'one']
    >>> decoder.needed, decoder.buffered, decoder.offset
    (1, 4, 5)
    >>> decoder.decode(b"o")
    [b'two']
    """

    def __init__(self, tuple plan not None, buffer=None, offset=0, index=0):
        self.large_head = b""
        self.position = offset
        self.index = index
        if buffer is not None:
            if not isinstance(buffer, bytearray):
                raise TypeError(f"buffer must be a bytearray, not {type(buffer).__name__}")
            self.block = foreign_block(buffer)
        self._begin(plan)
        self._rest()

    def __reduce__(self):
        raise errors.uncopyable(self)

    def __dealloc__(self):
        Py_XDECREF(self.large)

    def __repr__(self):
        return f"<Decoder: {self.index} frames, offset {self.position}, buffered {self._buffered()}>"

    # --- phases and places -------------------------------------------------------------------------

    cdef int _begin(self, tuple plan) except -1:
        """Start cutting by `plan`, at a frame's first byte."""
        if plan[0] == PREAMBLE:
            self.then = plan[7]
            self.phase_left = plan[6]
            plan = plan[5]
        else:
            self.then = None
            self.phase_left = -1
        self.plan = compile_plan(plan)
        # split sees the region, and the caller's own buffer is to be used: nothing is cut elsewhere then.
        self.by_region = self.is_fixed() or plan[0] == CUSTOM or ends_custom(self.then)
        self.cursor.scanned = 0
        self.cursor.leaf = NULL
        self.direct = False
        return 0

    cdef int _count(self, Py_ssize_t frames) except -1:
        """`frames` more have been delivered or skipped."""
        self.index += frames
        if self.phase_left > 0:
            self.phase_left -= frames
            if self.phase_left == 0:
                self._begin(self.then)
        return 0

    cdef int _rest(self) except -1:
        """The region is empty: it is nowhere, or in the block, behind all that is lent out of it."""
        if self.block is not None and self.block.exports:
            self.start = self.end = self.end if self.source is self.block else self.block.size
        else:
            self.start = self.end = 0
            if self.block is not None and self.block.size > BLOCK and not self.block.is_foreign:
                self.block = None
        self.source = self.block
        if self.block is None:
            self.data = b""
        else:
            self.data = self.block.data
        return 0

    cdef int _room(self, Py_ssize_t more) except -1:
        """Make the block hold the region with `more` bytes of room behind it."""
        cdef Py_ssize_t live = self.end - self.start
        cdef Block block = self.block
        cdef bint free
        if block is not None and block is self.source:
            if live == 0 and block.exports == 0:
                self.start = self.end = 0
            if block.size - self.end >= more:
                return 0
        free = block is not None and block.exports == 0
        if free and block.size - live >= more and (
                block.is_foreign or self.start >= live or block is not self.source):
            memmove(block.data, self.data + self.start, live)
        elif block is not None and block.is_foreign:
            if block.exports:
                raise BufferError("a frame's memoryview is still in use: the buffer cannot take more bytes")
            raise errors.buffer_full(live + more, block.size)
        elif more > PY_SSIZE_T_MAX // 4 or live > PY_SSIZE_T_MAX // 4:
            raise MemoryError()
        elif free and block is self.source:
            memmove(block.data, self.data + self.start, live)
            self.start = 0
            self.end = live
            grow_block(block, max(live + more, 2 * live))
        else:
            block = new_block(max(512, live + more))
            memcpy(block.data, self.data + self.start, live)
        self.block = block
        self.source = block
        self.data = block.data
        self.start = 0
        self.end = live
        return 0

    cdef int _store(self, const uint8_t *p, Py_ssize_t size) except -1:
        """Append bytes to the region."""
        if size:
            self._room(size)
            memcpy(self.block.data + self.end, p, size)
            self.end += size
        return 0

    cdef Py_ssize_t _buffered(self) noexcept:
        cdef Py_ssize_t size = self.end - self.start
        if self.large is not NULL:
            size += self.large_fill + PyBytes_GET_SIZE(self.large_head)
        return size

    # --- one large frame ---------------------------------------------------------------------------

    cdef bint _is_large(self) noexcept:
        """Whether the frame that the cursor describes is to be assembled in its own object."""
        return (self.direct and not self.by_region
                and self.cursor.stop - self.cursor.start >= LARGE
                and self.cursor.stop < <uint64_t> PY_SSIZE_T_MAX)

    cdef bint is_fixed(self) noexcept:
        return self.block is not None and self.block.is_foreign

    cdef int _begin_large(self, const uint8_t *p, Py_ssize_t size) except -1:
        """Take p[0..size), the beginning of a frame, its header included, as a large frame."""
        cdef Py_ssize_t head = <Py_ssize_t> self.cursor.start
        cdef Py_ssize_t whole = <Py_ssize_t> self.cursor.stop - head
        self.large_head = PyBytes_FromStringAndSize(<const char *> p, head)
        # As much as has come already once, the peer may announce again.
        self.large = new_bytes(NULL, min(whole, max(2 * (size - head), FIRST_LARGE, self.trusted)))
        self.large_size = whole
        self.large_fill = 0
        self.direct = False
        self.cursor.scanned = 0
        self._add_large(p + head, size - head)
        return 0

    cdef int _add_large(self, const uint8_t *p, Py_ssize_t size) except -1:
        cdef Py_ssize_t room = bytes_size(self.large)
        if room - self.large_fill < size:
            self._grow_large(max(2 * room, self.large_fill + size))
        memcpy(bytes_data(self.large) + self.large_fill, p, size)
        self.large_fill += size
        return 0

    cdef int _grow_large(self, Py_ssize_t size) except -1:
        try:
            _PyBytes_Resize(&self.large, min(self.large_size, size))
        except MemoryError:
            # The object is gone with the failed resize, and the stream's bytes in it.
            self.fault = errors.DecodeError("no memory for a frame", offset=self.position,
                                            frame_index=self.index, reason="no-memory")
            raise
        return 0

    cdef object _take_large(self, bint views):
        cdef object frame = <object> self.large
        Py_XDECREF(self.large)
        self.large = NULL
        self.trusted = self.large_size
        self.position += PyBytes_GET_SIZE(self.large_head) + self.large_size
        self.large_head = b""
        self._count(1)
        return self._lend(memoryview(frame)) if views else frame

    cdef int _unpack_large(self) except -1:
        """Put a large frame that was not delivered back into the region as raw bytes, before all others."""
        cdef Py_ssize_t head = PyBytes_GET_SIZE(self.large_head), live = self.end - self.start
        cdef Block block
        if self.large is NULL:
            return 0
        block = new_block(head + self.large_fill + live)
        memcpy(block.data, PyBytes_AS_STRING(self.large_head), head)
        memcpy(block.data + head, bytes_data(self.large), self.large_fill)
        memcpy(block.data + head + self.large_fill, self.data + self.start, live)
        Py_XDECREF(self.large)
        self.large = NULL
        self.large_head = b""
        self.block = block
        self.source = block
        self.data = block.data
        self.start = 0
        self.end = block.size
        return 0

    # --- views -------------------------------------------------------------------------------------

    cdef object _lend(self, object view):
        if self.lent is None:
            self.lent = []
        self.lent.append(view)
        return view

    cdef int _recall(self) except -1:
        """Release the views of the last call; memory that the caller exported again is left to him."""
        cdef list lent = self.lent
        if lent is not None:
            self.lent = None
            for view in lent:
                try:
                    view.release()
                except BufferError:
                    pass
        return 0

    # --- cutting -----------------------------------------------------------------------------------

    cdef int _cut(self, const uint8_t *p, Py_ssize_t size, Py_ssize_t *at, list out, Py_ssize_t cap,
                  object views) except -100:
        """Cut frames from p[at..size) until `out` holds `cap`: FW_FRAME there, FW_MORE, or a fault that is
        now in `fault` or `pending`. `views` is a memoryview that starts at p, or None for bytes."""
        cdef fw_frame frames[BATCH]
        cdef size_t i, count, most
        cdef Py_ssize_t before
        cdef int status = FW_FRAME
        self.cursor.pos = at[0]
        self.direct = False
        while status == FW_FRAME:
            most = cap - len(out)
            if self.phase_left >= 0 and <Py_ssize_t> most > self.phase_left:
                most = self.phase_left
            if most == 0:
                break
            if self.plan.kind == CUSTOM:
                return self._cut_custom(at, out, cap, views)
            before = self.cursor.pos
            if views is None and (self.plan.c.simple or self.plan.kind == FW_SCANNED):
                count = <size_t> add_common(&self.plan.c, p, size, &self.cursor, out, most)
                if count:
                    at[0] = self.cursor.pos
                    self.position += <unsigned long long> (self.cursor.pos - before)
                    self._count(<Py_ssize_t> count)
                    continue
            count = fw_cut(&self.plan.c, p, size, &self.cursor, frames, min(most, BATCH), &status)
            if self.plan.c.joins:
                for i in range(count):
                    frame = joined(&self.plan.c, p + frames[i].start, frames[i].stop - frames[i].start)
                    out.append(frame if views is None else self._lend(memoryview(frame)))
            elif views is None:
                for i in range(count):
                    out.append(PyBytes_FromStringAndSize(<const char *> p + frames[i].start,
                                                         frames[i].stop - frames[i].start))
            else:
                for i in range(count):
                    out.append(self._lend(views[<Py_ssize_t> frames[i].start:<Py_ssize_t> frames[i].stop]))
            at[0] = self.cursor.pos
            self.position += <unsigned long long> (self.cursor.pos - before)
            if count:
                self._count(<Py_ssize_t> count)
        if status == FW_MORE:
            self.direct = self.cursor.direct != 0
        elif status < 0:
            self._fail(status, p + at[0], size - at[0])
        return status

    cdef int _cut_custom(self, Py_ssize_t *at, list out, Py_ssize_t cap, object views) except -100:
        """The same for Custom, whose bytes are always in the region."""
        cdef Py_ssize_t start, stop, consumed
        while at[0] < self.end and len(out) < cap and self.plan.kind == CUSTOM and self.phase_left != 0:
            try:
                answer = self._ask_split()
            except errors.DecodeError as error:
                error.offset = self.position
                error.frame_index = self.index
                self.fault = error
                return FW_E_NEGATIVE
            except errors.DeclarationError as error:
                self.fault = error
                return FW_E_NEGATIVE
            except Exception as error:
                self.pending = error
                return FW_E_NEGATIVE
            if not isinstance(answer, tuple):
                self.cursor.scanned = self.end - self.start
                self.cursor.need = 1 if answer is None else answer
                if <uint64_t> (self.end - self.start) >= self.plan.c.max_frame:
                    self._custom_too_large()
                    return FW_E_TOO_LARGE
                return FW_MORE
            start, stop, consumed = answer
            if <uint64_t> consumed > self.plan.c.max_frame:
                self._custom_too_large()
                return FW_E_TOO_LARGE
            if views is None:
                out.append(PyBytes_FromStringAndSize(<const char *> self.data + self.start + start,
                                                     stop - start))
            else:
                out.append(self._lend(views[self.start + start:self.start + stop]))
            at[0] += consumed
            self.position += <unsigned long long> consumed
            self.cursor.scanned = 0
            self._count(1)
        if self.end == self.start:
            self.cursor.need = 1
            return FW_MORE
        if len(out) >= cap or self.plan.kind == CUSTOM:
            return FW_FRAME if len(out) >= cap else FW_MORE
        return self._cut(self.data, self.end, at, out, cap, views)

    cdef object _ask_split(self):
        """What split says about the region: None, an int, or a tuple; checked."""
        cdef Py_ssize_t size = self.end - self.start
        view = memoryview(self.source)[self.start:self.end].toreadonly()
        self.busy = True
        try:
            answer = self.plan.split(view, <Py_ssize_t> self.cursor.scanned, self.eof)
        finally:
            self.busy = False
            try:
                view.release()
            except BufferError:
                pass
        if answer is None:
            return None
        if isinstance(answer, int) and not isinstance(answer, bool):
            if 1 <= answer <= INT64_MAX:
                return answer
        elif isinstance(answer, tuple) and len(answer) == 3 and all([type(x) is int for x in answer]):
            start, stop, consumed = answer
            if 0 <= start <= stop <= consumed <= size and consumed >= 1:
                return answer
        raise errors.no_progress(answer, size)

    cdef int _custom_too_large(self) except -1:
        self.fault = errors.too_large(None, self.plan.c.max_frame, b"", self.position, self.index, False)
        return 0

    cdef int _fail(self, int status, const uint8_t *p, Py_ssize_t size) except -1:
        """Make the error for the frame at p[0..size) and, if it can be skipped, begin to."""
        cdef fw_cursor *c = &self.cursor
        cdef const fw_plan *leaf = c.leaf
        cdef bytes head = b""
        if status != FW_E_TOO_LARGE or c.scale:
            head = PyBytes_FromStringAndSize(<const char *> p, <Py_ssize_t> c.proof)
        if status != FW_E_TOO_LARGE:
            value = signed_or_not(status, c.value)
            error = errors.malformed(status, value, head, self.position, self.index, c.recover != 0)
            if c.recover:
                self.pending = error
                self.skipping = c.recover
                c.scanned = 0
            else:
                self.fault = error
            return 0
        announced = c.value * <object> c.scale + c.delta if c.scale else None
        error = errors.too_large(announced, leaf.max_frame, head, self.position, self.index,
                                 leaf.patient == 1)
        if leaf.patient != 1:
            self.fault = error
            return 0
        self.pending = error
        if c.scale:
            self.skipping = c.end
        else:
            self.discarding = True
            c.scanned = 0
        return 0

    cdef int _swallow(self) except -1:
        """Discard what is in the region of an oversized frame."""
        cdef Py_ssize_t live = self.end - self.start, gone
        cdef const fw_plan *leaf = self.cursor.leaf
        cdef int done = 0
        if self.skipping:
            gone = live if self.skipping > <uint64_t> live else <Py_ssize_t> self.skipping
            self.skipping -= <uint64_t> gone
        else:
            gone = <Py_ssize_t> fw_pass(leaf, self.data + self.start, live, &self.cursor, &done)
            self.discarding = not done
        self.start += gone
        self.position += <unsigned long long> gone
        if self.start == self.end:
            self._rest()
        if not self.skipping and not self.discarding:
            self.cursor.scanned = 0
            self._count(1)
        return 0

    cdef int _drain(self, list out, Py_ssize_t cap, bint views) except -100:
        """Cut what is buffered; the status is that of _cut."""
        cdef int status = FW_MORE
        if self.skipping or self.discarding:
            self._swallow()
            if self.skipping or self.discarding:
                return FW_MORE
        if self.large is not NULL:
            if self.large_fill < self.large_size:
                return FW_MORE
            out.append(self._take_large(views))
        if self.end > self.start:
            status = self._cut(self.data, self.end, &self.start, out, cap,
                               self._views(self.source) if views else None)
            if self.pending is not None and (self.skipping or self.discarding):
                self._swallow()
            if self.start == self.end:
                self._rest()
        return status

    cdef object _views(self, object owner):
        return memoryview(owner).cast("B").toreadonly()

    cdef Py_ssize_t _bridge(self, const uint8_t *p, Py_ssize_t size, list out, bint views) except -1:
        """Complete the frame in the region with the first bytes of p[0..size); how many were taken."""
        cdef Py_ssize_t take = <Py_ssize_t> min(<uint64_t> size, max(self.cursor.need, 256)), rest
        cdef Py_ssize_t before = len(out)
        cdef int status
        if self._is_large():
            self._begin_large(self.data + self.start, self.end - self.start)
            self._rest()
            return 0
        self._store(p, take)
        status = self._cut(self.data, self.end, &self.start, out, before + 1,
                           self._views(self.source) if views else None)
        if status < 0:
            if self.skipping or self.discarding:
                self._swallow()
            return take
        if len(out) == before:
            return take
        rest = self.end - self.start
        self._rest()
        return take - rest

    cdef int _run(self, const uint8_t *p, Py_ssize_t size, object owner, list out, Py_ssize_t cap,
                  bint views, Block holder=None) except -1:
        """Take p[0..size) and put frames into `out`, at most `cap`. What is left uncut is copied, or stays
        where it is, if that is the start of `holder`: then that block is the region's source."""
        cdef Py_ssize_t at = 0, gone
        cdef int status = FW_MORE
        if size and self.eof:
            raise ValueError("feed_eof() was called: the stream has ended")
        if self.pending is not None or self.by_region:
            self._store(p, size)
            at = size
        if self.pending is not None:
            if self.skipping or self.discarding:
                self._swallow()
            return 0
        status = self._drain(out, cap, views)
        if self.fault is not None:
            return 0
        while status == FW_MORE and at < size and self.pending is None and self.fault is None:
            if self.skipping:
                gone = size - at if self.skipping > <uint64_t> (size - at) else <Py_ssize_t> self.skipping
                self.skipping -= <uint64_t> gone
                self.position += <unsigned long long> gone
                at += gone
                if not self.skipping:
                    self._count(1)
            elif self.discarding:
                gone = min(size - at, BLOCK)
                self._store(p + at, gone)
                at += gone
                self._swallow()
                status = self._drain(out, cap, views)
            elif self.large is not NULL:
                gone = min(size - at, self.large_size - self.large_fill)
                self._add_large(p + at, gone)
                at += gone
                if self.large_fill == self.large_size:
                    out.append(self._take_large(views))
            elif self.end > self.start:
                at += self._bridge(p + at, size - at, out, views)
            else:
                status = self._cut(p, size, &at, out, cap, self._views(owner) if views else None)
                if status == FW_MORE:
                    break
            if len(out) >= cap:
                break
        if at < size:
            if self.direct and self.end == self.start and self._is_large():
                self._begin_large(p + at, size - at)
            elif holder is not None and self.end == self.start:
                self.source = holder
                self.data = p
                self.start = at
                self.end = size
            else:
                self._store(p + at, size - at)
            if self.skipping or self.discarding:
                self._swallow()
        if self.eof and len(out) < cap and self.pending is None and self.fault is None:
            self._finish(out)
        return 0

    cdef int _settle(self) except -1:
        """Leave memory that is only held: an unfinished frame moves to where it will be completed."""
        if self.end > self.start and self.source is not self.block:
            if self.direct and self._is_large():
                self._begin_large(self.data + self.start, self.end - self.start)
                self._rest()
            else:
                if self.block is None:
                    # Many peers may send the first bytes of a frame and no more.
                    self.block = new_block(max(64, self.end - self.start))
                self._room(0)
        return 0

    cdef uint8_t *_large_room(self, Py_ssize_t *room) except NULL:
        """Where the next bytes of the large frame go, and how many; it grows as bytes arrive."""
        cdef Py_ssize_t size = bytes_size(self.large)
        if size == self.large_fill:
            self._grow_large(2 * size)
            size = bytes_size(self.large)
        room[0] = min(size, self.large_size) - self.large_fill
        return <uint8_t *> bytes_data(self.large) + self.large_fill

    cdef int _finish(self, list out) except -1:
        """The stream has ended and nothing more can be cut: settle what is left."""
        cdef const fw_plan *leaf = self.cursor.leaf
        cdef Py_ssize_t live
        cdef int policy
        if self.finished:
            return 0
        self.finished = True
        if self.plan.kind <= FW_UNTIL_EOF and self.plan.kind != FW_TAGGED or self.plan.kind == CUSTOM:
            leaf = &self.plan.c
        live = self._buffered()
        if self.skipping or self.discarding:
            policy = FW_EOF_DROP
        elif leaf is not NULL and leaf.kind == FW_UNTIL_EOF and (live or self.plan.kind == FW_UNTIL_EOF):
            policy = FW_EOF_DELIVER
        elif live == 0:
            return 0
        else:
            policy = leaf.eof if leaf is not NULL else self.plan.c.eof
        need = self.cursor.need
        if self.large is not NULL:
            need = self.large_size - self.large_fill
        self._unpack_large()
        tail = PyBytes_FromStringAndSize(<const char *> self.data + self.start, live)
        if policy == FW_EOF_ERROR:
            self.fault = errors.truncated(tail, need, self.position, self.index)
            return 0
        if policy == FW_EOF_DELIVER:
            if <uint64_t> live > leaf.max_frame:
                self.fault = errors.too_large(None, leaf.max_frame, b"", self.position, self.index, False)
                return 0
            out.append(tail)
            self.index += 1
        self.position += <unsigned long long> live
        self.skipping = 0
        self.discarding = False
        self._rest()
        return 0

    # --- the calls ---------------------------------------------------------------------------------

    cdef int _enter(self) except -1:
        if self.busy:
            raise errors.ConcurrencyError("a split function used its own decoder")
        if self.lent is not None:
            self._recall()
        if self.fault is not None:
            raise self.fault.with_traceback(None)
        if self.detached:
            raise ValueError("detach() was called: this decoder has no stream any more")
        return 0

    cdef object _result(self, list out):
        if not out:
            error = self.pending
            if error is not None:
                self.pending = None
                raise error
            if self.fault is not None:
                raise self.fault.with_traceback(None)
        return out

    cdef list _decode(self, object data, object limit, bint views):
        cdef Py_buffer view
        cdef list out = []
        cdef Py_ssize_t cap = PY_SSIZE_T_MAX
        self._enter()
        if limit is not None:
            cap = limit
            if cap < 1:
                raise ValueError(f"limit={limit} must be at least 1")
        if PyBytes_CheckExact(data):
            self._run(<const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), data,
                      out, cap, views)
        else:
            acquire(data, &view)
            try:
                self._run(<const uint8_t *> view.buf, view.len, data, out, cap, views)
            finally:
                PyBuffer_Release(&view)
        return <list> self._result(out)

    def decode(self, data=b"", limit=None):
        """Take `data` (any C-contiguous buffer) and return the frames that are complete, as bytes.

        At most `limit` frames, all without it. Returns the good frames before a fault; raises it
        (MalformedFrame, FrameTooLarge, Truncated) when there are none. A call that raises the error of a
        skipped frame has taken its data: call again. ValueError for data after `feed_eof`.
        """
        return self._decode(data, limit, False)

    def decode_views(self, data=b"", limit=None):
        """As `decode`, but the frames are read-only memoryviews, released at the next call.

        They point into `data` where a frame lies in it whole. A view that the caller has exported again
        stays valid, and its memory is never reused.
        """
        return self._decode(data, limit, True)

    def feed(self, data):
        """Take `data` without cutting it: `next_frame` and `decode` will. Raises a stored error."""
        cdef Py_buffer view
        self._enter()
        if PyBytes_CheckExact(data):
            self._take(<const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), data)
        else:
            acquire(data, &view)
            try:
                self._take(<const uint8_t *> view.buf, view.len, None)
            finally:
                PyBuffer_Release(&view)

    cdef int _take(self, const uint8_t *p, Py_ssize_t size, bytes whole) except -1:
        cdef Py_ssize_t gone
        if size == 0:
            return 0
        if self.eof:
            raise ValueError("feed_eof() was called: the stream has ended")
        if self.skipping:
            gone = size if self.skipping > <uint64_t> size else <Py_ssize_t> self.skipping
            self.skipping -= <uint64_t> gone
            self.position += <unsigned long long> gone
            p += gone
            size -= gone
            if not self.skipping:
                self._count(1)
        elif self.large is not NULL and self.large_fill < self.large_size:
            gone = min(size, self.large_size - self.large_fill)
            self._add_large(p, gone)
            p += gone
            size -= gone
        elif whole is not None and self.end == self.start and not self.is_fixed() and not self.discarding:
            self.source = whole
            self.data = p
            self.start = 0
            self.end = size
            return 0
        while self.discarding and size:
            gone = min(size, BLOCK)
            self._store(p, gone)
            self._swallow()
            p += gone
            size -= gone
        self._store(p, size)
        return 0

    cdef bytes _whole(self):
        """The next frame, if it is of the kinds that fw_next knows and stands whole in the region; None says
        nothing, but that the other calls must be asked."""
        cdef fw_frame frame
        cdef Py_ssize_t before = self.start
        if (self.end == self.start or not (self.plan.c.simple or self.plan.kind == FW_SCANNED)
                or self.fault is not None or self.pending is not None or self.large is not NULL
                or self.skipping or self.discarding or self.lent is not None or self.busy
                or self.phase_left >= 0):
            return None
        self.cursor.pos = before
        self.direct = False
        if not fw_next(&self.plan.c, self.data, self.end, &self.cursor, &frame):
            return None
        whole = PyBytes_FromStringAndSize(<const char *> self.data + frame.start,
                                          <Py_ssize_t> (frame.stop - frame.start))
        self.start = <Py_ssize_t> self.cursor.pos
        self.position += <unsigned long long> (self.start - before)
        self.index += 1
        if self.start == self.end:
            self._rest()
        return whole

    cdef object _next(self, bint views):
        cdef list out = []
        self._enter()
        if self.pending is None:
            self._run(b"", 0, b"", out, 1, views)
        self._result(out)
        return out[0] if out else None

    def next_frame(self):
        """Cut one frame from what is buffered, or None; raises the fault that comes next."""
        return self._next(False)

    def next_view(self):
        """As `next_frame`, as a read-only memoryview that is released at the next call."""
        return self._next(True)

    def get_buffer(self, sizehint=-1):
        """A writable memoryview to receive into, at least `sizehint` bytes where that is positive.

        Follow it by `buffer_updated(n)`; the names are those of asyncio.BufferedProtocol. BufferError if
        the caller's own buffer is full.
        """
        cdef Py_ssize_t room = sizehint
        self._enter()
        if self.eof:
            raise ValueError("feed_eof() was called: the stream has ended")
        if self.is_fixed():
            if self.block.size - (self.end - self.start) == 0:
                raise errors.buffer_full(self.block.size + 1, self.block.size)
            room = min(max(room, 1), self.block.size - (self.end - self.start))
        elif room < 1:
            room = BLOCK
        self._room(room)
        self.granted = self.block.size - self.end
        return self._lend(memoryview(self.block)[self.end:])

    def buffer_updated(self, nbytes):
        """`nbytes` bytes were written to the start of the last `get_buffer()`. Cuts nothing."""
        cdef Py_ssize_t size = nbytes, gone
        self._enter()
        if not 0 <= size <= self.granted:
            raise ValueError(f"buffer_updated({size}): get_buffer() gave {self.granted} bytes")
        self.granted = 0
        if self.large is not NULL and self.large_fill < self.large_size:
            gone = min(size, self.large_size - self.large_fill)
            self._add_large(self.data + self.end, gone)
            # What is left begins the next frame: it is the region, behind the bytes just moved.
            self.start = self.end + gone if size > gone else self.start
            self.end += size if size > gone else 0
        else:
            self.end += size
        if self.skipping or self.discarding:
            self._swallow()

    def feed_eof(self):
        """The stream has ended: return the frames that are still uncut.

        At a frame boundary that is the clean end. Otherwise `eof` of the framing decides: "error" raises
        Truncated (after the frames, if there are any: then the next call raises it), "deliver" adds the
        tail, "drop" forgets it. Frames beyond a stored error come with the next call.
        """
        cdef list out = []
        self._enter()
        self.eof = True
        if self.pending is None:
            self._run(b"", 0, b"", out, PY_SSIZE_T_MAX, False)
        return self._result(out)

    def switch(self, framing):
        """Cut what is not yet delivered, and all that follows, by another framing.

        Call it between two frames; bytes read ahead are kept. ValueError while an oversized frame is being
        skipped. Raises a stored error.
        """
        self._enter()
        if self.skipping or self.discarding:
            raise ValueError("switch() in the middle of a frame that is being skipped")
        if not hasattr(framing, "_plan"):
            raise TypeError(f"switch: {framing!r} is not a framing")
        plan = framing._plan_for(self.block.size) if self.is_fixed() else framing._plan
        self._unpack_large()
        self._begin(plan)

    def detach(self):
        """Return the bytes not yet delivered and end the decoder: every later call is a ValueError."""
        if self.busy:
            raise errors.ConcurrencyError("a split function used its own decoder")
        self._recall()
        if self.detached:
            raise ValueError("detach() was called: this decoder has no stream any more")
        self._unpack_large()
        rest = PyBytes_FromStringAndSize(<const char *> self.data + self.start, self.end - self.start)
        self.detached = True
        self.fault = self.pending = None
        self.block = None
        self._rest()
        return rest

    @property
    def needed(self):
        """0 if a call would deliver or raise, else the fewest bytes that could complete the next frame."""
        return self._needed()

    cdef object _needed(self):
        cdef fw_cursor c
        cdef fw_frame frame
        cdef int status = FW_MORE
        cdef size_t count
        if self.fault is not None or self.pending is not None or self.finished or self.detached or self.busy:
            return 0
        if self.large is not NULL:
            return self.large_size - self.large_fill
        if self.skipping:
            return self.skipping + self.plan.c.min_size
        if self.discarding:
            if self.cursor.leaf.kind == FW_UNTIL_EOF:
                return 1
            return self.plan.c.min_size + fw_find_need(
                self.cursor.leaf, self.data + self.start, self.end - self.start)
        if self.plan.kind == CUSTOM:
            if self.end == self.start:
                return 1
            try:
                answer = self._ask_split()
            except Exception:
                return 0
            if isinstance(answer, tuple) or <uint64_t> (self.end - self.start) >= self.plan.c.max_frame:
                return 0
            return 1 if answer is None else answer
        c = self.cursor
        c.pos = self.start
        count = fw_cut(&self.plan.c, self.data, self.end, &c, &frame, 1, &status)
        if count or status < 0:
            return 0
        if c.pos == <size_t> self.start:
            # What was searched need not be searched again; fill in front would have moved the frame.
            self.cursor = c
        return c.need

    @property
    def buffered(self):
        """How many bytes are held that have not been delivered, those of an unfinished frame included."""
        return self._buffered()

    @property
    def offset(self):
        """The stream position of the first byte that is neither delivered nor discarded."""
        return self.position

    @property
    def error(self):
        """The fault that ended this stream, as soon as it is known, or None."""
        return self.fault
