"""TLS: what it adds to a connection. How messages move over it is the conformance suite's matter.

Peers are `ssl.SSLSocket` of the standard library wherever it matters that ours is not on both ends.
"""

from __future__ import annotations

import datetime
import errno
import gc
import os
import pickle
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import secure
from alarms import Alarms
from conftest import FULL, examples
from drivers import SecureSimulated, collect, run
from peers import PATIENCE, U32, Way, forked, polled, reset, sockets
from test_conformance import HARMLESS, RECEIVED, SENT, Alarm, numbered, scripts
from test_faults import MATRIX

import framewire as fw
from framewire import _backend
from framewire.testing import fail

U16 = fw.LengthPrefixed(fw.u16)
WAYS = ("recv", "many", "into")


@pytest.fixture
def stack(backend: _backend.Backend) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["blocking", "polling"])
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


def keep(stack: ExitStack, conn: Any) -> Any:
    stack.callback(conn.abort)
    return conn


def half(stack: ExitStack, kind: str = "tcp", **options: Any) -> tuple[ssl.SSLSocket, Any]:
    """A TLS server of the standard library, and the connection to it."""
    left, right = sockets(kind)
    box: list[ssl.SSLSocket] = []
    context = secure.server_context(version=options.pop("version", "TLSv1_3"))
    join = run(lambda: box.append(context.wrap_socket(right, True, suppress_ragged_eofs=False)))
    conn = fw.connect(left, U32, tls=secure.client_context(), server_hostname=secure.HOST, **options)
    join()
    stack.callback(box[0].close)
    return box[0], keep(stack, conn)


def pair(stack: ExitStack, framing: fw.Framing = U32, **options: Any) -> tuple[Any, Any]:
    """Two connections over TLS, client and server."""
    left, right = secure.shaken(*(make(end) for make, end in zip(ENDS, sockets("tcp"))))
    return tuple(keep(stack, fw.MessageSocket(end, framing, **options)) for end in (left, right))  # type: ignore[return-value]


ENDS = (secure.client, secure.server)


# --- connect and listen -------------------------------------------------------------------------------------


def echo(listener: fw.MessageListener) -> None:
    with listener.accept() as conn:
        for message in conn:
            conn.send(message)


@pytest.mark.parametrize("kind", ["tls", "tcp", "unix"])
def test_connect_and_listen(stack: ExitStack, kind: str, tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/x" if kind == "unix" else f"{kind}://127.0.0.1:0"
    with fw.listen(where, U32, tls=secure.server_context("echo")) as listener:
        assert listener.address.startswith("unix:" if kind == "unix" else "tls://127.0.0.1:")
        server = run(lambda: echo(listener))
        name = {"server_hostname": secure.HOST} if kind == "unix" else {}
        with fw.connect(listener.address, U32, tls=secure.client_context("echo", "other"), **name) as conn:
            assert conn.tls is not None
            assert conn.tls.version() == "TLSv1.3" and conn.tls.cipher()
            assert conn.tls.selected_alpn_protocol() == "echo"
            names = conn.tls.getpeercert()["subjectAltName"]  # type: ignore[index]
            assert ("DNS", secure.HOST) in names
            if kind != "unix":
                assert conn.peer_address == listener.address and conn.local_address.startswith("tls://")
            for message in (b"", b"hello", b"x" * 100_000):
                assert conn.request(message, timeout=PATIENCE) == message
        server()


def test_a_server_from_files(stack: ExitStack, tmp_path: Path) -> None:
    certificate = secure.authority().issue_cert("localhost")
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    files[1].write_bytes(certificate.private_key_pem.bytes())
    with fw.listen("tls://localhost:0", U32, tls=files) as listener:
        server = run(lambda: echo(listener))
        port = listener.address.rpartition(":")[2]
        with fw.connect(f"tls://localhost:{port}", U32, tls=secure.client_context()) as conn:
            assert conn.request(b"x", timeout=PATIENCE) == b"x"
        server()
    with pytest.raises(fw.DeclarationError, match="PEM files of one key and its certificate: "):
        fw.listen("tls://127.0.0.1:0", U32, tls=(files[0], files[0]))
    with pytest.raises(FileNotFoundError):
        fw.listen("tls://127.0.0.1:0", U32, tls=(tmp_path / "none", files[1]))


def test_the_name_goes_to_the_server(stack: ExitStack) -> None:
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.authority().issue_cert(secure.HOST).configure_cert(context)
    context.sni_callback = lambda _, name, __: asked.append(name)  # type: ignore[assignment, func-returns-value]
    with fw.listen("tls://127.0.0.1:0", U32, tls=context) as listener:
        server = run(lambda: echo(listener))
        options = {"tls": secure.client_context(), "server_hostname": secure.HOST}
        with fw.connect(listener.address, U32, **options) as conn:  # type: ignore[arg-type]
            conn.request(b"x", timeout=PATIENCE)
        server()
    assert asked == [secure.HOST]


def test_what_cannot_be(stack: ExitStack) -> None:
    left, right = sockets("unix")
    stack.enter_context(left)
    stack.enter_context(right)
    for call, why in (
        (lambda: fw.listen("tls://127.0.0.1:0", U32), "a server needs a certificate"),
        (lambda: fw.listen("tcp://127.0.0.1:0", U32, tls=True), "a server needs a certificate"),  # type: ignore[arg-type]
        (lambda: fw.connect("tls://127.0.0.1:1", U32, tls=7), "tls=7: wanted is an ssl.SSLContext, or True"),  # type: ignore[arg-type]
        (lambda: fw.connect("tcp://127.0.0.1:1", U32, server_hostname="x"), "goes with TLS"),
        (lambda: fw.connect("exec:cat", U32, tls=True), "tls= goes with sockets; start_tls"),
        (
            lambda: fw.connect(left, U32, tls=True),
            "requires server_hostname: server_hostname=",
        ),
        (lambda: fw.connect(left, U32, tls=secure.server_context(), server_hostname="x"), "as client cannot"),
        (lambda: fw.connect(left, U32, tls=True, server_hostname=""), "server_hostname"),
    ):
        with pytest.raises(fw.DeclarationError, match=why):
            call()
    for number in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="handshake_timeout="):
            fw.connect("tls://127.0.0.1:1", U32, handshake_timeout=number)
        with pytest.raises(ValueError, match="handshake_timeout="):
            fw.listen("tcp://127.0.0.1:0", U32, handshake_timeout=number)
    assert left.fileno() >= 0, "what was refused stays the caller's"


