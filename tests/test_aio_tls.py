"""TLS in an event loop, on both of them: what it adds to a connection there.

How messages move over it is the conformance suite's matter. Peers are those of the standard library wherever
it matters that ours is not on both ends.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import secure
from loops import Loop
from peers import reset, sockets

import framewire as fw

U32 = fw.LengthPrefixed(fw.u32)
MIB = 1 << 20


def echo(conn: Any, message: bytes) -> bytes:
    return message


async def awaited_echo(conn: Any, message: bytes) -> bytes:
    await asyncio.sleep(0)
    return message


async def dial(address: Any, framing: fw.Framing = U32, **options: Any) -> Any:
    return await fw.aio.connect(
        address, framing, tls=secure.client_context(), server_hostname=secure.HOST, **options
    )


async def half(version: str = "TLSv1_3", **options: Any) -> tuple[ssl.SSLSocket, Any]:
    """A TLS server of the standard library, whose calls block, and the connection to it."""
    left, right = sockets("tcp")
    context = secure.server_context(version=version)
    wrapped = asyncio.get_running_loop().run_in_executor(
        None, lambda: context.wrap_socket(right, True, suppress_ragged_eofs=False)
    )
    conn = await dial(left, **options)
    theirs = await wrapped
    theirs.settimeout(20)
    return theirs, conn


def blocking(function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    """Call it in a thread, from now on."""
    return asyncio.get_running_loop().run_in_executor(None, function, *args)


async def until(holds: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it has not come to hold"
        await asyncio.sleep(0.01)


# --- connect and serve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [echo, awaited_echo])
@pytest.mark.parametrize("where", ["tls", "tcp", "unix"])
def test_connect_and_serve(loop: Loop, where: str, handler: Any, tmp_path: Any) -> None:
    address = {"tls": "tls://127.0.0.1:0", "tcp": "tcp://127.0.0.1:0", "unix": f"unix:{tmp_path}/x"}[where]
    seen: list[Any] = []

    async def main() -> None:
        served = fw.aio.serve(
            handler,
            address,
            U32,
            tls=secure.server_context(),
            on_close=lambda conn, error: seen.append(error),
        )
        async with await served as server:
            assert where == "unix" or server.address.startswith("tls://")
            async with await dial(server.address) as conn:
                for size in (0, 1, 16384, 16385, 300_000):
                    assert await conn.request(bytes(size), timeout=20) == bytes(size)
                assert conn.tls.version() == "TLSv1.3"
                assert conn.get_extra_info("ssl_object") is conn.tls
                assert conn.get_extra_info("cipher") == conn.tls.cipher()
                assert conn.get_extra_info("peercert")["subjectAltName"]
                assert isinstance(conn.get_extra_info("sslcontext"), ssl.SSLContext)
                assert conn.get_extra_info("socket") is not None
                assert conn.get_extra_info("nonsense", 5) == 5
                assert where == "unix" or "tls://127.0.0.1" in repr(conn)
            assert server.stats()[1:5] == (1, 0, 5, 5)
        assert [type(error) for error in seen] == [fw.EndOfStream]

    loop(main)


def test_a_tls_address_is_enough(loop: Loop) -> None:
    async def main() -> None:
        server = await fw.aio.serve(echo, "tls://127.0.0.1:0", U32, tls=secure.server_context())
        async with server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await fw.aio.connect(server.address, U32)
        assert server.stats().failed == 1

    loop(main)


def test_what_cannot_be(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(fw.DeclarationError, match="a server needs a certificate"):
            await fw.aio.serve(echo, "tls://127.0.0.1:0", U32)
        with pytest.raises(fw.DeclarationError, match="goes with TLS"):
            await fw.aio.connect("tcp://127.0.0.1:1", U32, server_hostname="x")
        with pytest.raises(ValueError, match="handshake_timeout=0"):
            await fw.aio.connect("tls://127.0.0.1:1", U32, handshake_timeout=0)
        with pytest.raises(fw.DeclarationError, match="no connection yet"):
            fw.aio.MessageProtocol(U32).start_tls()

    loop(main)


@pytest.mark.parametrize("handler", [echo, awaited_echo])
def test_behind_a_proxy(loop: Loop, handler: Any) -> None:
    """The header of the proxy is in the clear; all that comes behind it, at once or not, is TLS's."""
    names: list[str] = []

    async def main() -> None:
        served = fw.aio.serve(
            handler,
            "tcp://127.0.0.1:0",
            U32,
            tls=secure.server_context(),
            proxy_protocol=True,
            on_connect=lambda conn: names.append(conn.peer_address),
        )
        async with await served as server:
            port = int(server.address.rpartition(":")[2])

            def talk(at_once: bool) -> bytes:
                there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = secure.client_context().wrap_bio(there, back, server_hostname=secure.HOST)
                with suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                header = b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n"
                with socket.create_connection(("127.0.0.1", port), 20) as sock:
                    for piece in [header + back.read()] if at_once else [header, back.read()]:
                        sock.sendall(piece)
                        time.sleep(0.05)
                    while True:
                        there.write(sock.recv(65536))
                        try:
                            tls.do_handshake()
                            break
                        except ssl.SSLWantReadError:
                            pass
                    tls.write(U32.encode(b"hello"))
                    sock.sendall(back.read())
                    while True:
                        there.write(sock.recv(65536))
                        with suppress(ssl.SSLWantReadError):
                            return tls.read(100)

            for at_once in (True, False):
                assert await blocking(talk, at_once) == U32.encode(b"hello")
        assert names == ["tcp://192.0.2.1:4000"] * 2

    loop(main)


