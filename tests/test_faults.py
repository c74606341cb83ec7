"""The fault matrix: what happens to a connection when something goes wrong, over real sockets and peers.

`MATRIX` lists every fault, and for each column the tests that show it or why it cannot happen there. Every
test runs over both backends; those of this file over TCP and Unix sockets, most of them with calls that block
and with calls that never do. Dead peers in network namespaces are in test_dead_peers.py.
"""

from __future__ import annotations

import ast
import errno
import gc
import importlib.util
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from alarms import Alarms
from peers import PATIENCE, U32, Ends, Running, Way, forked, in_child, polled, reset, sockets, stop

import framewire as fw
from framewire import _backend

NO_NET = "cannot happen: a Unix socket has no network to lose; its kernel ends it with the process"
LATER = "of the servers: accept, fairness among connections and TLS are tested with them"
ONE_THREAD = "cannot happen: a loop has one thread, and no call of it waits"
CLOCK = "test_no_deadline_reads_a_clock_that_can_be_set"

# fault: (blocking, non-blocking with poll, over Unix sockets); the tests, or why there is none.
MATRIX: dict[str, tuple[str, str, str]] = {
    "peer FIN at boundary": ("test_the_end_at_a_boundary",) * 3,
    "peer FIN mid-frame": ("test_the_end_inside_a_message",) * 3,
    "peer RST at boundary / mid": ("test_a_reset",) * 3,
    "send after peer closed": ("test_send_after_the_peer_has_closed test_sigpipe_does_not_kill",) * 3,
    "blackhole idle": ("test_black_hole_idle", "test_black_hole_idle", NO_NET),
    "blackhole with unacked data": ("test_black_hole_with_data", "test_black_hole_with_data", NO_NET),
    "peer SIGSTOP, we send": ("test_a_stopped_reader test_a_stopped_reader_is_lost",) * 2
    + ("test_a_stopped_reader",),
    "peer SIGSTOP, we recv": ("test_a_stopped_peer_is_idle test_a_stopped_idle_peer_is_lost",) * 3,
    "peer SIGKILL": ("test_a_killed_peer",) * 3,
    "slow drip in a frame": ("test_a_slow_drip",) * 3,
    "length bomb > limit": ("test_a_length_beyond_the_limit",) * 3,
    "length bomb = limit, no data": ("test_a_length_at_the_limit",) * 3,
    "empty-frame flood": (
        "test_two_million_empty_messages",
        "test_a_flood_leaves_others_their_turn",
        "test_two_million_empty_messages test_a_flood_leaves_others_their_turn",
    ),
    "EINTR with silent handler": (
        "test_signals_that_are_handled_silently",
        "test_signals_in_a_loop",
        "test_signals_that_are_handled_silently test_signals_in_a_loop",
    ),
    "signal handler raises in recv/send": (
        "test_signals_that_raise_never_tear_what_is_received test_signals_that_raise_never_tear_what_is_sent",
        "test_signals_in_a_loop",
        "test_signals_that_raise_never_tear_what_is_received test_signals_in_a_loop",
    ),
    "timeout in recv mid-frame": ("test_a_timeout_inside_a_message",) * 3,
    "cancel/timeout in send mid-frame": ("test_a_timeout_inside_a_send",) * 3,
    "ENOBUFS/ENOMEM from send": (
        "test_no_memory_in_the_kernel_is_tried_again_once",
        "test_no_memory_in_the_kernel_is_tried_again_once",
        "test_out_of_memory_in_the_kernel_is_tried_again_once",
    ),
    "malloc fails in feed": ("test_no_memory_for_what_arrives",) * 3,
    "EMFILE in accept": (LATER,) * 3,
    "ECONNABORTED / peer gone before accept": (LATER,) * 3,
    "fork while connected": (
        "test_a_child_may_not_use_it test_a_child_that_ends_sends_nothing test_fork_inside_every_call",
    )
    * 3,
    "close() by another thread": ("test_close_wakes_every_call", ONE_THREAD, "test_close_wakes_every_call"),
    "two senders": (
        "test_threads_that_send_never_interleave",
        ONE_THREAD,
        "test_threads_that_send_never_interleave",
    ),
    "clock step (CLOCK_REALTIME)": (CLOCK,) * 3,
    "interpreter shutdown with open conns": ("test_interpreter_shutdown",) * 3,
    "GC of an unclosed connection": ("test_an_unclosed_connection_tells_what_was_unsent",) * 3,
    "plaintext before TLS upgrade": (
        "test_plaintext_read_ahead_is_refused test_plaintext_still_in_the_kernel_is_refused",
    )
    * 3,
}


def test_every_cell_has_a_test_or_a_reason() -> None:
    assert len(MATRIX) == 28
    names: set[str] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
    for fault, cells in MATRIX.items():
        assert len(cells) == 3, fault
        for cell in cells:
            reason = cell.startswith("cannot happen: ") or cell == LATER
            assert reason or set(cell.split()) <= names, f"{fault}: {cell}"


@pytest.fixture(params=["tcp", "unix"])
def ends(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Ends]:
    ends = Ends(request.param)
    with ends.stack:
        yield ends


@pytest.fixture(params=["blocking", "polling"])
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


# --- the stream ends, or dies --------------------------------------------------------------------------


def test_the_end_at_a_boundary(ends: Ends, way: Way) -> None:
    raw, conn = ends.half()
    raw.sendall(U32.encode(b"last"))
    raw.close()
    assert way.recv(conn) == b"last"
    for _ in range(2):
        with pytest.raises(fw.EndOfStream):
            way.recv(conn)
    assert conn.ready and not conn.events