def test_importing_framewire_does_not_import_ssl() -> None:
    code = "import sys, framewire; framewire.socketpair; sys.exit('ssl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_connecting_without_waiting(stack: ExitStack) -> None:
    with fw.listen("tls://127.0.0.1:0", U32, tls=secure.server_context()) as listener:
        server = run(lambda: echo(listener))
        conn = keep(stack, fw.connect(listener.address, U32, tls=secure.client_context(), timeout=0))
        assert conn.events == 2
        polled(conn, lambda: conn.send(b"question", timeout=0) or conn.flush(timeout=0))
        assert polled(conn, lambda: conn.recv(timeout=0)) == b"question"
        conn.close()
        server()


# --- certificates -------------------------------------------------------------------------------------------


def refused(context: ssl.SSLContext, client: ssl.SSLContext, host: str = secure.HOST) -> tuple[Any, Any]:
    """What both ends get of a handshake that fails."""
    left, right = sockets("tcp")
    server = fw.MessageSocket(secure.server(right, context), U32)

    def accept() -> Any:
        with pytest.raises(fw.FramewireError) as caught:
            server.recv()
        server.close(timeout=0) if not isinstance(caught.value, fw.ConnectionLost) else server.abort()
        return caught.value

    join = run(accept)
    with pytest.raises(fw.FramewireError) as caught:
        with fw.connect(left, U32, tls=client, server_hostname=host) as conn:
            conn.recv()
    return caught.value, join()


def issued(**options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.authority().issue_cert(secure.HOST, **options).configure_cert(context)
    return context


def test_another_name(stack: ExitStack) -> None:
    error, other = refused(secure.server_context(), secure.client_context(), "wrong.test")
    assert isinstance(error, fw.ConnectionLost) and isinstance(error, ssl.SSLCertVerificationError)
    assert error.verify_code == 62
    assert "Hostname mismatch, certificate is not valid for 'wrong.test'; server_hostname=" in str(error)
    assert isinstance(other, fw.ConnectionLost) and "in the TLS handshake: " in str(other)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error) and copy.verify_code == 62


def test_an_unknown_authority(stack: ExitStack) -> None:
    error, other = refused(secure.server_context(), ssl.create_default_context())
    assert isinstance(error, ssl.SSLCertVerificationError) and isinstance(error, fw.ConnectionLost)
    assert "unable to get local issuer certificate; if the CA is your own, tls=ssl.create_default" in str(
        error
    )
    assert "the peer does not know the CA of our certificate" in str(other)


def test_an_expired_certificate(stack: ExitStack) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    error, other = refused(issued(not_after=past, not_before=past), secure.client_context())
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert "certificate has expired; the peer must renew it, if this machine's clock is right" in str(error)
    assert isinstance(other, fw.ConnectionLost)


def test_a_client_without_a_certificate(stack: ExitStack) -> None:
    context = issued()
    secure.authority().configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    error, other = refused(context, secure.client_context())
    assert "the peer wants a certificate of ours" in str(error)
    assert "peer did not return a certificate; the context wants one of every client" in str(other)


def test_no_common_version(stack: ExitStack) -> None:
    context = issued()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    client = ssl.create_default_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    error, other = refused(context, client)
    for one in (error, other):
        assert isinstance(one, fw.ConnectionLost) and "no common version" in str(one)


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b"220 mail\r\n", bytes(9)])
def test_a_peer_that_speaks_something_else(stack: ExitStack, greeting: bytes) -> None:
    left, right = sockets("tcp")
    stack.callback(right.close)
    right.sendall(greeting)
    with pytest.raises(fw.ConnectionLost, match="in the TLS handshake: .*; .* is it the right port"):
        fw.connect(left, U32, tls=secure.client_context(), server_hostname="x")


def test_an_http_request_to_a_tls_server(stack: ExitStack) -> None:
    left, right = sockets("tcp")
    stack.callback(left.close)
    left.sendall(b"GET / HTTP/1.1\r\n\r\n")
    conn = keep(stack, fw.MessageSocket(secure.server(right), U32))
    for _ in range(2):
        with pytest.raises(fw.ConnectionLost, match="not TLS but an HTTP request"):
            conn.recv()
    with pytest.raises(fw.ConnectionLost, match="not TLS but an HTTP request"):
        conn.send(b"x")
    assert conn.ready and conn.events == 0


# --- the handshake ------------------------------------------------------------------------------------------


