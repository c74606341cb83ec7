"""Servers in every mode: replies, order, ends, limits, hostile and dead peers, shutdown."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import secure
from conftest import FULL, SANITIZED
from peers import Running

import framewire as fw
from framewire import _backend, _handler, _loops

LINES = fw.Lines()
U32 = fw.LengthPrefixed(fw.u32)
PACKAGE = str(Path(fw.__file__).parent.parent)
IN_PROCESS = ("threads", "selector", "asyncio")
MODES = IN_PROCESS if SANITIZED else (*IN_PROCESS, "processes")

Handler = Callable[[Any, Any], Any]


class Stage:
    """Starts servers in one mode, plain or over TLS, and connects to them; all ends with the test."""

    def __init__(self, way: str, stack: ExitStack) -> None:
        self.mode, _, tls = way.partition("+")
        self.tls, self.stack = bool(tls), stack
        self.ends: list[tuple[str, BaseException]] = []

    def server(self, handler: Handler, framing: fw.Framing = LINES, *args: Any, **options: Any) -> fw.Server:
        options.setdefault("on_close", lambda conn, error: self.ends.append((conn.peer_address, error)))
        if self.mode == "processes":
            options.setdefault("workers", 2)
        if self.tls:
            options["tls"] = secure.server_context()
        address = options.pop("address", "tcp://127.0.0.1:0")
        server = fw.Server(handler, address, framing, *args, mode=self.mode, **options)
        return self.stack.enter_context(server)

    def connect(self, server: fw.Server, framing: fw.Framing = LINES, **options: Any) -> Any:
        if self.tls:
            options |= {"tls": secure.client_context(), "server_hostname": secure.HOST}
        conn = fw.connect(server.address, framing, **options)
        conn.timeout = 30
        self.stack.callback(conn.abort)
        return conn

    def raw(self, server: fw.Server) -> socket.socket:
        if self.tls:
            pytest.skip("speaks in the clear")
        return self.opened(server)

    def secured(self, sock: socket.socket) -> socket.socket:
        wrapped = secure.client_context().wrap_socket(sock, server_hostname=secure.HOST)
        self.stack.callback(wrapped.close)
        return wrapped

    def opened(self, server: fw.Server) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])), 30)
        self.stack.callback(sock.close)
        return sock


@pytest.fixture(params=[*MODES, *(f"{mode}+tls" for mode in IN_PROCESS)])
def stage(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(request.param, stack)


@pytest.fixture(params=[*IN_PROCESS, *(f"{mode}+tls" for mode in IN_PROCESS)])
def near(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Stage]:
    """A server in this process, which a test can look into."""
    with ExitStack() as stack:
        yield Stage(request.param, stack)


def until(true: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)
    return value


def test_another_thread_may_send(near: Stage) -> None:
    """Also while the connection's own thread waits for a message: what it says goes at once."""
    conns: list[Any] = []
    with_conn = near.server(lambda conn, message: None, on_connect=conns.append)
    client = near.connect(with_conn)
    until(lambda: conns)
    conns[0].send(b"news")
    assert client.recv(timeout=5) == b"news"


def echo(conn: Any, message: Any) -> Any:
    return message


# --- replies --------------------------------------------------------------------------------------------


def test_what_a_handler_returns_is_the_reply(stage: Stage) -> None:
    def handler(conn: Any, message: bytes) -> Any:
        if message == b"none":
            return None
        if message == b"many":
            return (b"item %d" % index for index in range(3))
        if message == b"both":
            conn.send(b"sent")
            return b"returned"
        return bytearray(message.upper())

    conn = stage.connect(stage.server(handler))
    conn.send_many([b"hello", b"none", b"many", b"both", b"", b"end"])
    got = [conn.recv() for _ in range(8)]
    assert got == [b"HELLO", b"item 0", b"item 1", b"item 2", b"sent", b"returned", b"", b"END"]


