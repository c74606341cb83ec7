# cython: language_level=3, auto_pickle=False
"""What both directions of a channel stand on: the transport, deadlines, whose it is, turns, the end.

`Stream` knows nothing of messages. Over a plain socket or a pipe (`direct`) the layers above make the
system's calls themselves, never waiting in them while they hold the GIL; over any other transport
(_transport.py) they ask that. Above it stand `Sender` (sending.pyx), `Receiver` (receiving.pyx) and
`Channel` (channel.pyx), each a subclass of the one before. One thread at a time sends and one receives: a
turn. Signal handlers run where PyErr_CheckSignals is called and where Python code is: the state is whole
there.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno

from ._system cimport *

import os
import time
from _thread import allocate_lock

from .. import errors

__all__ = ["Stream"]

cdef enum:
    CLOSE = 1
    ABORT = 2

DEFAULT = object()
cdef int generation = 0          # how many forks lie between this process and the first one
cdef int forks = 0               # how many forks this process has seen, as parent or child


def _forked_off():
    global generation, forks
    generation += 1
    forks += 1


def _forked():
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_forked, after_in_child=_forked_off)


cdef class Limits:
    """Timeouts of a connection's own, in seconds, below 0 for none, and its heartbeat."""


cdef class Watch(Limits):
    """The same for one connection, with what it keeps track of: always if there is a heartbeat, else while a
    frame is unfinished."""