def flights() -> dict[str, list[bytes]]:
    """What each side says in a handshake, as client and as server."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = secure.client_context().wrap_bio(incoming, outgoing, server_hostname=secure.HOST)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = secure.server_context().wrap_bio(there, back, server_side=True)
    said: dict[str, list[bytes]] = {"client": [], "server": []}
    for _ in range(3):
        for name, one, out, other in (
            ("client", client, outgoing, there),
            ("server", server, back, incoming),
        ):
            with suppress(ssl.SSLWantReadError):
                one.do_handshake()
            said[name].append(out.read())
            other.write(said[name][-1])
    return said


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_peer_that_leaves_after_each_byte_of_the_handshake(stack: ExitStack, role: str, how: str) -> None:
    """C22, CVE-2024-32650: a typed error at once, and no processor time burnt."""
    peer = "server" if role == "client" else "client"
    size = len(flights()[peer][0])
    step = 1 if FULL else 7
    used = time.process_time()
    count = 0
    for cut in [*range(0, size, step), size - 1]:
        left, right = sockets("unix")
        # A live peer says it, so that it fits: all but what is cut off comes.
        names = {"server_hostname": secure.HOST} if peer == "client" else {"server_side": True}
        context = secure.client_context() if peer == "client" else secure.server_context()
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        other = context.wrap_bio(there, back, **names)  # type: ignore[arg-type]
        end = ENDS[role == "server"](left)
        conn = fw.MessageSocket(end, U32)
        if role == "client":
            with pytest.raises(BlockingIOError):
                conn.recv(timeout=0)
            there.write(right.recv(65536))
        with suppress(ssl.SSLWantReadError):
            other.do_handshake()
        said = back.read()
        right.sendall(said[: min(cut, len(said) - 1)])
        if how == "reset" and cut % 2:
            # Unread input makes the kernel say ECONNRESET.
            left.sendall(b"never read")
        right.close()
        for call in (conn.recv, conn.recv, lambda: conn.send(b"x")):  # noqa: B023
            with pytest.raises(fw.ConnectionLost, match="lost"):
                call()
        conn.abort()
        count += 1
    assert (time.process_time() - used) / count < 0.1


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_reset_inside_the_handshake(stack: ExitStack, role: str, way: Way) -> None:
    left, right = sockets("tcp")
    conn = keep(stack, fw.MessageSocket(ENDS[role == "server"](left), U32))
    join = run(lambda: pytest.raises(fw.ConnectionLost, way.recv, conn))
    time.sleep(0.05)
    reset(right)
    assert join().value.errno == errno.ECONNRESET


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("drip", [False, True])
def test_a_handshake_that_takes_too_long(stack: ExitStack, role: str, drip: bool, way: Way) -> None:
    left, right = sockets("tcp")
    stack.callback(right.close)
    conn = keep(stack, fw.MessageSocket(ENDS[role == "server"](left, timeout=0.3), U32))
    over = threading.Event()

    def dripping() -> None:
        for byte in flights()["server" if role == "client" else "client"][0]:
            if over.wait(0.02):
                return
            right.sendall(bytes([byte]))

    join = run(dripping) if drip else None
    began, used = time.monotonic(), time.process_time()
    for _ in range(2):
        with pytest.raises(
            fw.Timeout, match="TLS handshake with the peer was not done within 0.3 s"
        ) as caught:
            way.recv(conn)
        assert caught.value.phase == "handshake"
    assert 0.25 < time.monotonic() - began < 2
    assert time.process_time() - used < 0.3
    with pytest.raises(fw.Timeout):
        conn.send(b"x")
    over.set()
    if join:
        join()


def test_connect_keeps_to_both_timeouts(stack: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tls://127.0.0.1:{silent.getsockname()[1]}"
        for options in ({"timeout": 0.2}, {"handshake_timeout": 0.2}):
            began = time.monotonic()
            with pytest.raises(fw.Timeout, match="was not done within 0.") as caught:
                fw.connect(address, U32, tls=secure.client_context(), **options)
            assert caught.value.phase == "handshake" and time.monotonic() - began < 2
            assert address in str(caught.value)


def test_accept_never_waits_for_a_handshake(stack: ExitStack) -> None:
    with fw.listen("tls://127.0.0.1:0", U32, tls=secure.server_context()) as listener:
        port = int(listener.address.rpartition(":")[2])
        silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        server = run(lambda: (listener.accept(), echo(listener))[0])
        with fw.connect(listener.address, U32, tls=secure.client_context()) as conn:
            assert conn.request(b"x", timeout=PATIENCE) == b"x"
        idle = keep(stack, server())
        assert idle.tls.cipher() is None
        with pytest.raises(fw.Timeout) as caught:
            idle.recv(timeout=0.05)
        assert caught.value.phase == "recv", "the handshake may take longer than this"
        silent.close()


def test_recv_and_send_at_once_in_the_handshake(stack: ExitStack) -> None:
    """Whichever thread reads the last of the handshake, the other one goes on too."""
    for version in ("TLSv1_2", "TLSv1_3"):
        for _ in range(10):
            left, right = sockets("tcp")
            context = secure.server_context(version=version)
            ends = (
                secure.client(left),
                secure.server(right, context),
            )
            one, other = (keep(stack, fw.MessageSocket(end, U32)) for end in ends)
            joins = [run(lambda c=c: c.recv(timeout=PATIENCE)) for c in (one, other)]  # type: ignore[misc]
            began = time.monotonic()
            sends = [run(lambda c=c: c.send(b"x")) for c in (one, other)]  # type: ignore[misc]
            assert [join() for join in joins] == [b"x", b"x"]
            assert [join() for join in sends] == [None, None]
            assert time.monotonic() - began < 5


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", [U32, fw.Lines(), fw.UntilEOF(), fw.Delimited(b"\n", eof="drop")])
@pytest.mark.parametrize("tail", [b"", b"\0\0"])
def test_an_end_without_close_notify(stack: ExitStack, way: Way, framing: fw.Framing, tail: bytes) -> None:
    """A tail that `eof="deliver"` would make a message is none: anybody may have cut it off there."""
    raw, conn = half(stack)
    conn.framing = framing
    raw.sendall((b"" if framing == fw.UntilEOF() else framing.encode(b"last")) + tail)
    socket.socket(fileno=raw.detach()).close()
    if framing != fw.UntilEOF():
        assert way.recv(conn) == b"last"
    for _ in range(2):
        with pytest.raises(fw.Truncated, match="without close_notify of TLS") as caught:
            way.recv(conn)
        assert caught.value.tls_unclean and caught.value.partial == tail
        assert ("inside a frame of which 2 bytes arrived" in str(caught.value)) is bool(tail)
    assert conn.ready and not conn.events
    whole = b"" if framing == fw.UntilEOF() else framing.encode(b"last")
    assert conn.stats().bytes_in == len(whole + tail)


def test_an_end_inside_a_large_message(stack: ExitStack) -> None:
    raw, conn = half(stack)
    conn.framing = framing = U32.replace(max_frame=1 << 24)
    raw.sendall(framing.encode(bytes(3_000_000))[:1_000_000])
    socket.socket(fileno=raw.detach()).close()
    with pytest.raises(fw.Truncated) as caught:
        conn.recv()
    assert caught.value.tls_unclean
    assert (len(caught.value.partial), caught.value.needed) == (1_000_000, 2_000_004)


def test_the_option_that_hides_it_hides_nothing(stack: ExitStack) -> None:
    left, right = sockets("tcp")
    context = ssl.create_default_context()
    secure.authority().configure_trust(context)
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    join = run(lambda: secure.server_context().wrap_socket(right, True))
    conn = keep(stack, fw.connect(left, U32, tls=context, server_hostname=secure.HOST))
    socket.socket(fileno=join().detach()).close()
    with pytest.raises(fw.Truncated):
        conn.recv()


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_the_clean_end(stack: ExitStack, way: Way, version: str) -> None:
    raw, conn = half(stack, version=version)
    raw.sendall(U32.encode(b"last"))
    join = run(raw.unwrap)
    assert way.recv(conn) == b"last"
    for _ in range(2):
        with pytest.raises(fw.EndOfStream):
            way.recv(conn)
    conn.close()
    join().close()


def test_the_end_comes_with_the_last_message(stack: ExitStack) -> None:
    """close_notify has been read along: the descriptor says nothing any more, `ready` does."""
    raw, conn = half(stack)
    raw.sendall(U32.encode(b"last"))
    raw.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        raw.unwrap()
    time.sleep(0.05)
    assert conn.recv(timeout=PATIENCE) == b"last"
    assert conn.ready
    with pytest.raises(fw.EndOfStream):
        conn.recv(timeout=0)


def test_half_close(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack)
    conn.send(b"question")
    conn.shutdown_write()
    assert raw.recv(100) == U32.encode(b"question") and raw.recv(100) == b"", "the clean end, for him"
    raw.sendall(U32.encode_many([b"answer", b"x" * 100_000]))
    assert way.recv(conn) == b"answer" and way.recv(conn) == b"x" * 100_000
    with pytest.raises(fw.ConnectionClosed, match="sends no more"):
        conn.send(b"x")
    raw.unwrap()
    with pytest.raises(fw.EndOfStream):
        way.recv(conn)


def test_an_unused_connection_closes_at_once(stack: ExitStack) -> None:
    left, right = sockets("tcp")
    stack.callback(left.close)
    began = time.monotonic()
    fw.MessageSocket(secure.server(right), U32).close()
    assert time.monotonic() - began < 1 and left.recv(9) == b""


def test_after_an_exception_the_peer_sees_no_clean_end(stack: ExitStack) -> None:
    left, right = pair(stack)
    with suppress(BlockingIOError):
        left.recv(timeout=0)  # tickets: unread, they would make the kernel send a reset
    with pytest.raises(KeyError), left:
        raise KeyError
    with pytest.raises(fw.Truncated):
        right.recv()


# --- what is no data ----------------------------------------------------------------------------------------


def test_tickets_are_no_data(stack: ExitStack, way: Way) -> None:
    """TLS 1.3 sends them behind the handshake: nothing has come for whoever reads."""
    raw, conn = half(stack)
    time.sleep(0.05)
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            conn.recv(timeout=0)
    began = time.monotonic()
    with pytest.raises(fw.Timeout):
        way.recv(conn, 0.1)
    assert time.monotonic() - began < 2 and not conn.ready
    assert conn.stats().bytes_in == 0
    raw.sendall(U32.encode(b"x"))
    assert way.recv(conn) == b"x"


@pytest.mark.skipif(not Path("/usr/bin/openssl").exists(), reason="needs the openssl command")
def test_key_updates_of_openssl(stack: ExitStack, tmp_path: Path) -> None:
    """`openssl s_client` is a peer with other habits; its K asks for an update of both keys."""
    with fw.listen("tls://127.0.0.1:0", fw.Lines(), tls=secure.server_context()) as listener:
        argv = ["openssl", "s_client", "-connect", listener.address[6:]]
        pipe = subprocess.PIPE
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdin and process.stdout and process.stderr
        conn = keep(stack, listener.accept())
        for index in range(20):
            if index:  # not before the handshake is done
                process.stdin.write(b"K\n" if index % 3 else b"k\n")
                process.stdin.flush()
                while process.stderr.readline() != b"KEYUPDATE\n":
                    pass
            process.stdin.write(b"line %d\n" % index)
            process.stdin.flush()
            assert conn.recv(timeout=PATIENCE) == b"line %d" % index
            conn.send(b"got %d" % index)
        for line in process.stdout:
            if line == b"got 19\r\n" or line == b"got 19\n":
                break
        else:
            pytest.fail("the peer did not understand us after his key updates")
        for file in (process.stdin, process.stdout, process.stderr):
            file.close()
        with suppress(fw.EndOfStream, fw.Truncated):
            conn.recv(timeout=PATIENCE)


# --- nothing is lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(examples(40, 400)))
def test_partial_sends_and_tiny_reads(backend: _backend.Backend, seed: int) -> None:
    messages = numbered(300, seed) + [bytes([seed % 256]) * 70_000]
    driver = SecureSimulated(seed)
    with driver.stack:
        assert driver.exchange(U32, messages, WAYS[seed % 3], many=seed % 2 == 0) == messages


def secured(incoming: Any, **options: Any) -> tuple[secure.SecureStream, Any]:
    stream = secure.SecureStream(incoming, **options)
    return stream, fw.MessageSocket(stream.secured(timeout=None), U16)


FAULTS = [*HARMLESS, fail(Alarm)]


def test_faults_at_every_call_of_a_receive(backend: _backend.Backend) -> None:
    chunks = [b"\0\3on", b"e\0\0\0\x05he", 1.0, b"llo", b"\0\2ab", None]
    for script in scripts(14, FAULTS):
        stream, conn = secured(chunks, script=script, side="client" if len(script) % 2 else "server")
        got: list[bytes] = []
        while True:
            try:
                got.append(conn.recv())
            except Alarm:
                continue
            except fw.EndOfStream:
                break
        assert got == RECEIVED, script
        conn.abort()


@pytest.mark.parametrize("many", [False, True])
def test_faults_at_every_call_of_a_send(backend: _backend.Backend, many: bool) -> None:
    framing = fw.LengthPrefixed(fw.u32)
    for script in scripts(12, FAULTS):
        stream = secure.SecureStream([None], script=script, capacity=50_000)
        conn = fw.MessageSocket(stream.secured(timeout=None), framing)
        sent = 0
        for _ in range(5):
            try:
                if many:
                    conn.send_many(SENT[sent:])
                else:
                    for message in SENT[sent:]:
                        conn.send(message)
            except Alarm:
                pass
            sent = conn.stats().messages_out
            if sent == len(SENT):
                break
        while conn.unsent:
            with suppress(Alarm):
                conn.flush()
        with suppress(Alarm):
            conn.close()
        stream._meet()
        assert bytes(stream.plain) == framing.encode_many(SENT), script


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.ETIMEDOUT, errno.EPIPE], ids=errno.errorcode.get)
def test_a_connection_that_dies_at_every_call(backend: _backend.Backend, number: int) -> None:
    for at in range(12):
        _, conn = secured([b"\0\3one", 1, b"\0\3two", 1, None], script={at: fail(number)})
        got: list[bytes] = []
        with pytest.raises((fw.ConnectionLost, fw.EndOfStream)) as caught:
            conn.send(b"x" * 30_000)
            while True:
                got.append(conn.recv())
        assert got == [b"one", b"two"][: len(got)]
        if isinstance(caught.value, fw.ConnectionLost):
            assert caught.value.errno == number
        conn.abort()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised in a callback
@pytest.mark.parametrize("how", ["send", "recv"])
def test_signal_handlers_that_raise(stack: ExitStack, how: str) -> None:
    """At any bytecode: nothing torn, nothing out of order; at most the message being handed over is lost.

    Where it cannot be told what a handler has cost, inside of OpenSSL, the connection ends, and says so."""
    left, right = pair(stack, U16)
    count = 3000 if how == "send" else 60_000
    messages = numbered(count)
    got: list[bytes] = []

    def receive() -> None:
        got.append(right.recv())
        if alarms.raised % 2:
            got.extend(right.recv_many(3))

    sender = None
    if how == "recv":

        def send() -> None:
            with suppress(fw.ConnectionLost):  # the receiver has ended it
                left.send_many(messages)
                left.close(timeout=30)

        sender = run(send)
    else:
        receiver = run(lambda: (collect(right), right.close(timeout=0))[0])
    with Alarms(0.0004) as alarms:
        if how == "send":
            while left.stats().messages_out < count:
                alarms.during(lambda: left.send(messages[left.stats().messages_out]))
            while not alarms.during(left.flush):
                pass
        else:
            try:
                while True:
                    alarms.during(receive)
            except fw.EndOfStream:
                pass
            except fw.ConnectionLost as error:
                assert "a signal handler raised inside of decryption" in str(error)
                count = int.from_bytes(got[-1][:4], "big") + 1 if got else 0
    if how == "send":
        left.close(timeout=30)
        got, error = receiver()
        assert error is None
    elif sender:
        right.abort()
        sender()
    numbers = [int.from_bytes(message[:4], "big") for message in got]
    assert all(message == messages[number] for message, number in zip(got, numbers)), "torn"
    assert numbers == sorted(numbers), "out of order"
    # A call that raised may have taken its message, or be about to hand over what it has received.
    missing, doubled = count - len(set(numbers)), len(numbers) - len(set(numbers))
    assert (missing, doubled) <= ((0, alarms.raised) if how == "send" else (3 * alarms.raised, 0))
    assert alarms.raised, "nothing was interrupted"


def test_a_timeout_inside_a_record_loses_nothing(stack: ExitStack, way: Way) -> None:
    left, right = sockets("tcp")
    stack.callback(right.close)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = secure.server_context().wrap_bio(there, back, server_side=True)
    conn = keep(stack, fw.MessageSocket(secure.client(left), U32))
    while True:
        with suppress(BlockingIOError):
            conn.recv(timeout=0)
        with suppress(BlockingIOError):
            there.write(right.recv(65536, socket.MSG_DONTWAIT))
        try:
            peer.do_handshake()
            break
        except ssl.SSLWantReadError:
            right.sendall(back.read())
    peer.write(U32.encode(b"x" * 5000))
    record = back.read()
    for at in (0, 5, 100, 4000):
        stop = {0: 5, 5: 100, 100: 4000, 4000: len(record)}[at]
        with pytest.raises((fw.Timeout, BlockingIOError)):
            way.recv(conn, 0.02)
        right.sendall(record[at:stop])
    assert way.recv(conn) == b"x" * 5000


def test_a_timeout_inside_a_send_loses_nothing(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack, high_water=100_000)
    message = os.urandom(50_000)
    taken = 0
    with pytest.raises((fw.Timeout, BlockingIOError)):
        while True:
            way.send(conn, message, 0.05)
            taken += 1
    assert conn.unsent >= 100_000 and conn.events == 3
    join = run(lambda: exactly(raw, taken * len(U32.encode(message))))
    way.flush(conn)
    assert join() == U32.encode(message) * taken and conn.unsent == 0
    assert conn.stats().bytes_out == taken * len(U32.encode(message))


def exactly(raw: ssl.SSLSocket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        got += raw.recv(1 << 16)
    return bytes(got)


def test_large_messages_both_ways_at_once(stack: ExitStack) -> None:
    left, right = pair(stack, U32.replace(max_frame=None))
    messages = [os.urandom(5 << 20), os.urandom(5 << 20)]
    joins = []
    for conn, message in zip((left, right), messages):
        joins.append(run(lambda c=conn, m=message: c.send(m)))  # type: ignore[misc]
    receivers = [run(lambda c=conn: c.recv(timeout=PATIENCE)) for conn in (right, left)]  # type: ignore[misc]
    assert [join() for join in receivers] == messages
    assert [join() for join in joins] == [None, None]


def test_threads_that_send_never_interleave(stack: ExitStack) -> None:
    left, right = pair(stack)
    chance = Random(1)
    sizes = [chance.choice((3, 100, 3000, 40_000)) for _ in range(100)]
    senders = [
        run(lambda n=n: [left.send(bytes([n]) + index.to_bytes(2, "big") + bytes([n]) * size)  # type: ignore[misc]
                         for index, size in enumerate(sizes)])
        for n in range(8)
    ]  # fmt: skip
    answers = run(lambda: [left.recv() for _ in range(800)])
    seen = dict.fromkeys(range(8), 0)
    for _ in range(800):
        message = right.recv(timeout=PATIENCE)
        n, index = message[0], int.from_bytes(message[1:3], "big")
        assert index == seen[n] and message[3:] == bytes([n]) * sizes[index]
        seen[n] += 1
        right.send(b"ok")
    assert len(answers()) == 800
    for sender in senders:
        sender()


def test_small_messages_share_records_and_calls(stack: ExitStack) -> None:
    stream, conn = secured([None])
    conn.send(b"first")
    before, size = len(stream.calls), stream._out.total
    assert conn.send_many([b"x" * 60] * 1000) == 1000
    assert stream.calls[before:] == ["send"], "one system call"
    assert stream._out.total - size < 62_000 + 4 * 40, "a record costs about 22 bytes"
    conn.abort()


# --- other faults -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [b"", b"\0\0\0\5he"], ids=["boundary", "inside"])
def test_a_reset(stack: ExitStack, way: Way, part: bytes) -> None:
    """Never the end: an SSLSocket as it comes says b"" here."""
    raw, conn = half(stack)
    conn.send(b"never read")
    raw.sendall(U32.encode_many([b"one", b"two"]) + part)
    reset(socket.socket(fileno=raw.detach()))
    assert [way.recv(conn), way.recv(conn)] == [b"one", b"two"]
    for _ in range(2):
        with pytest.raises(fw.ConnectionLost) as caught:
            way.recv(conn)
        assert caught.value.errno == errno.ECONNRESET
    with pytest.raises(fw.ConnectionLost):
        conn.send(b"x")


def test_send_after_the_peer_has_closed(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack)
    reset(socket.socket(fileno=raw.detach()))
    with pytest.raises(fw.ConnectionLost):
        for _ in range(100):
            way.send(conn, b"x" * 1000)
            time.sleep(0.002)


def test_bytes_that_break_tls(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack)
    raw.sendall(U32.encode(b"good"))
    plain = socket.socket(fileno=raw.detach())
    stack.callback(plain.close)
    plain.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
    assert way.recv(conn) == b"good"
    for _ in range(2):
        with pytest.raises(fw.ConnectionLost, match="lost: decryption failed or bad record mac"):
            way.recv(conn)
    with pytest.raises(fw.ConnectionLost, match="bad record mac"):
        conn.send(b"x")


def test_a_length_beyond_the_limit(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack)
    raw.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(fw.FrameTooLarge):
        way.recv(conn)


def test_a_slow_drip(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack, frame_timeout=0.3)
    over = threading.Event()

    def dripping() -> None:
        for byte in b"\0\0\0\xff" + bytes(100):
            if over.wait(0.02):
                return
            raw.sendall(bytes([byte]))

    join = run(dripping)
    with pytest.raises(fw.Timeout) as caught:
        way.recv(conn)
    assert caught.value.phase == "frame"
    over.set()
    join()


def test_a_stopped_reader(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack, high_water=200_000)
    with pytest.raises(fw.Timeout) as caught:
        while True:
            conn.send(b"x" * 10_000, timeout=0.1)
    assert caught.value.phase == "send" and 200_000 <= conn.unsent < 220_000
    with pytest.raises(fw.Timeout) as caught:
        conn.close(timeout=0.1)
    assert caught.value.phase == "close"


def test_a_silent_peer_is_idle(stack: ExitStack, way: Way) -> None:
    _, conn = half(stack, idle_timeout=0.2)
    with pytest.raises(fw.Timeout) as caught:
        way.recv(conn)
    assert caught.value.phase == "idle"


def test_heartbeats(stack: ExitStack) -> None:
    left, right = pair(stack, peer_timeout=0.6, heartbeat=b"beat")
    join = run(lambda: pytest.raises(fw.Timeout, left.recv, timeout=1.5))
    pytest.raises(fw.Timeout, right.recv, timeout=1.5)
    join()
    with pytest.raises(fw.ConnectionLost, match="no heartbeat"):
        right.recv()


@pytest.mark.parametrize("call", ["recv", "send", "handshake"])
@pytest.mark.parametrize("closing", ["close", "abort"])
def test_close_by_another_thread(stack: ExitStack, call: str, closing: str) -> None:
    if call == "handshake":
        left, _right = sockets("tcp")
        stack.callback(_right.close)
        conn = keep(stack, fw.MessageSocket(secure.client(left, timeout=None), U32))
    else:
        _, conn = half(stack)

    def flood() -> None:
        while True:
            conn.send(b"x" * 100_000)

    join = run(lambda: pytest.raises(fw.ConnectionClosed, conn.recv if call != "send" else flood))
    time.sleep(0.2)
    began = time.monotonic()
    with suppress(fw.Timeout):
        conn.close(timeout=0.1) if closing == "close" else conn.abort()
    join()
    assert time.monotonic() - began < 1.5


def test_a_child_says_nothing(stack: ExitStack) -> None:
    """Neither close_notify nor any other byte comes from a process that does not own the connection."""
    left, right = pair(stack)
    left.send(b"x")
    assert right.recv(timeout=PATIENCE) == b"x"
    right.send(b"y")

    def child() -> str:
        with pytest.raises(fw.ConnectionClosed, match="belongs to process"):
            left.send(b"from the child")
        left.close()
        return "closed"

    assert forked(child)() == "'closed'"
    assert forked(lambda: "left it open")() == "'left it open'"
    gc.collect()
    assert left.recv(timeout=PATIENCE) == b"y"
    left.send(b"still mine")
    assert right.recv(timeout=PATIENCE) == b"still mine"


def test_accept_then_fork(stack: ExitStack) -> None:
    """The parent accepts, the child does the handshake and serves; the parent's copy says nothing."""
    with fw.listen("tls://127.0.0.1:0", U32, tls=secure.server_context()) as listener:
        # The handshake waits for the fork: a lock held inside of OpenSSL would stay held in the child.
        raw = socket.create_connection(("127.0.0.1", int(listener.address.rpartition(":")[2])))
        conn = listener.accept()

        def serve() -> int:
            with conn:
                return sum(conn.send(message) is None for message in conn)

        result = forked(serve)
        conn.close()
        with fw.connect(raw, U32, tls=secure.client_context(), server_hostname=secure.HOST) as one:
            assert one.request(b"x", timeout=PATIENCE) == b"x"
            one.shutdown_write()
            with pytest.raises(fw.EndOfStream):
                one.recv(timeout=PATIENCE)
        assert result() == "1"