@pytest.mark.parametrize("part", [b"\0", b"\0\0\0\5", b"\0\0\0\5hell"])
def test_the_end_inside_a_message(ends: Ends, way: Way, part: bytes) -> None:
    raw, conn = ends.half()
    raw.sendall(U32.encode(b"whole") + part)
    raw.close()
    assert way.recv(conn) == b"whole"
    for _ in range(2):
        with pytest.raises(fw.Truncated) as caught:
            way.recv(conn)
        assert caught.value.partial == part
        assert caught.value.needed == (3 if part == b"\0" else 9 - len(part))


@pytest.mark.parametrize("part", [b"", b"\0\0\0\5he"], ids=["boundary", "inside"])
def test_a_reset(ends: Ends, way: Way, part: bytes) -> None:
    raw, conn = ends.half()
    conn.send(b"never read")
    raw.sendall(U32.encode_many([b"one", b"two"]) + part)
    reset(raw)
    assert [way.recv(conn), way.recv(conn)] == [b"one", b"two"]
    for _ in range(2):
        with pytest.raises(fw.ConnectionLost) as caught:
            way.recv(conn)
        assert caught.value.errno == errno.ECONNRESET
    with pytest.raises(fw.ConnectionLost):
        way.send(conn, b"x")


def test_send_after_the_peer_has_closed(ends: Ends, way: Way) -> None:
    raw, conn = ends.half()
    raw.close()
    late = time.monotonic() + PATIENCE
    with pytest.raises(fw.ConnectionLost) as caught:
        while time.monotonic() < late:
            way.send(conn, b"anyone there?")
    assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)
    for call in (conn.send, lambda m: conn.send_many([m])):
        with pytest.raises(fw.ConnectionLost):
            call(b"again")
    assert not conn.unsent
    conn.flush(timeout=0)


def test_a_killed_peer(ends: Ends, way: Way) -> None:
    """Its kernel says so at once: by an end, or a reset if it had not read all."""
    for unread in (False, True):
        process, conn = ends.peer("sock.sendall(b'\\0\\0\\0\\3one'); time.sleep(60)")
        assert way.recv(conn) == b"one"
        if unread:
            conn.send(b"not read by a process that sleeps")
        waiting = Running(way.recv, conn)
        time.sleep(0.05)
        process.kill()
        killed = time.monotonic()
        with pytest.raises(fw.ConnectionLost if unread else fw.EndOfStream):
            waiting.result()
        assert waiting.ended - killed < 1


def test_a_peer_killed_in_the_middle_of_a_message(ends: Ends, way: Way) -> None:
    process, conn = ends.peer("sock.sendall(b'\\0\\0\\0\\3one\\0\\0\\0\\3t'); time.sleep(60)")
    assert way.recv(conn) == b"one"
    with pytest.raises(fw.Timeout):
        way.recv(conn, 0.03)
    process.kill()
    with pytest.raises(fw.Truncated):
        way.recv(conn)


# --- the peer stands still -----------------------------------------------------------------------------


def test_a_stopped_reader(ends: Ends, way: Way) -> None:
    """C13: what waits for a peer that does not read is the high water mark and one message, no more."""
    high_water, size = 300_000, 50_000
    process, conn = ends.peer("while sock.recv(65536): pass", high_water=high_water)
    stop(process)
    message = bytes(size)
    tracemalloc.start()
    try:
        with pytest.raises(fw.Timeout) as caught:
            while True:
                way.send(conn, message, 0.1)
        assert conn.unsent <= high_water + size + 4
        with pytest.raises(BlockingIOError):
            conn.send_many([message] * 1000, timeout=0)
        with pytest.raises((fw.Timeout, BlockingIOError)):
            conn.send(bytes(900_000), timeout=0.01)
        assert high_water <= conn.unsent <= high_water + size + 4
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if way.blocking:
        assert caught.value.phase == "send"
    assert peak <= 3 * (high_water + size) + 1_000_000, "its block may be moved, and the last message is here"
    taken = conn.stats().messages_out
    process.send_signal(signal.SIGCONT)
    way.flush(conn)
    assert conn.stats().bytes_out == taken * (size + 4)


def test_a_stopped_peer_is_idle(ends: Ends, way: Way) -> None:
    process, conn = ends.peer("sock.sendall(sock.recv(100)); time.sleep(60)", idle_timeout=0.2)
    stop(process)
    conn.send(b"echo?")
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(fw.Timeout) as caught:
            way.recv(conn)
        assert caught.value.phase == "idle"
        assert time.monotonic() - started < 1.2
    process.send_signal(signal.SIGCONT)
    late = time.monotonic() + PATIENCE
    while True:  # it is alive after all, and nothing was lost
        try:
            assert way.recv(conn) == b"echo?"
            break
        except fw.Timeout:
            assert time.monotonic() < late


def test_a_slow_drip(ends: Ends, way: Way) -> None:
    """frame_timeout is total: a byte now and then does not extend it."""
    raw, conn = ends.half(frame_timeout=0.3)
    over = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            raw.sendall(U32.encode(b"quick") + b"\0\0\1\0")
            while not over.wait(0.02):
                raw.sendall(b"x")

    peer = Running(drip)
    assert way.recv(conn) == b"quick"
    started = time.monotonic()
    with pytest.raises(fw.Timeout) as caught:
        way.recv(conn)
    assert caught.value.phase == "frame"
    assert 0.2 < time.monotonic() - started < 1.3
    over.set()
    peer.result()


def test_a_length_beyond_the_limit(ends: Ends, way: Way) -> None:
    """It is refused when the length is there, not when the body is."""
    raw, conn = ends.half(U32.replace(max_frame=1000))
    raw.sendall(U32.encode(b"good") + b"\xff\xff\xff\xff")
    assert way.recv(conn) == b"good"
    for _ in range(2):
        with pytest.raises(fw.FrameTooLarge) as caught:
            way.recv(conn)
        assert (caught.value.size, caught.value.limit, caught.value.offset) == (0xFFFFFFFF, 1000, 8)