def test_replies_keep_their_order_under_pipelining(stage: Stage) -> None:
    """C24: 10^5 requests, some of which take longer and some of which have several replies."""

    def handler(conn: Any, message: bytes) -> Any:
        number = int.from_bytes(message, "big")
        if number % 10_000 == 0:
            time.sleep(0.01)
        if number % 7_001 == 0:
            return (message for _ in range(1))
        return message

    server = stage.server(handler, U32)
    conn = stage.connect(server, U32)
    count = 100_000 if _backend.name == "native" else 10_000
    sender = Running(lambda: conn.send_many(index.to_bytes(4, "big") for index in range(count)))
    expected = 0
    while expected < count:
        for message in conn.recv_many():
            assert int.from_bytes(message, "big") == expected
            expected += 1
    assert sender.result() == count


def test_a_generator_is_drawn_as_the_peer_reads(near: Stage) -> None:
    drawn = 0

    def handler(conn: Any, message: bytes) -> Iterator[bytes]:
        nonlocal drawn
        for _ in range(100):
            drawn += 1
            yield bytes(1 << 20)

    server = near.server(handler, U32)
    slow, other = near.connect(server, U32), near.connect(server, U32)
    slow.send(b"go")
    until(lambda: drawn)
    time.sleep(0.2)
    assert drawn < 50
    other.send(b"go")
    assert other.recv() == bytes(1 << 20)
    other.abort()
    for _ in range(100):
        assert len(slow.recv()) == 1 << 20
    assert drawn >= 100


def test_a_codec_serves_both_ways(stage: Stage) -> None:
    codec = (lambda number: b"%d" % number, int)
    server = stage.server(lambda conn, number: number * 2, codec=codec)
    assert stage.connect(server, codec=codec).request(21) == 42


def test_a_handler_may_switch_the_framing(stage: Stage) -> None:
    def handler(conn: Any, message: bytes) -> bytes:
        if message == b"binary":
            conn.send(b"ok")
            conn.framing = U32
            return b"binary now"
        return message

    raw = stage.raw(stage.server(handler))
    raw.sendall(b"one\nbinary\n\0\0\0\3a\nb\0\0\0\0")
    got = b""
    while len(got) < 29:
        got += raw.recv(100)
    assert got == b"one\nok\n\0\0\0\nbinary now\0\0\0\3a\nb\0\0\0\0"


def test_two_framings(stage: Stage) -> None:
    server = stage.server(echo, LINES, U32)
    assert stage.connect(server, U32, send_framing=LINES).request(b"hello") == b"hello"


def test_what_others_send_goes_too(near: Stage) -> None:
    """From the handler of another connection, and from a thread: at once, and whole if the peer is slow."""
    conns: list[Any] = []
    big = bytes(900_000)

    def handler(conn: Any, message: bytes) -> None:
        for other in conns:
            if other is not conn:
                other.send(big)

    server = near.server(handler, U32, on_connect=conns.append)
    listening, speaking = near.connect(server, U32), near.connect(server, U32)
    until(lambda: len(conns) == 2)
    first = next(conn for conn in conns if conn.peer_address == listening.local_address)
    first.send(b"from a thread")
    assert listening.recv() == b"from a thread"
    speaking.send(b"to all")
    time.sleep(0.3)
    assert listening.recv() == big


def test_state_and_hooks(near: Stage) -> None:
    calls: list[Any] = []

    def greet(conn: Any) -> None:
        conn.state = 0
        conn.send(b"welcome")

    def count(conn: Any, message: bytes) -> bytes:
        conn.state += 1
        return b"%d" % conn.state

    def goodbye(conn: Any, error: BaseException) -> None:
        calls.append((conn.state, type(error)))

    server = near.server(count, on_connect=greet, on_close=goodbye)
    first, second = near.connect(server), near.connect(server)
    assert [first.recv(), first.request(b"x"), first.request(b"x")] == [b"welcome", b"1", b"2"]
    assert [second.recv(), second.request(b"x")] == [b"welcome", b"1"]
    first.close()
    until(lambda: calls)
    assert calls == [(2, fw.EndOfStream)]


def test_a_thread_may_receive_and_a_selector_must_not_wait(near: Stage) -> None:
    def handler(conn: Any, message: bytes) -> Any:
        try:
            return b"more: " + conn.recv()
        except BlockingIOError:
            return b"would block"

    conn = near.connect(near.server(handler))
    conn.send(b"one")
    if near.mode == "threads":
        conn.send(b"two")
        assert conn.recv() == b"more: two"
    else:
        assert conn.recv() == b"would block"