def test_garbage_collection(stack: ExitStack) -> None:
    left, right = pair(stack)
    stack.pop_all()
    with suppress(BlockingIOError):
        left.recv(timeout=0)  # tickets: unread, they would make the kernel send a reset
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del left
        gc.collect()
    assert any(issubclass(one.category, ResourceWarning) for one in caught)
    with pytest.raises(fw.Truncated, match="close_notify"):
        right.recv()
    right.abort()


def test_interpreter_shutdown(stack: ExitStack) -> None:
    code = (
        "import sys, secure, framewire as fw; from peers import sockets\n"
        "ends = [fw.MessageSocket(end, fw.Lines()) for end in secure.shaken(*(make(end) for make, end in "
        "zip((secure.client, secure.server), sockets('tcp'))))]\n"
        "ends[0].send(b'x'); print(ends[1].recv())"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FRAMEWIRE_BACKEND": fw.backend}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, timeout=30
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"b'x'", b"")


def test_a_killed_peer(stack: ExitStack) -> None:
    left, right = sockets("tcp")
    pid = os.fork()
    if pid == 0:
        try:
            raw = secure.server_context().wrap_socket(right, True)
            raw.sendall(U32.encode(b"last"))
            time.sleep(PATIENCE)
        finally:
            os._exit(0)
    right.close()
    try:
        conn = keep(stack, fw.connect(left, U32, tls=secure.client_context(), server_hostname=secure.HOST))
        assert conn.recv(timeout=PATIENCE) == b"last"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with pytest.raises(fw.Truncated) as caught:
        conn.recv(timeout=PATIENCE)
    assert caught.value.tls_unclean


