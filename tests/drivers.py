"""Ways to move messages, for the conformance suite: one driver for each kind of stream and way to wait.

A driver makes connections and runs conversations; what must hold is in test_conformance.py. A new kind of
stream or server adds a driver here and no test there.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import pickle
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from random import Random
from typing import Any

import secure
from conftest import SANITIZED

import framewire as fw
from framewire.testing import SimulatedStream, random_script


def run(function: Callable[[], Any]) -> Callable[[], Any]:
    """`function` in a thread of its own; calling the result joins it, and raises what it raised."""
    box: list[Any] = []

    def body() -> None:
        try:
            box.extend((True, function()))
        except BaseException as error:
            box.extend((False, error))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(60)
        assert box, "a thread of the test still runs"
        if box[0]:
            return box[1]
        raise box[1]

    return join


def collect(conn: Any, way: str = "recv") -> tuple[list[bytes], Exception | None]:
    """All messages until the end, and the error that was the end if it is not the clean one."""
    got: list[bytes] = []
    room = bytearray(1 << 21)
    try:
        while True:
            if way == "many":
                got += conn.recv_many(7)
            elif way == "into":
                size = conn.recv_into(room)
                got.append(bytes(room[:size]))
            else:
                got.append(conn.recv())
    except fw.EndOfStream:
        return got, None
    except fw.FramewireError as error:
        return got, error


def uvloop_made() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


class Driver:
    """Blocking calls over one kind of real stream, each side in a thread of its own."""

    name = "blocking"

    def __init__(self) -> None:
        self.stack = ExitStack()

    def ends(self) -> tuple[Any, Any]:
        """Two connected ends, as what MessageSocket takes."""
        raise NotImplementedError

    def connection(self, end: Any, framing: fw.Framing, **options: Any) -> Any:
        conn = fw.MessageSocket(end, framing, **options)
        self.stack.callback(conn.abort)
        return conn

    def pair(self, framing: fw.Framing, **options: Any) -> tuple[Any, Any]:
        left, right = self.ends()
        return self.connection(left, framing, **options), self.connection(right, framing, **options)

    def deliver(
        self, framing: fw.Framing, chunks: Sequence[bytes], way: str = "recv", **options: Any
    ) -> tuple[list[bytes], Exception | None]:
        """What a connection makes of a stream that arrives in `chunks` and then ends."""
        raw, end = self.ends()
        conn = self.connection(end, framing, **options)
        write = self.writer(raw)

        def feed() -> None:
            for chunk in chunks:
                write(chunk)
            write(None)

        sender = run(feed)
        result = collect(conn, way)
        sender()
        return result

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        """Writes bytes into a plain end, None ends the stream."""

        def write(chunk: bytes | None) -> None:
            if chunk is None:
                raw.shutdown(socket.SHUT_WR)
            else:
                raw.sendall(chunk)

        self.stack.callback(raw.close)
        return write

    def exchange(
        self, framing: fw.Framing, messages: Sequence[bytes], way: str = "recv", many: bool = False
    ) -> list[bytes]:
        """What arrives of `messages`, sent by one connection to another."""
        left, right = self.pair(framing)

        def send() -> None:
            if many:
                assert left.send_many(iter(messages)) == len(messages)
            else:
                for message in messages:
                    left.send(message)
            left.close(timeout=30)

        sender = run(send)
        got, error = collect(right, way)
        assert error is None
        right.close(timeout=0)
        sender()
        return got


class Tcp(Driver):
    name = "tcp"

    def ends(self) -> tuple[Any, Any]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            left = socket.create_connection(server.getsockname())
            return left, server.accept()[0]


class Unix(Driver):
    name = "unix"

    def ends(self) -> tuple[Any, Any]:
        return socket.socketpair()


class Portable(Unix):
    """A socket class of the user's own: everything goes through its methods."""

    name = "portable"

    def ends(self) -> tuple[Any, Any]:
        class Own(socket.socket):
            pass

        left, right = socket.socketpair()
        return Own(fileno=left.detach()), Own(fileno=right.detach())


class Pipes(Driver):
    name = "pipes"

    def ends(self) -> tuple[Any, Any]:
        there, back = os.pipe(), os.pipe()
        return (back[0], there[1]), (there[0], back[1])

    def connection(self, end: Any, framing: fw.Framing, **options: Any) -> Any:
        conn = fw.MessageSocket.from_pipes(*end, framing, **options)
        self.stack.callback(conn.abort)
        return conn

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        os.set_blocking(raw[1], True)

        def write(chunk: bytes | None) -> None:
            if chunk is None:
                os.close(raw[1])
                return
            while chunk:
                chunk = chunk[os.write(raw[1], chunk) :]

        self.stack.callback(os.close, raw[0])
        return write


