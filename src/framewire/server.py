"""Servers: one handler, four ways to run it.

`Server` binds the address, starts what runs and ends it: one of the loops of _loops.py, in this process or
in several (`_Processes`), or the one of `framewire.aio`. `Service` is what the loops ask: how a connection
begins, what its end means, what is counted.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import threading
from time import monotonic

from . import _address
from ._loops import LINGER, Selector, Threads
from ._service import ServerStats, Service
from .sockets import MessageSocket, listen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, NoReturn

    from typing_extensions import Self

    from ._loops import Handler
    from .framings import Framing
    from .sockets import Address

__all__ = ["Server", "ServerStats", "serve"]

MODES = ("threads", "processes", "selector", "asyncio")


# --- processes -----------------------------------------------------------------------------------------


class _Processes:
    """Workers, each with a selector loop, under a supervisor: a process of its own, which has no threads.

    Each holds the reading end of a pipe from the one above: a number there is the grace in which to drain,
    and its end, when the one above has died, is as good.
    """

    SLOT = 8 * len(ServerStats._fields)

    def __init__(
        self, service: Service, address: str, backlog: int, workers: int, listener: socket.socket | None
    ) -> None:
        import mmap

        self.service, self.workers = service, workers
        self._address, self._backlog = address, backlog
        self._listener = listener  # None: each worker makes its own
        self._shared = mmap.mmap(-1, self.SLOT * workers)
        self._orders, self._control = os.pipe()
        self._ready, self._is_ready = os.pipe()
        self._up = threading.Event()
        self.stop_at: float | None = None

    def run(self) -> None:
        pid = os.fork()
        if pid == 0:
            os.close(self._control)
            _in_child(_Supervisor(self, self._orders).run)
        os.close(self._orders)
        os.close(self._is_ready)
        for _ in range(self.workers):
            if not os.read(self._ready, 1):
                break
        else:
            self.service.on_listening()
        self._up.set()
        os.waitpid(pid, 0)
        os.close(self._control)
        os.close(self._ready)
        self._control = -1

    def wait_ready(self) -> None:
        """Until every worker listens, or the supervisor has ended."""
        self._up.wait()

    def runs_here(self) -> bool:
        return False

    def stop(self, grace: float) -> None:
        self.stop_at = monotonic() + grace
        if self._control >= 0:
            _give_order(self._control, grace)

    def stats(self) -> ServerStats:
        view = memoryview(self._shared).cast("Q")
        fields = len(ServerStats._fields)
        return ServerStats(*(sum(view[field::fields]) for field in range(fields)))

    def slot(self, number: int) -> memoryview:
        """What worker `number` has counted."""
        return memoryview(self._shared)[number * self.SLOT : (number + 1) * self.SLOT].cast("Q")

    def work(self, number: int, orders: int, first: bool) -> None:
        """The life of a worker."""
        listener = self._listener or _address.bind(self._address, self._backlog, shared=True)[0]
        listener.setblocking(False)
        loop = Selector(self.service, listener)
        slot = self.slot(number)
        before = [*slot]

        def obey() -> None:
            while (grace := _order(orders)) is not None:
                loop.stop(grace)
            loop.stop(LINGER)

        def count() -> None:
            for field, value in enumerate(self.service.stats(loop.live())):
                slot[field] = value if field == 0 else before[field] + value

        loop.on_tick = count
        signal.signal(signal.SIGTERM, lambda *_: loop.stop(LINGER))
        threading.Thread(target=obey, daemon=True).start()
        if first:
            os.write(self._is_ready, b".")
        os.close(self._is_ready)
        loop.run()
        count()


class _Supervisor:
    """Keeps the workers running: a successor follows the dead, sooner if he had lived well."""

    FIRST_PAUSE, LONGEST_PAUSE, GOOD_LIFE = 0.1, 5.0, 10.0

    def __init__(self, above: _Processes, orders: int) -> None:
        self._above, self._orders = above, orders
        self._running: dict[int, tuple[int, int, float]] = {}  # pid: number, control pipe, when it began
        self._due = dict.fromkeys(range(above.workers), 0.0)  # number: when it shall begin
        self._pauses = dict.fromkeys(self._due, 0.0)
        self._stop_at: float | None = None

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us hears it, too
        signal.signal(signal.SIGTERM, lambda *_: self._stop(LINGER))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        while self._stop_at is None or self._running:
            self._start_due()
            if self._stop_at is not None and monotonic() >= self._stop_at:
                for pid in self._running:
                    os.kill(pid, signal.SIGKILL)
            self._sleep()
            self._bury()

    def _start_due(self) -> None:
        for number in [number for number, at in self._due.items() if at <= monotonic()]:
            if self._stop_at is not None:
                return
            del self._due[number]
            orders, control = os.pipe()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for fd in (control, self._orders, *(control for _, control, _ in self._running.values())):
                    os.close(fd)
                _in_child(self._above.work, number, orders, self._pauses[number] == 0)
            os.close(orders)
            self._running[pid] = number, control, monotonic()

    def _sleep(self) -> None:
        """Until a worker has died, an order has come, or something is due."""
        dates = [*self._due.values()] if self._stop_at is None else [self._stop_at]
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if self._orders >= 0:
            poll.register(self._orders, select.POLLIN)
        pause = max(0.001, min(dates) - monotonic()) if dates else None
        ready = [fd for fd, _ in poll.poll(None if pause is None else pause * 1000)]
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._orders in ready:
            grace = _order(self._orders)
            self._stop(LINGER if grace is None else grace)
            if grace is None:
                self._orders = -1

    def _stop(self, grace: float) -> None:
        stop_at = monotonic() + grace + 2  # they end in time, or are ended
        self._stop_at = stop_at if self._stop_at is None else min(self._stop_at, stop_at)
        for _, control, _ in self._running.values():
            _give_order(control, grace)

    def _bury(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number, control, began = self._running.pop(pid)
            os.close(control)
            self._above.slot(number)[0] = 0  # nothing is open there
            if self._stop_at is None:
                good = monotonic() - began > self.GOOD_LIFE
                pause = self.FIRST_PAUSE if good else min(2 * self._pauses[number], self.LONGEST_PAUSE)
                self._pauses[number] = max(self.FIRST_PAUSE, pause)
                self._due[number] = monotonic() + self._pauses[number]
                end = os.waitstatus_to_exitcode(status)
                how = f"signal {-end}" if end < 0 else f"exit {end}"
                text = "worker %d (pid %d) ended by %s; a new one begins in %g s"
                self._above.service.log("error", text, number, pid, how, self._pauses[number])


def _give_order(control: int, grace: float) -> None:
    try:
        os.write(control, struct.pack("d", grace))
    except OSError:
        pass  # nobody is there any more


def _order(orders: int) -> float | None:
    """The grace that the one above gives; None if he has died."""
    order = os.read(orders, 8)
    return struct.unpack("d", order)[0] if order else None


def _in_child(work: Callable[..., None], *arguments: Any) -> NoReturn:
    """The whole life of a forked process."""
    status = 1
    try:
        work(*arguments)
        status = 0
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


# --- the server ----------------------------------------------------------------------------------------


class Server:
    """Serves every connection to `address` by calling `handler(conn, message)` for each message.

    What the handler returns is the reply: None for none, a generator for one reply an item, anything else is
    exactly one message. It may send more by `conn.send`, keep what is its own in `conn.state`, switch
    `conn.framing`, and close. Messages of a connection are handled in order, and replies go in that order;
    those to messages that arrived together are sent together. What it raises is logged, and ends its
    connection only.

    `mode`: "threads", a thread each connection, where a handler may wait, and in which it may also receive;
    "selector", one thread for all, where a handler must not wait (`conn.timeout` is 0, so that recv raises
    BlockingIOError); "processes", `workers` (one each CPU) of the selector kind, forked off from a supervisor
    process and started again when they die; start it before threads of your own; "asyncio", an event loop,
    `loop`'s ("asyncio", "uvloop", or a function that makes one), where the handler may be an `async def` as
    `aio.serve` has it, and a plain one gets a connection of `aio` and must not wait. `on_connect(conn)` is
    called before a connection's first message, `on_close(conn, error)` after its last, with what ended it
    (EndOfStream, usually); both as handlers are.

    At most `max_connections` are open; more wait in the system's queue of `backlog`. `max_buffered` bytes of
    unfinished messages may be held in all, else the connection with the most is ended; asked 4 times a
    second. `proxy_protocol=True`: every connection begins with a PROXY header, version 1 or 2 (HAProxy),
    which gives it its `peer_address`; it must come within `frame_timeout`, as every message must (10 s);
    TLS, if any, begins behind it.
    Other `options` are those of `MessageSocket` and of `listen`: `tls=`, `handshake_timeout=`.

    It listens from the constructor on, at `address`; nothing is accepted before it runs: as a context manager
    in the background, or in `serve_forever()`. DeclarationError, ValueError and TypeError for what cannot be,
    OSError if it cannot listen.

    >>> import framewire as fw
    >>> def shout(conn, message):
    ...     return message.upper()
    >>> with fw.Server(shout, "tcp://127.0.0.1:0", fw.Lines()) as server:
    ...     with fw.connect(server.address, fw.Lines()) as conn:
    ...         conn.request(b"hello")
    b'HELLO'
    """

    def __init__(
        self,
        handler: Handler,
        address: Address,
        framing: Framing,
        send_framing: Framing | None = None,
        *,
        mode: str = "threads",
        workers: int | None = None,
        loop: str | Callable[[], Any] | None = None,
        max_connections: int = 10_000,
        max_buffered: int | None = None,
        proxy_protocol: bool = False,
        backlog: int = 4096,
        on_connect: Callable[[MessageSocket[Any]], Any] | None = None,
        on_close: Callable[[MessageSocket[Any], BaseException], Any] | None = None,
        frame_timeout: float | None = 10.0,
        **options: Any,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}: choose one of {', '.join(MODES)}")
        if not callable(handler):
            raise TypeError(f"handler must be callable with (conn, message), not {type(handler).__name__}")
        for name, value in (("workers", workers), ("max_connections", max_connections), ("backlog", backlog)):
            if value is not None and value < 1:
                raise ValueError(f"{name}={value!r} must be at least 1")
        if max_buffered is not None and max_buffered < 1:
            raise ValueError(f"max_buffered={max_buffered!r} must be None or at least 1 byte")
        if mode == "processes" and not hasattr(os, "fork"):
            raise ValueError(
                "mode='processes' needs fork, which this platform has not: choose threads or selector"
            )
        if workers is not None and mode != "processes":
            raise ValueError(f"workers={workers!r} goes with mode='processes'")
        if loop is not None and mode != "asyncio":
            raise ValueError(f"loop={loop!r} goes with mode='asyncio'")
        if mode != "asyncio" and _is_awaited(handler):
            raise TypeError("handler is to be awaited (async def): that goes with mode='asyncio'")
        if mode == "asyncio":
            from .aio.engine import maker_of

            self._make_loop = maker_of(loop)
        options["frame_timeout"] = frame_timeout
        self._framing, self._mode = framing, mode
        self._backlog, self._workers = backlog, workers or len(_cpus())
        self._engine: Any = None
        self._done = threading.Event()
        self._done.set()
        self._thread: threading.Thread | None = None
        self._held: socket.socket | None = None
        self._listener = listen(
            address, framing, send_framing, _bind=(backlog, mode == "processes"), **options
        )
        self._listener._proxied = proxy_protocol
        try:
            if mode == "processes" and self._listener._sock.family != getattr(socket, "AF_UNIX", None):
                self._hold_port()
        except BaseException:
            self._listener.close()
            raise
        self._service = Service(
            handler,
            self._listener,
            max_connections,
            max_buffered,
            on_connect,
            on_close,
        )

    def _hold_port(self) -> None:
        """Keep the port, but do not listen: connections would wait here where nobody accepts them."""
        sock = self._listener._sock
        self._held = socket.socket(sock.family, sock.type)
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            v6only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            self._held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        self._held.bind(sock.getsockname())
        self._listener.close()

    @property
    def address(self) -> str:
        """Where it listens, with the real port; `connect` understands it."""
        return self._listener.address

    # --- running ---------------------------------------------------------------------------------------

    def serve_forever(self) -> None:
        """Serve in this thread until `shutdown`, SIGTERM or SIGINT.

        In the main thread these two signals drain for 5 s, and a second one ends at once; other handlers are
        put back afterwards. RuntimeError if it runs already, or ran.
        """
        self._begin()
        caught: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                caught[number] = signal.signal(number, self._on_signal)
        try:
            self._run()
        finally:
            for number, before in caught.items():
                signal.signal(number, before)

    def __enter__(self) -> Self:
        self._begin()
        self._thread = threading.Thread(target=self._run, name="framewire-server", daemon=True)
        self._thread.start()
        if isinstance(self._engine, _Processes):
            self._engine.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(LINGER if kind is None else 0)

    def shutdown(self, grace: float = LINGER) -> None:
        """Stop: accept nothing more, serve what has come for at most `grace` seconds, then close all.

        It waits for the end, unless a handler calls it. Safe from any thread;
        calling it again shortens the grace. A server that never ran just stops listening.
        """
        if not grace >= 0:
            raise ValueError(f"grace={grace!r} must be 0 or more seconds")
        engine = self._engine
        if engine is None:
            self._unbind()
            return
        engine.stop(grace)
        if threading.current_thread() is not self._thread and not engine.runs_here():
            self._done.wait(grace + 10)

    def stats(self) -> ServerStats:
        """The counters so far, over all connections. Safe from any thread.

        With processes they are as old as 0.25 s.
        """
        if isinstance(self._engine, _Processes):
            return self._engine.stats()
        return self._service.stats([] if self._engine is None else self._engine.live())

    def __repr__(self) -> str:
        state = "running" if not self._done.is_set() else "ready" if self._engine is None else "ended"
        connections = f"{self.stats().connections} connections"
        return f"<framewire.Server {self.address} {self._framing} {self._mode} {state}, {connections}>"

    def _begin(self) -> None:
        if self._engine is not None:
            raise RuntimeError("a Server runs once: make another one")
        self._done.clear()
        if self._mode == "processes":
            inherited = None if self._held is not None else self._listener._sock
            self._engine = _Processes(self._service, self.address, self._backlog, self._workers, inherited)
            return
        if self._mode == "asyncio":
            from .aio.engine import Engine

            self._engine = Engine(self._service, self._listener, self._make_loop)
            return
        loop = Selector if self._mode == "selector" else Threads
        self._engine = loop(self._service, self._listener._sock.dup())
        self._engine._listener.setblocking(False)

    def _run(self) -> None:
        try:
            self._engine.run()
        finally:
            self._unbind()
            self._done.set()

    def _unbind(self) -> None:
        self._listener.close()
        if self._held is not None:
            self._held.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._engine.stop(LINGER if self._engine.stop_at is None else 0)


def _is_awaited(handler: object) -> bool:
    """Whether it is an `async def`, a generator or not; `inspect` would say so too, but importing it takes
    longer."""
    code = getattr(handler, "__code__", None) or getattr(getattr(handler, "__func__", None), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & 0x280)  # CO_COROUTINE, CO_ASYNC_GENERATOR


def _cpus() -> set[int] | range:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def serve(
    handler: Handler, address: Address, framing: Framing, send_framing: Framing | None = None, **options: Any
) -> None:
    """Run a `Server` with these arguments in the foreground, until SIGTERM or SIGINT.

    Raises as `Server` does. In a thread other than the main one it cannot hear signals.

    >>> import framewire as fw
    >>> fw.serve(lambda conn, message: message, "tcp://127.0.0.1:0", fw.Lines(), mode="fibers")
    Traceback (most recent call last):
    ValueError: mode='fibers': choose one of threads, processes, selector, asyncio
    """
    Server(handler, address, framing, send_framing, **options).serve_forever()