@pytest.mark.parametrize("sent", [0, 1])
def test_a_length_at_the_limit(ends: Ends, way: Way, sent: int) -> None:
    """Memory is what arrived, not what was announced."""
    limit = 256 << 20
    raw, conn = ends.half(U32.replace(max_frame=limit), frame_timeout=0.1)
    raw.sendall(U32.encode(b"warm up"))
    assert way.recv(conn) == b"warm up"
    raw.sendall(limit.to_bytes(4, "big") + bytes(sent))
    tracemalloc.start()
    try:
        before = resident()
        with pytest.raises(fw.Timeout) as caught:
            way.recv(conn)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.phase == "frame"
    assert peak <= (256 << 10) + 65536, "the block that one receive borrows, and little else"
    assert resident() - before <= 1 << 20
    assert conn.stats().buffered == 4 + sent


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


# --- floods (C15) --------------------------------------------------------------------------------------


def test_two_million_empty_messages(backend: _backend.Backend) -> None:
    """They are messages like any other, no call takes more than a read holds, and memory stays flat."""
    total = 2_000_000
    with (ends := Ends("unix")).stack:
        raw, conn = ends.half()
        flood = Running(lambda: (raw.sendall(bytes(4 * total)), raw.close()))
        count = largest = 0
        with pytest.raises(fw.EndOfStream):
            while True:
                batch = conn.recv_many()
                count += len(batch)
                largest = max(largest, len(batch))
        flood.result()
        assert count == total == conn.stats().messages_in
        assert largest <= (256 << 10) // 4


def test_heartbeats_that_flood(backend: _backend.Backend) -> None:
    """They are not delivered, are answered by one at most, and keep nobody in recv beyond his time."""
    total = 300_000
    with (ends := Ends("unix")).stack:
        raw, conn = ends.half(heartbeat=b"", peer_timeout=30)
        flood = Running(lambda: raw.sendall(bytes(4 * total) + U32.encode(b"message")))
        assert conn.recv(timeout=PATIENCE) == b"message"
        flood.result()
        assert conn.stats().messages_in == 1
        assert conn.stats().bytes_out <= 4

        # From another process, and so fast that there is always more.
        code = "while True: sock.sendall(bytes(1 << 18))"
        _, conn = ends.peer(code, heartbeat=b"", peer_timeout=30)
        for timeout in (0.2, 0.01):
            started = time.monotonic()
            with pytest.raises(fw.Timeout):
                conn.recv(timeout=timeout)
            assert time.monotonic() - started < timeout + 1
        started = time.monotonic()
        with pytest.raises(BlockingIOError):
            conn.recv(timeout=0)
        assert time.monotonic() - started < 2
        _, conn = ends.peer(
            f"sock.sendall(b'\\x7f' + b'\\xff' * 3)\n{code}", U32.replace(on_too_large="skip")
        )
        with pytest.raises(fw.FrameTooLarge):
            conn.recv(timeout=PATIENCE)
        started = time.monotonic()
        with pytest.raises((fw.Timeout, fw.FrameTooLarge)):
            conn.recv(timeout=0.2)
        assert time.monotonic() - started < 1.2


def test_a_message_behind_heartbeats(ends: Ends, way: Way) -> None:
    """It is delivered at once, however many heartbeats came with it."""
    for beats in range(5):
        raw, conn = ends.half(heartbeat=b"", peer_timeout=30)
        raw.sendall(U32.encode_many([b""] * beats + [b"message"]))
        assert way.recv(conn, 5) == b"message"
        raw.sendall(U32.encode_many([b""] * beats + [b"one", b""] + [b"two"]))
        assert way.recv(conn, 5) == b"one"
        assert conn.recv_many(timeout=5) == [b"two"]


def test_a_peer_that_does_not_read_heartbeats(backend: _backend.Backend) -> None:
    """At most one heartbeat waits for it."""
    with (ends := Ends("unix")).stack:
        raw, conn = ends.half(heartbeat=b"beat", peer_timeout=0.3)
        conn._transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        with pytest.raises(BlockingIOError):
            while True:
                conn._transport.sock.send(bytes(500), socket.MSG_DONTWAIT)
        for _ in range(5):
            raw.sendall(U32.encode(b"beat"))
            with pytest.raises(fw.Timeout):
                conn.recv(timeout=0.12)
        assert conn.unsent <= 8


def test_a_flood_leaves_others_their_turn(ends: Ends) -> None:
    """In one loop, a connection that is flooded and a polite one: each wake-up takes a bounded batch."""
    raw, flooded = ends.half()
    other, polite = ends.half()
    over = threading.Event()

    def flood() -> None:
        with suppress(OSError):
            while not over.is_set():
                raw.sendall(bytes(1 << 16))

    flooder = Running(flood)
    delays, taken = [], len(flooded.recv_many(1024, timeout=PATIENCE))
    for _ in range(20):
        other.sendall(U32.encode(b"question"))
        asked = time.monotonic()
        while True:
            with suppress(BlockingIOError):
                batch = flooded.recv_many(1024, timeout=0)
                assert len(batch) <= 1024
                taken += len(batch)
            with suppress(BlockingIOError):
                assert polite.recv(timeout=0) == b"question"
                break
        delays.append(time.monotonic() - asked)
    over.set()
    flooded.abort()
    flooder.result()
    assert taken and sorted(delays)[10] < 0.25, delays


# --- signals -------------------------------------------------------------------------------------------


def number(index: int) -> bytes:
    return index.to_bytes(4, "big") + bytes(index * 7919 % 200)


