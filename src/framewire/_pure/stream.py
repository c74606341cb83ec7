"""What both directions of a channel stand on: the transport, deadlines, whose it is, turns, the end.

The twin of _native/stream. `Stream` knows nothing of messages. Below it is a transport (_transport.py),
above it stand `Sender` (sending.py), `Receiver` (receiving.py) and `Channel` (channel.py), each a subclass
of the one before, and the connection that inherits their verbs. Each direction has a `Turn`: one thread at a
time.

A Python signal handler may raise between any two bytecodes, just not inside one. So that it never tears a
stream, the count a system call returns is stored by C code (`list.extend` of the transport's iterator) and
taken into account, then or by the next call, by steps that can be repeated.
"""

from __future__ import annotations

import os
import threading
from functools import partial

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._transport import Transport

__all__ = ["Stream"]

READ, WRITE = 1, 2  # selectors.EVENT_READ and EVENT_WRITE

DEFAULT: Any = object()  # "timeout= was not given"
_generation = [0]  # how many forks lie between this process and the first one
_forks = [0]  # how many forks this process has seen, as parent or child


def _forked(child: bool) -> None:
    _generation[0] += child
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=lambda: _forked(False), after_in_child=lambda: _forked(True))


class Until:
    """A deadline: `timeout` as the caller gave it, and when that is."""

    __slots__ = ("timeout", "_at", "_clock")

    def __init__(self, timeout: float | None, clock: Callable[[], float]) -> None:
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        self.timeout = timeout
        self._clock = clock
        self._at = clock() + timeout if timeout else 0.0

    def left(self) -> float | None:
        """Seconds to go, at least 0; None for ever."""
        return self.timeout and max(0.0, self._at - self._clock())

    def error(self, phase: str, what: str) -> Exception:
        return errors.timed_out(self.timeout or 0, phase, what)


class Turn:
    """One direction of a connection: one thread at a time uses it, and never from inside itself."""

    __slots__ = ("lock", "busy", "_generation")

    def __init__(self) -> None:
        self._generation = -1
        self.renew()

    def renew(self) -> None:
        """Whoever had the turn when this process was forked off is not in it."""
        if self._generation != _generation[0]:
            self.lock = threading.RLock()
            self.busy = False
            self._generation = _generation[0]

    def run(self, until: Until, phase: str, action: Callable[..., Any], *args: Any) -> Any:
        """Call `action` when it is this thread's turn; an error if that is not so before `until`."""
        left = until.left()
        wait = -1.0 if left is None else min(left, threading.TIMEOUT_MAX)
        held: list[bool] = []
        self.renew()
        lock = self.lock
        try:
            # extend() stores that we hold the lock before a signal handler can raise.
            held.extend(filter(None, map(lock.acquire, (wait != 0,), (wait or -1.0,))))
            if not held and phase == "recv":
                raise errors.receiving_twice()
            if not held:
                raise until.error(phase, "another thread was still sending, nothing was done")
            if self.busy:
                raise errors.inside_itself()
            self.busy = True
            try:
                return action(*args)
            finally:
                self.busy = False
        finally:
            if held:
                lock.release()


class Stream:
    """One stream: what sending and receiving share."""

    timeout: float | None
    _closed = True  # until the constructor has got through
    _connecting = _faulty = False
    _detached = False

    def _begin(
        self,
        transport: Transport,
        codec: tuple[Callable[..., Any] | None, ...] | None,
        frame_timeout: float | None,
        idle_timeout: float | None,
        heartbeat: bytes | None,
        peer_timeout: float | None,
    ) -> None:
        self.timeout = None
        self._transport = transport
        self._encode, self._encode_into, self._decode, self._decode_from = codec or (None,) * 4
        self._frame_timeout, self._idle_timeout = frame_timeout, idle_timeout
        self._heartbeat, self._peer_timeout = heartbeat, peer_timeout
        self._watch = frame_timeout is not None or idle_timeout is not None or heartbeat is not None
        self._receiving, self._sending = Turn(), Turn()
        self._eof = False
        self._broken = False  # there was no memory for what had arrived
        self._over: Callable[[], Exception] | None = None  # what every further recv raises
        self._send_over: Callable[[], Exception] | None = None  # what every further send raises
        self._generation: int | None = None
        self._born = _forks[0]
        self._pid = 0
        self._trace: Callable[[str, Any], None] | None = None

    # --- for the connection above ------------------------------------------------------------------

    def _peer_name(self) -> str:
        return "the peer"

    def _connected(self) -> None:
        """The transport has stopped connecting: raise if that failed."""

    def _first_use(self) -> None:
        """Called once, before the first call that needs the connection open."""

    def _report(self, error: errors.DecodeError) -> None:
        """The peer has broken the framing, or a limit."""

    def _plan(self, sending: bool) -> tuple[Any, ...]:
        """How the stream is framed to begin with, in one direction."""
        raise NotImplementedError

    # --- what both directions need -----------------------------------------------------------------

    def _until(self, timeout: float | None) -> Until:
        return Until(self.timeout if timeout is DEFAULT else timeout, self._transport.clock)

    def _now(self) -> Until:
        return Until(0, self._transport.clock)

    def _forever(self) -> Until:
        return Until(None, self._transport.clock)

    def _need_open(self) -> None:
        """Raise unless the connection is open and belongs to this process, which it does from the first
        use on."""
        if self._closed:
            raise errors.closed_here(self._peer_name())
        if self._generation != _generation[0]:
            if self._generation is not None:
                raise errors.foreign(self._peer_name(), self._pid)
            self._first_use()
            self._pid = os.getpid()
            self._generation = _generation[0]

    def _need_connected(self, until: Until) -> None:
        while self._connecting:
            # A pipe's wait may return early, but nothing but a socket connects.
            if not self._transport.wait(False, True, until.left()):
                raise until.error("connect", f"not yet connected to {self._peer_name()}")
            self._need_open()
            try:
                self._connected()
            except OSError as error:
                self._connecting = False
                self._over = self._send_over = partial(OSError, error.errno, error.strerror)
                raise

    def _is_foreign(self) -> bool:
        return self._generation is not None and self._generation != _generation[0]

    def _is_passed_on(self) -> bool:
        """Whether this process has not used the connection but has forked: the other one may use it."""
        return self._generation is None and self._born != _forks[0]

    def _failure(self, error: OSError) -> Callable[[], Exception] | None:
        """Makes what a failed system call means for this connection; None if it ends nothing.

        A function, and a fresh error each time: a kept error would hold the frames of its traceback, and so
        the connection itself."""
        peer, number, text = self._peer_name(), error.errno, error.strerror
        if self._closed:
            return lambda: errors.closed_here(peer)
        if number not in errors.LOST:
            return None
        return lambda: errors.lost(peer, number, text)

    # --- the end -----------------------------------------------------------------------------------

    def _release(self, abort: bool = False) -> None:
        """Close at once; wake who waits, and let him leave before the descriptor can mean another file."""
        self._closed = True
        for turn in () if self._is_foreign() else (self._receiving, self._sending):
            held: list[bool] = []
            try:
                held.extend(filter(None, map(turn.lock.acquire, (False,))))
                if not held:
                    self._transport.wake()
                    held.extend(filter(None, map(turn.lock.acquire, (True,), (1.0,))))
            finally:
                if held:
                    turn.lock.release()
        self._transport.abort() if abort else self._transport.close()

    def _release_again(self) -> None:
        """A signal handler may have raised in the middle of _release, or another thread be there."""
        if not self._detached:
            self._release()
