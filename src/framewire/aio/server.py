"""`serve`: a server in an event loop, with the handlers of the other servers, or awaited ones.

An awaited handler has a task for each connection, which is a `MessageStream`; a plain one is called from the
loop, and its connection is a `MessageProtocol`. What a connection's end means and what is counted is the
`Service`'s; accepting is as in _loops.py.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import socket
import threading
from contextlib import nullcontext
from functools import partial
from itertools import islice

from .._handler import EXHAUSTED, PROXY_HEADER, accept_some, proxied
from .._loops import PARKED, TICK, stop_reading
from .._service import ServerStats, Service
from ..errors import ConnectionClosed, ConnectionLost, EndOfStream, Timeout, closed_here
from ..framings import FixedLength
from ..sockets import listen
from .connection import LINGER, LoopConnection
from .protocol import MessageProtocol
from .stream import MessageStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any, TypeAlias

    from typing_extensions import Self

    from ..framings import Framing
    from ..sockets import MessageListener

    Address: TypeAlias = str | tuple[str, int] | socket.socket

__all__ = ["MessageServer", "serve"]

ANSWERS = 1024  # items of a generator that are sent before others have their turn


class _Called(MessageProtocol[object]):
    """A connection of a handler that is called."""

    __slots__ = ("_server", "_answers", "_proxied", "_was_ended")

    _how = {"replies": True}  # noqa: RUF012

    def __init__(self, server: MessageServer, framing: Framing, *options: Any, **named: Any) -> None:
        super().__init__(framing, *options, **named)
        self._server = server
        self._answers: Iterator[Any] | None = None
        self._proxied = False
        self._was_ended = False  # by the peer, before we did

    def connection_made(self, transport: Any) -> None:
        self._server._opened(self)
        if self._server._proxied:
            self._proxied = True
            self._loop.call_later(self._server._service.patience, self._too_late)
        else:
            try:
                self._server._connected(self)
            except Exception as error:
                self._end_by(error)

    def message_received(self, message: Any) -> Any:
        if not self._proxied:
            return self._server._handler(self, message)
        self._proxied = False
        self._server._unwrap(self, message)
        self._server._connected(self)
        return None

    def _reply_by(self, replies: Iterator[Any]) -> None:
        self._answers = replies
        self._pump()

    def _pump(self) -> None:
        """Send what the generator gives, as far as there is room; no message is handled meanwhile."""
        if self._answers is None or self._closed or self._closing is not None:
            return
        self.pause_reading()
        try:
            if self.send_many(islice(self._answers, ANSWERS), 0):
                self._loop.call_soon(self._pump)
                return
        except BlockingIOError:
            return  # until resume_writing
        except Exception as error:
            self._end_by(error)
        self._answers = None
        self.resume_reading()

    def pause_writing(self) -> None:
        self.pause_reading()

    def resume_writing(self) -> None:
        if self._answers is None:
            self.resume_reading()
        else:
            self._loop.call_soon(self._pump)

    def _too_late(self) -> None:
        if self._proxied:
            seconds = self._server._service.patience
            self._stop(Timeout(f"no PROXY header came within {seconds:g} s", phase="frame"))

    def _end_by(self, error: Exception) -> None:
        if self._failure_ is None:
            self._failure_ = error
        if isinstance(error, (ConnectionLost, Timeout)):
            self._release()
        elif not self._closed:
            self.close()

    def eof_received(self) -> None:
        self._was_ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._was_ended:
            exc = EndOfStream(f"{self._peer_name()} has ended the stream")
        self._server._ended(self, exc or closed_here(self._peer_name()))


class MessageServer:
    """A server that runs in an event loop. Made by `serve`; an asynchronous context manager, which shuts it
    down at its end.

    >>> import asyncio
    >>> import framewire as fw
    >>> async def handler(conn, message):
    ...     await asyncio.sleep(0.01)
    ...     return message.upper()
    >>> async def main():
    ...     async with await fw.aio.serve(handler, "tcp://127.0.0.1:0", fw.Lines()) as server:
    ...         async with await fw.aio.connect(server.address, fw.Lines()) as conn:
    ...             print(await conn.request(b"hello"))
    >>> asyncio.run(main())
    b'HELLO'
    """

    def __init__(
        self,
        handler: Callable[[Any, Any], Any],
        address: Address,
        framing: Framing,
        send_framing: Framing | None = None,
        *,
        max_connections: int = 10_000,
        max_handlers: int | None = None,
        max_buffered: int | None = None,
        proxy_protocol: bool = False,
        backlog: int = 4096,
        on_connect: Callable[[Any], Any] | None = None,
        on_close: Callable[[Any, BaseException], Any] | None = None,
        frame_timeout: float | None = 10.0,
        **options: Any,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"handler must be callable with (conn, message), not {type(handler).__name__}")
        for name, value in (
            *(("max_connections", max_connections), ("max_handlers", max_handlers)),
            *(("max_buffered", max_buffered), ("backlog", backlog)),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name}={value!r} must be at least 1")
        loop = asyncio.get_running_loop()  # RuntimeError outside of one
        secure = {name: options.pop(name) for name in ("tls", "handshake_timeout") if name in options}
        options["frame_timeout"] = frame_timeout
        listener = listen(address, framing, send_framing, _bind=(backlog, False), **secure, **options)
        listener._proxied = proxy_protocol
        service = Service(handler, listener, max_connections, max_buffered, on_connect, on_close)
        self._start(loop, service, listener, max_handlers)

    @classmethod
    def _of(cls, service: Service, listener: MessageListener) -> Self:
        """The one that does for a `Server` what that has been told to do."""
        self = cls.__new__(cls)
        self._start(asyncio.get_running_loop(), service, listener, None)
        return self

    def _start(
        self,
        loop: asyncio.AbstractEventLoop,
        service: Service,
        listener: MessageListener,
        max_handlers: int | None,
    ) -> None:
        handler: Any = service.handler
        self._loop, self._handler, self._on_connect = loop, handler, service._on_connect
        self._service, self._listener = service, listener
        call = getattr(handler, "__call__", None)  # noqa: B004
        self._yields = inspect.isasyncgenfunction(handler) or inspect.isasyncgenfunction(call)
        self._awaited = self._yields or any(map(inspect.iscoroutinefunction, (handler, call)))
        self._framing, self._send_framing = listener._framing, listener._send_framing
        self._proxied, self._options = listener._proxied, listener._options
        self._called: type[_Called] = _Called
        if inspect.isfunction(handler) and not self._awaited and not self._proxied:
            # Nothing stands between the channel and the handler.
            self._called = type(_Called.__name__, (_Called,), {"__slots__": ()})
            self._called._deliver = handler  # type: ignore[method-assign]
        self._live: dict[Any, asyncio.Task[None] | None] = {}
        self._turns: Any = nullcontext() if max_handlers is None else asyncio.Semaphore(max_handlers)
        self._beginning: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._parked = True
        self._cuts = False  # nothing is served any more
        self._changed: asyncio.Future[None] | None = None
        self._done = self._loop.create_future()
        self._resume()
        if service._max_buffered is not None:
            self._keep_within()

    @property
    def address(self) -> str:
        """Where it listens, with the real port; `connect` understands it."""
        return self._listener.address

    def stats(self) -> ServerStats:
        """The counters so far, over all connections."""
        return self._service.stats(list(self._live))

    def __repr__(self) -> str:
        state = "ended" if self._done.done() else "draining" if self._service.stopping else "running"
        return (
            f"<framewire.aio.MessageServer {self.address} {self._framing} {state}, "
            f"{len(self._live)} connections>"
        )

    # --- accepting -------------------------------------------------------------------------------------

    def _accept(self) -> None:
        service = self._service
        try:
            for sock in accept_some(self._listener._sock, service.max_connections - self._count()):
                service.accepted += 1
                self._adopt(sock)
            if self._count() >= service.max_connections:
                self._park()
        except OSError as error:
            self._park(PARKED)
            if error.errno in EXHAUSTED:
                service.warn_rarely("cannot accept: %s; trying again every %g s", error, PARKED)
            else:
                service.log("error", "cannot accept: %s", error)

    def _count(self) -> int:
        return len(self._live) + len(self._beginning)

    def _park(self, seconds: float | None = None) -> None:
        """Accept nothing for so long; without `seconds`, until a connection has ended."""
        if not self._parked:
            self._parked = True
            self._loop.remove_reader(self._listener.fileno())
            if seconds is not None:
                self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._parked and not self._service.stopping and self._count() < self._service.max_connections:
            self._parked = False
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _adopt(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        framing, behind = self._framing, self._send_framing
        if self._proxied:
            framing, behind = PROXY_HEADER, self._send_framing or self._framing
        conn: Any
        if self._awaited:
            conn = MessageStream(framing, behind, **self._options)
        else:
            conn = self._called(self, framing, behind, **self._options)
        if self._listener._tls is not None and not self._proxied:
            conn._begins = partial(self._secure, conn)
        task = self._loop.create_task(self._begin(conn, sock))
        self._beginning.add(task)
        task.add_done_callback(partial(self._begun, sock))

    def _begun(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        if task in self._beginning:
            self._beginning.discard(task)
            if task.cancelled():
                sock.close()
            self._see_whether_all_ended()

    async def _begin(self, conn: Any, sock: socket.socket) -> None:
        protocol = conn._link if self._awaited else conn
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:
            sock.close()  # it died meanwhile
            return
        except asyncio.CancelledError:
            conn.abort()
            raise
        if self._cuts:
            self._cut(conn)
        elif self._awaited:
            # In this task: another could be cancelled before it has begun, and then would never end anything.
            task: Any = asyncio.current_task()
            self._live[conn] = task
            self._beginning.discard(task)
            await self._work(conn)

    def _opened(self, conn: LoopConnection[Any]) -> None:
        self._live.setdefault(conn, None)
        if self._service.stopping:
            stop_reading(conn)  # type: ignore[arg-type]

    def _secure(self, conn: LoopConnection[Any], received: bytes = b"") -> None:
        """Begin TLS, if it shall be; the handshake is done before the first message comes."""
        if self._listener._tls is not None:
            peer = conn.peer_address
            conn._secure(
                self._listener._tls,
                server_side=True,
                timeout=self._listener._handshake_timeout,
                peer=peer if self._proxied else peer.replace("tcp://", "tls://", 1),
                received=received,
            )
            if not self._proxied:
                conn._names = "", ""

    def _connected(self, conn: LoopConnection[Any]) -> Any:
        greet: Any = self._on_connect
        return None if greet is None else greet(conn)

    def _unwrap(self, conn: LoopConnection[Any], header: bytes) -> None:
        """Begin what comes behind the header of a proxy."""
        conn._names = conn.local_address, proxied(header) or conn.peer_address
        if self._listener._tls is not None:
            # What was read ahead is ciphertext: nothing is believed before TLS has seen it.
            ahead = bytearray(conn.stats().buffered)
            if ahead:
                conn.framing = FixedLength(len(ahead))
                conn._take_into(ahead)
            self._secure(conn, bytes(ahead))
        conn.framing, conn._send_framing = self._framing, self._send_framing

    # --- an awaited handler ----------------------------------------------------------------------------

    async def _work(self, conn: MessageStream[Any]) -> None:
        """The life of a connection."""
        self._opened(conn)
        error: BaseException
        try:
            if self._proxied:
                self._unwrap(conn, await self._header(conn))
            greeting = self._connected(conn)
            if inspect.isawaitable(greeting):
                await greeting
            while True:
                message = await conn.recv()
                async with self._turns:
                    if self._yields:
                        async for item in self._handler(conn, message):
                            await conn.send(item)
                        continue
                    reply = await self._handler(conn, message)
                if reply is not None:
                    if conn.ready:
                        conn._gather()  # there is more to be answered: the replies go together
                    await conn.send(reply)
        except asyncio.CancelledError:
            error = ConnectionClosed("the server was shut down")
        except Exception as caught:
            error = caught
        if conn._closed and isinstance(error, OSError):
            error = ConnectionClosed(str(error))
        try:
            if isinstance(error, (ConnectionLost, Timeout, ConnectionClosed)):
                if isinstance(error, Timeout) and not conn._closed and not conn.unsent:
                    conn._end_sending()  # our own will: over TLS the peer shall see that
                conn._close_now()
            else:
                await conn.close(LINGER)
        except OSError:
            conn.abort()
        finally:
            conn._close_now()
            self._ended(conn, error)

    async def _header(self, conn: MessageStream[Any]) -> bytes:
        patience = self._service.patience
        try:
            return await conn.recv(patience)  # type: ignore[no-any-return]
        except Timeout:
            raise Timeout(f"no PROXY header came within {patience:g} s", phase="frame") from None

    # --- the end ---------------------------------------------------------------------------------------

    def _ended(self, conn: Any, error: BaseException) -> None:
        if self._live.pop(conn, conn) is conn:
            return
        self._service.ended(conn, error)
        self._service.count_past(conn)
        self._see_whether_all_ended()

    def _see_whether_all_ended(self) -> None:
        self._resume()  # there is room for another
        if self._changed is not None and not self._changed.done() and not self._count():
            self._changed.set_result(None)

    def _keep_within(self) -> None:
        self._service.keep_within(lambda: list(self._live))
        self._timer = self._loop.call_later(TICK, self._keep_within)

    async def shutdown(self, grace: float = LINGER) -> None:
        """Stop: accept nothing more, serve what has come for at most `grace` seconds, then close all.

        It returns when that is done. Calling it again, meanwhile, shortens the grace. A handler that calls it
        must not wait for itself: let it start a task.
        """
        if not grace >= 0:
            raise ValueError(f"grace={grace!r} must be 0 or more seconds")
        service = self._service
        if not service.stopping:
            self._park()
            service.stopping = True
            self._listener.close()
            for conn in list(self._live):
                stop_reading(conn)
        if self._count():
            if self._changed is None or self._changed.done():
                self._changed = self._loop.create_future()
            await asyncio.wait([self._changed], timeout=grace)
            while self._count():
                self._cut_off()
                if self._changed.done():
                    self._changed = self._loop.create_future()
                await asyncio.wait([self._changed], timeout=1)
        if self._timer is not None:
            self._timer.cancel()
        if not self._done.done():
            self._done.set_result(None)

    def _cut_off(self) -> None:
        # Those that begin are not cancelled: uvloop would never say that their connections are lost.
        self._cuts = True
        for conn, work in list(self._live.items()):
            if work is not None:
                work.cancel()
            else:
                self._cut(conn)

    def _cut(self, conn: Any) -> None:
        if not conn._closed:
            conn._failure_ = conn._failure_ or ConnectionClosed("the server was shut down")
            conn._release()

    async def serve_forever(self) -> None:
        """Until `shutdown`, SIGTERM or SIGINT, which in the main thread drain for 5 s, and a second one ends
        at once. Cancelled, it shuts down at once."""
        caught = []
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                try:
                    self._loop.add_signal_handler(number, self._on_signal)
                    caught.append(number)
                except (NotImplementedError, RuntimeError, ValueError):
                    pass
        try:
            await asyncio.shield(self._done)
        finally:
            for number in caught:
                self._loop.remove_signal_handler(number)
            await self.shutdown(0)

    def _on_signal(self) -> None:
        grace = 0 if self._service.stopping else LINGER
        self._stopping = self._loop.create_task(self.shutdown(grace))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown(LINGER if kind is None else 0)


async def serve(
    handler: Callable[[Any, Any], Any],
    address: Address,
    framing: Framing,
    send_framing: Framing | None = None,
    **options: Any,
) -> MessageServer:
    """Serve every connection to `address` by calling or awaiting `handler(conn, message)` for each message.

    A handler that is an `async def` gets a `MessageStream`, and may wait for what it likes; as an
    asynchronous generator it gives one reply an item. A plain one gets a connection whose `send` is called
    and never waits (BlockingIOError), as with `Server(mode="selector")`: it must not wait. What it returns
    is the reply: None for none, a generator for one reply an item, anything else is exactly one message.
    Messages of a connection are handled in order. What it raises is logged, and ends its connection only.

    `options` are those of `Server`, `tls=` among them, but for `mode`, `loop` and `workers`; `max_handlers`
    bounds how many awaited handlers run at a time (None: one for each connection). It runs from here on,
    until the end of its `async with`, or `shutdown`. DeclarationError, ValueError, TypeError, OSError as
    `Server`.
    """
    return MessageServer(handler, address, framing, send_framing, **options)