def test_empty_messages_without_number(stack: ExitStack) -> None:
    count = 200_000 if fw.backend == "native" else 50_000
    left, right = pair(stack)
    join = run(lambda: (left.send_many(b"" for _ in range(count)), left.close()))
    got = 0
    with suppress(fw.EndOfStream):
        while True:
            got += len(right.recv_many(1024))
    assert got == count
    right.close()
    join()


def test_signals_that_are_handled_silently(stack: ExitStack) -> None:
    left, right = pair(stack)
    messages = numbered(3000)
    join = run(lambda: (left.send_many(messages), left.close()))
    with Alarms(0.0005) as alarms:
        assert [right.recv() for _ in messages] == messages
        time.sleep(0.01)
    right.close()
    join()
    assert alarms.rung


def test_the_kernel_looks_after_the_peer(stack: ExitStack) -> None:
    """Black holes are the kernel's to find, below TLS as without it."""
    _, conn = half(stack, peer_timeout=30)
    sock = conn._transport.sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def test_a_length_at_the_limit(stack: ExitStack, way: Way) -> None:
    raw, conn = half(stack, frame_timeout=0.2)
    raw.sendall(b"\0\x10\0\0")
    with pytest.raises(fw.Timeout) as caught:
        way.recv(conn)
    assert caught.value.phase == "frame"


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM], ids=errno.errorcode.get)
def test_no_memory_in_the_kernel_is_tried_again_once(backend: _backend.Backend, number: int) -> None:
    stream, conn = secured([None])
    conn.send(b"first")
    at = len(stream.calls)
    stream.script = {at: fail(number)}
    conn.send(b"second")
    assert conn.unsent == 0
    at = len(stream.calls)
    stream.script = {at: fail(number), at + 2: fail(number)}
    with pytest.raises(OSError) as caught:
        conn.send(b"third")
    assert caught.value.errno == number and conn.unsent == 7
    conn.flush()
    conn.close()
    stream._meet()
    assert stream.plain == U16.encode_many([b"first", b"second", b"third"])


