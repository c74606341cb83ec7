"""What becomes of the messages that `framewire listen` receives: printed, or answered.

An `App` has the hooks that the library's Server calls; with --once the command calls them itself.
"""

from __future__ import annotations

import threading
from itertools import count

from ..errors import EncodeError, EndOfStream
from .convert import argument
from .live import Live, tracer
from .network import Place, standing
from .report import USAGE, Failure, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any

    from ..framings import Framing
    from ..sockets import MessageSocket
    from .workers import Shared

__all__ = ["App", "Printer", "Replier"]


class App:
    """Numbers connections and tells of them. Subclasses say what becomes of messages."""

    mode = "selector"

    def __init__(
        self,
        options: Namespace,
        output: Output,
        framing: Framing | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.options = options
        self.live = Live(output, options, framing, several=True)
        self.lock = threading.Lock()
        self._connections: Iterator[int] = count(1) if shared is None else shared.connections
        self._messages: Iterator[int] = count(1) if shared is None else shared.messages
        self._inexact: Iterator[int] = count(1) if shared is None else shared.inexact

    def opened(self, conn: MessageSocket[Any]) -> None:
        """Before a connection's first message."""
        conn.state = place = Place(next(self._connections), standing(conn))
        if self.options.verbose > 1:
            conn._trace = tracer(self.options.color, f"#{place.conn} ")
        with self.lock:
            self.live.event(place, "open", conn)

    def message(self, conn: MessageSocket[Any], message: bytes) -> bytes | None:
        """One message has come; the reply."""
        raise NotImplementedError

    def closed(self, conn: MessageSocket[Any], error: BaseException) -> None:
        """After a connection's last message."""
        if conn.state is None:
            return  # its PROXY header never came
        with self.lock:
            self.live.flush()
            if isinstance(error, EndOfStream):
                self.live.event(conn.state, "close", conn)
            else:
                self.live.event(conn.state, "error", conn, str(error))

    def stop(self) -> None:
        """Enough messages have come."""


class Printer(App):
    """Prints what comes."""

    def message(self, conn: MessageSocket[Any], message: bytes) -> None:
        place, live, wanted = conn.state, self.live, self.options.number
        with self.lock:
            number, inexact = next(self._messages), live.inexact
            if wanted is not None and number > wanted:
                return
            try:
                live.add(place, message)
            except Failure as failure:
                raise EncodeError("; ".join(failure.lines)) from failure
            if live.inexact > inexact:
                next(self._inexact)
            if live.needs_offsets:
                place.offset = standing(conn)
            if not conn.ready or number == wanted:
                live.flush()
        if number == wanted:
            self.stop()


class Replier(App):
    """Answers every message: with itself, or always the same."""

    def __init__(
        self, options: Namespace, output: Output, send_framing: Framing, shared: Shared | None = None
    ) -> None:
        super().__init__(options, output, None, shared)
        self._reply = None if options.reply is None else argument(options.reply, options.input)
        if self._reply is not None:
            try:
                send_framing.encoder().encode(self._reply)
            except EncodeError as error:
                raise Failure(USAGE, f"--reply: {error}") from error

    def message(self, conn: MessageSocket[Any], message: bytes) -> bytes:
        if self.options.number is not None and next(self._messages) == self.options.number:
            self.stop()
        return message if self._reply is None else self._reply