@pytest.mark.skipif(sys.gettrace() is not None, reason="measuring coverage")
@pytest.mark.parametrize("raises", [False, True], ids=["silent", "raising"])
def test_signals_in_a_loop(ends: Ends, raises: bool) -> None:
    """10^4 numbered messages, sent by this loop and echoed by a process, under a signal each millisecond."""
    total = 10_000
    echo = "while data := sock.recv(65536): sock.sendall(data)"
    _, conn = ends.peer(echo)
    conn.timeout = 0
    got: list[bytes] = []
    index = 0

    def exchange() -> None:
        nonlocal index
        for _ in range(min(50, total - index)):
            current, index = index, index + 1
            try:
                conn.send(number(current))
            except BlockingIOError:
                index = current
                break
        for _ in range(50):
            got.extend(polled(conn, lambda: conn.recv_many(1), 1))

    with Alarms() as alarms:
        while index < total or conn.unsent or len(got) + alarms.raised < total:
            try:
                if raises and index < total:
                    alarms.during(exchange)
                else:
                    exchange()
            except fw.Timeout:
                if index == total and not conn.unsent:
                    break
    indexes = [int.from_bytes(message[:4], "big") for message in got]
    assert got == [number(index) for index in indexes]
    assert indexes == sorted(indexes)
    lost = total - len(set(indexes))
    doubled = len(indexes) - len(set(indexes))
    assert lost + doubled <= alarms.raised
    if not raises:
        assert indexes == list(range(total))


# --- timeouts in the middle ----------------------------------------------------------------------------


def test_a_timeout_inside_a_message(ends: Ends, way: Way) -> None:
    raw, conn = ends.half()
    body = bytes(range(256)) * 1000
    wire = U32.encode(body)
    for cut in (1, 4, 5, 40_000, 200_000):
        sender = Running(raw.sendall, wire[:cut])
        with pytest.raises(fw.Timeout):
            way.recv(conn, 0.02)
        sender.result()
        rest = Running(raw.sendall, wire[cut:] + U32.encode(b"next"))
        assert way.recv(conn) == body
        assert way.recv(conn) == b"next"
        rest.result()


def test_a_timeout_inside_a_send(ends: Ends, way: Way) -> None:
    """The kernel has a part: the rest stays queued, and goes before anything else."""
    raw, conn = ends.half(U32.replace(max_frame=None))
    large = os.urandom(8 << 20)
    conn.send(large, timeout=0.02 if way.blocking else 0)
    assert 0 < conn.unsent < len(large)
    with pytest.raises((fw.Timeout, BlockingIOError)):
        conn.send(b"not taken", timeout=0.01 if way.blocking else 0)
    with pytest.raises((fw.Timeout, BlockingIOError)):
        conn.flush(timeout=0.01 if way.blocking else 0)
    wire = U32.replace(max_frame=None).encode_many([large, b"second"])
    data = bytearray()

    def read() -> None:
        while len(data) < len(wire):
            data.extend(raw.recv(1 << 20))

    reader = Running(read)
    way.send(conn, b"second")
    way.flush(conn)
    reader.result()
    assert data == wire


# --- no memory -----------------------------------------------------------------------------------------


NO_MEMORY = """
import _testcapi, errno, socket, sys
import framewire as fw

kind, size, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
U32 = fw.LengthPrefixed(fw.u32)

def connect():
    if kind == "unix":
        raw, sock = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            raw = socket.create_connection(server.getsockname())
            sock = server.accept()[0]
    raw.setblocking(False)
    return raw, fw.MessageSocket(sock, U32)

messages = [number.to_bytes(4, "big") + bytes(size) for number in range(3)]
wire = U32.encode_many(messages)
room = bytearray(1 << 20)
failures = at = clean = 0
while clean < 3:
    raw, conn = connect()
    raw.sendall(wire[:size // 2])
    try:
        conn.recv(timeout=0)
    except BlockingIOError:
        pass
    raw.sendall(wire[size // 2:])
    got = []
    failed = False
    _testcapi.set_nomemory(at, at + 1)
    try:
        if way == "recv":
            got = [conn.recv(timeout=0)]
        elif way == "many":
            got = conn.recv_many(timeout=0)
        else:
            got = [bytes(room[:conn.recv_into(room, timeout=0)])]
    except (MemoryError, SystemError):  # int.from_bytes of CPython 3.11 makes the latter of the former
        failed = True
    except BlockingIOError:
        pass
    finally:
        _testcapi.remove_mem_hooks()
    try:
        while not got or got[-1] != messages[-1]:
            got.append(conn.recv(timeout=5))
    except fw.ConnectionLost as error:
        assert failed and error.errno == errno.ENOMEM, error
        assert conn.ready and not conn.events
    else:
        # The connection may go on only if nothing is torn. There may have been no memory for our own list of
        # the message that recv returned.
        assert got == messages or failed and got == messages[1:], (at, got)
    assert got in (messages[:len(got)], messages[1:]), (at, got)
    failures += failed
    clean = 0 if failed else clean + 1
    at += 1
    conn.abort()
    raw.close()
print(failures > 0)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi to take memory away"
)
@pytest.mark.parametrize("call", ["recv", "many", "into"])
@pytest.mark.parametrize("size", [4, 50_000])
def test_no_memory_for_what_arrives(ends: Ends, size: int, call: str) -> None:
    """MemoryError at every allocation of a receive: nothing wrong is ever delivered. Either all goes on, or,
    as what arrived could not be kept, the connection is lost."""
    assert run_python(NO_MEMORY, ends.kind, size, call) == "True\n"


def run_python(code: str, *args: object, **options: Any) -> str:
    """What a Python with the backend under test prints; it must end well and silently within 20 s."""
    env = {**os.environ, "FRAMEWIRE_BACKEND": _backend.name, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, *options.pop("flags", ()), "-c", code, *map(str, args)]
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=20)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


# --- fork ----------------------------------------------------------------------------------------------


def uses(conn: fw.MessageSocket[Any]) -> list[Callable[[], Any]]:
    return [
        conn.recv,
        conn.recv_many,
        lambda: conn.recv_into(bytearray(100)),
        lambda: next(conn),
        lambda: conn.send(b"x"),
        lambda: conn.send_many([b"x"]),
        lambda: conn.request(b"x"),
        conn.flush,
        conn.shutdown_write,
        conn.detach,
        lambda: conn.reserve(1),
        lambda: setattr(conn, "framing", fw.Lines()),
        lambda: setattr(conn, "send_framing", fw.Lines()),
    ]


def test_a_child_may_not_use_it(ends: Ends) -> None:
    raw, conn = ends.half()
    raw.sendall(U32.encode_many([b"one", b"two"]))
    assert conn.recv() == b"one"
    refusal = f"ConnectionClosed: this connection to {conn._peer_name()} belongs to process {os.getpid()}"
    for call in uses(conn):
        assert in_child(call).startswith(refusal)
    assert in_child(lambda: (conn.close(), conn.abort(), conn.fileno())) == "(None, None, -1)"
    assert in_child(lambda: (conn.abort(), conn.close(), conn.fileno())) == "(None, None, -1)"
    assert conn.recv() == b"two"
    conn.send(b"still here")
    assert raw.recv(100) == U32.encode(b"still here")


def test_a_child_that_ends_sends_nothing(ends: Ends) -> None:
    raw, conn = ends.half()
    conn.send(b"x")
    assert raw.recv(100) == U32.encode(b"x")

    def left() -> None:
        with conn:
            raise KeyError

    def left_well() -> None:
        with conn:
            pass

    assert in_child(left) == "KeyError: "
    assert in_child(left_well) == "None"
    cork = conn.cork()
    with cork:
        conn.send(b"corked")
        assert in_child(lambda: cork.__exit__(KeyError, KeyError(), None)) == "None"
        assert "belongs to process" in in_child(lambda: cork.__exit__(None, None, None))
    assert raw.recv(100) == U32.encode(b"corked")
    raw.setblocking(False)
    with pytest.raises(BlockingIOError):
        raw.recv(1)
    raw.sendall(U32.encode(b"reply"))
    assert conn.recv() == b"reply"


CHILD_EXITS = """
import os, socket, sys, gc
import framewire as fw
U32 = fw.LengthPrefixed(fw.u32)
left, right = socket.socketpair()
right.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
conn = fw.MessageSocket(right, U32)
conn.send(bytes(100_000), timeout=0)
unsent = conn.unsent
if os.fork() == 0:
    left.close()
    how = sys.argv[1]
    if how == "del":
        del conn
        gc.collect()
    sys.exit()