# --- the matrix ---------------------------------------------------------------------------------------------

SAME_ACCEPT = "cannot happen: TLS begins behind accept, which is the same"
SAME_DECODER = (
    "cannot happen: what is decrypted goes where plain bytes go, and what has no room ends the stream"
)
CLOCK = "cannot happen: the clock is that of the stream below"
# The column of TLS: which tests show it, of this file unless another one is named.
COLUMN = {
    "peer FIN at boundary": "test_an_end_without_close_notify test_the_clean_end",
    "peer FIN mid-frame": "test_an_end_without_close_notify test_an_end_inside_a_large_message",
    "peer RST at boundary / mid": "test_a_reset test_a_reset_inside_the_handshake",
    "send after peer closed": "test_send_after_the_peer_has_closed",
    "blackhole idle": "test_the_kernel_looks_after_the_peer",
    "blackhole with unacked data": "test_the_kernel_looks_after_the_peer",
    "peer SIGSTOP, we send": "test_a_stopped_reader",
    "peer SIGSTOP, we recv": "test_a_silent_peer_is_idle test_heartbeats",
    "peer SIGKILL": "test_a_killed_peer",
    "slow drip in a frame": "test_a_slow_drip test_a_handshake_that_takes_too_long",
    "length bomb > limit": "test_a_length_beyond_the_limit",
    "length bomb = limit, no data": "test_a_length_at_the_limit",
    "empty-frame flood": "test_empty_messages_without_number "
    "test_a_flood_of_records_for_nobody_keeps_no_caller",
    "EINTR with silent handler": "test_signals_that_are_handled_silently",
    "signal handler raises in recv/send": "test_signal_handlers_that_raise "
    "test_faults_at_every_call_of_a_send test_faults_at_every_call_of_a_receive",
    "timeout in recv mid-frame": "test_a_timeout_inside_a_record_loses_nothing",
    "cancel/timeout in send mid-frame": "test_a_timeout_inside_a_send_loses_nothing",
    "ENOBUFS/ENOMEM from send": "test_no_memory_in_the_kernel_is_tried_again_once",
    "malloc fails in feed": SAME_DECODER,
    "EMFILE in accept": SAME_ACCEPT,
    "ECONNABORTED / peer gone before accept": SAME_ACCEPT,
    "fork while connected": "test_a_child_says_nothing test_accept_then_fork",
    "close() by another thread": "test_close_by_another_thread",
    "two senders": "test_threads_that_send_never_interleave",
    "clock step (CLOCK_REALTIME)": CLOCK,
    "interpreter shutdown with open conns": "test_interpreter_shutdown",
    "GC of an unclosed connection": "test_garbage_collection",
    "plaintext before TLS upgrade": "test_plaintext_read_ahead_is_refused "
    "test_plaintext_still_in_the_kernel_is_refused",
}


