from ._csrc cimport uint8_t
from .codec cimport Block, Decoder
from .sending cimport Sender
from .stream cimport Until, Watch


cdef class Receiver(Sender):
    cdef Decoder decoder
    cdef Block held
    cdef unsigned long long reads
    cdef double last_in

    cdef Decoder _decoder(self)
    cdef list _pull(self, Py_ssize_t cap, const Until *until)
    cdef list _shown(self, list frames)
    cdef list _put_back(self, list frames)
    cdef int _decode_all(self, list frames, list messages) except -1
    cdef Py_ssize_t _pull_into(self, uint8_t *p, Py_ssize_t room, const Until *until) except -1
    cdef list _frames(self, Py_ssize_t cap, const Until *until, Py_ssize_t room=*, bint read=*)
    cdef list _more_frames(self, Py_ssize_t cap, const Until *until, Py_ssize_t room, bint read)
    cdef bint _delivered(self, list out) except -1
    cdef int _receive(self, list out, Py_ssize_t cap, const Until *until) except -2
    cdef Py_ssize_t _receive_large(self, Decoder decoder, uint8_t *p, const Until *until) except -1
    cdef bint _goes_into(self, Py_ssize_t room) noexcept
    cdef bint _may_sleep(self, const Until *until) noexcept
    cdef int _ended(self) except -1
    cdef int _end_uncleanly(self) except -1
    cdef int _release_block(self) except -1
    cdef int _discard(self, const Until *until) except -1
    cdef int _receive_in_place(self, Decoder decoder, list out, Py_ssize_t cap, const Until *until) except -2
    cdef Py_ssize_t _read(self, Block block, uint8_t *p, Py_ssize_t size, bint wait,
                          uint8_t *behind=*) except -2
    cdef int _await_input(self, const Until *until) except -1
    cdef int _keep_time(self, int fruitless, const Until *until) except -1
    cdef Watch _watching(self)
    cdef int _watch_frame(self) except -1
    cdef double _watch_peer(self) except -1
    cdef int _beat(self) except -1


cdef Block borrow()
cdef int give_back(Block block) except -1