assert os.wait()[1] == 0
assert conn.unsent == unsent > 0
size = 0
while size < 100_004:
    size += len(left.recv(65536))
    try:
        conn.flush(timeout=0)
    except BlockingIOError:
        pass
left.setblocking(False)
try:
    left.recv(1)
except BlockingIOError:
    print(size)
left.close()
conn.close()
"""


@pytest.mark.parametrize("how", ["exit", "del"])
def test_a_child_of_a_program_exits(backend: _backend.Backend, how: str) -> None:
    """What is unsent is the parent's to send, and is sent once; the child says nothing."""
    assert run_python(CHILD_EXITS, how, flags=["-X", "dev"]) == "100004\n"


def test_fork_inside_every_call(ends: Ends) -> None:
    """Threads of the parent are inside recv, or send: for the child nobody is, and it wakes nobody."""
    raw, conn = ends.half(U32.replace(max_frame=None))
    answer = Running(conn.recv)
    sending = Running(conn.send, bytes(8 << 20))
    time.sleep(0.1)
    refusal = f"ConnectionClosed: this connection to {conn._peer_name()} belongs to process {os.getpid()}"
    children = [forked(call) for call in uses(conn)]
    children.append(forked(lambda: conn.__exit__(KeyError, KeyError(), None)))
    children.append(forked(lambda: conn.close()))
    children.append(forked(lambda: conn.abort()))
    started = time.monotonic()
    results = [child() for child in children]
    assert time.monotonic() - started < 5
    for result in results[:-3]:
        assert result.startswith(refusal), result
    assert results[-3:] == ["None"] * 3
    assert answer.thread.is_alive() and sending.thread.is_alive()
    size = 0
    while size < 4 + (8 << 20):
        size += len(raw.recv(1 << 20))
    sending.result()
    raw.sendall(U32.encode(b"answer"))
    assert answer.result() == b"answer"


def test_fork_in_the_middle_of_send_many(ends: Ends) -> None:
    """The child gets out of it by an exception, and what had gathered is sent once: by the parent."""
    raw, conn = ends.half()
    parent = os.getpid()
    reader, writer = os.pipe()

    def source() -> Iterator[bytes]:
        yield b"one"
        result.append(forked_generator())
        yield b"two" * 30_000

    def forked_generator() -> int:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return os.fork()

    result: list[int] = []
    try:
        conn.send_many(source())
    except BaseException as error:
        if os.getpid() != parent:
            os.write(writer, type(error).__name__.encode())
            os._exit(0)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(1)
    os.waitpid(result[0], 0)
    os.close(writer)
    assert os.read(reader, 100) == b"ConnectionClosed"
    os.close(reader)
    conn.close(timeout=0)
    data = bytearray()
    while part := raw.recv(1 << 20):
        data += part
    assert data == U32.encode_many([b"one", b"two" * 30_000])