class Selecting(Unix):
    """Calls that never wait, in one thread and one selectors loop."""

    name = "selecting"

    def exchange(
        self, framing: fw.Framing, messages: Sequence[bytes], way: str = "recv", many: bool = False
    ) -> list[bytes]:
        left, right = self.pair(framing)
        left.timeout = right.timeout = 0
        return list(self.loop(left, right, list(messages), way, many))

    def loop(self, left: Any, right: Any, messages: list[bytes], way: str, many: bool) -> Iterator[bytes]:
        room = bytearray(1 << 21)
        at, shut = 0, False
        with selectors.DefaultSelector() as selector:
            selector.register(left, selectors.EVENT_WRITE)
            selector.register(right, selectors.EVENT_READ)
            while True:
                try:
                    while at < len(messages):
                        at += left.send_many(messages[at : at + 50]) if many else left.send(messages[at]) or 1
                    if not shut:
                        left.shutdown_write()
                        shut = True
                except BlockingIOError:
                    pass
                try:
                    while True:
                        if way == "many":
                            yield from right.recv_many()
                        elif way == "into":
                            yield bytes(room[: right.recv_into(room)])
                        else:
                            yield right.recv()
                except BlockingIOError:
                    pass
                except fw.EndOfStream:
                    return
                if right.ready:
                    continue
                selector.modify(left, left.events | (0 if shut or left.unsent else selectors.EVENT_WRITE))
                selector.modify(right, right.events)
                found = selector.select(30)
                assert found, "neither end has anything to do, and not all has arrived"
                if any(key.fileobj is left and events & selectors.EVENT_READ for key, events in found):
                    with suppress(BlockingIOError):
                        left.recv()
                        raise AssertionError("nobody sent this end anything")


class Simulated(Driver):
    """A simulated stream under a random script: short reads and writes, EINTR, EAGAIN, silences. `seed` is in
    the test's name, so what fails can be repeated."""

    name = "simulated"

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def ends(self) -> tuple[Any, Any]:
        scripts = random_script(self.seed, calls=400), random_script(self.seed + 1, calls=400)
        return SimulatedStream.pair(scripts=scripts, capacity=Random(self.seed).choice((1, 100, 65536)))

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        return lambda chunk: raw.end() if chunk is None else raw._out.data.extend(chunk)

    def stream(self, incoming: Any, **options: Any) -> Any:
        """A stream on which `incoming` arrives, and the transport of a connection over it."""
        stream = SimulatedStream(incoming, **options)
        return stream, stream

    def received(self, stream: Any) -> bytes:
        """What the peer has received."""
        return bytes(stream.sent)

    def deliver(
        self, framing: fw.Framing, chunks: Sequence[bytes], way: str = "recv", **options: Any
    ) -> tuple[list[bytes], Exception | None]:
        _, end = self.stream([*chunks, None], script=random_script(self.seed, calls=400))
        return collect(self.connection(end, framing, **options), way)

    def exchange(
        self, framing: fw.Framing, messages: Sequence[bytes], way: str = "recv", many: bool = False
    ) -> list[bytes]:
        """Each direction on its own: what was sent is then what arrives, in pieces of every size."""
        chance = Random(self.seed)
        capacity = chance.choice((10, 1000, 65536))
        script = random_script(self.seed, calls=2000)
        stream, end = self.stream([None], script=script, capacity=capacity)
        conn = self.connection(end, framing)
        if many:
            assert conn.send_many(iter(messages)) == len(messages)
        else:
            for message in messages:
                conn.send(message)
        conn.close()
        wire = self.received(stream)
        chunks: list[bytes] = []
        at = 0
        while at < len(wire):
            size = chance.choice((1, 3, 50, 3000, 70_000))
            chunks.append(wire[at : at + size])
            at += size
        got, error = self.deliver(framing, chunks, way)
        assert error is None
        return got


