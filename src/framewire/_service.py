"""What a server does with its connections, however it runs: what their end means, what is counted."""

from __future__ import annotations

import socket
import threading
from collections import namedtuple
from time import monotonic

from ._loops import stop_reading
from .errors import ConnectionClosed, EndOfStream, FramewireError, Truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    from ._loops import Handler
    from .sockets import MessageListener, MessageSocket

    class ServerStats(NamedTuple):
        connections: int
        accepted: int
        failed: int
        messages_in: int
        messages_out: int
        bytes_in: int
        bytes_out: int

else:
    ServerStats = namedtuple(
        "ServerStats", "connections accepted failed messages_in messages_out bytes_in bytes_out"
    )
    ServerStats.__module__ = "framewire.server"
    ServerStats.__doc__ = """What a server has done so far.

    Connections open now, accepted, and ended by an error; messages and bytes in and out.

    >>> import framewire as fw
    >>> with fw.Server(lambda conn, message: message, "tcp://127.0.0.1:0", fw.Lines()) as server:
    ...     server.stats().connections, server.stats().accepted
    (0, 0)
    """

__all__ = ["ServerStats", "Service"]


class Service:
    """What a server does with its connections, however it runs."""

    def __init__(
        self,
        handler: Handler,
        listener: MessageListener,
        max_connections: int,
        max_buffered: int | None,
        on_connect: Callable[[MessageSocket[Any]], Any] | None,
        on_close: Callable[[MessageSocket[Any], BaseException], Any] | None,
    ) -> None:
        self.handler, self._on_connect, self._on_close = handler, on_connect, on_close
        self._listener = listener
        self.max_connections, self._max_buffered = max_connections, max_buffered
        self.begins_late = listener._proxied
        self.patience: float = listener._options["frame_timeout"] or 10.0
        self.accepted = self._failed = 0
        self._past = [0, 0, 0, 0]  # of the connections that have ended: messages and bytes, in and out
        self._counting = threading.Lock()
        self._warned_at = -1e9
        self.stopping = False
        self.on_listening: Callable[[], Any] = lambda: None  # of processes, when all of them listen
        # Now: there may be no descriptor left to read it with when there is something to say.
        import logging

        self._logger = logging.getLogger("framewire.server")

    def connection(self, sock: socket.socket) -> MessageSocket[Any]:
        return self._listener._wrap(sock)

    def open(self, conn: MessageSocket[Any], timeout: float) -> None:
        """All that comes before the first message; BlockingIOError or Timeout while it is not there."""
        if self.begins_late:
            self._listener._unwrap(conn, timeout)
        if self._on_connect is not None:
            self._on_connect(conn)

    def ended(self, conn: MessageSocket[Any], error: BaseException) -> None:
        """A connection is not served any more: say so to whom it concerns."""
        peer = conn.peer_address
        if not isinstance(error, FramewireError):
            self._failed += 1
            self.log("error", "%s: the handler failed", peer, exc_info=error, connection=conn)
        elif (
            isinstance(error, (EndOfStream, ConnectionClosed))
            or self.stopping
            and isinstance(error, Truncated)
        ):
            self.log("debug", "%s: %s", peer, error, connection=conn)
        else:
            self._failed += 1
            self.log("warning", "%s: %s", peer, error, connection=conn)
        if self._on_close is not None:
            try:
                self._on_close(conn, error)
            except Exception as failure:
                self.log("error", "%s: on_close failed", peer, exc_info=failure, connection=conn)

    def dispose(self, conn: MessageSocket[Any], seconds: float) -> None:
        try:
            conn.close(timeout=seconds)
        except OSError:
            conn.abort()
        self.count_past(conn)

    def count_past(self, conn: MessageSocket[Any]) -> None:
        """What this connection, which has ended, has done stays counted."""
        with self._counting:
            for field, value in enumerate(conn.stats()[:4]):
                self._past[field] += value

    def stats(self, live: list[MessageSocket[Any]]) -> ServerStats:
        with self._counting:
            counts = [*self._past]
        for conn in live:
            for field, value in enumerate(conn.stats()[:4]):
                counts[field] += value
        return ServerStats(len(live), self.accepted, self._failed, *counts)

    def keep_within(self, live: Callable[[], list[MessageSocket[Any]]]) -> None:
        """End the connections that hold most of unfinished messages, until the rest is within the limit."""
        if self._max_buffered is None:
            return
        held = sorted(((conn.stats().buffered, conn) for conn in live()), key=lambda pair: pair[0])
        total = sum(size for size, _ in held)
        while total > self._max_buffered:
            size, conn = held.pop()
            self.warn_rarely(
                "%s: ended, it held %d of %d bytes of unfinished messages, the limit is %d (max_buffered)",
                conn.peer_address,
                size,
                total,
                self._max_buffered,
            )
            total -= size
            stop_reading(conn)

    def log(
        self,
        level: str,
        text: str,
        *arguments: Any,
        exc_info: BaseException | None = None,
        connection: MessageSocket[Any] | None = None,
    ) -> None:
        """What concerns a connection says so in the record, as the connection's own logger does."""
        extra = {} if connection is None else {"connection": connection, "peer": connection.peer_address}
        getattr(self._logger, level)(text, *arguments, exc_info=exc_info, extra=extra)

    def warn_rarely(self, text: str, *arguments: Any) -> None:
        if monotonic() - self._warned_at >= 1:
            self._warned_at = monotonic()
            self.log("warning", text, *arguments)
