"""The loops that servers run: accept, wait for whatever is ready, keep time, drain, end.

`Loop` accepts and waits for the listener, for `stop` and for time. `Threads` gives each connection a thread;
`Selector` waits for the connections as well. What is done with a connection that can be read is one call, the
channel's `_serve`; a connection in a special state (a proxy's header awaited, a generator answering,
lingering) is an object with that same method in its place. What a loop serves is told by its `server`.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from itertools import islice
from time import monotonic

from ._handler import EXHAUSTED, accept_some
from .errors import ConnectionClosed, ConnectionLost, EndOfStream, Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol, TypeAlias

    from .sockets import MessageSocket

    Handler: TypeAlias = Callable[[MessageSocket[Any], Any], Any]

    class Served(Protocol):
        """What a loop asks of its server."""

        handler: Handler
        max_connections: int
        patience: float
        accepted: int
        stopping: bool
        begins_late: bool
        """Whether something other than a message comes first, so that `open` must wait for it."""

        def connection(self, sock: socket.socket) -> MessageSocket[Any]: ...
        def open(self, conn: MessageSocket[Any], timeout: float) -> None: ...
        def ended(self, conn: MessageSocket[Any], error: BaseException) -> None: ...
        def dispose(self, conn: MessageSocket[Any], seconds: float) -> None: ...
        def keep_within(self, live: Callable[[], list[MessageSocket[Any]]]) -> None: ...
        def log(self, level: str, text: str, *arguments: Any) -> None: ...
        def warn_rarely(self, text: str, *arguments: Any) -> None: ...


__all__ = ["LINGER", "Selector", "Threads", "stop_reading"]

IN, OUT = 1, 4  # EPOLLIN and EPOLLOUT, POLLIN and POLLOUT
AGAIN, WRITE, FULL = 1, 2, 4  # what the channel's _serve answers
TICK = 0.25  # how often connections are asked whether their time is over
PARKED = 0.1  # how long nothing is accepted when descriptors or memory are short
LINGER = 5.0  # how long an ended connection may take to get the last replies


class _Portable:
    """epoll's methods over what the platform has instead."""

    def __init__(self) -> None:
        import selectors

        self._selector = selectors.DefaultSelector()
        self.close = self._selector.close
        self.unregister = self._selector.unregister

    def register(self, fd: int, mask: int) -> None:
        self._selector.register(fd, mask & IN | mask // 2 & 2)

    def modify(self, fd: int, mask: int) -> None:
        self._selector.modify(fd, mask & IN | mask // 2 & 2)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        return [(key.fd, mask) for key, mask in self._selector.select(timeout)]


_poller: Any = getattr(select, "epoll", _Portable)


# --- connections in a special state --------------------------------------------------------------------


class _Special:
    """A connection that is not simply served now: it has the channel's `_serve` and `_check`."""

    def __init__(self, loop: Selector, conn: MessageSocket[Any], seconds: float = 0) -> None:
        self.loop, self.conn, self.seconds = loop, conn, seconds
        self.due = monotonic() + seconds

    def _serve(self, handler: Handler, wait: bool) -> Any:
        raise NotImplementedError

    def _check(self) -> None:
        self.conn._check()

    def _normal(self, handler: Handler) -> Any:
        self.loop.conns[self.conn.fileno()] = entry = self.loop.entry(self.conn)
        return entry._serve(handler, False)


class _Indirect(_Special):
    """The transport has a say in what to wait for, and may hold what came already: TLS."""

    def _serve(self, handler: Handler, wait: bool) -> Any:
        rest = self.conn._serve(handler, False)
        if type(rest) is not int or rest & FULL:
            return rest
        events = self.conn.events
        again = rest & AGAIN or (AGAIN if self.conn.ready else 0)
        return again | (WRITE if events & 2 else 0) | (0 if events & 1 else FULL)

    def _check(self) -> None:
        self.conn._check()
        if not getattr(self.conn._transport, "shaken", True):
            self.loop.ready(self.conn.fileno())  # a handshake has a time limit, too


class _Proxied(_Special):
    """The header of the proxy is still to come."""

    def _serve(self, handler: Handler, wait: bool) -> Any:
        try:
            self.loop.server.open(self.conn, 0)
        except BlockingIOError:
            return 0
        return self._normal(handler)

    def _check(self) -> None:
        if monotonic() >= self.due:
            raise Timeout(f"no PROXY header came within {self.seconds:g} s", phase="frame")


class _Answering(_Special):
    """A generator gives the replies to one message; those to later ones come after."""

    def __init__(self, loop: Selector, conn: MessageSocket[Any], answers: Iterator[Any]) -> None:
        super().__init__(loop, conn)
        self._answers = answers

    def _serve(self, handler: Handler, wait: bool) -> Any:
        try:
            if self.conn.send_many(islice(self._answers, 1024), timeout=0):
                return AGAIN
        except BlockingIOError:
            return WRITE | FULL
        return self._normal(handler)


class _Lingering(_Special):
    """It has ended: send what is unsent, say so, and wait for the peer's end, lest he lose replies."""

    _shut = False

    def _serve(self, handler: Handler, wait: bool) -> Any:
        self.conn._drive()
        if self.conn.unsent:
            return WRITE | FULL
        if not self._shut:
            try:
                self.conn.shutdown_write(timeout=0)
            except BlockingIOError:
                return WRITE | FULL
            self._shut = True
        if self.conn._skip():
            raise EndOfStream("lingering is over")
        return 0

    def _check(self) -> None:
        if monotonic() >= self.due:
            raise Timeout(f"the peer has not ended the stream within {self.seconds:g} s", phase="close")


# --- the loops -----------------------------------------------------------------------------------------


class Loop:
    """Accepts until it is stopped; what becomes of the connections is the subclass's."""

    def __init__(self, server: Served, listener: socket.socket) -> None:
        self.server = server
        self.stop_at: float | None = None
        self._listener = listener
        self._poller = _poller()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._accepting = False
        self._parked_until = 0.0
        self._next_tick = 0.0
        self.on_tick: Callable[[], None] = lambda: None

    def wake(self) -> None:
        try:
            self._wake_write.send(b"\0")
        except OSError:
            pass  # full: it will wake

    def stop(self, grace: float) -> None:
        """Drain: accept nothing more, serve what has come, end. Safe from threads and signal handlers."""
        self.server.stopping = True
        stop_at = monotonic() + grace
        self.stop_at = stop_at if self.stop_at is None else min(stop_at, self.stop_at)
        self.wake()

    def run(self) -> None:
        self._poller.register(self._wake_read.fileno(), IN)
        draining = False
        try:
            while True:
                now = monotonic()
                if self.stop_at is not None:
                    if not draining:
                        draining = True
                        self._accept_no_more()
                        self.drain()
                    if not self.count():
                        return
                    if now >= self.stop_at:
                        self.cut_off()
                        return
                elif not self._accepting and now >= self._parked_until:
                    self._resume()
                self.turn(max(0.0, min(TICK, self._next_tick - now)))
                if monotonic() >= self._next_tick:
                    self._next_tick = monotonic() + (PARKED if self._parked_until else TICK)
                    self.tick()
                    self.on_tick()
        finally:
            self._accept_no_more()
            self.cut_off()
            self._poller.close()
            self._wake_read.close()
            self._wake_write.close()

    def other(self, fd: int) -> None:
        """What is no connection is ready."""
        if fd == self._wake_read.fileno():
            try:
                while self._wake_read.recv(4096):
                    pass
            except OSError:
                pass
        elif self._accepting:
            self._accept()

    def _accept(self) -> None:
        server = self.server
        room = server.max_connections - self.count()
        try:
            for sock in accept_some(self._listener, room):
                room -= 1
                server.accepted += 1
                self._adopt(sock)
            if room <= 0:
                self._park(0.0)
        except OSError as error:
            if self.stop_at is None:
                self._park(PARKED)
                if error.errno in EXHAUSTED:
                    server.warn_rarely("cannot accept: %s; trying again every %g s", error, PARKED)
                else:
                    server.log("error", "cannot accept: %s", error)

    def _adopt(self, sock: socket.socket) -> None:
        try:
            conn = self.server.connection(sock)
        except OSError:
            sock.close()  # it died meanwhile
            return
        self.adopt(conn)

    def _park(self, seconds: float) -> None:
        """Accept nothing for a while: without `seconds`, until a connection has ended."""
        self._poller.unregister(self._listener.fileno())
        self._accepting = False
        self._parked_until = monotonic() + seconds

    def _resume(self) -> None:
        if self.count() < self.server.max_connections:
            self._poller.register(self._listener.fileno(), IN)
            self._accepting = True
            self._parked_until = 0.0

    def _accept_no_more(self) -> None:
        if self._accepting:
            self._poller.unregister(self._listener.fileno())
            self._accepting = False
        self._listener.close()

    def runs_here(self) -> bool:
        return False

    def turn(self, pause: float) -> None:
        raise NotImplementedError

    def count(self) -> int:
        raise NotImplementedError

    def adopt(self, conn: MessageSocket[Any]) -> None:
        raise NotImplementedError

    def tick(self) -> None:
        raise NotImplementedError

    def drain(self) -> None:
        raise NotImplementedError

    def cut_off(self) -> None:
        raise NotImplementedError

    def live(self) -> list[MessageSocket[Any]]:
        raise NotImplementedError


class Selector(Loop):
    """All connections in this thread."""

    def __init__(self, server: Served, listener: socket.socket) -> None:
        super().__init__(server, listener)
        self.conns: list[Any] = []  # by descriptor: a connection, a _Special or None
        self._open = 0
        self._masks: dict[int, int] = {}  # of those that do not just wait to be read
        self._again: set[int] = set()

    def turn(self, pause: float) -> None:
        again, self._again = self._again, set()
        for fd, _ in self._poller.poll(0 if again else pause):
            again.discard(fd)
            self.ready(fd)
        for fd in again:
            self.ready(fd)

    def ready(self, fd: int) -> None:
        entry = self.conns[fd] if fd < len(self.conns) else None
        if entry is None:
            self.other(fd)
            return
        try:
            rest = entry._serve(self.server.handler, False)
            if rest or fd in self._masks:
                self._attend(fd, entry, rest)
        except Exception as error:
            self._end(fd, entry, error)

    def _attend(self, fd: int, entry: Any, rest: Any) -> None:
        """Wait for what `rest`, the answer of a `_serve`, asks for."""
        if type(rest) is not int:
            self.conns[fd] = _Answering(self, getattr(entry, "conn", entry), rest)
            rest = AGAIN
        if rest & AGAIN:
            self._again.add(fd)
        mask = OUT if rest & FULL else IN | OUT if rest & WRITE else IN
        if mask != self._masks.get(fd, IN):
            self._poller.modify(fd, mask)
            if mask == IN:
                del self._masks[fd]
            else:
                self._masks[fd] = mask

    def entry(self, conn: MessageSocket[Any]) -> Any:
        """What stands for a connection that is simply served."""
        return conn if conn._transport.direct else _Indirect(self, conn)

    def adopt(self, conn: MessageSocket[Any]) -> None:
        fd = conn.fileno()
        while fd >= len(self.conns):
            self.conns.append(None)
        if self.conns[fd] is not None:
            self._end(fd, self.conns[fd], ConnectionClosed("another thread closed it"))
        conn.timeout = 0
        self._poller.register(fd, IN)
        self._open += 1
        if self.server.begins_late:
            self.conns[fd] = _Proxied(self, conn, self.server.patience)
            return
        self.conns[fd] = self.entry(conn)
        try:
            self.server.open(conn, 0)
        except Exception as error:
            self._end(fd, conn, error)

    def _end(self, fd: int, entry: Any, error: Exception) -> None:
        conn: MessageSocket[Any] = getattr(entry, "conn", entry)
        lingers = isinstance(entry, _Lingering)
        if conn._closed and isinstance(error, OSError):
            error = ConnectionClosed(str(error))
        if not lingers:
            self.server.ended(conn, error)
        if conn._closed or lingers or isinstance(error, (ConnectionLost, Timeout)):
            self._forget(fd, entry)
        elif isinstance(error, EndOfStream) and not conn.unsent:
            self._forget(fd, entry)
        else:
            self.conns[fd] = last = _Lingering(self, conn, LINGER)
            try:
                self._attend(fd, last, last._serve(self.server.handler, False))
            except Exception:
                self._forget(fd, last)

    def _forget(self, fd: int, entry: Any) -> None:
        conn: MessageSocket[Any] = getattr(entry, "conn", entry)
        self.conns[fd] = None
        self._open -= 1
        self._masks.pop(fd, None)
        self._again.discard(fd)
        try:
            self._poller.unregister(fd)
        except (OSError, KeyError, ValueError):
            pass  # closed already, and so forgotten
        self.server.dispose(conn, 0)

    def count(self) -> int:
        return self._open

    def live(self) -> list[MessageSocket[Any]]:
        return [getattr(entry, "conn", entry) for entry in self.conns if entry is not None]

    def tick(self) -> None:
        for fd, entry in enumerate(self.conns):
            if entry is not None:
                try:
                    entry._check()
                    # Of what others sent to it a rest may have stayed.
                    if fd not in self._masks and getattr(entry, "conn", entry).unsent:
                        self._attend(fd, entry, WRITE)
                except Exception as error:
                    self._end(fd, entry, error)
        self.server.keep_within(self.live)

    def drain(self) -> None:
        for conn in self.live():
            stop_reading(conn)

    def cut_off(self) -> None:
        for fd, entry in enumerate(self.conns):
            if entry is not None:
                if not isinstance(entry, _Lingering):
                    self.server.ended(
                        getattr(entry, "conn", entry), ConnectionClosed("the server was shut down")
                    )
                self._forget(fd, entry)


class Threads(Loop):
    """A thread for each connection."""

    def __init__(self, server: Served, listener: socket.socket) -> None:
        super().__init__(server, listener)
        self._running: dict[MessageSocket[Any], threading.Thread] = {}

    def turn(self, pause: float) -> None:
        for fd, _ in self._poller.poll(pause):
            self.other(fd)

    def adopt(self, conn: MessageSocket[Any]) -> None:
        thread = threading.Thread(
            target=self._work, args=(conn,), name=f"framewire-{conn.fileno()}", daemon=True
        )
        self._running[conn] = thread
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            del self._running[conn]
            self.server.warn_rarely("cannot serve a connection: %s", error)
            self.server.ended(conn, ConnectionLost(str(error)))
            self.server.dispose(conn, 0)

    def _work(self, conn: MessageSocket[Any]) -> None:
        server = self.server
        try:
            server.open(conn, server.patience)
            while True:
                rest = conn._serve(server.handler, True)
                if type(rest) is not int:
                    conn.send_many(rest)
        except BaseException as error:
            server.ended(conn, error)
            gentle = not isinstance(error, (ConnectionLost, Timeout))
        try:
            server.dispose(conn, LINGER if gentle else 0)
        finally:
            del self._running[conn]
        if self.stop_at is not None or self._parked_until:
            self.wake()

    def runs_here(self) -> bool:
        """Whether this is a thread of this loop's."""
        return threading.current_thread() in self._running.values()

    def count(self) -> int:
        return len(self._running)

    def live(self) -> list[MessageSocket[Any]]:
        return list(self._running)

    def tick(self) -> None:
        self.server.keep_within(self.live)

    def drain(self) -> None:
        for conn in self.live():
            stop_reading(conn)

    def cut_off(self) -> None:
        for conn in self.live():
            conn.abort()
        until = monotonic() + 1
        for thread in list(self._running.values()):
            thread.join(max(0.0, until - monotonic()))


def stop_reading(conn: MessageSocket[Any]) -> None:
    """Let a connection find its end behind what has already come."""
    try:
        with socket.socket(fileno=os.dup(conn.fileno())) as sock:
            sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass
