"""`aio.serve`: handlers of every kind, how many at a time, how it is shut down, what it survives."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from loops import Loop
from peers import reset
from test_aio import read_all, turns

import framewire as fw

LINES = fw.Lines()
HERE = "tcp://127.0.0.1:0"


def plain(conn: Any, message: bytes) -> bytes:
    return message.upper()


async def awaited(conn: Any, message: bytes) -> bytes:
    await asyncio.sleep(0.001)
    return message.upper()


async def at_once(conn: Any, message: bytes) -> bytes:
    return message.upper()


def sending(conn: Any, message: bytes) -> None:
    conn.send(message.upper())


async def awaiting_send(conn: Any, message: bytes) -> None:
    await conn.send(message.upper())


class Called:
    async def __call__(self, conn: Any, message: bytes) -> bytes:
        return message.upper()


async def ask(address: str, *messages: bytes) -> list[bytes]:
    async with await fw.aio.connect(address, LINES) as conn:
        await conn.send_many(list(messages))
        return [await conn.recv(timeout=20) for _ in messages]


@pytest.mark.parametrize(
    "handler",
    [plain, awaited, at_once, sending, awaiting_send, Called()],
    ids=lambda handler: str(handler)[:20],
)
def test_handlers(loop: Loop, handler: Any) -> None:
    async def main() -> None:
        ended: list[BaseException] = []
        options = {"on_close": lambda conn, error: ended.append(error)}
        async with await fw.aio.serve(handler, HERE, LINES, **options) as server:
            messages = [b"message %d" % number for number in range(300)]
            assert await ask(server.address, *messages) == [message.upper() for message in messages]
            await asyncio.sleep(0.05)
            stats = server.stats()
            assert (stats.accepted, stats.connections, stats.failed) == (1, 0, 0)
            assert (stats.messages_in, stats.messages_out) == (300, 300)
        assert [type(error) for error in ended] == [fw.EndOfStream]
        with pytest.raises(OSError):
            await fw.aio.connect(server.address, LINES)

    loop(main)


def test_generators_reply_item_by_item(loop: Loop) -> None:
    def generator(conn: Any, message: bytes) -> Iterator[bytes]:
        for number in range(int(message)):
            yield b"%d" % number

    async def asynchronous(conn: Any, message: bytes) -> AsyncIterator[bytes]:
        for number in range(int(message)):
            await asyncio.sleep(0)
            yield b"%d" % number

    def calls(conn: Any, message: bytes) -> Iterator[bytes]:
        return generator(conn, message)

    async def main() -> None:
        for handler in (generator, asynchronous, calls):
            async with await fw.aio.serve(handler, HERE, LINES) as server:
                async with await fw.aio.connect(server.address, LINES) as conn:
                    await conn.send_many([b"3", b"0", b"600", b"1"])
                    got = [await conn.recv(timeout=20) for _ in range(604)]
                    assert got == [b"%d" % n for count in (3, 600, 1) for n in range(count)]

    loop(main)


def test_a_generator_waits_for_a_client_that_does_not_read(loop: Loop) -> None:
    drawn = 0

    def endless(conn: Any, message: bytes) -> Iterator[bytes]:
        nonlocal drawn
        while True:
            drawn += 1
            yield b"x" * 1000

    async def main() -> None:
        async with await fw.aio.serve(endless, HERE, LINES, high_water=100_000) as server:
            async with await fw.aio.connect(server.address, LINES) as conn:
                await conn.send(b"go")
                before = -1
                while drawn != before:
                    before = drawn
                    await asyncio.sleep(0.2)
                for _ in range(before + 1000):
                    assert await conn.recv(timeout=20) == b"x" * 1000
                assert drawn > before
                conn.abort()

    loop(main)


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_a_handler_that_raises_ends_its_own_connection(
    loop: Loop, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(conn: Any, message: bytes) -> bytes:
        if message == b"bad":
            raise KeyError("what went wrong")
        return message

    async def fails_awaited(conn: Any, message: bytes) -> bytes:
        return fails(conn, message)

    async def main() -> None:
        async with await fw.aio.serve(fails if kind == "plain" else fails_awaited, HERE, LINES) as server:
            async with await fw.aio.connect(server.address, LINES) as other:
                conn = await fw.aio.connect(server.address, LINES)
                await conn.send_many([b"good", b"bad", b"never"])
                assert await conn.recv(timeout=20) == b"good"
                with pytest.raises(fw.EndOfStream):
                    await conn.recv(timeout=20)
                await conn.close()
                assert await other.request(b"still there") == b"still there"
            assert server.stats().failed == 1

    loop(main)
    assert [record.levelname for record in caplog.records if "handler failed" in record.getMessage()] == [
        "ERROR"
    ]


def test_hooks_and_state(loop: Loop) -> None:
    async def main() -> None:
        async def greet(conn: Any) -> None:
            conn.state = 0
            await conn.send(b"welcome")

        async def count(conn: Any, message: bytes) -> bytes:
            conn.state += 1
            return b"%d" % conn.state

        async with await fw.aio.serve(count, HERE, LINES, on_connect=greet) as server:
            async with await fw.aio.connect(server.address, LINES) as conn:
                assert await conn.recv(timeout=20) == b"welcome"
                assert [await conn.request(b"x") for _ in range(3)] == [b"1", b"2", b"3"]

    loop(main)


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_a_hook_that_raises_ends_its_connection(loop: Loop, kind: str) -> None:
    def refuse(conn: Any) -> None:
        raise KeyError("not you")

    async def main() -> None:
        handler = plain if kind == "plain" else awaited
        async with await fw.aio.serve(handler, HERE, LINES, on_connect=refuse) as server:
            async with await fw.aio.connect(server.address, LINES) as conn:
                with pytest.raises(fw.EndOfStream):
                    await conn.recv(timeout=20)
        assert server.stats().failed == 1

    loop(main)


def test_how_many_handlers_run_at_a_time(loop: Loop) -> None:
    async def main() -> None:
        running = most = 0

        async def handler(conn: Any, message: bytes) -> bytes:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return message

        async with await fw.aio.serve(handler, HERE, LINES, max_handlers=3) as server:
            await asyncio.gather(*(ask(server.address, b"a", b"b") for _ in range(10)))
        assert most == 3

    loop(main)


def test_how_many_connections_are_open_at_a_time(loop: Loop) -> None:
    async def main() -> None:
        for handler in (plain, awaited):
            async with await fw.aio.serve(handler, HERE, LINES, max_connections=2) as server:
                first = [await fw.aio.connect(server.address, LINES) for _ in range(2)]
                for conn in first:
                    assert await conn.request(b"x", timeout=20) == b"X"
                third = await fw.aio.connect(server.address, LINES)
                await third.send(b"waits")
                with pytest.raises(fw.Timeout):
                    await third.recv(timeout=0.1)
                assert server.stats().connections == 2
                await first[0].close()
                assert await third.recv(timeout=20) == b"WAITS"
                await first[1].close()
                await third.close()

    loop(main)


def test_no_descriptors_left(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with await fw.aio.serve(plain, HERE, LINES) as server:
            async with await fw.aio.connect(server.address, LINES) as good:
                assert await good.request(b"x") == b"X"
                clients = [socket.socket() for _ in range(3)]
                soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                held = socket.socket()
                resource.setrlimit(resource.RLIMIT_NOFILE, (held.fileno() + 1, hard))
                try:
                    port = int(server.address.rpartition(":")[2])
                    for client in clients:
                        client.setblocking(False)
                        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
                    assert await good.request(b"meanwhile", timeout=20) == b"MEANWHILE"
                    await asyncio.sleep(0.3)
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                    held.close()
                clients[0].sendall(b"late\n")
                assert await limited_read(clients[0]) == b"LATE\n"
                for client in clients:
                    client.close()

    async def limited_read(client: socket.socket) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 99), 20)

    loop(main)
    assert any("cannot accept" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_shutdown_serves_what_has_come(loop: Loop, kind: str) -> None:
    async def slow(conn: Any, message: bytes) -> bytes:
        await asyncio.sleep(0.05)
        return message.upper()

    async def main() -> None:
        server = await fw.aio.serve(plain if kind == "plain" else slow, HERE, LINES)
        conn = await fw.aio.connect(server.address, LINES)
        idle = await fw.aio.connect(server.address, LINES)
        assert await conn.request(b"a") == b"A"
        await conn.send_many([b"b", b"c", b"d"])
        await asyncio.sleep(0.02)
        stopping = asyncio.create_task(server.shutdown(grace=10))
        assert [await conn.recv(timeout=20) for _ in range(3)] == [b"B", b"C", b"D"]
        for one in (conn, idle):
            with pytest.raises(fw.EndOfStream):
                await one.recv(timeout=20)
            await one.close()
        await stopping
        assert server.stats().connections == 0 and "ended" in repr(server)
        await server.shutdown()

    loop(main)


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_shutdown_cuts_off_what_takes_too_long(loop: Loop, kind: str) -> None:
    async def forever(conn: Any, message: bytes) -> None:
        await asyncio.sleep(1000)

    async def main() -> None:
        ended: list[BaseException] = []
        handler = plain if kind == "plain" else forever
        server = await fw.aio.serve(handler, HERE, LINES, on_close=lambda conn, error: ended.append(error))
        conn = await fw.aio.connect(server.address, LINES)
        await conn.send(b"x")
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        await server.shutdown(grace=0.1)
        assert asyncio.get_running_loop().time() - began < 5
        assert len(ended) == 1
        assert isinstance(ended[0], (fw.ConnectionClosed, fw.EndOfStream))
        await conn.close()

    loop(main)


def test_serve_forever_ends_with_shutdown_and_when_it_is_cancelled(loop: Loop) -> None:
    async def main() -> None:
        server = await fw.aio.serve(plain, HERE, LINES)
        forever = asyncio.create_task(server.serve_forever())
        assert await ask(server.address, b"x") == [b"X"]
        await server.shutdown()
        await forever
        server = await fw.aio.serve(plain, HERE, LINES)
        forever = asyncio.create_task(server.serve_forever())
        assert await ask(server.address, b"x") == [b"X"]
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
        with pytest.raises(OSError):
            await fw.aio.connect(server.address, LINES)

    loop(main)


def test_slow_frames_and_silent_clients(loop: Loop) -> None:
    async def main() -> None:
        for handler in (plain, awaited):
            ended: list[BaseException] = []
            async with await fw.aio.serve(
                handler,
                HERE,
                LINES,
                frame_timeout=0.2,
                on_close=lambda conn, error, ended=ended: ended.append(error),
            ) as server:
                raw = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])))
                raw.setblocking(False)
                raw.send(b"good\nnever whole")
                assert await asyncio.wait_for(read_all(raw), 10) == b"GOOD\n"
                raw.close()
            assert isinstance(ended[0], fw.Timeout) and ended[0].phase == "frame"

    loop(main)


def test_the_header_of_a_proxy(loop: Loop) -> None:
    async def main() -> None:
        for handler in (plain, awaited):
            names: list[str] = []
            async with await fw.aio.serve(
                handler,
                HERE,
                LINES,
                proxy_protocol=True,
                on_connect=lambda conn, names=names: names.append(conn.peer_address),
            ) as server:
                raw = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])))
                raw.setblocking(False)
                raw.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\nhello\nagain\n")
                raw.shutdown(socket.SHUT_WR)
                assert await asyncio.wait_for(read_all(raw), 10) == b"HELLO\nAGAIN\n"
                assert names == ["tcp://192.0.2.1:4000"]
                raw.close()

    loop(main)


def test_resets_and_peers_that_die_at_once(loop: Loop) -> None:
    async def main() -> None:
        for handler in (plain, awaited):
            async with await fw.aio.serve(handler, HERE, LINES) as server:
                port = int(server.address.rpartition(":")[2])
                for number in range(50):
                    raw = socket.create_connection(("127.0.0.1", port))
                    if number % 2:
                        raw.send(b"x\ny")
                        await turns(number % 7)
                    reset(raw)
                assert await ask(server.address, b"x") == [b"X"]
                await asyncio.sleep(0.1)
                assert server.stats().connections == 0

    loop(main)


def test_max_buffered(loop: Loop) -> None:
    async def main() -> None:
        async with await fw.aio.serve(plain, HERE, LINES, max_buffered=100_000) as server:
            port = int(server.address.rpartition(":")[2])
            raws = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
            for raw, size in zip(raws, (60_000, 90_000, 10_000)):
                raw.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(raw, b"x" * size)
            assert await asyncio.wait_for(read_all(raws[1]), 10) == b""
            raws[0].send(b"\n")
            assert len(await asyncio.get_running_loop().sock_recv(raws[0], 1 << 20)) > 0
            for raw in raws:
                raw.close()

    loop(main)


def test_what_cannot_be(loop: Loop) -> None:
    async def main() -> None:
        for options, error in (
            ({"max_connections": 0}, ValueError),
            ({"max_handlers": 0}, ValueError),
            ({"max_buffered": 0}, ValueError),
            ({"frame_timeout": -1}, ValueError),
            ({"nonsense": 1}, TypeError),
        ):
            with pytest.raises(error):
                await fw.aio.serve(plain, HERE, LINES, **options)
        with pytest.raises(TypeError, match="callable"):
            await fw.aio.serve("nothing", HERE, LINES)  # type: ignore[arg-type]
        with pytest.raises(fw.DeclarationError):
            await fw.aio.serve(plain, "exec:cat", LINES)
        server = await fw.aio.serve(plain, HERE, LINES)
        with pytest.raises(OSError) as caught:
            await fw.aio.serve(plain, server.address, LINES)
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(ValueError, match="grace"):
            await server.shutdown(-1)
        await server.shutdown()

    loop(main)