# --- the handshake ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [echo, awaited_echo])
def test_a_refused_certificate(loop: Loop, handler: Any) -> None:
    seen: list[Any] = []

    async def main() -> None:
        served = fw.aio.serve(
            handler,
            "tls://127.0.0.1:0",
            U32,
            tls=secure.server_context(),
            on_close=lambda conn, error: seen.append(error),
        )
        async with await served as server:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await fw.aio.connect(
                    server.address, U32, tls=secure.client_context(), server_hostname="wrong.test"
                )
            assert isinstance(caught.value, fw.ConnectionLost)
            assert "not valid for 'wrong.test'" in str(caught.value)
            assert server.address in str(caught.value)
            await until(lambda: seen)
            assert server.stats().failed == 1
        # The alert has come, so the other end knows why.
        assert isinstance(seen[0], fw.ConnectionLost) and "in the TLS handshake" in str(seen[0])

    loop(main)


def test_connect_keeps_to_both_timeouts(loop: Loop) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"tls://127.0.0.1:{silent.getsockname()[1]}"
            for options in ({"timeout": 0.2}, {"handshake_timeout": 0.2}):
                began = time.monotonic()
                with pytest.raises(fw.Timeout, match="was not done within 0.") as caught:
                    await dial(address, **options)
                assert caught.value.phase == "handshake" and 0.15 < time.monotonic() - began < 2
                assert address in str(caught.value)
            task = asyncio.create_task(dial(address))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    loop(main)


@pytest.mark.parametrize("handler", [echo, awaited_echo])
def test_silent_clients_are_sent_away_and_keep_nobody(loop: Loop, handler: Any) -> None:
    seen: list[Any] = []

    async def main() -> None:
        served = fw.aio.serve(
            handler,
            "tls://127.0.0.1:0",
            U32,
            tls=secure.server_context(),
            handshake_timeout=0.3,
            on_close=lambda conn, error: seen.append(error),
        )
        async with await served as server:
            port = int(server.address.rpartition(":")[2])
            silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            for sock in silent[::2]:
                sock.sendall(b"\x16\x03\x01\x02\0\1")  # and no more
            async with await dial(server.address) as conn:
                assert await conn.request(b"x", timeout=5) == b"x"
            await until(lambda: len(seen) == 21)
            assert server.stats().connections == 0
            for sock in silent:
                sock.settimeout(5)
                with suppress(ConnectionResetError):
                    sock.recv(10)
                sock.close()
        late = [error for error in seen if not isinstance(error, fw.EndOfStream)]
        assert len(late) == 20
        assert all(isinstance(error, fw.Timeout) and error.phase == "handshake" for error in late)

    loop(main)


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b"220 mail\r\n", bytes(9), b""])
def test_a_peer_that_speaks_something_else(loop: Loop, greeting: bytes) -> None:
    async def main() -> None:
        left, right = sockets("tcp")
        right.sendall(greeting)
        if not greeting:
            right.shutdown(socket.SHUT_WR)
        with pytest.raises(fw.ConnectionLost, match="TLS handshake"):
            await dial(left)
        right.close()

    loop(main)