def test_accept_then_fork(ends: Ends, tmp_path: Path) -> None:
    """The second way of the Socket HOWTO: a child for each connection; the parent closes its copy."""
    address = "tcp://127.0.0.1:0" if ends.kind == "tcp" else f"unix:{tmp_path}/socket"
    with fw.listen(address, U32) as listener:
        for verb in ("close", "abort", "with"):
            client = ends.keep(fw.connect(listener.address, U32))
            conn = listener.accept(timeout=PATIENCE)

            def serve(conn: fw.MessageSocket[Any] = conn) -> int:
                listener.close()
                time.sleep(0.05)  # the parent is quicker
                conn.send_many(message.upper() for message in conn)
                conn.close()
                return conn.stats().messages_in

            child = forked(serve)
            started = time.monotonic()
            if verb == "with":
                with conn:
                    pass
            else:
                getattr(conn, verb)()
            assert time.monotonic() - started < 0.5 and conn.fileno() == -1
            client.send_many([b"one", b"two"])
            client.shutdown_write()
            assert list(client) == [b"ONE", b"TWO"]
            assert child() == "2"


def test_a_listener_outlives_its_children(ends: Ends, tmp_path: Path) -> None:
    address = "tcp://127.0.0.1:0" if ends.kind == "tcp" else f"unix:{tmp_path}/socket"
    with fw.listen(address, U32) as listener:

        def leave() -> None:
            with listener:
                pass

        def wake() -> float:
            accepting = Running(listener.accept)
            time.sleep(0.05)
            listener.close()
            with pytest.raises(fw.ConnectionClosed):
                accepting.result()
            return 1

        assert in_child(leave) == "None"
        assert in_child(listener.close) == "None"
        assert in_child(wake) == "1"
        assert "Timeout" in in_child(lambda: listener.accept(timeout=0.3))
        client = ends.keep(fw.connect(listener.address, U32))
        with listener.accept(timeout=PATIENCE) as server:
            client.send(b"x")
            assert server.recv() == b"x"
            client.abort()
    if ends.kind == "unix":
        assert not (tmp_path / "socket").exists()


# --- close by another thread (C23) ---------------------------------------------------------------------


CALLS: dict[str, Callable[[fw.MessageSocket[Any]], Any]] = {
    "recv": lambda conn: conn.recv(),
    "recv with a timeout": lambda conn: conn.recv(timeout=20),
    "recv_many": lambda conn: conn.recv_many(),
    "recv_into": lambda conn: conn.recv_into(bytearray(100)),
    "request": lambda conn: conn.request(b"x"),
    "iteration": lambda conn: next(conn),
    "send": lambda conn: conn.send(bytes(8 << 20)),
    "send_many": lambda conn: conn.send_many(bytes(100_000) for _ in range(1000)),
    "send at high water": lambda conn: (conn.send(bytes(8 << 20), timeout=0), conn.send(b"x")),
    "flush": lambda conn: (conn.send(bytes(8 << 20), timeout=0), conn.flush()),
    "shutdown_write": lambda conn: (conn.send(bytes(8 << 20), timeout=0), conn.shutdown_write()),
    "recv with bytes unsent": lambda conn: (conn.send(bytes(8 << 20), timeout=0), conn.recv()),
    "close": lambda conn: conn.close(timeout=20),
}


@pytest.mark.parametrize("closing", ["close", "abort", "with"])
def test_close_wakes_every_call(ends: Ends, closing: str) -> None:
    waiting = []
    for name, call in CALLS.items():
        raw, conn = ends.half(U32.replace(max_frame=None))
        waiting.append((name, conn, raw, Running(call, conn)))
    time.sleep(0.1)
    for name, conn, _, running in waiting:
        assert running.thread.is_alive(), name
        closed = time.monotonic()
        if closing == "close":
            with suppress(fw.Timeout):
                conn.close(timeout=0)
        elif closing == "abort":
            conn.abort()
        else:
            conn.__exit__(KeyError, KeyError(), None)
        assert time.monotonic() - closed < 1, name
        assert conn.fileno() == -1, name
        if name == "close":
            with suppress(fw.ConnectionClosed):
                running.result()
        else:
            with pytest.raises(fw.ConnectionClosed, match="closed here"):
                running.result()
                pytest.fail(name)
        assert running.ended - closed < 1, name


def test_a_descriptor_that_is_another_file_by_now(backend: _backend.Backend) -> None:
    """Connections are closed under threads that use them, while others open descriptors that take their
    numbers: none of their bytes is ever read, and none of ours is ever written there."""
    over = threading.Event()
    poison = U32.encode(b"poison")
    strays: list[bytes] = []
    got: list[bytes] = []

    def open_others() -> None:
        while not over.is_set():
            pairs = [socket.socketpair() for _ in range(8)]
            for left, right in pairs:
                left.sendall(poison)
                right.sendall(poison)
            time.sleep(0.0005)
            for pair in pairs:
                for sock in pair:
                    data = sock.recv(1000, socket.MSG_DONTWAIT)
                    if data != poison:
                        strays.append(data)
                    sock.close()

    def receive(conn: fw.MessageSocket[Any]) -> None:
        while True:
            got.append(conn.recv(timeout=20))

    def send(conn: fw.MessageSocket[Any]) -> None:
        while True:
            conn.send(b"ours" * 1000)

    def cork(conn: fw.MessageSocket[Any]) -> None:
        while True:
            with conn.cork():
                conn.send(b"ours" * 1000)

    openers = [Running(open_others) for _ in range(2)]
    late = time.monotonic() + 1.5
    rounds = 0
    while time.monotonic() < late:
        rounds += 1
        raw, sock = socket.socketpair()
        conn = fw.MessageSocket(sock, U32)
        users = [Running(receive, conn), Running(send, conn), Running(cork, conn)]
        if rounds % 3:
            time.sleep(rounds % 7 / 5000)
        closers = [Running(conn.abort if rounds % 2 else lambda: conn.close(timeout=0)) for _ in range(2)]  # noqa: B023
        for closer in closers:
            with suppress(fw.Timeout, fw.ConnectionClosed):
                closer.result()
        for user in users:
            with pytest.raises((fw.ConnectionClosed, fw.EndOfStream)):
                user.result()
        raw.close()
    over.set()
    for opener in openers:
        opener.result()
    assert rounds > 5
    assert not strays
    assert b"poison" not in got