def test_every_cell_has_a_test_or_a_reason() -> None:
    assert COLUMN.keys() == MATRIX.keys()
    for fault, cell in COLUMN.items():
        assert cell.startswith("cannot happen: ") or set(cell.split()) <= globals().keys(), fault


# --- waiting ------------------------------------------------------------------------------------------------


def test_events_are_what_tls_wants(stack: ExitStack) -> None:
    left, right = sockets("tcp")
    stack.callback(right.close)
    conn = keep(stack, fw.MessageSocket(secure.client(left), U32))
    assert conn.events == 2, "the handshake begins by sending"
    conn.send(b"question", timeout=0)
    assert conn.unsent == 12 and conn.events == 1, "to send it, an answer must be read first"
    server = keep(stack, fw.MessageSocket(secure.server(right), U32))
    assert server.events == 1
    assert not select.select([], [conn], [], 0)[1] or conn.events == 1
    join = run(lambda: server.recv(timeout=PATIENCE))
    polled(conn, lambda: conn.flush(timeout=0))
    assert join() == b"question" and conn.events == 1


def test_a_flood_of_records_for_nobody_keeps_no_caller(stack: ExitStack) -> None:
    """A peer sends empty records without a pause: a call that must not wait does not."""
    raw, conn = half(stack, version="TLSv1_2")
    over = threading.Event()

    def flood() -> None:
        with suppress(OSError):
            while not over.is_set():
                raw.sendall(b"\0")  # the first byte of a length: never a message
                over.wait(0.0001)

    conn.framing = fw.Delimited(b"\n", max_frame=None)
    join = run(flood)
    began = time.monotonic()
    with pytest.raises(fw.Timeout):
        conn.recv(timeout=0.2)
    assert time.monotonic() - began < 2
    over.set()
    join()