@pytest.mark.parametrize("address", ["unix:{}/s", "unix:@framewire-{pid}"])
def test_unix_sockets(stage: Stage, address: str, tmp_path: Path) -> None:
    server = stage.server(echo, address=address.format(tmp_path, pid=f"{os.getpid()}-{stage.mode}"))
    assert stage.connect(server).request(b"hello") == b"hello"


def test_a_socket_that_listens(near: Stage) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    server = near.server(echo, address=sock)
    assert near.connect(server).request(b"hello") == b"hello"


# --- ends -----------------------------------------------------------------------------------------------


def test_what_a_handler_raises_ends_its_connection_only(
    near: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(conn: Any, message: bytes) -> bytes:
        if message == b"fail":
            raise LookupError("no such thing")
        return message

    server = near.server(handler)
    bad, good = near.connect(server), near.connect(server)
    bad.send_many([b"before", b"fail", b"after"])
    assert bad.recv() == b"before"
    with pytest.raises(fw.EndOfStream):
        bad.recv()
    assert good.request(b"hello") == b"hello"
    until(lambda: near.ends)
    assert isinstance(near.ends[0][1], LookupError)
    (record,) = [one for one in caplog.records if one.name == "framewire.server" and one.levelno > 10]
    assert record.levelno == logging.ERROR and record.exc_info is not None
    assert "the handler failed" in record.getMessage()
    connection = vars(record)["connection"]
    assert connection.peer_address == vars(record)["peer"] == near.ends[0][0]
    assert server.stats().failed == 1


def test_good_messages_before_bad_ones_are_answered(near: Stage) -> None:
    server = near.server(echo, U32.replace(max_frame=100))
    raw = near.raw(server)
    raw.sendall(b"\0\0\0\3one\0\0\0\3two\xff\xff\xff\xff" + bytes(1000))
    got = b""
    while chunk := raw.recv(100):
        got += chunk
    assert got == b"\0\0\0\3one\0\0\0\3two"
    until(lambda: near.ends)
    assert isinstance(near.ends[0][1], fw.FrameTooLarge)


def test_replies_reach_a_peer_that_has_finished_sending(stage: Stage) -> None:
    big = bytes(3 << 20)
    server = stage.server(lambda conn, message: big, U32.replace(max_frame=4 << 20))
    conn = stage.connect(server, U32.replace(max_frame=4 << 20))
    conn.send_many([b"1", b"2", b"3"])
    conn.shutdown_write()
    assert [len(message) for message in conn] == [3 << 20] * 3


def test_a_handler_that_closes(near: Stage) -> None:
    def handler(conn: Any, message: bytes) -> None:
        conn.send(b"bye")
        conn.close(timeout=0)

    server = near.server(handler)
    for _ in range(3):
        assert near.connect(server).request(b"hello") == b"bye"
    until(lambda: server.stats().connections == 0)
    assert [type(error) for _, error in near.ends] == [fw.ConnectionClosed] * 3


def test_peers_that_reset(stage: Stage) -> None:
    """Connect and reset, before a message, inside one and with replies under way."""
    server = stage.server(lambda conn, message: bytes(100_000), U32)
    for index in range(3000 if FULL else 300):
        raw = stage.raw(server)
        raw.sendall([b"", b"\0\0", b"\0\0\0\1x" * 50][index % 3])
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raw.close()
    assert len(stage.connect(server, U32).request(b"still there?")) == 100_000
    until(lambda: server.stats().connections <= 1)


# --- hostile peers --------------------------------------------------------------------------------------


def test_trickling_peers_are_evicted(near: Stage) -> None:
    server = near.server(echo, U32, frame_timeout=0.5)
    raws = [near.raw(server) for _ in range(20)]
    for raw in raws:
        raw.setblocking(False)
    good = near.connect(server, U32)
    began = time.monotonic()
    gone: set[int] = set()
    wire = b"\0\1\0\0" + bytes(65536)
    turn = 0
    while len(gone) < len(raws) and time.monotonic() - began < 10:
        for index, raw in enumerate(raws):
            try:
                raw.send(wire[turn : turn + 1])
                if raw.recv(1) == b"":
                    gone.add(index)
            except BlockingIOError:
                pass
            except OSError:
                gone.add(index)
        assert good.request(b"hello") == b"hello"
        turn += 1
        time.sleep(0.05)
    assert len(gone) == len(raws)
    assert {type(error) for _, error in near.ends} == {fw.Timeout}


def test_idle_peers_are_evicted_if_asked(near: Stage) -> None:
    server = near.server(echo, idle_timeout=0.3)
    conn = near.connect(server)
    with pytest.raises(fw.EndOfStream):
        conn.recv()
    until(lambda: near.ends)
    assert near.ends[0][1].phase == "idle"  # type: ignore[attr-defined]


def test_a_peer_that_never_reads_costs_high_water(near: Stage) -> None:
    """C13, C15: he sends for ever and reads nothing; the server takes no more than it can answer."""
    server = near.server(echo, U32)
    raw = near.raw(server)
    raw.setblocking(False)
    block = b"\0\0\0\0" * 16384
    sent = 0
    still_since = time.monotonic()
    while time.monotonic() - still_since < 0.7:
        try:
            sent += raw.send(block)
            still_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < 40 << 20
    (conn,) = server._engine.live()
    assert conn.unsent < (1 << 20) + 70_000
    assert near.connect(server, U32).request(b"hello") == b"hello"


def test_a_flood_of_empty_frames_is_fair(near: Stage) -> None:
    count = 2_000_000 if _backend.name == "native" else 60_000
    server = near.server(lambda conn, message: message or None, U32)
    raw = near.raw(server)
    flood = Running(lambda: raw.sendall(bytes(4 * count)))
    good = near.connect(server, U32)
    while flood.thread.is_alive():
        began = time.monotonic()
        assert good.request(b"hello") == b"hello"
        assert time.monotonic() - began < 5
    flood.result()
    until(lambda: server.stats().messages_in >= count)


def test_the_most_unfinished_message_goes_first(near: Stage) -> None:
    server = near.server(echo, U32, max_buffered=500_000)
    small, large = near.raw(server), near.raw(server)
    small.sendall((1 << 20).to_bytes(4, "big") + bytes(100_000))
    large.sendall((1 << 20).to_bytes(4, "big") + bytes(900_000))
    assert large.recv(1) == b""
    until(lambda: near.ends)
    small.sendall(bytes((1 << 20) - 100_000))
    got = 0
    while got < (1 << 20) + 4:
        got += len(small.recv(1 << 20))


def test_max_connections(near: Stage) -> None:
    if near.tls:
        pytest.skip("to connect is to be accepted, there")
    server = near.server(echo, max_connections=2)
    first, second = near.connect(server), near.connect(server)
    assert first.request(b"1") == b"1" and second.request(b"2") == b"2"
    third = near.connect(server)
    third.send(b"3")
    with pytest.raises(fw.Timeout):
        third.recv(timeout=0.3)
    assert server.stats().connections == 2
    first.close()
    assert third.recv() == b"3"


def test_silent_and_half_said_peers_leave_nothing(near: Stage) -> None:
    """C25."""
    server = near.server(echo, U32)
    raws = [near.raw(server) for _ in range(100)]
    for raw in raws[:50]:
        raw.sendall(b"\0\0\0\5ab")
    until(lambda: server.stats().connections == 100)
    assert near.connect(server, U32).request(b"hello") == b"hello"
    for raw in raws:
        raw.close()
    until(lambda: server.stats().connections <= 1)
    kinds = [type(error) for _, error in near.ends]
    assert (kinds.count(fw.Truncated), kinds.count(fw.EndOfStream)) == (50, 50)


@pytest.mark.parametrize("mode", IN_PROCESS)
def test_no_descriptors_left(mode: str) -> None:
    """In a process of its own: it does not spin, and goes on as soon as there are some."""
    code = f"""
import os, resource, socket, time
import framewire as fw
soft = len(os.listdir("/proc/self/fd")) + 12
server = fw.Server(lambda conn, message: message, "tcp://127.0.0.1:0", fw.Lines(), mode={mode!r})
port = int(server.address.rpartition(":")[2])
with server:
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    while server.stats().connections < 3:
        time.sleep(0.01)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft + 4, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    late = socket.socket()
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        pass
    late.connect(("127.0.0.1", port))
    late.sendall(b"hello\\n")
    began, cpu = time.monotonic(), time.process_time()
    time.sleep(1)
    print((time.process_time() - cpu) / (time.monotonic() - began))
    clients[0].sendall(b"alive\\n")
    print(clients[0].recv(100))
    for fd in held:
        os.close(fd)
    freed = time.monotonic()
    late.settimeout(5)
    print(late.recv(100), time.monotonic() - freed)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": PACKAGE},
    )
    assert done.returncode == 0, done.stderr
    share, alive, late = done.stdout.splitlines()
    assert alive == repr(b"alive\n")
    word, seconds = late.rsplit(" ", 1)
    assert word == repr(b"hello\n") and float(seconds) < 1
    assert float(share) < 0.05
    assert "cannot accept" in done.stderr


@pytest.mark.parametrize("mode", IN_PROCESS)
def test_peers_who_never_shake_hands(mode: str, backend: _backend.Backend) -> None:
    """Silent, stopped inside the handshake, or speaking no TLS: they go in time, and disturb nobody."""
    with ExitStack() as stack:
        stage = Stage(f"{mode}+tls", stack)
        server = stage.server(echo, handshake_timeout=0.5)
        stage.tls = False
        silent, half, plain = (stage.raw(server) for _ in range(3))
        half.sendall(bytes.fromhex("1603010100010000fc0303"))
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stage.tls = True
        assert stage.connect(server).request(b"hello") == b"hello"
        until(lambda: len(stage.ends) == 3, 5)
        kinds = sorted(type(error).__name__ for _, error in stage.ends)
        assert kinds == ["ConnectionLost", "Timeout", "Timeout"]
        assert stage.connect(server).request(b"hello") == b"hello"
        for raw in (silent, half):
            assert raw.recv(1000) == b""


# --- the PROXY protocol ---------------------------------------------------------------------------------

V2 = b"\r\n\r\n\0\r\nQUIT\n"
HEADERS = {
    "v1": (b"PROXY TCP4 192.0.2.7 192.0.2.8 4000 443\r\n", "tcp://192.0.2.7:4000"),
    "v1 ipv6": (b"PROXY TCP6 2001:db8::7 2001:db8::8 4000 443\r\n", "tcp://[2001:db8::7]:4000"),
    "v1 unknown": (b"PROXY UNKNOWN what ever\r\n", "tcp://127.0.0.1"),
    "v2": (
        V2 + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 8, 15, 160, 1, 187]),
        "tcp://192.0.2.7:4000",
    ),
    "v2 with more": (
        V2 + b"\x21\x11\0\x10" + bytes([192, 0, 2, 7, 192, 0, 2, 8, 15, 160, 1, 187, 4, 0, 1, 0]),
        "tcp://192.0.2.7:4000",
    ),
    "v2 local": (V2 + b"\x20\0\0\0", "tcp://127.0.0.1"),
    "v2 unix": (V2 + b"\x21\x31\0\xd8" + b"/run/x".ljust(108, b"\0") * 2, "unix:/run/x"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_proxy_gives_the_peer_its_address(stage: Stage, name: str) -> None:
    header, expected = HEADERS[name]
    server = stage.server(lambda conn, message: conn.peer_address.encode(), proxy_protocol=True)
    raw = stage.opened(server)
    raw.sendall(header[:5])
    time.sleep(0.02)
    if stage.tls:
        raw.sendall(header[5:])
        raw = stage.secured(raw)
        raw.sendall(b"who am I\n")
    else:
        raw.sendall(header[5:] + b"who am I\n")
    assert raw.recv(1000).decode().startswith(expected)


@pytest.mark.parametrize("mode", IN_PROCESS)
def test_tls_begins_behind_the_proxy_header(mode: str, backend: _backend.Backend) -> None:
    """Wherever a segment ends: what of TLS has come with the header is not lost, nor taken for a message."""
    header = HEADERS["v2"][0]
    with ExitStack() as stack:
        stage = Stage(f"{mode}+tls", stack)
        server = stage.server(lambda conn, message: conn.peer_address.encode(), proxy_protocol=True)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        for cut in (1, len(header) - 1, len(header) + 1, len(header) + 100, None):
            client = secure.client_context().wrap_bio(back, there, server_hostname=secure.HOST)
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            wire = header + there.read()
            raw = stage.opened(server)
            raw.sendall(wire[:cut])
            if cut is not None:
                time.sleep(0.02)
                raw.sendall(wire[cut:])
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    back.write(raw.recv(65536))
            client.write(b"who am I\n")
            raw.sendall(there.read())
            answer = b""
            while not answer:
                back.write(raw.recv(65536))
                with suppress(ssl.SSLWantReadError):
                    answer = client.read(1000)
            assert answer == b"tcp://192.0.2.7:4000\n"


def test_a_message_in_the_clear_behind_the_proxy_header_is_none(near: Stage) -> None:
    near.tls = True
    server = near.server(echo, proxy_protocol=True)
    raw = near.opened(server)
    raw.sendall(HEADERS["v1"][0] + b"in the clear\n")
    assert b"clear" not in raw.recv(1000)
    until(lambda: near.ends)
    assert isinstance(near.ends[0][1], fw.ConnectionLost) and "TLS" in str(near.ends[0][1])
    assert near.ends[0][0] == "tcp://192.0.2.7:4000"


@pytest.mark.parametrize("name", HEADERS)
def test_a_proxy_header_is_cut_exactly(name: str, backend: _backend.Backend) -> None:
    header, _ = HEADERS[name]
    for cut in range(len(header)):
        decoder = _handler.PROXY_HEADER.decoder()
        assert decoder.decode(header[:cut]) == []
        assert 0 < decoder.needed <= len(header) - cut
        decoder.feed(header[cut:] + b"rest")
        assert decoder.next_frame() == header
        assert decoder.buffered == 4


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 4000\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 4000 99999\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 +400 443\r\n",
        b"PROXY TCP4 2001:db8::7 192.0.2.8 4000 443\r\n",
        b"PROXY TCP9 192.0.2.7 192.0.2.8 4000 443\r\n",
        b"PROXY " + b"x" * 200,
        V2 + b"\x31\x11\0\x0c" + bytes(12),
        V2 + b"\x21\x11\0\x04" + bytes(4),
        V2 + b"\x21\x11\xff\xff",
    ],
)
def test_a_bad_proxy_header_ends_the_connection(near: Stage, wire: bytes) -> None:
    server = near.server(echo, proxy_protocol=True)
    raw = near.opened(server)
    raw.sendall(wire)
    assert raw.recv(100) == b""
    until(lambda: near.ends)
    error = near.ends[0][1]
    assert isinstance(error, fw.MalformedFrame) and "PROXY header" in str(error)


def test_a_proxy_header_must_come_in_time(near: Stage) -> None:
    server = near.server(echo, proxy_protocol=True, frame_timeout=0.3)
    silent = near.opened(server)
    assert silent.recv(100) == b""
    until(lambda: near.ends)
    assert isinstance(near.ends[0][1], fw.Timeout)


# --- running and stopping -------------------------------------------------------------------------------


def test_shutdown_lets_what_has_come_be_answered(stage: Stage, tmp_path: Path) -> None:
    def handler(conn: Any, message: bytes) -> bytes:
        time.sleep(0.05)
        return message

    server = stage.server(handler, address=f"unix:{tmp_path}/s")
    busy, idle = stage.connect(server), stage.connect(server)
    busy.send_many([b"%d" % index for index in range(8)])
    assert busy.recv() == b"0"
    stopper = Running(server.shutdown, 10)
    assert list(busy) == [b"%d" % index for index in range(1, 8)]
    with pytest.raises(fw.EndOfStream):
        idle.recv()
    busy.close()
    idle.close()
    stopper.result()
    with pytest.raises(FileNotFoundError):
        fw.connect(server.address, LINES)
    assert "ended" in repr(server)


def test_shutdown_ends_in_time(stage: Stage) -> None:
    def handler(conn: Any, message: bytes) -> Iterator[bytes]:
        while True:
            yield bytes(100_000)

    server = stage.server(handler)
    conn = stage.connect(server)
    conn.send(b"go")
    conn.recv()
    began = time.monotonic()
    server.shutdown(grace=0.3)
    assert time.monotonic() - began < 5


def test_a_handler_may_shut_its_server_down(near: Stage) -> None:
    box: list[fw.Server] = []

    def handler(conn: Any, message: bytes) -> bytes:
        box[0].shutdown()
        return b"as you say"

    box.append(near.server(handler))
    conn = near.connect(box[0])
    assert conn.request(b"stop") == b"as you say"
    conn.close()
    until(lambda: "ended" in repr(box[0]))


FOREGROUND = """
import os, sys, time
import framewire as fw
def handler(conn, message):
    if message == b"slow":
        time.sleep(0.5)
    return b"%d" % os.getpid()
server = fw.Server(handler, "tcp://127.0.0.1:0", fw.Lines(), mode=sys.argv[1],
                   **({"workers": 2} if sys.argv[1] == "processes" else {}))
print(server.address, flush=True)
server.serve_forever()
print("ended well", flush=True)
"""


@pytest.fixture(params=MODES)
def foreground(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, request.param],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PACKAGE},
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        yield child, child.stdout.readline().strip()
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.communicate()


def dial(address: str) -> Any:
    """Connect, as soon as a server that has just begun listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            conn = fw.connect(address, LINES)
            conn.timeout = 10
            return conn
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_drain(foreground: tuple[subprocess.Popen[str], str], number: signal.Signals) -> None:
    child, address = foreground
    with dial(address) as conn:
        assert conn.request(b"hello")
        conn.send(b"slow")
        time.sleep(0.1)
        child.send_signal(number)
        assert conn.recv()
        with pytest.raises(fw.EndOfStream):
            conn.recv()
    out, err = child.communicate(timeout=20)
    assert (out, err, child.returncode) == ("ended well\n", "", 0)


@pytest.mark.parametrize("foreground", ["processes"], indirect=True)
def test_a_worker_that_is_killed_is_replaced(foreground: tuple[subprocess.Popen[str], str]) -> None:
    """Only its own connections notice."""
    child, address = foreground
    conns, pids = [], []
    while len(set(pids)) < 2:  # the kernel deals them out as it likes
        assert len(conns) < 200
        conns.append(dial(address))
        pids.append(int(conns[-1].request(b"who")))
    victim = pids[0]
    os.kill(victim, signal.SIGKILL)
    for conn, pid in zip(conns, pids):
        if pid == victim:
            with pytest.raises((fw.EndOfStream, fw.ConnectionLost)):
                conn.request(b"who")
        else:
            assert int(conn.request(b"who")) == pid
        conn.close(timeout=0)
    deadline = time.monotonic() + 10
    seen: set[int] = set()
    while len(seen - {victim}) < 2:
        assert time.monotonic() < deadline
        # Who stood in the queue of the one that died is reset with it.
        with dial(address) as conn, suppress(fw.ConnectionLost, fw.EndOfStream):
            seen.add(int(conn.request(b"who")))
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=20)
    assert out == "ended well\n" and "ended by signal 9" in err