def test_a_reset_inside_the_handshake(loop: Loop) -> None:
    async def main() -> None:
        left, right = sockets("tcp")
        task = asyncio.create_task(dial(left))
        await asyncio.sleep(0.05)
        reset(right)
        with pytest.raises(fw.ConnectionLost):
            await task

    loop(main)


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [b"", b"\0\0", b"\0\0\0\5hel"])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_end_without_close_notify(loop: Loop, tail: bytes, how: str) -> None:
    """What was cut off is not taken for the end, at a boundary neither: who did it is not known."""

    async def main() -> None:
        theirs, conn = await half()
        await blocking(theirs.sendall, U32.encode(b"whole") + tail)
        assert await conn.recv(timeout=10) == b"whole"
        if how == "reset":
            reset(theirs)
            expected: Any = fw.ConnectionLost
        else:
            socket.socket.shutdown(theirs, socket.SHUT_WR)
            expected = fw.Truncated
        for _ in range(2):
            with pytest.raises(expected) as caught:
                await conn.recv(timeout=10)
            if how == "end":
                assert caught.value.tls_unclean and caught.value.partial == tail
        await conn.close()
        theirs.close()

    loop(main)


def test_the_callbacks_of_a_stream_that_was_cut_off(loop: Loop) -> None:
    calls: list[Any] = []

    class Client(fw.aio.MessageProtocol):  # type: ignore[type-arg]
        def connection_made(self, transport: Any) -> None:
            self.start_tls(secure.client_context(), server_hostname=secure.HOST)
            self.send(b"early")  # goes when the handshake is done

        def message_received(self, message: bytes) -> None:
            calls.append(message)

        def eof_received(self) -> bool:
            calls.append("eof")
            return False

        def connection_lost(self, error: Exception | None) -> None:
            calls.append(error)

    async def main() -> None:
        for how in ("clean", "cut"):
            calls.clear()
            left, right = sockets("tcp")
            left.setblocking(False)
            wrapped = blocking(lambda: secure.server_context().wrap_socket(right, True))  # noqa: B023
            made = asyncio.get_running_loop().create_connection(lambda: Client(U32), sock=left)
            _, conn = await made
            theirs = await wrapped
            assert await blocking(theirs.recv, 100) == U32.encode(b"early")
            await blocking(theirs.sendall, U32.encode(b"late"))
            if how == "clean":
                theirs.setblocking(False)
                with suppress(ssl.SSLWantReadError):
                    theirs.unwrap()
            else:
                socket.socket.shutdown(theirs, socket.SHUT_WR)
            await until(lambda: len(calls) > 1)
            theirs.close()
            await until(lambda count=3 if how == "clean" else 2: len(calls) == count)  # type: ignore[misc]
            assert calls[0] == b"late"
            if how == "clean":
                assert calls[1:] == ["eof", None]
            else:
                assert isinstance(calls[1], fw.Truncated) and calls[1].tls_unclean
            assert conn.tls is not None

    loop(main)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_half_close(loop: Loop, version: str) -> None:
    async def main() -> None:
        theirs, conn = await half(version)
        await conn.send(b"all")
        await conn.shutdown_write()
        with pytest.raises(fw.ConnectionClosed):
            await conn.send(b"more")
        assert await blocking(theirs.recv, 100) == U32.encode(b"all")
        assert await blocking(theirs.recv, 100) == b""  # close_notify
        await blocking(theirs.sendall, U32.encode(b"answer"))
        assert await conn.recv(timeout=10) == b"answer"
        theirs.setblocking(False)
        with suppress(ssl.SSLWantReadError):
            theirs.unwrap()
        with pytest.raises(fw.EndOfStream):
            await conn.recv(timeout=10)
        await conn.close()
        theirs.close()

    loop(main)


