"""What is particular of an SSLSocket that is handed in; the rest is test_conformance's."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest
import secure
from alarms import Alarms
from drivers import Tcp, run

import framewire as fw
from framewire import _backend

U32 = fw.LengthPrefixed(fw.u32)


@pytest.fixture
def stack(backend: _backend.Backend) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def plain(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    left, right = Tcp().ends()
    stack.callback(left.close)
    stack.callback(right.close)
    return left, right


def wrapped(stack: ExitStack) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    left, right = plain(stack)
    theirs = run(lambda: secure.server_context().wrap_socket(right, server_side=True))
    ours = secure.client_context().wrap_socket(left, server_hostname=secure.HOST)
    stack.callback(ours.close)
    return ours, stack.enter_context(theirs())


def given(stack: ExitStack, sock: socket.socket, **options: Any) -> Any:
    conn = fw.MessageSocket(sock, U32, **options)
    stack.callback(conn.abort)
    return conn


def test_it_goes_on_where_its_user_stood(stack: ExitStack) -> None:
    """Of a record that he has read in part, the rest comes first, though the descriptor shows nothing."""
    ours, theirs = wrapped(stack)
    theirs.sendall(b"OK\r\n" + U32.encode(b"first"))
    assert ours.recv(4) == b"OK\r\n"
    conn = given(stack, ours)
    assert conn.ready
    assert conn.recv(timeout=5) == b"first"
    assert conn.tls is ours and conn.tls.version() == "TLSv1.3"
    assert conn.peer_address.startswith("tls://127.0.0.1:")


def test_its_handshake_may_be_still_to_do(stack: ExitStack) -> None:
    left, right = plain(stack)
    ours = secure.client_context().wrap_socket(
        left, server_hostname=secure.HOST, do_handshake_on_connect=False
    )
    theirs = secure.server_context().wrap_socket(right, server_side=True, do_handshake_on_connect=False)
    client, server = given(stack, ours), given(stack, theirs)
    answer = run(lambda: server.send(server.recv(timeout=5)))
    assert client.request(b"hello", timeout=5) == b"hello"
    answer()


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_two_threads_do_the_handshake(stack: ExitStack, version: str) -> None:
    """What the one waits for, the other may have read."""
    for _ in range(20):
        left, right = plain(stack)
        ours = secure.client_context().wrap_socket(
            left, server_hostname=secure.HOST, do_handshake_on_connect=False
        )
        context = secure.server_context(version=version)

        def echo(right: socket.socket = right, context: ssl.SSLContext = context) -> None:
            time.sleep(0.05)  # both wait by then
            with context.wrap_socket(right, server_side=True) as theirs:
                theirs.sendall(theirs.recv(100))

        client = given(stack, ours)
        answer, sender = run(partial(client.recv, timeout=10)), run(partial(client.send, b"ping"))
        peer = run(echo)
        assert answer() == b"ping"
        sender()
        peer()


def test_without_tls_it_is_refused(stack: ExitStack) -> None:
    ours, theirs = wrapped(stack)
    ender = run(theirs.unwrap)
    ours.unwrap()
    ender()
    with pytest.raises(fw.DeclarationError, match="not connected, or its TLS has been ended"):
        fw.MessageSocket(ours, U32)


def test_an_end_without_close_notify_is_none(stack: ExitStack) -> None:
    for part in (b"", b"\0\0"):
        ours, theirs = wrapped(stack)
        theirs.sendall(U32.encode(b"all") + part)
        theirs.shutdown(socket.SHUT_WR)
        conn = given(stack, ours)
        assert conn.recv(timeout=5) == b"all"
        with pytest.raises(fw.Truncated) as caught:
            conn.recv(timeout=5)
        assert caught.value.tls_unclean and caught.value.partial == part


def test_a_reset_is_one(stack: ExitStack) -> None:
    ours, theirs = wrapped(stack)
    conn = given(stack, ours)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    for call in (conn.recv, lambda: conn.send(b"x")):
        with pytest.raises(fw.ConnectionLost):
            call()


def test_the_peer_may_end_while_we_go_on(stack: ExitStack) -> None:
    ours, theirs = wrapped(stack)
    conn = given(stack, ours)
    theirs.setblocking(False)
    with suppress(ssl.SSLWantReadError):
        theirs.unwrap()
    with pytest.raises(fw.EndOfStream):
        conn.recv(timeout=5)
    for size in (1, 100_000):
        with suppress(fw.ConnectionLost):  # OpenSSL may refuse to go on
            conn.send(bytes(size), timeout=1)


def test_what_tls_cannot_read_ends_it(stack: ExitStack) -> None:
    left, right = plain(stack)
    ours = secure.client_context().wrap_socket(
        left, server_hostname=secure.HOST, do_handshake_on_connect=False
    )
    right.sendall(b"220 no TLS here\r\n")
    conn = given(stack, ours)
    for _ in range(2):
        with pytest.raises(fw.ConnectionLost, match="wrong version number|record layer failure"):
            conn.recv(timeout=5)


def test_a_stopped_reader_tears_nothing(stack: ExitStack) -> None:
    ours, theirs = wrapped(stack)
    conn = given(stack, ours, high_water=100_000)
    message, sent = bytes(range(256)) * 200, 0
    with pytest.raises(BlockingIOError):
        while True:
            conn.send(message, timeout=0)
            sent += 1
    assert conn.events & 2
    peer = given(stack, theirs)
    sender = run(lambda: conn.close(timeout=30))
    assert list(peer) == [message] * sent
    peer.close(timeout=0)
    sender()


def test_signal_handlers_that_raise(stack: ExitStack) -> None:
    """Nothing torn, nothing out of order; where it cannot be told what one has cost, the connection ends."""
    ours, theirs = wrapped(stack)
    sender, receiver = given(stack, theirs), given(stack, ours)
    messages = [index.to_bytes(4, "big") * (index % 200 + 1) for index in range(3000)]

    def send() -> None:
        with suppress(fw.ConnectionLost):
            sender.send_many(messages)
            sender.close(timeout=30)

    got: list[bytes] = []
    over = run(send)
    with Alarms(0.0004) as alarms, suppress(fw.EndOfStream):
        try:
            while True:
                alarms.during(lambda: got.append(receiver.recv()))
        except fw.ConnectionLost as error:
            assert "a signal handler raised" in str(error)
    receiver.abort()
    over()
    numbers = [int.from_bytes(message[:4], "big") for message in got]
    assert numbers == sorted(set(numbers))
    assert all(message == messages[number] for message, number in zip(got, numbers))


def test_a_server_takes_none(stack: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sock = secure.server_context().wrap_socket(listening, server_side=True)
        stack.callback(sock.close)
        with pytest.raises(fw.DeclarationError, match="give the plain one, and its context as tls="):
            fw.listen(sock, U32)


def test_tls_in_tls_is_refused(stack: ExitStack) -> None:
    ours, _ = wrapped(stack)
    with pytest.raises(fw.DeclarationError, match="give the plain one"):
        fw.connect(ours, U32, tls=secure.client_context())
    conn = given(stack, ours)
    with pytest.raises(fw.DeclarationError, match="TLS already"):
        conn.start_tls()
    for call in (conn.detach, conn.shutdown_write):
        with pytest.raises(fw.DeclarationError, match=f"{call.__name__}\\(\\): "):
            call()
