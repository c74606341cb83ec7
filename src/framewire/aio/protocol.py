"""`MessageProtocol`: a protocol whose callbacks get messages."""

from __future__ import annotations

import asyncio
from functools import wraps

from .. import errors
from ..errors import EndOfStream, Timeout
from .connection import HANDSHAKE, LINGER, LoopConnection, tls_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any, TypeVar

    from ..framings import Framing

    T = TypeVar("T")

__all__ = ["MessageProtocol"]


def _entry(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """What the loop calls as `name`: the engine's part, which calls `function`. Calls from inside that, by
    super() that is, go on to `function`."""

    @wraps(function)
    def entry(self: Any, *args: Any) -> Any:
        if self._inside == name:
            return function(self, *args)
        return getattr(self, _ENGINE[name])(*args)

    entry._is_entry = True  # type: ignore[attr-defined]
    return entry


_ENGINE = {
    "connection_made": "_made",
    "eof_received": "_ended_by_peer",
    "connection_lost": "_lost",
    "pause_writing": "_stopped",
    "resume_writing": "_resumed",
}


class MessageProtocol(LoopConnection["T"], asyncio.BufferedProtocol):
    """A protocol whose callbacks get messages: for `loop.create_connection`, `create_server`,
    `connect_read_pipe` and so on.

    Subclass it and override what is wanted: `connection_made(transport)`, `message_received(message)` or
    `messages_received(messages)`, `eof_received()`, `connection_lost(error)`, `pause_writing()`,
    `resume_writing()`; none needs to call its super(). There is no future and no task for a message. `send`
    and `send_many` never wait: BlockingIOError while `high_water` bytes are unsent, nothing was taken then.
    What callbacks send while they handle what arrived together goes together. `framing` may be changed in
    `message_received`, for the next message; who overrides `messages_received`, and gets lists, gives it up.

    Close it by `close`: the transport's own loses, on uvloop and from CPython 3.12 on, what is `unsent` then.

    The options are those of `MessageSocket`; its timeouts end the connection. One loop, and its thread.

    >>> import asyncio
    >>> import framewire as fw
    >>> class Echo(fw.aio.MessageProtocol):
    ...     def message_received(self, message):
    ...         self.send(message.upper())
    >>> async def main():
    ...     loop = asyncio.get_running_loop()
    ...     server = await loop.create_server(lambda: Echo(fw.Lines()), "127.0.0.1", 0)
    ...     async with await fw.aio.connect(server.sockets[0].getsockname(), fw.Lines()) as conn:
    ...         print(await conn.request(b"hello"))
    ...     server.close()
    >>> asyncio.run(main())
    b'HELLO'
    """

    __slots__ = ("_inside",)

    _kind = "aio.MessageProtocol"
    _batches = False
    _how: dict[str, bool] = {}  # noqa: RUF012

    def __init__(self, framing: Framing, send_framing: Framing | None = None, **options: Any) -> None:
        self._inside = ""
        super().__init__(framing, send_framing, _how={"batches": self._batches, **self._how}, **options)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _ENGINE:
            function = getattr(cls, name)
            if not hasattr(function, "_is_entry"):
                setattr(cls, name, _entry(name, function))
        if cls.messages_received is not MessageProtocol.messages_received:
            cls._batches = True
            cls._deliver = cls.messages_received  # type: ignore[method-assign, assignment]
        else:
            cls._deliver = cls.message_received  # type: ignore[method-assign, assignment]

    # --- to be overridden ------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """It is connected, by the loop's `transport`."""

    def message_received(self, message: T) -> None:
        """A message has come. What it returns does not matter; what it raises ends the connection, and is
        reported to the loop's exception handler."""

    def messages_received(self, messages: list[T]) -> None:
        """Messages have come, at most 1 024. Override it in place of `message_received`."""

    def eof_received(self) -> bool | None:
        """The clean end of what the peer sends. Unless it returns something true, the connection is closed
        then, when all that was sent has gone."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended: cleanly if `exc` is None, else by what was wrong: a DecodeError,
        Truncated, ConnectionLost, Timeout, or what a callback has raised."""

    def pause_writing(self) -> None:
        """The peer takes less than is sent: `high_water` bytes or more are unsent. By default, nothing is
        received until `resume_writing`, so that replies cannot pile up."""
        self.pause_reading()

    def resume_writing(self) -> None:
        """So few bytes are unsent that there is room again. By default `resume_reading`."""
        self.resume_reading()

    # --- to be called ----------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`; at most the rest of one read is held."""
        if not self._held and not self._closed and self.transport is not None:
            self._held = True
            if not self._paused:
                self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on receiving; messages that are held come first, soon."""
        if self._held:
            self._held = False
            self._paused = True
            self._later()

    def start_tls(
        self,
        context: ssl.SSLContext | bool | tuple[Any, Any] = True,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        timeout: float | None = HANDSHAKE,
    ) -> None:
        """Go on in TLS from here: in `connection_made`, or later, as both ends have agreed to.

        The arguments are those of `MessageSocket.start_tls`. What was sent before goes in the clear; what is
        sent from here on goes when the handshake is done, within `timeout` seconds, and what it fails with is
        what `connection_lost` is told. MalformedFrame, reason "protocol-violation", if anything was read
        ahead of it. DeclarationError for a context that cannot serve, or over TLS.
        """
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        self._secure(
            tls_context(context, server_side),
            server_side=server_side,
            server_hostname=server_hostname,
            timeout=timeout or (None if timeout is None else HANDSHAKE),
        )

    def close(self, timeout: float | None = LINGER) -> None:
        """End the connection so that nothing that was sent is lost: sends what is unsent, says the end, reads
        and discards to the peer's end, within `timeout` seconds. It returns at once: `connection_lost` tells
        when that is done."""
        if not self._closed and self.transport is not None:
            self._begin_closing(timeout)

    # --- the engine ------------------------------------------------------------------------------------

    def _call(self, name: str, *args: Any) -> Any:
        before, self._inside = self._inside, name
        try:
            return getattr(self, name)(*args)
        finally:
            self._inside = before

    def _made(self, transport: Any) -> None:
        super()._made(transport)
        self._call("connection_made", transport)

    def _stop(self, error: errors.FramewireError) -> None:
        if isinstance(error, (errors.ConnectionLost, Timeout)):
            self._failure_ = error
            if isinstance(error, Timeout) and not self.unsent:
                self._end_sending()  # our own will: over TLS the peer shall see that
            self._release()
        elif not isinstance(error, EndOfStream):
            self._failure_ = error
            self.close()
        elif not self._call("eof_received"):
            self.close()

    def _crowding(self) -> None:
        self._call("pause_writing")

    def _uncrowd(self) -> None:
        self._call("resume_writing")

    def _broke(self, made: Callable[[], Exception]) -> None:
        super()._broke(made)
        self._resume()

    def _lost(self, error: Exception | None) -> None:
        super()._lost(error)
        while self._pending and not self._closed:
            self._hand_more()  # what had come before
        self._closed = True
        self._call("connection_lost", self._failure_)

    def _later(self) -> None:
        self._loop.call_soon(self._hand_more)

    def _hand_more(self) -> None:
        try:
            self._resume()
        except Exception as error:  # as if the loop had called
            text = "Fatal error: a callback failed."
            what = {"message": text, "exception": error, "transport": self.transport, "protocol": self}
            self._failure_ = self._failure_ or error
            self._release()
            self._loop.call_exception_handler(what)

    def _stopped(self) -> None:
        self._flow(True)

    def _resumed(self) -> None:
        if getattr(self.transport, "_write_ready", self) is None:
            return  # CPython 3.12 on: a transport that somebody has closed could wait for room no more
        self._flow(False)
        if self._discarding:
            self._go_on_closing()

    def _tick(self) -> float:
        if self._discarding:
            return 1e9  # it is closing: that has a limit of its own, and what has ended it is known
        try:
            return self._judge(True)
        except errors.FramewireError as error:
            self._stop(error)
            return 1e9


for _name, _engine in _ENGINE.items():
    setattr(MessageProtocol, _name, _entry(_name, getattr(MessageProtocol, _name)))