def test_close_loses_nothing(loop: Loop) -> None:
    """Much is unsent, and input is unread: all that was sent arrives, and the end is a clean one."""

    async def main() -> None:
        theirs, conn = await half()
        await blocking(theirs.sendall, U32.encode(bytes(100_000)))
        task = asyncio.create_task(conn.send_many([bytes([n]) * 100_000 for n in range(100)]))
        await asyncio.sleep(0.1)

        def read() -> list[bytes]:
            decoder, got = U32.decoder(), []
            while data := theirs.recv(65536):
                got += decoder.decode(data)
            decoder.feed_eof()
            return got

        reading = blocking(read)
        assert await task == 100
        closing = asyncio.create_task(conn.close(20))
        assert await reading == [bytes([n]) * 100_000 for n in range(100)]
        theirs.close()
        await closing

    loop(main)


def test_bytes_that_break_tls(loop: Loop) -> None:
    async def main() -> None:
        theirs, conn = await half()
        await blocking(theirs.sendall, U32.encode(b"good"))
        await asyncio.sleep(0.05)
        fd = theirs.detach()
        raw = socket.socket(fileno=fd)
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert await conn.recv(timeout=10) == b"good"
        for call in (conn.recv, conn.recv, lambda: conn.send(b"x")):
            with pytest.raises(fw.ConnectionLost, match="bad record mac|TLS"):
                await call()
        await conn.close()
        raw.close()

    loop(main)


# --- pressure -----------------------------------------------------------------------------------------------


def test_a_stopped_reader_stops_the_sender(loop: Loop) -> None:
    async def main() -> None:
        theirs, conn = await half(high_water=65536)
        with pytest.raises(fw.Timeout) as caught:
            while True:
                await conn.send(bytes(10_000), timeout=0.2)
        assert caught.value.phase == "send"
        assert conn.unsent < 65536 + 4 * 65536 + 20_000
        with pytest.raises((fw.Timeout, fw.ConnectionLost)):
            await conn.close(0)
        theirs.close()

    loop(main)


def test_a_slow_consumer_stops_the_peer(loop: Loop) -> None:
    async def main() -> None:
        theirs, conn = await half(high_water=100_000)
        sent = 0

        def flood() -> None:
            nonlocal sent
            for n in range(1500):
                theirs.sendall(U32.encode(struct.pack("!I", n) * 2500))
                sent += 1

        flooding = blocking(flood)
        await asyncio.sleep(0.5)
        assert sent < 1450
        assert conn.stats().buffered < 100_000 + 4 * 65536
        for n in range(1500):
            assert await conn.recv(timeout=20) == struct.pack("!I", n) * 2500
        await flooding
        theirs.close()
        await conn.close(0)

    loop(main)


def test_cancelled_calls_lose_nothing(loop: Loop) -> None:
    async def main() -> None:
        theirs, conn = await half()
        wire = b"".join(U32.encode(bytes([n])) for n in range(50))

        def drip() -> None:
            for at in range(0, len(wire), 3):
                theirs.sendall(wire[at : at + 3])
                time.sleep(0.001)

        dripping = blocking(drip)
        got: list[bytes] = []
        while len(got) < 50:
            task = asyncio.create_task(conn.recv())
            await asyncio.sleep(0.0005)
            task.cancel()
            with suppress(asyncio.CancelledError):
                got.append(await task)
        assert got == [bytes([n]) for n in range(50)]
        await dripping
        theirs.close()
        await conn.close(0)

    loop(main)


# --- start_tls ----------------------------------------------------------------------------------------------


async def plain(framing: fw.Framing, **options: Any) -> tuple[Any, Any]:
    left, right = sockets("tcp")
    return (
        await fw.aio.connect(left, framing, **options),
        await fw.aio.connect(right, framing, **options),
    )


def both(*calls: Awaitable[Any]) -> Any:
    return asyncio.gather(*calls)


