"""Messages between two processes: ours against the C floor (live.c) and against rivals.

One way, the receiver has one CPU and the sender the other; what is timed is the wall time from the first
bytes to the last message, at the receiver. A conversation has both ends on one CPU, which is the length of
the path and not that of waking an idle CPU. Over TCP the congestion control is reno (cubic where that is
missing), as the default of some hosts paces even loopback. The other end is a forked child.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from time import perf_counter
from typing import Any

import framewire as fw
from framewire import _backend

from . import floor
from .paired import Side
from .rivals import Received

__all__ = [
    "CONTROL",
    "CPUS",
    "against",
    "beside_a_thread",
    "conversation",
    "cork",
    "each",
    "large",
    "one_way",
    "secure",
]

U32 = fw.LengthPrefixed(fw.u32, max_frame=1 << 27)
ROOM = 1 << 28  # the most that a round moves, in bytes
# Asked before anything pins this process.
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
Send = Callable[[socket.socket, bytes, int], Any]
Receive = Callable[[socket.socket, int, bool], Received]
Other = Callable[[socket.socket], object]


def _control() -> str:
    option = getattr(socket, "TCP_CONGESTION", None)
    with socket.socket() as probe:
        for name in ("reno", "cubic"):
            try:
                probe.setsockopt(socket.IPPROTO_TCP, option, name.encode())  # type: ignore[arg-type]
                return name
            except (OSError, TypeError):
                pass
    return "the system's own"


CONTROL = _control()


def ends(kind: str) -> tuple[socket.socket, socket.socket]:
    """Two connected plain sockets."""
    if kind == "unix":
        return socket.socketpair()
    with socket.socket() as server:
        _use_control(server)  # and so what it accepts
        server.bind(("127.0.0.1", 0))
        server.listen()
        left = socket.socket()
        _use_control(left)
        left.connect(server.getsockname())
        right = server.accept()[0]
    for sock in (left, right):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return left, right


def _use_control(sock: socket.socket) -> None:
    if CONTROL in ("reno", "cubic"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONTROL.encode())


@contextmanager
def peer(cpu: int, action: Callable[[], object]) -> Iterator[None]:
    """Run `action` in a child process on one CPU, which ends with the block, by force after an error."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends us
            os.sched_setaffinity(0, {cpu})
            action()
            status = 0
        except BaseException as error:  # noqa: BLE001
            print(f"bench: the other end failed: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    try:
        yield
        # Until it has gone, nothing is reaped: its pid cannot be another's.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"the other end failed: wait status {status}")


def run(kind: str, cpu: int, other: Other, mine: Callable[[socket.socket], Received]) -> Received:
    """What `mine` returns of one end of a connection, while `other` has the other end, on that CPU."""
    left, right = ends(kind)

    def action() -> None:
        right.close()
        other(left)

    with left, right, peer(cpu, action):
        left.close()
        result = mine(right)
        right.close()
    return result


def _body(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def _side(kind: str, send: Send, receive: Receive, size: int, unit: int) -> Side:
    body = _body(size)
    most = max(1, ROOM // (unit * size))

    def moved(count: int, check: bool) -> Received:
        return run(
            kind,
            CPUS[0],
            lambda sock: send(sock, body, count),
            lambda sock: receive(sock, count, check),
        )

    def time(repeats: int) -> float:
        counts = [min(most, repeats - start) for start in range(0, repeats, most)]
        return sum(moved(unit * count, False)[0] for count in counts)

    def proof() -> object:
        return moved(max(2, min(unit, (1 << 20) // size)), True)[1:]

    return Side(time, proof)


# --- ours --------------------------------------------------------------------------------------------------


def native() -> None:
    """ImportError unless the native channel is what runs, on CPUs that we choose."""
    if _backend.name != "native":
        raise ImportError("needs the compiled extension")
    if not CPUS:
        raise ImportError("needs a system that can keep a process on one CPU")


def _conn(sock: socket.socket) -> Any:
    return fw.MessageSocket(sock, U32)


def ours_many(sock: socket.socket, body: bytes, count: int) -> None:
    conn, batch = _conn(sock), [body] * min(count, 4096)
    while count:
        count -= conn.send_many(batch[:count] if count < len(batch) else batch)
    conn.close(60)


def ours_each(sock: socket.socket, body: bytes, count: int) -> None:
    conn = _conn(sock)
    send = conn.send
    for _ in range(count):
        send(body)
    conn.close(60)


def ours_corked(sock: socket.socket, body: bytes, count: int) -> None:
    conn = _conn(sock)
    send = conn.send
    with conn.cork():
        for _ in range(count):
            send(body)
    conn.close(60)


def _started(conn: Any) -> float:
    """The time when the first bytes are there, which is where C's clock starts, too."""
    if not conn.ready:  # TLS may have read ahead in its handshake
        select.select([conn], [], [])
    return perf_counter()


def ours_receive_many(sock: socket.socket, count: int, check: bool) -> Received:
    conn = _conn(sock)
    recv_many = conn.recv_many
    got = total = 0
    start = _started(conn)
    while got < count:
        messages = recv_many()
        got += len(messages)
        if check:
            total += sum(map(sum, messages))
    return _done(conn, perf_counter() - start, got, total)


def ours_receive(sock: socket.socket, count: int, check: bool) -> Received:
    conn = _conn(sock)
    recv = conn.recv
    total = 0
    start = _started(conn)
    for _ in range(count):
        message = recv()
        if check:
            total += sum(message)
    return _done(conn, perf_counter() - start, count, total)


def ours_receive_into(sock: socket.socket, count: int, check: bool, room: bytearray) -> Received:
    conn = _conn(sock)
    total = 0
    start = _started(conn)
    for _ in range(count):
        size = conn.recv_into(room)
        if check:
            total += sum(memoryview(room)[:size])
    return _done(conn, perf_counter() - start, count, total)


def _done(conn: Any, seconds: float, got: int, total: int) -> Received:
    size = conn.stats().bytes_in - 4 * got
    conn.close(timeout=0)
    return seconds, got, size, total


# --- sides and pairs ---------------------------------------------------------------------------------------


def c_batch(sock: socket.socket, body: bytes, count: int) -> None:
    floor.module("live").send_batch(sock.fileno(), body, count)
    _wait_for_end(sock)


def c_each(sock: socket.socket, body: bytes, count: int) -> None:
    floor.module("live").send_each(sock.fileno(), body, count)
    _wait_for_end(sock)


def _wait_for_end(sock: socket.socket) -> None:
    """Closing with the peer still reading is fine; ending the process first is not always."""
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(65536):
        pass


def c_receive(sock: socket.socket, count: int, check: bool) -> Received:
    return floor.module("live").receive(sock.fileno(), count, check)  # type: ignore[no-any-return]


def _unit(size: int, stream: int) -> int:
    return max(1, min(20_000, stream // (4 * size)))


Made = Callable[[int], tuple[Side, Side]]
"""Both sides of a case, given about how many bytes a round should move at least."""


def one_way(kind: str, size: int) -> Made:
    """Batches against C with one malloc a frame; `recv` from 64 KiB on."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        floor.module("live")
        receive = ours_receive_many if size < 65536 else ours_receive
        send = ours_many if size < 65536 else ours_each
        unit = _unit(size, stream)
        return _side(kind, send, receive, size, unit), _side(kind, c_batch, c_receive, size, unit)

    return make


def large(size: int) -> Made:
    """One message of many MiB at a time into a kept buffer, ours and C's."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        size_now = min(size, 16 * stream)
        room = bytearray(size_now)

        def ours(sock: socket.socket, count: int, check: bool) -> Received:
            return ours_receive_into(sock, count, check, room)

        def theirs(sock: socket.socket, count: int, check: bool) -> Received:
            return floor.module("live").reuse(sock.fileno(), room, count, check)  # type: ignore[no-any-return]

        floor.module("live")
        return (
            _side("tcp", ours_each, ours, size_now, 1),
            _side("tcp", c_batch, theirs, size_now, 1),
        )

    return make


def each(kind: str) -> Made:
    """One message of 64 bytes a call, ours and C's."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        floor.module("live")
        unit = _unit(64, stream) // 5 or 1
        return (
            _side(kind, ours_each, ours_receive, 64, unit),
            _side(kind, c_each, c_receive, 64, unit),
        )

    return make


def cork() -> Made:
    """One call a message inside cork(), against C that sends each at once."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        floor.module("live")
        unit = _unit(64, stream)
        return (
            _side("tcp", ours_corked, ours_receive_many, 64, unit),
            _side("tcp", c_each, c_receive, 64, unit),
        )

    return make


def against(rival: str) -> Made:
    """64 bytes over TCP in batches against the file `rival`."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        module = import_module(f"{__package__}.rivals.{rival}")
        unit = _unit(64, stream)
        return (
            _side("tcp", ours_many, ours_receive_many, 64, unit),
            _side("tcp", module.send, module.receive, 64, unit),
        )

    return make


def secure(size: int, each_alone: bool = False) -> Made:
    """Over TLS, in batches or a call a message, against asyncio's streams."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        rival = import_module(f"{__package__}.rivals.asyncio_tls")
        client, server = rival.contexts()

        def ours_send(sock: socket.socket, body: bytes, count: int) -> None:
            conn = fw.connect(sock, U32, tls=client, server_hostname=rival.NAME)
            if each_alone:
                for _ in range(count):
                    conn.send(body)
            else:
                conn.send_many(body for _ in range(count))
            conn.close(60)

        def ours_receive(sock: socket.socket, count: int, check: bool) -> Received:
            conn = _conn(sock)
            conn.start_tls(server, server_side=True)
            got = total = 0
            start = _started(conn)
            while got < count:
                messages = conn.recv_many()
                got += len(messages)
                if check:
                    total += sum(map(sum, messages))
            return _done(conn, perf_counter() - start, got, total)

        unit = _unit(size, stream) // 5 or 1
        return (
            _side("tcp", ours_send, ours_receive, size, unit),
            _side("tcp", rival.send_each if each_alone else rival.send, rival.receive, size, unit),
        )

    return make


# --- a conversation ----------------------------------------------------------------------------------------


def ours_ping(sock: socket.socket, body: bytes, count: int, check: bool) -> Received:
    conn = _conn(sock)
    request = conn.request
    total = 0
    start = perf_counter()
    for _ in range(count):
        reply = request(body)
        if check:
            total += sum(reply)
    return _done(conn, perf_counter() - start, count, total)


def ours_echo(sock: socket.socket, size: int, count: int) -> None:
    conn = _conn(sock)
    for _ in range(count):
        conn.send(conn.recv())
    conn.close(60)


def c_ping(sock: socket.socket, body: bytes, count: int, check: bool) -> Received:
    return floor.module("live").ping(sock.fileno(), body, count, check)  # type: ignore[no-any-return]


def c_echo(sock: socket.socket, size: int, count: int) -> None:
    floor.module("live").echo(sock.fileno(), size, count)


def conversation(kind: str, rival: str = "") -> Made:
    """64 bytes there and back, both ends on one CPU, against C or the file `rival`."""

    def make(stream: int) -> tuple[Side, Side]:
        native()
        unit = max(10, min(500, stream // 4096))
        body = _body(64)

        def side(ping: Callable[..., Received], echo: Callable[..., object]) -> Side:
            def spoken(count: int, check: bool) -> Received:
                return run(
                    kind,
                    CPUS[-1],
                    lambda sock: echo(sock, len(body), count),
                    lambda sock: ping(sock, body, count, check),
                )

            return Side(lambda repeats: spoken(unit * repeats, False)[0], lambda: spoken(unit, True)[1:])

        if rival:
            module = import_module(f"{__package__}.rivals.{rival}")
            return side(ours_ping, ours_echo), side(module.ping, module.echo)
        floor.module("live")
        return side(ours_ping, ours_echo), side(c_ping, c_echo)

    return make


# --- beside a busy thread ----------------------------------------------------------------------------------


class Own(socket.socket):
    """A socket class of one's own, so that everything takes the portable path."""


def beside_a_thread() -> Made:
    """Batches of 1 KiB messages in a process whose other thread never rests, native and portable."""

    def busy(receive: Receive) -> Receive:
        def received(sock: socket.socket, count: int, check: bool) -> Received:
            stop = False

            def spin() -> None:
                number = 0
                while not stop:
                    number += 1

            thread = threading.Thread(target=spin, daemon=True)
            thread.start()
            try:
                return receive(sock, count, check)
            finally:
                stop = True
                thread.join()

        return received

    def portable(sock: socket.socket, count: int, check: bool) -> Received:
        return ours_receive_many(Own(fileno=os.dup(sock.fileno())), count, check)

    def make(stream: int) -> tuple[Side, Side]:
        native()
        unit = _unit(1024, stream)
        return (
            _side("tcp", ours_many, busy(ours_receive_many), 1024, unit),
            _side("tcp", ours_many, busy(portable), 1024, unit),
        )

    return make