# --- start_tls ----------------------------------------------------------------------------------------------


def plain(stack: ExitStack, kind: str = "tcp") -> tuple[Any, Any]:
    return tuple(keep(stack, fw.MessageSocket(end, fw.Lines())) for end in sockets(kind))  # type: ignore[return-value]


def test_start_tls(stack: ExitStack) -> None:
    left, right = plain(stack)

    def serve() -> None:
        assert right.recv(timeout=PATIENCE) == b"STARTTLS"
        right.send(b"220 go on")
        right.start_tls(secure.server_context(), server_side=True)
        for message in right:
            right.send(message.upper())
        right.close()

    join = run(serve)
    assert left.tls is None
    assert left.request(b"STARTTLS", timeout=PATIENCE) == b"220 go on"
    left.start_tls(secure.client_context(), server_hostname=secure.HOST)
    assert left.tls.version() == "TLSv1.3"
    assert left.request(b"hello", timeout=PATIENCE) == b"HELLO"
    with pytest.raises(fw.DeclarationError, match="is TLS already"):
        left.start_tls(secure.client_context())
    with pytest.raises(fw.DeclarationError, match="TLS, and the socket alone means nothing"):
        left.detach()
    assert left.stats().messages_out == 2
    left.close()
    join()


def test_start_tls_without_waiting(stack: ExitStack) -> None:
    left, right = plain(stack)
    left.start_tls(secure.client_context(), server_hostname=secure.HOST, timeout=0)
    right.start_tls(secure.server_context(), server_side=True, timeout=0)
    join = run(lambda: polled(right, lambda: right.recv(timeout=0)))
    polled(left, lambda: left.send(b"hello", timeout=0) or left.flush(timeout=0))
    assert join() == b"hello"


def test_start_tls_over_pipes(stack: ExitStack) -> None:
    there, back = os.pipe(), os.pipe()
    left = keep(stack, fw.MessageSocket.from_pipes(back[0], there[1], fw.Lines()))
    right = keep(stack, fw.MessageSocket.from_pipes(there[0], back[1], fw.Lines()))
    join = run(lambda: right.start_tls(secure.server_context(), server_side=True))
    left.start_tls(secure.client_context(), server_hostname=secure.HOST)
    join()
    left.send(b"hello")
    assert right.recv(timeout=PATIENCE) == b"hello"


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("ahead", [b"QUIT\r\n", b"Q", b"QUIT\r\nRCPT"])
def test_plaintext_read_ahead_is_refused(stack: ExitStack, role: str, ahead: bytes) -> None:
    """C21: CVE-2021-23222, CVE-2021-23214, CVE-2011-0411. It must never be taken for what TLS protects."""
    raw, sock = sockets("tcp")
    stack.callback(raw.close)
    conn = keep(stack, fw.MessageSocket(sock, fw.Lines()))
    raw.sendall(b"STARTTLS\r\n" + ahead)
    time.sleep(0.05)
    assert conn.recv(timeout=PATIENCE) == b"STARTTLS"
    context = secure.client_context() if role == "client" else secure.server_context()
    options: dict[str, Any] = {"server_hostname": "x"} if role == "client" else {"server_side": True}
    with pytest.raises(fw.MalformedFrame, match=f"{len(ahead)} bytes from .* came in the clear") as caught:
        conn.start_tls(context, **options)
    assert caught.value.reason == "protocol-violation"
    for call in (conn.recv, lambda: conn.send(b"x"), lambda: conn.start_tls(context, **options)):
        with pytest.raises(fw.MalformedFrame):
            call()
    raw.settimeout(0.05)
    with pytest.raises(TimeoutError):
        raw.recv(100)


@pytest.mark.parametrize("role", ["client", "server"])
def test_plaintext_still_in_the_kernel_is_refused(stack: ExitStack, role: str) -> None:
    """C21: what comes in the clear after the check is no TLS, and is never data."""
    raw, sock = sockets("tcp")
    stack.callback(raw.close)
    conn = keep(stack, fw.MessageSocket(sock, fw.Lines()))
    raw.sendall(b"STARTTLS\r\n")
    assert conn.recv(timeout=PATIENCE) == b"STARTTLS"
    raw.sendall(b"MAIL FROM:<evil>\r\n")
    context = secure.client_context() if role == "client" else secure.server_context()
    options: dict[str, Any] = {"server_hostname": "x"} if role == "client" else {"server_side": True}
    with pytest.raises(fw.ConnectionLost, match="in the TLS handshake"):
        conn.start_tls(context, **options)
    with pytest.raises(fw.ConnectionLost):
        conn.recv()


def test_start_tls_while_another_thread_receives(stack: ExitStack) -> None:
    left, right = plain(stack)
    join = run(lambda: left.recv(timeout=PATIENCE))
    time.sleep(0.1)
    with pytest.raises(fw.ConcurrencyError):
        left.start_tls(secure.client_context(), server_hostname=secure.HOST)
    assert left.tls is None
    right.send(b"still plain")
    assert join() == b"still plain"


def test_start_tls_that_cannot_be(stack: ExitStack) -> None:
    left, right = plain(stack)
    with pytest.raises(fw.DeclarationError, match="cannot be"):
        left.start_tls(secure.server_context(), server_hostname="x")
    with pytest.raises(fw.DeclarationError, match="a server needs a certificate"):
        left.start_tls(True, server_side=True)
    with pytest.raises(ValueError, match="timeout=-1"):
        left.start_tls(secure.client_context(), timeout=-1)
    right.send(b"nothing has changed")
    assert left.recv(timeout=PATIENCE) == b"nothing has changed"
    with pytest.raises(fw.Timeout) as caught:
        left.start_tls(secure.client_context(), server_hostname="x", timeout=0.1)
    assert caught.value.phase == "handshake"