def test_start_tls(loop: Loop) -> None:
    """As SMTP does it; what was sent in the clear before, be it much, comes first, and is not lost."""

    async def main() -> None:
        left, right = await plain(fw.Lines(max_frame=None))

        async def serve() -> None:
            assert await right.recv() == b"STARTTLS"
            await right.send(b"x" * 900_000)
            await right.send(b"220 go on")
            await right.start_tls(secure.server_context(), server_side=True)
            async for message in right:
                await right.send(message.upper())
            await right.close()

        task = asyncio.create_task(serve())
        await left.send(b"STARTTLS")
        assert left.tls is None
        assert await left.recv() == b"x" * 900_000
        assert await left.recv() == b"220 go on"
        await left.start_tls(secure.client_context(), server_hostname=secure.HOST)
        assert left.tls.version() == "TLSv1.3"
        assert await left.request(b"hello") == b"HELLO"
        with pytest.raises(fw.DeclarationError, match="is TLS already"):
            await left.start_tls(secure.client_context())
        assert left.stats().messages_out == 2
        await left.close()
        await task

    loop(main)


def test_postgresql_s_ssl_request(loop: Loop) -> None:
    """A server's callback answers with one byte that is no frame, and goes on in TLS inside of it."""
    request = fw.LengthPrefixed(fw.u32, counts="field", strip=False)

    class Server(fw.aio.MessageProtocol):  # type: ignore[type-arg]
        def message_received(self, message: bytes) -> None:
            if self.tls is None:
                assert message == struct.pack("!II", 8, 80877103)
                self.framing = fw.FixedLength(1)
                self.send(b"S")
                self.framing = request
                self.start_tls(secure.server_context(), server_side=True)
            else:
                self.send(message)

    async def main() -> None:
        running = asyncio.get_running_loop()
        server = await running.create_server(lambda: Server(request), "127.0.0.1", 0)
        conn = await fw.aio.connect(server.sockets[0].getsockname(), request)
        await conn.send(struct.pack("!II", 8, 80877103))
        conn.framing = fw.FixedLength(1)
        assert await conn.recv(timeout=10) == b"S"
        conn.framing = request
        await conn.start_tls(secure.client_context(), server_hostname=secure.HOST)
        startup = struct.pack("!II", 12, 196608) + b"user"
        assert await conn.request(startup, timeout=10) == startup
        await conn.close()
        server.close()
        await server.wait_closed()

    loop(main)


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("ahead", [b"QUIT\r\n", b"Q", b"QUIT\r\nRCPT"])
def test_plaintext_read_ahead_is_refused(loop: Loop, role: str, ahead: bytes) -> None:
    """C21: CVE-2021-23222, CVE-2021-23214, CVE-2011-0411. It must never be taken for what TLS protects."""
    context = secure.client_context() if role == "client" else secure.server_context()
    options: dict[str, Any] = {"server_hostname": "x"} if role == "client" else {"server_side": True}

    async def main() -> None:
        raw, sock = sockets("tcp")
        conn = await fw.aio.connect(sock, fw.Lines())
        raw.sendall(b"STARTTLS\r\n" + ahead)
        assert await conn.recv(timeout=10) == b"STARTTLS"
        with pytest.raises(
            fw.MalformedFrame, match=f"{len(ahead)} bytes from .* came in the clear"
        ) as caught:
            await conn.start_tls(context, **options)
        assert caught.value.reason == "protocol-violation"
        for call in (conn.recv, lambda: conn.send(b"x"), lambda: conn.start_tls(context, **options)):
            with pytest.raises(fw.MalformedFrame):
                await call()
        raw.settimeout(0.05)
        with pytest.raises(TimeoutError):
            raw.recv(100)
        await conn.close(0)
        raw.close()

    loop(main)


def test_plaintext_read_ahead_of_a_callback_is_refused(loop: Loop) -> None:
    lost: list[Any] = []

    class Server(fw.aio.MessageProtocol):  # type: ignore[type-arg]
        def message_received(self, message: bytes) -> None:
            assert message == b"STARTTLS", "plaintext was taken for what TLS protects"
            self.start_tls(secure.server_context(), server_side=True)

        def connection_lost(self, error: Exception | None) -> None:
            lost.append(error)

    async def main() -> None:
        raw, sock = sockets("tcp")
        sock.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: Server(fw.Lines()), sock)
        raw.sendall(b"STARTTLS\r\nQUIT\r\n")
        await until(lambda: lost)
        assert isinstance(lost[0], fw.MalformedFrame) and lost[0].reason == "protocol-violation"
        raw.close()

    loop(main)
    assert len(loop.reports) == 1  # a callback that raises is reported
    loop.reports.clear()