class Served(Driver):
    """A server that sends every message back; what ended a connection comes through a pipe, as the server may
    be another process."""

    mode = ""

    def server(self, framing: fw.Framing, **options: Any) -> tuple[fw.Server, int]:
        reader, writer = os.pipe()
        self.stack.callback(os.close, reader)
        self.stack.callback(os.close, writer)

        def tell(conn: Any, error: BaseException) -> None:
            os.write(writer, pickle.dumps(error))

        workers = {"workers": 2} if self.mode == "processes" else {}
        server = fw.Server(
            lambda conn, message: message,
            "tcp://127.0.0.1:0",
            framing,
            mode=self.mode,
            on_close=tell,
            **workers,
            **options,
        )
        self.stack.enter_context(server)
        return server, reader

    def deliver(
        self, framing: fw.Framing, chunks: Sequence[bytes], way: str = "recv", **options: Any
    ) -> tuple[list[bytes], Exception | None]:
        server, reader = self.server(framing, **options)
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])), 30) as raw:
            back = run(lambda: b"".join(iter(lambda: raw.recv(65536), b"")))
            for chunk in chunks:
                raw.sendall(chunk)
            raw.shutdown(socket.SHUT_WR)
            got = framing.decoder().decode(back())
        error = pickle.loads(os.read(reader, 1 << 20))
        return got, None if isinstance(error, fw.EndOfStream) else error

    def exchange(
        self, framing: fw.Framing, messages: Sequence[bytes], way: str = "recv", many: bool = False
    ) -> list[bytes]:
        server, _ = self.server(framing)
        conn = fw.connect(server.address, framing)
        self.stack.callback(conn.abort)

        def send() -> None:
            if many:
                conn.send_many(iter(messages))
            else:
                for message in messages:
                    conn.send(message)
            conn.shutdown_write()

        sender = run(send)
        got, error = collect(conn, way)
        assert error is None
        sender()
        conn.close()
        return got


class Threads(Served):
    name = mode = "threads"


class Selector(Served):
    name = mode = "selector"


class AsyncioServed(Served):
    """The same by `aio.serve`, with a handler that is called."""

    name = "asyncio-called"
    awaited = False
    make_loop = staticmethod(asyncio.SelectorEventLoop)

    def server(self, framing: fw.Framing, **options: Any) -> tuple[Any, int]:
        reader, writer = os.pipe()
        self.stack.callback(os.close, reader)
        self.stack.callback(os.close, writer)
        thread = LoopThread(self.make_loop)
        self.stack.callback(thread.stop)

        def echo(conn: Any, message: Any) -> Any:
            return message

        async def awaited(conn: Any, message: Any) -> Any:
            return message

        def tell(conn: Any, error: BaseException) -> None:
            os.write(writer, pickle.dumps(error))

        handler = awaited if self.awaited else echo
        server = thread.call(fw.aio.serve, handler, "tcp://127.0.0.1:0", framing, on_close=tell, **options)
        self.stack.callback(thread.call, server.shutdown)
        return server, reader


class AsyncioAwaited(AsyncioServed):
    name = "asyncio-awaited"
    awaited = True


class UvloopServed(AsyncioServed):
    name = "uvloop-called"
    make_loop = staticmethod(uvloop_made)


class UvloopAwaited(UvloopServed):
    name = "uvloop-awaited"
    awaited = True


class Processes(Served):
    name = mode = "processes"


class Secure(Tcp):
    """TLS on both ends."""

    name = "tls"

    def ends(self) -> tuple[Any, Any]:
        left, right = super().ends()
        return secure.shaken(secure.client(left), secure.server(right))

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        def write(chunk: bytes | None) -> None:
            if chunk is None:
                raw.end()
            rest = memoryview(chunk or b"")
            while rest:
                try:
                    rest = rest[next(raw.sending([rest])) :]
                except BlockingIOError:
                    raw.wait(False, True, None)

        self.stack.callback(raw.close)
        return write


class SecureSelecting(Secure, Selecting):
    """TLS by calls that never wait; in `exchange` the handshake too."""

    name = "tls-selecting"

    def exchange(
        self, framing: fw.Framing, messages: Sequence[bytes], way: str = "recv", many: bool = False
    ) -> list[bytes]:
        left, right = Tcp.ends(self)
        ends = secure.client(left), secure.server(right)
        sender, receiver = (self.connection(end, framing) for end in ends)
        sender.timeout = receiver.timeout = 0
        return list(self.loop(sender, receiver, list(messages), way, many))


class HandedIn(Driver):
    """TLS by the standard library's sockets, which it hands in."""

    name = "tls-handed-in"

    def ends(self) -> tuple[Any, Any]:
        left, right = Tcp.ends(self)
        theirs = run(lambda: secure.server_context().wrap_socket(right, server_side=True))
        return secure.client_context().wrap_socket(left, server_hostname=secure.HOST), theirs()

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        write = super().writer(raw)

        def write_or_end(chunk: bytes | None) -> None:
            if chunk is None:
                raw.setblocking(False)
                with suppress(ssl.SSLWantReadError):  # for the other end's close_notify
                    raw.unwrap()
            else:
                write(chunk)

        return write_or_end


class SecureSimulated(Simulated):
    """TLS over a simulated stream under a random script."""

    name = "tls-simulated"

    def stream(self, incoming: Any, **options: Any) -> Any:
        side = ("server", "client")[self.seed % 2]
        stream = secure.SecureStream(incoming, side=side, **options)
        return stream, stream.secured(timeout=None)

    def ends(self) -> tuple[Any, Any]:
        return self.stream([], script=random_script(self.seed, calls=400))

    def received(self, stream: Any) -> bytes:
        stream._meet()
        assert stream.heard_end
        return bytes(stream.plain)

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        return lambda chunk: raw._events.insert(0, chunk)