def test_a_cork_around_a_close(ends: Ends) -> None:
    """The number of the closed descriptor is taken by another socket: the cork's end must not send there."""
    raw, conn = ends.half()
    conn._transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    number_was = conn.fileno()
    with pytest.raises(fw.ConnectionClosed):
        with conn.cork():
            while not conn.unsent:
                conn.send(bytes(900_000), timeout=0)
            with pytest.raises(fw.Timeout):
                conn.close(timeout=0.01)
            others = []
            while not others or number_was not in [sock.fileno() for sock in others]:
                others += socket.socketpair()
    for sock in others:
        with pytest.raises(BlockingIOError):
            sock.recv(1, socket.MSG_DONTWAIT)
    for sock in others:
        sock.close()


def test_close_after_detach_leaves_the_socket(ends: Ends) -> None:
    raw, conn = ends.half()
    with conn:
        sock, _ = conn.detach()
    conn.close()
    conn.abort()
    sock.sendall(b"still open")
    assert raw.recv(100) == b"still open"
    sock.close()


def test_pipes_are_closed_once(backend: _backend.Backend) -> None:
    """Two threads close at the same time: a number closed twice might be somebody else's the second time."""
    for _ in range(200):
        reader, writer = os.pipe()
        conn = fw.MessageSocket.from_pipes(reader, writer, U32)
        closers = [Running(conn.abort) for _ in range(3)]
        for closer in closers:
            closer.result()
        assert conn.fileno() == -1


# --- callbacks that use their connection (C29) -----------------------------------------------------------


class Meddler:
    """Does something with a connection from the middle of one of its calls, once, and remembers what came."""

    def __init__(self) -> None:
        self.conn: Any = None
        self.verb: str = ""
        self.outcome: Any = "not called"

    def __call__(self) -> None:
        verb, self.verb = self.verb, ""
        conn = self.conn
        verbs: dict[str, Callable[[], Any]] = {
            "recv": lambda: conn.recv(timeout=0),
            "recv_many": lambda: conn.recv_many(timeout=0),
            "recv_into": lambda: conn.recv_into(bytearray(9), timeout=0),
            "send": lambda: conn.send(b"ZZ", timeout=0),
            "send_many": lambda: conn.send_many([b"ZZ"], timeout=0),
            "flush": lambda: conn.flush(timeout=0),
            "close": lambda: conn.close(timeout=0.1),
            "abort": conn.abort,
            "framing": lambda: setattr(conn, "framing", fw.FixedLength(2)),
            "detach": conn.detach,
            "raise": lambda: 1 // 0,
        }
        if verb:
            try:
                self.outcome = verbs[verb]()
            except Exception as error:
                self.outcome = error


VERBS = "recv recv_many recv_into send send_many flush close abort framing detach".split()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("where", ["split", "join", "decode", "encode", "iterable", "trace in", "trace out"])
def test_callbacks_that_use_their_connection(ends: Ends, where: str, verb: str) -> None:
    """Whatever it is, it works or is refused: nothing crashes, hangs, is torn or reaches another file."""
    meddler = Meddler()

    def split(view: memoryview, scanned: int, eof: bool) -> Any:
        if where == "split":
            meddler()
        return (0, 2, 2) if len(view) >= 2 else 2 - len(view)

    def join(message: Any) -> bytes:
        if where == "join":
            meddler()
        return bytes(message)

    def decode(data: bytes) -> bytes:
        if where == "decode":
            meddler()
        return data

    def encode(data: bytes) -> bytes:
        if where == "encode":
            meddler()
        return data

    def source() -> Iterator[bytes]:
        yield b"ab"
        meddler()
        yield b"cd"

    framing: Any = fw.Custom(split, join) if where in ("split", "join") else fw.FixedLength(2)
    codec = (encode, decode) if where in ("decode", "encode") else None
    raw, conn = ends.half(framing, codec=codec)
    meddler.conn, meddler.verb = conn, verb
    if where.startswith("trace"):
        conn._trace = lambda direction, message: meddler()
    receiving = where in ("split", "decode", "trace in")
    raw.sendall(b"112233")
    got: list[Any] = []
    try:
        if receiving:
            got += conn.recv_many(2, timeout=1)
        elif where == "iterable":
            conn.send_many(source(), timeout=1)
        else:
            conn.send(b"ab", timeout=1)
            conn.send(b"cd", timeout=1)
    except (fw.FramewireError, BlockingIOError) as error:
        assert verb in ("close", "abort", "detach", "framing", "recv", "recv_many", "recv_into"), error
    assert meddler.outcome != "not called"
    if isinstance(meddler.outcome, Exception):
        allowed = (fw.ConcurrencyError, fw.ConnectionClosed, BlockingIOError)
        assert isinstance(meddler.outcome, allowed), meddler.outcome
    if verb in ("close", "abort"):
        assert conn.fileno() == -1
        with pytest.raises(fw.ConnectionClosed):
            conn.recv()
        with pytest.raises(fw.ConnectionClosed):
            conn.send(b"xx")
        return
    if verb == "detach" and not isinstance(meddler.outcome, Exception):
        meddler.outcome[0].close()
        return
    # The stream is whole in both directions: what the meddler took, or sent, counts.
    inside = meddler.outcome
    conn._trace = None
    if verb == "recv" and isinstance(inside, bytes):
        got.append(inside)
    elif verb == "recv_many" and isinstance(inside, list):
        got += inside
    elif verb == "recv_into" and isinstance(inside, int):
        got.append(b"11")
    while len(got) < 3:
        got += conn.recv_many(timeout=1)
    assert sorted(got) == [b"11", b"22", b"33"]
    conn.close(timeout=0)
    sent = b""
    while part := raw.recv(100):
        sent += part
    if receiving:
        assert sent in (b"", b"ZZ")
    else:
        pieces = [sent[at : at + 2] for at in range(0, len(sent), 2)]
        assert [piece for piece in pieces if piece != b"ZZ"] == [b"ab", b"cd"]
        assert len(pieces) <= 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_while_a_batch_is_decoded_or_traced(ends: Ends, error: type[BaseException]) -> None:
    """What was not handed over yet stays: nothing is lost with the one message that failed."""
    messages = [b"%d" % index for index in range(100)]
    calls = [0]

    def fails(data: Any) -> Any:
        calls[0] += 1
        if calls[0] == 50:
            raise error
        return data

    def collect(conn: fw.MessageSocket[Any]) -> list[bytes]:
        got: list[bytes] = []
        while True:
            try:
                got += conn.recv_many()
            except fw.EndOfStream:
                return got
            except error:
                pass

    raw, conn = ends.half(codec=(bytes, fails))
    raw.sendall(U32.encode_many(messages))
    raw.close()
    assert collect(conn) == messages
    calls[0] = 0
    raw, conn = ends.half()
    conn._trace = lambda direction, message: fails(message)
    raw.sendall(U32.encode_many(messages))
    raw.close()
    assert collect(conn) == messages
    assert conn.stats().messages_in == 100