cdef class Stream:
    """One stream: what sending and receiving share."""

    def __cinit__(self, *args, **options):
        self._closed = True
        self.generation = -1
        self.born = forks

    # --- for the connection above --------------------------------------------------------------------------

    def _peer_name(self):
        return "the peer"

    def _connected(self):
        """The transport has stopped connecting: raise if that failed."""

    def _first_use(self):
        """Called once, before the first call that needs the connection open."""

    def _report(self, error):
        """The peer has broken the framing, or a limit."""

    def _plan(self, sending):
        """How the stream is framed to begin with, in one direction."""
        raise NotImplementedError

    # --- what both directions need -------------------------------------------------------------------------

    cdef double _clock(self) except? -1:
        if self.direct != OTHER:
            return monotonic()
        return self._transport.clock()

    cdef int _until(self, object timeout, Until *until) except -1:
        if timeout is DEFAULT:
            timeout = self.timeout
        until.timeout = -1
        until.at = 0
        if timeout is None:
            return 0
        until.timeout = timeout
        if not until.timeout >= 0:
            raise errors.bad_timeout(timeout)
        if until.timeout > 0:
            until.at = self._clock() + until.timeout
        return 0

    cdef int _forever(self, Until *until) noexcept:
        until.timeout = -1
        return 0

    cdef int _now(self, Until *until) noexcept:
        until.timeout = until.at = 0
        return 0

    cdef double _left(self, const Until *until) except? -1:
        """Seconds to go, at least 0; below 0 for ever."""
        if until.timeout <= 0:
            return until.timeout
        return max(0.0, until.at - self._clock())

    cdef object _late(self, const Until *until, str phase, str what):
        timeout = until.timeout
        return errors.timed_out(int(timeout) if timeout == int(timeout) else timeout, phase, what)

    cdef int _need_open(self) except -1:
        """Raise unless the connection is open and belongs to this process, which it does from the first
        use on."""
        if self._closed:
            raise errors.closed_here(self._peer_name())
        if self.generation != generation:
            if self.generation >= 0:
                raise errors.foreign(self._peer_name(), self.pid)
            self._first_use()
            self.pid = os.getpid()
            self.generation = generation
        return 0

    cdef int _need_connected(self, const Until *until) except -1:
        while self._connecting:
            if not self._wait(False, True, self._left(until)):
                raise self._late(until, "connect", f"not yet connected to {self._peer_name()}")
            self._need_open()
            try:
                self._connected()
            except OSError as error:
                self._connecting = False
                self.over = self.send_over = OSError, error.errno, error.strerror
                raise
        return 0

    def _is_foreign(self):
        return self._foreign()

    cdef bint _foreign(self) noexcept:
        return self.generation >= 0 and self.generation != generation

    cdef int _need_owner(self) except -1:
        """Raise if this is another process: no thread is at work here then, whatever the fork copied."""
        if self._foreign():
            self._need_open()
        return 0

    cdef tuple _failure(self, int number, text):
        """Says what a failed system call means for this connection; None if it ends nothing."""
        if self._closed:
            return errors.closed_here, self._peer_name()
        if number not in errors.LOST:
            return None
        return errors.lost, self._peer_name(), number, text

    cdef object _error(self, tuple made):
        return made[0](*made[1:])

    cdef bint _wait(self, bint read, bint write, double seconds) except -1:
        """Wait until the stream can be read or written or has failed; False if `seconds` (below 0: for ever)
        came first. A true answer means: look again."""
        cdef int found, limit
        if self.direct == OTHER:
            return self._transport.wait(read, write, None if seconds < 0 else seconds)
        # A pipe's sleeper cannot be woken. A poll that ends a moment early would make its caller spin.
        if self.direct == PIPE and (seconds < 0 or seconds > 0.25):
            limit = 250
        elif seconds < 0:
            limit = -1
        else:
            limit = <int> min(seconds * 1000, 1 << 30) + (seconds > 0)
        with nogil:
            found = wait_for(self.reader if read else -1, self.writer if write else -1, limit)
        if found < 0:
            if errno != EINTR:
                raise OSError(errno, os.strerror(errno))
            PyErr_CheckSignals()
            return True
        return found > 0 or (self.direct == PIPE and limit == 250)

    # --- turns ---------------------------------------------------------------------------------------------

    cdef int _enter_recv(self) except -1:
        if self.receiving:
            self._need_owner()
            raise errors.inside_itself() if self.receiver == get_ident() else errors.receiving_twice()
        self.receiving = True
        self.receiver = get_ident()
        return 0

    cdef int _leave_recv(self) except -1:
        self.receiving = False
        if self.closing:
            self._close_last()
        return 0

    cdef bint _enter_send(self, const Until *until, str phase) except -1:
        """Wait for the turn to send; whether this is inside another send of this thread, which allows it."""
        cdef double left
        while self.sending:
            self._need_owner()
            if self.sender == get_ident():
                if not self.lending:
                    raise errors.inside_itself()
                self.lending = False
                return True
            if self.gate is None:
                self.gate = allocate_lock()
                self.gate.acquire()
            left = self._left(until)
            if left == 0 or not self.gate.acquire(True, -1 if left < 0 else min(left, 1e6)):
                if left >= 0 and left < 1e6:
                    raise self._late(until, phase, "another thread was still sending, nothing was done")
        self.sending = True
        self.sender = get_ident()
        return False

    cdef int _leave_send(self, bint nested) except -1:
        if nested:
            self.lending = True
            return 0
        self.sending = self.lending = False
        if self.gate is not None and self.gate.locked():
            self.gate.release()
        if self.closing:
            self._close_last()
        return 0

    # --- the end -------------------------------------------------------------------------------------------

    def _release(self, abort=False):
        """Close at once; wake who waits, and let him leave before the descriptor can mean another file."""
        cdef unsigned long me = get_ident()
        self._closed = True
        self.closing = ABORT if abort else CLOSE
        if self._foreign() or not self.receiving and not self.sending:
            self._close_now()
            return
        # Whoever leaves last closes it.
        self._transport.wake()
        for _ in range(1000):
            if not (self.receiving and self.receiver != me or self.sending and self.sender != me) and (
                    self.closing or self._transport.reader < 0):
                break
            time.sleep(0.001)
        self._close_last()

    cdef int _release_again(self) except -1:
        """A signal handler may have raised in the middle of _release, or another thread be there."""
        if not self.closing and not self.detached:
            self._release()
        return 0

    cdef int _close_last(self) except -1:
        if self.closing and not self.receiving and not self.sending:
            self._close_now()
        return 0

    cdef int _close_now(self) except -1:
        cdef bint abort = self.closing == ABORT
        self.closing = 0
        if abort:
            self._transport.abort()
        else:
            self._transport.close()
        return 0

    cdef bint _passed_on(self) noexcept:
        """Whether this process has not used the connection but has forked: the other one may use it."""
        return self.generation < 0 and self.born != forks


cdef Limits last_limits


cdef Limits limits_of(frame_timeout, idle_timeout, peer_timeout, bytes heartbeat):
    """None if there are none. The connections of a service mostly share one object."""
    global last_limits
    cdef Limits made, last = last_limits
    if frame_timeout is None and idle_timeout is None and heartbeat is None:
        return None
    made = Limits()
    made.frame_timeout = -1 if frame_timeout is None else frame_timeout
    made.idle_timeout = -1 if idle_timeout is None else idle_timeout
    made.peer_timeout = -1 if peer_timeout is None else peer_timeout
    made.heartbeat = heartbeat
    if last is None or not (last.frame_timeout == made.frame_timeout
                            and last.idle_timeout == made.idle_timeout
                            and last.peer_timeout == made.peer_timeout and last.heartbeat == heartbeat):
        last_limits = made
    return last_limits


cdef object short(double seconds):
    """A number of seconds as the user wrote it."""
    return int(seconds) if seconds == <long long> seconds else seconds