def test_workers_speak_tls(tmp_path: Path) -> None:
    """In a process of its own, as services begin: forked where no thread runs."""
    own = secure.authority().issue_cert(secure.HOST)
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    options = f'mode="processes", workers=2, tls=({str(tmp_path / "own.pem")!r}, None)'
    code = f"""
import framewire as fw
server = fw.Server(lambda conn, message: message.upper(), "tcp://127.0.0.1:0", fw.Lines(), {options})
with server:
    print(server.address, flush=True)
    input()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PACKAGE},
    )
    try:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        for _ in range(10):
            tls = {"tls": secure.client_context(), "server_hostname": secure.HOST}
            with fw.connect(address, LINES, **tls) as conn:
                assert conn.request(b"hello", timeout=30) == b"HELLO"
        child.communicate("\n", timeout=30)
        assert child.returncode == 0
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("foreground", ["processes"], indirect=True)
def test_workers_end_with_the_process_that_began_them(
    foreground: tuple[subprocess.Popen[str], str],
) -> None:
    child, address = foreground
    with dial(address) as conn:
        worker = int(conn.request(b"who"))
    child.kill()
    child.wait()

    def gone() -> bool:
        try:
            with open(f"/proc/{worker}/stat") as file:
                return file.read().split(") ")[1][0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    until(gone, 20)


def test_accept_and_fork_in_the_users_own_code() -> None:
    """The HOWTO's second way."""
    code = """
import os
import framewire as fw
with fw.listen("tcp://127.0.0.1:0", fw.Lines()) as listener:
    client = fw.connect(listener.address, fw.Lines())
    conn = listener.accept()
    pid = os.fork()
    if pid == 0:
        listener.close()
        conn.send(b"%d says " % os.getpid() + conn.recv())
        conn.close()
        os._exit(0)
    conn.close()
    client.send(b"hello")
    assert client.recv() == b"%d says hello" % pid
    client.close()
    os.waitpid(pid, 0)
"""
    environment = {**os.environ, "PYTHONPATH": PACKAGE}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30, env=environment)