def test_memoryviews_released_in_any_order(ends: Ends) -> None:
    """A view of what is sent or received into may be released before, during and after; copies stay right."""
    raw, conn = ends.half()
    source = bytearray(b"x" * 100_000)
    view = memoryview(source)
    part = view[10:50_010]
    conn.send(part, timeout=0)
    part.release()
    view.release()
    source[:] = b"y" * len(source)
    source.clear()
    data = bytearray()
    while len(data) < 50_004:
        with suppress(BlockingIOError):
            conn.flush(timeout=0)
        data += raw.recv(1 << 16)
    assert data == U32.encode(b"x" * 50_000)
    room = bytearray(10)
    view = memoryview(room)
    raw.sendall(U32.encode_many([b"one", b"three"]))
    assert conn.recv_into(view) == 3
    view.release()
    with pytest.raises(ValueError):
        conn.recv_into(view)
    assert conn.recv() == b"three"
    seam = conn.reserve(10)
    seam[:3] = b"abc"
    conn.commit(3)
    seam[:3] = b"zzz"
    seam.release()
    assert raw.recv(100) == U32.encode(b"abc")


def test_pickle_is_refused(backend: _backend.Backend) -> None:
    """C30: who may send us a pickle may run any code here."""
    import marshal
    import pickle

    for module in (pickle, marshal):
        left, right = socket.socketpair()
        with left, right, pytest.raises(TypeError, match="let it run any code"):
            fw.MessageSocket(left, U32, codec=module)


# --- the end of the program ----------------------------------------------------------------------------


SHUTDOWN = """
import socket, sys, threading
import framewire as fw
U32 = fw.LengthPrefixed(fw.u32)
kind, case = sys.argv[1:]
if kind == "unix":
    raw, sock = socket.socketpair()
else:
    with socket.create_server(("127.0.0.1", 0)) as server:
        raw = socket.create_connection(server.getsockname())
        sock = server.accept()[0]
conn = fw.MessageSocket(sock, U32)
conn.send(b"x")
if case == "cycle":
    holder = [conn]; holder.append(holder)
elif case == "unsent":
    conn.send(bytes(900_000), timeout=0)
elif case == "receiving":
    threading.Thread(target=conn.recv, daemon=True).start()
elif case == "sending":
    conn2 = fw.MessageSocket(raw, fw.LengthPrefixed(fw.u32, max_frame=None))
    threading.Thread(target=lambda: conn2.send(bytes(50_000_000)), daemon=True).start()
elif case == "corked":
    cork = conn.cork(); cork.__enter__(); conn.send(b"y")
elif case == "atexit":
    import atexit
    atexit.register(conn.close, 0)
elif case == "late":
    class Late:
        def __del__(self, conn=conn):
            try:
                conn.send(b"late")
                conn.close(0)
            except BaseException as error:
                pass
    sys.late = Late()
elif case == "logging":
    import logging
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    conn.trace = True
elif case == "listener":
    listener = fw.listen("tcp://127.0.0.1:0", U32)
    threading.Thread(target=listener.accept, daemon=True).start()
if case in ("receiving", "sending", "listener"):
    import time
    time.sleep(0.03)
print("end")
"""


@pytest.mark.parametrize("case", "cycle unsent receiving sending corked atexit late logging listener".split())
def test_interpreter_shutdown(ends: Ends, case: str) -> None:
    """No hang, no traceback, no crash."""
    assert run_python(SHUTDOWN, ends.kind, case).endswith("end\n" if case != "logging" else "\n")


def test_an_unclosed_connection_tells_what_was_unsent(ends: Ends) -> None:
    raw, sock = sockets(ends.kind)
    with raw:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        conn = fw.MessageSocket(sock, U32.replace(max_frame=None))
        conn.send(bytes(8 << 20), timeout=0)
        unsent = conn.unsent
        assert unsent
        with pytest.warns(ResourceWarning, match=f"{unsent} bytes unsent"):
            del conn
            gc.collect()
        assert sock.fileno() == -1


def test_no_deadline_reads_a_clock_that_can_be_set() -> None:
    """Nothing asks for CLOCK_REALTIME, so setting it changes nothing."""
    package = Path(fw.__file__).parent
    assert Path(package / "_transport.py").read_text().count("monotonic") >= 2
    for path in [*package.glob("*.py"), *package.glob("_*/*.p*")]:
        if path.suffix in (".py", ".pyx", ".pxd"):
            text = path.read_text()
            for clock in ("time.time", "CLOCK_REALTIME", "gettimeofday", "datetime"):
                assert clock not in text, (path, clock)
