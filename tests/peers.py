"""Real peers for the fault tests: sockets, child processes that do as they are told, and ways to wait."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import framewire as fw

U32 = fw.LengthPrefixed(fw.u32)
PATIENCE = 30.0  # seconds; nothing that works comes near it


class Running:
    """`function` in a thread of its own; `result()` joins it, and raises what it raised."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.ended = 0.0
        self.thread = threading.Thread(target=self._body, args=(function, args), daemon=True)
        self.thread.start()

    def _body(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self.value = function(*args)
        except BaseException as error:
            self.error = error
        self.ended = time.monotonic()

    def result(self) -> Any:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "a thread of the test hangs"
        if self.error is not None:
            raise self.error
        return self.value


def sockets(kind: str) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets."""
    if kind == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as server:
        left = socket.create_connection(server.getsockname())
        right = server.accept()[0]
    for sock in (left, right):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return left, right


def reset(raw: socket.socket) -> None:
    """Close so that a TCP peer gets RST; a Unix peer does if what it sent is unread."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def python(code: str, *args: object, fds: tuple[int, ...] = (), **options: Any) -> subprocess.Popen[bytes]:
    """A bare Python that runs `code`."""
    argv = [sys.executable, "-I", "-S", "-c", code, *map(str, args)]
    return subprocess.Popen(argv, pass_fds=fds, stdin=subprocess.DEVNULL, **options)


class Ends:
    """Makes connections and their peers over one kind of socket, and ends what is left of them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.stack = ExitStack()

    def keep(self, conn: fw.MessageSocket[Any]) -> fw.MessageSocket[Any]:
        self.stack.callback(conn.abort)
        return conn

    def half(self, framing: fw.Framing = U32, **options: Any) -> tuple[socket.socket, fw.MessageSocket[Any]]:
        """A plain socket, and the connection at its other end."""
        raw, sock = sockets(self.kind)
        self.stack.callback(raw.close)
        return raw, self.keep(fw.MessageSocket(sock, framing, **options))

    def peer(
        self, code: str, framing: fw.Framing = U32, **options: Any
    ) -> tuple[subprocess.Popen[bytes], fw.MessageSocket[Any]]:
        """A process that runs `code` with `sock`, and the connection to it; it says "x" when it begins."""
        raw, conn = self.half(framing, **options)
        prelude = f"import os, socket, sys, time; sock = socket.socket(fileno={raw.fileno()}); "
        process = python(f"{prelude}sock.sendall(b'\\0\\0\\0\\1x')\n{code}", fds=(raw.fileno(),))
        self.stack.callback(end, process)
        raw.close()
        assert conn.recv(timeout=PATIENCE) == b"x"
        return process, conn


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGSTOP, and wait until it has stopped."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def polled(conn: fw.MessageSocket[Any], call: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """`call`, whose timeout is 0, as a program with a loop of its own makes it; Timeout after `seconds`.

    It looks every 20 ms, so that the connection's own timeouts are judged."""
    late = time.monotonic() + seconds
    while True:
        try:
            return call()
        except BlockingIOError:
            pass
        if time.monotonic() >= late:
            raise fw.Timeout(f"the loop gave up after {seconds} s")
        poller = select.poll()
        events = conn.events
        poller.register(conn.fileno(), (events & 1 and select.POLLIN) | (events & 2 and select.POLLOUT))
        poller.poll(20)


class Way:
    """How a program uses a connection: calls that block, or calls that never do in a loop of its own."""

    def __init__(self, name: str) -> None:
        self.blocking = name == "blocking"

    def recv(self, conn: fw.MessageSocket[Any], seconds: float = PATIENCE) -> Any:
        if self.blocking:
            return conn.recv(timeout=seconds)
        return polled(conn, lambda: conn.recv(timeout=0), seconds)

    def send(self, conn: fw.MessageSocket[Any], message: Any, seconds: float = PATIENCE) -> None:
        if self.blocking:
            return conn.send(message, timeout=seconds)
        polled(conn, lambda: conn.send(message, timeout=0), seconds)

    def flush(self, conn: fw.MessageSocket[Any], seconds: float = PATIENCE) -> None:
        if self.blocking:
            return conn.flush(timeout=seconds)
        polled(conn, lambda: conn.flush(timeout=0), seconds)


def forked(function: Callable[[], Any]) -> Callable[[], str]:
    """`function` in a forked child; the result waits for it and tells what came of it."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of ours are there: that is the test
        pid = os.fork()
    if pid == 0:
        text = "nothing"
        try:
            signal.alarm(10)
            text = repr(function())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, text.encode())
            os._exit(0)
    os.close(writer)

    def result() -> str:
        with open(reader, "rb") as file:
            text = file.read().decode()
        status = os.waitpid(pid, 0)[1]
        return text or f"ended with status {status}"

    return result


def in_child(function: Callable[[], Any]) -> str:
    return forked(function)()
