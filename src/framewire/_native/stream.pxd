cimport cython

cdef enum:
    OTHER = 0
    SOCKET = 1
    PIPE = 2
    READ = 1
    WRITE = 2

cdef object DEFAULT        # "timeout= was not given"


cdef struct Until:
    double timeout         # as the caller gave it; below 0 for ever
    double at


cdef class Limits:
    cdef double frame_timeout, idle_timeout, peer_timeout
    cdef bytes heartbeat


@cython.final
cdef class Watch(Limits):
    cdef Limits shared
    cdef double last_out, frame_since
    cdef long long frame_at     # the offset of the unfinished frame that `frame_since` is about
    cdef unsigned long long beats


cdef class Stream:
    # Small, as a service may have many thousands of these.
    cdef public object timeout
    cdef readonly object _transport
    cdef public object _trace
    cdef object __weakref__
    cdef tuple codec
    cdef tuple over, send_over       # what every further recv or send raises: a function and its arguments
    cdef object gate
    cdef Limits limits         # or None, or a Watch
    cdef unsigned long receiver, sender  # threads
    cdef int reader, writer, pid, generation, born
    cdef public unsigned char _closed, _connecting, _faulty
    cdef unsigned char direct, receiving, sending, lending, eof, broken, detached
    cdef unsigned char closing       # how the last to leave shall close it
    cdef unsigned char waited        # the last receive found nothing at first

    cdef double _clock(self) except? -1
    cdef int _until(self, object timeout, Until *until) except -1
    cdef int _forever(self, Until *until) noexcept
    cdef int _now(self, Until *until) noexcept
    cdef double _left(self, const Until *until) except? -1
    cdef object _late(self, const Until *until, str phase, str what)
    cdef int _need_open(self) except -1
    cdef int _need_connected(self, const Until *until) except -1
    cdef bint _foreign(self) noexcept
    cdef int _need_owner(self) except -1
    cdef tuple _failure(self, int number, text)
    cdef object _error(self, tuple made)
    cdef bint _wait(self, bint read, bint write, double seconds) except -1
    cdef int _enter_recv(self) except -1
    cdef int _leave_recv(self) except -1
    cdef bint _enter_send(self, const Until *until, str phase) except -1
    cdef int _leave_send(self, bint nested) except -1
    cdef int _release_again(self) except -1
    cdef int _close_last(self) except -1
    cdef int _close_now(self) except -1
    cdef bint _passed_on(self) noexcept


cdef Limits limits_of(frame_timeout, idle_timeout, peer_timeout, bytes heartbeat)
cdef object short(double seconds)
