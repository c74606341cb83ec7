from .receiving cimport Receiver
from .stream cimport Until


cdef enum:
    SMALL_UNIX = 32768     # a Unix socket fills its buffers worse from many pieces
    FAIR = 1024            # messages and bytes of one connection that are handled before others have a turn
    FAIR_SIZE = 262144


cdef class Channel(Receiver):
    cdef double opened

    cdef object _answer(self, handler, bint wait, const Until *until)
    cdef bint _is_plain(self) noexcept