@pytest.mark.parametrize("role", ["client", "server"])
def test_plaintext_still_in_the_kernel_is_refused(loop: Loop, role: str) -> None:
    context = secure.client_context() if role == "client" else secure.server_context()
    options: dict[str, Any] = {"server_hostname": "x"} if role == "client" else {"server_side": True}

    async def main() -> None:
        raw, sock = sockets("tcp")
        conn = await fw.aio.connect(sock, fw.Lines())
        raw.sendall(b"STARTTLS\r\n")
        assert await conn.recv(timeout=10) == b"STARTTLS"
        raw.sendall(b"MAIL FROM:<evil>\r\n")
        with pytest.raises(fw.ConnectionLost, match="in the TLS handshake"):
            await conn.start_tls(context, **options)
        with pytest.raises(fw.ConnectionLost):
            await conn.recv()
        await conn.close(0)
        raw.close()

    loop(main)


def test_start_tls_while_another_task_receives(loop: Loop) -> None:
    async def main() -> None:
        left, right = await plain(fw.Lines())
        task = asyncio.create_task(left.recv())
        await asyncio.sleep(0.01)
        with pytest.raises(fw.ConcurrencyError):
            await left.start_tls(secure.client_context(), server_hostname=secure.HOST)
        assert left.tls is None
        await right.send(b"still plain")
        assert await task == b"still plain"
        with pytest.raises(fw.DeclarationError, match="cannot be"):
            await left.start_tls(secure.server_context(), server_hostname="x")
        with pytest.raises(fw.DeclarationError, match="a server needs a certificate"):
            await left.start_tls(True, server_side=True)
        with pytest.raises(fw.Timeout) as caught:
            await left.start_tls(secure.client_context(), server_hostname="x", timeout=0.1)
        assert caught.value.phase == "handshake"
        await left.close(0)
        await right.close(0)

    loop(main)


def test_start_tls_without_waiting(loop: Loop) -> None:
    async def main() -> None:
        left, right = await plain(fw.Lines())
        await left.start_tls(secure.client_context(), server_hostname=secure.HOST, timeout=0)
        await right.start_tls(secure.server_context(), server_side=True, timeout=0)
        await left.send(b"hello")  # waits for the handshake by itself
        assert left.unsent > 0
        assert await right.recv(timeout=10) == b"hello"
        assert left.unsent == 0
        await both(left.close(), right.close())

    loop(main)


# --- what is left -------------------------------------------------------------------------------------------


def test_an_idle_connection_holds_no_buffer(loop: Loop) -> None:
    import tracemalloc

    async def main() -> None:
        server = await fw.aio.serve(echo, "tls://127.0.0.1:0", U32, tls=secure.server_context())
        async with server:
            first = await dial(server.address)
            await first.request(b"x" * 100_000)
            tracemalloc.start()
            conns = [await dial(server.address) for _ in range(20)]
            for conn in conns:
                assert await conn.request(b"x" * 1000) == b"x" * 1000
            size = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            await both(*(conn.close() for conn in [first, *conns]))
        assert size / 20 < 60_000, f"{size / 20:.0f} bytes for both ends of a connection"

    loop(main)


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_an_interpreter_that_exits_says_nothing(name: str, backend: Any) -> None:
    code = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
import secure, framewire as fw
kept = []
async def main():
    echo = lambda conn, message: message
    server = await fw.aio.serve(echo, "tls://127.0.0.1:0", fw.Lines(), tls=secure.server_context())
    conn = await fw.aio.connect(
        server.address, fw.Lines(), tls=secure.client_context(), server_hostname=secure.HOST)
    print(await conn.request(b"hello"))
    kept.extend((server, conn))
loop = asyncio.new_event_loop() if {name!r} == "asyncio" else __import__("uvloop").new_event_loop()
kept.append(loop)
loop.run_until_complete(main())
"""
    pytest.importorskip(name)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FRAMEWIRE_BACKEND": backend.name},
        capture_output=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"b'hello'\n", b"", 0)