class Awaited:
    """A MessageStream as who blocks sees it: every call runs in its loop, which another thread has."""

    def __init__(self, loop: LoopThread, conn: Any) -> None:
        self._loop, self._conn = loop, conn

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._conn, name)
        if name in ("framing", "send_framing", "timeout", "unsent", "ready", "state") or not callable(member):
            return member
        return lambda *args, **options: self._loop.call(member, *args, **options)

    @property
    def framing(self) -> Any:
        return self._conn.framing

    @framing.setter
    def framing(self, framing: fw.Framing) -> None:
        self._loop.call(setattr, self._conn, "framing", framing)

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                yield self.recv()
            except fw.EndOfStream:
                return

    def __enter__(self) -> Awaited:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LoopThread:
    """An event loop in a thread of its own, in debug mode; what it had to report is an error of the test."""

    def __init__(self, make: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.loop = make()
        self.loop.set_debug(True)
        self.loop.slow_callback_duration = 60
        self.reports: list[Any] = []
        self.loop.set_exception_handler(lambda loop, context: self.reports.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call `function` in the loop, and wait for what it returns or, if that is a coroutine, for that."""

        async def body() -> Any:
            result = function(*args, **options)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(body(), self.loop).result(60)

    def stop(self) -> None:
        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            assert not tasks, f"tasks are left: {tasks}"
            await asyncio.sleep(0)

        try:
            self.call(end)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(30)
            self.loop.close()
        gc.collect()
        assert not self.reports, self.reports


class Asyncio(Driver):
    """MessageStreams over TCP in a loop of asyncio."""

    name = "asyncio"
    sockets: type[Driver] = Tcp

    def __init__(self) -> None:
        super().__init__()
        self.loop = LoopThread(self.make_loop)
        self.stack.callback(self.loop.stop)

    make_loop = staticmethod(asyncio.SelectorEventLoop)

    def ends(self) -> tuple[Any, Any]:
        return self.sockets.ends(self)

    def connection(self, end: Any, framing: fw.Framing, **options: Any) -> Any:
        conn = Awaited(self.loop, self.loop.call(fw.aio.connect, end, framing, **options))
        self.stack.callback(conn.abort)
        return conn


class AsyncioUnix(Asyncio):
    name = "asyncio-unix"
    sockets = Unix


class AsyncioSecure(Asyncio):
    """TLS inside of the loop. The left end is the client; `writer` is a client who blocks."""

    name = "asyncio-tls"

    def ends(self) -> tuple[Any, Any]:
        left, right = Tcp.ends(self)
        return (left, False), (right, True)

    def connection(self, end: Any, framing: fw.Framing, **options: Any) -> Any:
        sock, server_side = end
        context = secure.server_context() if server_side else secure.client_context()
        how = {"server_side": server_side, "server_hostname": None if server_side else secure.HOST}

        async def begun() -> Any:
            stream = fw.aio.MessageStream(framing, **options)
            stream._begins = lambda: stream._secure(context, timeout=10, **how)
            await fw.aio.connect.__globals__["begin"](stream, sock)  # of this backend
            return stream

        conn = Awaited(self.loop, self.loop.call(begun))
        self.stack.callback(conn.abort)
        return conn

    def writer(self, raw: Any) -> Callable[[bytes | None], None]:
        return Secure.writer(self, secure.client(raw[0]))  # type: ignore[arg-type]


class Uvloop(Asyncio):
    name = "uvloop"
    make_loop = staticmethod(uvloop_made)


class UvloopUnix(Uvloop):
    name = "uvloop-unix"
    sockets = Unix


class UvloopSecure(AsyncioSecure):
    name = "uvloop-tls"
    make_loop = staticmethod(uvloop_made)


DRIVERS: list[Callable[[], Driver]] = [
    *(Tcp, Unix, Portable, Pipes, Selecting, Simulated),
    *(Secure, SecureSelecting, SecureSimulated, HandedIn),
    *(Asyncio, AsyncioUnix, AsyncioSecure),
]
if importlib.util.find_spec("uvloop"):
    DRIVERS += [Uvloop, UvloopUnix, UvloopSecure]
SERVED: list[Callable[[], Driver]] = [Threads, Selector, AsyncioServed, AsyncioAwaited]
if importlib.util.find_spec("uvloop"):
    SERVED += [UvloopServed, UvloopAwaited]
# A process that has threads cannot be forked under the sanitizers: their allocator has locks.
if hasattr(os, "fork") and not SANITIZED:
    SERVED.append(Processes)