# --- what cannot be -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"mode": "fibers"}, ValueError, "choose one of threads, processes, selector, asyncio"),
        ({"workers": 2}, ValueError, "goes with mode='processes'"),
        ({"mode": "processes", "workers": 0}, ValueError, "workers=0"),
        ({"max_connections": 0}, ValueError, "max_connections=0"),
        ({"max_buffered": 0}, ValueError, "max_buffered=0"),
        ({"frame_timeout": 0}, ValueError, "frame_timeout=0"),
        ({"heartbeat": b"x"}, fw.DeclarationError, "peer_timeout"),
        ({"colour": "red"}, TypeError, "colour"),
        ({"handshake_timeout": 0}, ValueError, "handshake_timeout=0"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        fw.Server(echo, "tcp://127.0.0.1:0", LINES, **options)


def test_a_server_runs_once(near: Stage) -> None:
    server = near.server(echo)
    with pytest.raises(RuntimeError, match="runs once"):
        server.serve_forever()
    server.shutdown()
    server.shutdown()
    with pytest.raises(RuntimeError, match="runs once"), server:
        pass


def test_a_server_that_never_ran(backend: _backend.Backend, tmp_path: Path) -> None:
    server = fw.Server(echo, f"unix:{tmp_path}/s", LINES)
    assert "ready" in repr(server)
    with pytest.raises(ValueError, match="grace=-1"):
        server.shutdown(grace=-1)
    server.shutdown()
    with pytest.raises(FileNotFoundError):
        fw.connect(server.address, LINES)


def test_stats(stage: Stage) -> None:
    server = stage.server(echo)
    conn = stage.connect(server)
    assert conn.request(b"hello") == b"hello"
    expected = (1, 1, 0, 1, 1, 6, 6)
    until(lambda: server.stats() == expected)
    conn.close()
    until(lambda: server.stats() == (0, *expected[1:]))


def test_accept_passes_over_what_died_in_the_queue() -> None:
    class Listener:
        def __init__(self) -> None:
            self.answers: list[Any] = [
                OSError(errno.ECONNABORTED, ""),
                "sock",
                OSError(errno.EPROTO, ""),
                "other",
            ]

        def accept(self) -> tuple[Any, None]:
            if not self.answers:
                raise BlockingIOError
            answer = self.answers.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer, None

        def fileno(self) -> int:
            return 3

    assert list(_handler.accept_some(Listener(), 10)) == ["sock", "other"]  # type: ignore[arg-type]
    full = Listener()
    full.answers = ["sock", OSError(errno.EMFILE, "")]
    accepted = _handler.accept_some(full, 10)  # type: ignore[arg-type]
    assert next(accepted) == "sock"
    with pytest.raises(OSError):
        next(accepted)
    assert list(_handler.accept_some(Listener(), 1)) == []  # type: ignore[arg-type]


def test_the_portable_poller(monkeypatch: pytest.MonkeyPatch, backend: _backend.Backend) -> None:
    monkeypatch.setattr(_loops, "_poller", _loops._Portable)
    with fw.Server(echo, "tcp://127.0.0.1:0", U32, mode="selector") as server:
        with fw.connect(server.address, U32) as conn:
            big = bytes(1 << 20)
            sender = Running(lambda: conn.send_many([big] * 20))
            for _ in range(20):
                assert conn.recv(timeout=30) == big
            sender.result()
