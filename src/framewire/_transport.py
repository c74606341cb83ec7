"""What a channel asks of the stream below it: read some, write some, wait, tell the time, end, close.

`SocketTransport` and `PipeTransport` are the real ones; TLS and the simulated stream of `framewire.testing`
have the same methods. Nothing here knows of messages, timeouts or threads.

`receiving(view)` and `sending(views)` return an iterator that makes the system call when it is advanced and
yields the count: a caller in Python stores it by `list.extend`, in which no signal handler can raise, so that
no byte is lost between the kernel's answer and ours. BlockingIOError says that nothing can be done now;
a count of 0 received is the end of the stream. `direct` says which system calls the native channel may make
on the descriptors itself, in place of these methods.

A filter like TLS may want the other direction, or have something that the descriptor does not show.
`events(wanted)` turns what a channel wants (1 to read, 2 to write) into what to wait for on the descriptors;
`pending` says that a receive has something now, whatever they say; `unclean`, behind the end of the stream,
that it was no clean one.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Transport(Protocol):
        """The stream below a channel."""

        direct: int

        @property
        def reader(self) -> int:
            """The descriptor that says when there is something to read; -1 after close."""
            ...

        @property
        def writer(self) -> int:
            """The descriptor that says when there is room to write; -1 after close."""
            ...

        @property
        def pending(self) -> bool: ...

        unclean: bool

        def receiving(self, view: memoryview) -> Iterator[int]: ...
        def sending(self, views: list[memoryview]) -> Iterator[int]: ...
        def events(self, wanted: int) -> int: ...
        def wait(self, read: bool, write: bool, seconds: float | None) -> bool: ...
        def clock(self) -> float: ...
        def end(self) -> bool: ...
        def wake(self) -> None: ...
        def close(self) -> None: ...
        def abort(self) -> None: ...


__all__ = ["OTHER", "PIPE", "SOCKET", "PipeTransport", "SocketTransport"]

OTHER, SOCKET, PIPE = 0, 1, 2
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_HAS_SENDMSG = hasattr(socket.socket, "sendmsg")
_SLICE = 0.25  # what cannot be woken looks so often whether it was closed
_LONGEST = 1 << 30  # milliseconds that poll takes
try:
    IOV_MAX = max(16, min(1024, os.sysconf("SC_IOV_MAX")))
except (AttributeError, ValueError, OSError):
    IOV_MAX = 16

if hasattr(select, "poll"):

    def ready(reader: int, writer: int, seconds: float | None) -> bool:
        """Wait until `reader` can be read or `writer` written (-1: not asked), or one has failed."""
        poller = select.poll()
        if reader >= 0:
            poller.register(reader, select.POLLIN | (select.POLLOUT if writer == reader else 0))
        if writer >= 0 and writer != reader:
            poller.register(writer, select.POLLOUT)
        # A poll that ends a fraction of a millisecond early would make its caller spin.
        limit = None if seconds is None else min(int(seconds * 1000) + (seconds > 0), _LONGEST)
        return bool(poller.poll(limit))

else:

    def ready(reader: int, writer: int, seconds: float | None) -> bool:
        """Wait until `reader` can be read or `writer` written (-1: not asked), or one has failed."""
        writers = [writer] if writer >= 0 else []
        return any(select.select([reader] if reader >= 0 else [], writers, writers, seconds))


def _same(wanted: int) -> int:
    return wanted


class SocketTransport:
    """A connected stream socket, or one that is still connecting. Non-blocking from here on."""

    __slots__ = ("sock", "direct")

    pending = unclean = False

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        # A subclass may do things of its own in its methods, and on Windows a descriptor is something else.
        self.direct = SOCKET if type(sock) is socket.socket and os.name == "posix" else OTHER

    @property
    def reader(self) -> int:
        return self.sock.fileno()

    writer = reader

    def receiving(self, view: memoryview) -> Iterator[int]:
        return map(self.sock.recv_into, (view,))

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        if _HAS_SENDMSG:
            return map(self.sock.sendmsg, (views[:IOV_MAX],), ((),), (_NO_SIGNAL,))
        return map(self.sock.send, views[:1], (_NO_SIGNAL,))

    def wait(self, read: bool, write: bool, seconds: float | None) -> bool:
        fd = self.sock.fileno()
        # What was closed meanwhile is ready: the next call says so.
        return fd < 0 or ready(fd if read else -1, fd if write else -1, seconds)

    events = staticmethod(_same)
    clock = staticmethod(monotonic)

    def end(self) -> bool:
        """Nothing more will be sent; whether the peer can see that."""
        self.sock.shutdown(socket.SHUT_WR)
        return True

    def wake(self) -> None:
        """Make every thread that waits for this stream return."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.sock.close()

    def abort(self) -> None:
        """Close so that the peer learns at once, and loses what it has not read."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.sock.close()


class PipeTransport:
    """Two descriptors, one to read and one to write, which may be the same (a terminal, a serial line)."""

    __slots__ = ("reader", "writer", "direct", "_blocking")

    pending = unclean = False

    def __init__(self, reader: int, writer: int) -> None:
        self._blocking = [(fd, os.get_blocking(fd)) for fd in dict.fromkeys((reader, writer))]
        for fd, _ in self._blocking:
            os.set_blocking(fd, False)
        self.reader, self.writer = reader, writer
        self.direct = PIPE if os.name == "posix" else OTHER

    def receiving(self, view: memoryview) -> Iterator[int]:
        return map(os.readv, (self.reader,), ((view,),))

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        return map(os.writev, (self.writer,), (views[:IOV_MAX],))

    def wait(self, read: bool, write: bool, seconds: float | None) -> bool:
        # Closing a pipe wakes nobody, so a long wait is taken in slices: a true answer means "look again".
        if seconds is None or seconds > _SLICE:
            ready(self.reader if read else -1, self.writer if write else -1, _SLICE)
            return True
        return ready(self.reader if read else -1, self.writer if write else -1, seconds)

    events = staticmethod(_same)
    clock = staticmethod(monotonic)

    def end(self) -> bool:
        """Nothing more will be sent; whether the peer can see that, which he cannot over one descriptor."""
        if self.writer == self.reader:
            return False
        if self.writer >= 0:
            writer, self.writer = self.writer, -1
            os.close(writer)
        return True

    def wake(self) -> None:
        """Nothing wakes who waits for a pipe: `wait` does not sleep long."""

    def close(self) -> None:
        fds = {self.reader, self.writer} - {-1}
        self.reader = self.writer = -1  # first: another thread may be here
        for fd in fds:
            os.close(fd)

    abort = close

    def restore(self) -> tuple[int, int]:
        """Give the descriptors back as they came."""
        for fd, blocking in self._blocking:
            if fd in (self.reader, self.writer):
                os.set_blocking(fd, blocking)
        pair = self.reader, self.writer
        self.reader = self.writer = -1
        return pair
