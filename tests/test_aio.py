"""Connections in an event loop: what cancelling, timeouts, slow and dead peers do to them, on both loops."""

from __future__ import annotations

import asyncio
import errno
import gc
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from loops import Loop
from peers import reset, sockets

import framewire as fw
from framewire import _backend

U16 = fw.LengthPrefixed(fw.u16)
U32 = fw.LengthPrefixed(fw.u32)
MIB = 1 << 20


@pytest.fixture(params=["tcp", "unix"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def half(kind: str = "tcp", framing: fw.Framing = U32, **options: Any) -> tuple[socket.socket, Any]:
    """A plain socket that does not block, and the connection at its other end."""
    raw, sock = sockets(kind)
    raw.setblocking(False)
    return raw, await fw.aio.connect(sock, framing, **options)


async def pair(framing: fw.Framing = U32, **options: Any) -> tuple[Any, Any]:
    left, right = sockets("unix")
    return await fw.aio.connect(left, framing, **options), await fw.aio.connect(right, framing, **options)


async def write(raw: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(raw, data)


async def read_all(raw: socket.socket) -> bytes:
    data = b""
    while piece := await asyncio.get_running_loop().sock_recv(raw, MIB):
        data += piece
    return data


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def limited(seconds: float, call: Awaitable[Any]) -> Awaitable[Any]:
    return asyncio.wait_for(call, seconds)


# --- cancelling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["recv", "recv_many", "recv_into"])
def test_a_cancelled_receive_loses_nothing(loop: Loop, kind: str, way: str) -> None:
    """Cancelled at every turn of the loop, while the bytes come in pieces of every size."""
    messages = [
        bytes([n % 256]) * size for n, size in enumerate([0, 1, 7, 3000, 70_000, 2, 0, 200_000, 5] * 2)
    ]
    wire = U32.encode_many(messages)

    async def main() -> None:
        for seed in range(6):
            chance = Random(seed)
            raw, conn = await half(kind)

            async def feed(raw: socket.socket = raw, chance: Random = chance) -> None:
                at = 0
                while at < len(wire):
                    size = chance.choice((1, 3, 5000, 100_000))
                    await write(raw, wire[at : at + size])
                    at += size
                    await turns(chance.choice((0, 0, 1, 3)))
                raw.shutdown(socket.SHUT_WR)

            feeding = asyncio.create_task(feed())
            got: list[bytes] = []
            room = bytearray(200_000)
            while True:
                call = conn.recv_into(room) if way == "recv_into" else getattr(conn, way)()
                task = asyncio.create_task(call)
                await turns(chance.choice((0, 1, 1, 2, 3, 5, 20)))
                task.cancel()
                try:
                    result = await task
                except asyncio.CancelledError:
                    continue
                except fw.EndOfStream:
                    break
                got += (
                    result
                    if way == "recv_many"
                    else [bytes(room[:result]) if type(result) is int else result]
                )
            await feeding
            assert got == messages, f"seed {seed}"
            await conn.close()
            raw.close()

    loop(main)


def test_a_cancelled_send_has_sent_a_whole_message_or_none(loop: Loop, kind: str) -> None:
    async def main() -> None:
        chance = Random(1)
        raw, conn = await half(kind, high_water=1000)
        reading = asyncio.create_task(read_all(raw))
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        sent = []
        for number in range(400):
            message = number.to_bytes(4, "big") * chance.choice((1, 50, 20_000))
            task = asyncio.create_task(conn.send(message))
            await turns(chance.choice((1, 1, 2)))
            task.cancel()
            try:
                await task
                sent.append(message)
            except asyncio.CancelledError:
                pass
            with suppress(BlockingIOError):
                received.append(raw.recv(chance.choice((100, 30_000))))
        assert 20 < len(sent) < 400, "some were cancelled and some were not"
        closing = asyncio.create_task(conn.close())
        received.append(await read_all(raw))
        raw.close()
        await closing
        assert U32.decoder().decode(b"".join(received)) == sent

    received: list[bytes] = []
    loop(main)


def test_every_call_can_be_cancelled_and_repeated(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix", high_water=1000)
        while conn.unsent < 1000:
            await conn.send(b"x" * 5000)
        for call in (
            lambda: conn.send(b"no"),
            lambda: conn.send_many([b"no"]),
            conn.flush,
            conn.shutdown_write,
        ):
            task = asyncio.create_task(call())
            await turns(2)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        reading = asyncio.create_task(read_all(raw))
        await conn.shutdown_write()
        assert set(U32.decoder().decode(await reading)) == {b"x" * 5000}
        raw.close()
        await conn.close()

    loop(main)


def test_a_cancelled_close_closes_at_once(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half()
        task = asyncio.create_task(conn.close())
        await turns(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert conn.fileno() == -1
        with pytest.raises(fw.ConnectionClosed):
            await conn.recv()
        assert await read_all(raw) == b""
        raw.close()

    loop(main)


# --- timeouts --------------------------------------------------------------------------------------------


def test_timeouts_in_the_middle_of_a_frame(loop: Loop, kind: str) -> None:
    wire = U32.encode(b"x" * 300)

    async def main() -> None:
        raw, conn = await half(kind)
        for cut in (0, 2, 4, 100, 303):
            await write(raw, wire[:cut])
            with pytest.raises(fw.Timeout, match=r"^no whole message came from .* within 0\.01 s$") as caught:
                await conn.recv(timeout=0.01)
            assert caught.value.phase == "recv"
            with pytest.raises(BlockingIOError):
                await conn.recv(timeout=0)
            with pytest.raises(asyncio.TimeoutError):
                await limited(0.01, conn.recv_many())
            await write(raw, wire[cut:])
            assert await conn.recv(timeout=5) == b"x" * 300
        conn.timeout = 0.01
        with pytest.raises(fw.Timeout):
            await conn.recv()
        with pytest.raises(ValueError, match="timeout=-1"):
            await conn.recv(timeout=-1)
        raw.close()
        await conn.close()

    loop(main)


def test_a_request_has_one_deadline(loop: Loop) -> None:
    async def main() -> None:
        left, right = await pair()
        await right.send(b"reply")
        assert await left.request(b"question", timeout=5) == b"reply"
        began = asyncio.get_running_loop().time()
        with pytest.raises(fw.Timeout, match=r"no whole message came from the peer within 0\.05 s"):
            await left.request(b"question", timeout=0.05)
        assert 0.04 < asyncio.get_running_loop().time() - began < 2
        assert await right.recv_many() == [b"question", b"question"]
        left.abort()
        right.abort()

    loop(main)


def test_the_timeouts_of_a_connection(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half(idle_timeout=0.1)
        with pytest.raises(fw.Timeout, match=r"not a byte from .* for 0\.1 s \(idle_timeout\)") as caught:
            await conn.recv()
        assert caught.value.phase == "idle"
        await write(raw, U32.encode(b"late"))
        assert await conn.recv() == b"late"
        conn.abort()
        raw.close()
        raw, conn = await half(frame_timeout=0.2)
        await write(raw, U32.encode(b"good") + b"\0\0\0")
        assert await conn.recv() == b"good"

        async def trickle() -> None:
            with suppress(OSError):
                await write(raw, b"\x50")
                while True:
                    await write(raw, b"x")
                    await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        with pytest.raises(fw.Timeout, match=r"is not whole after 0\.2 s \(frame_timeout\)") as caught:
            await conn.recv()
        assert caught.value.phase == "frame"
        trickling.cancel()
        await asyncio.wait([trickling])
        conn.abort()
        raw.close()

    loop(main)


def test_heartbeats_go_by_themselves_and_are_heard(loop: Loop) -> None:
    async def main() -> None:
        alive = {"peer_timeout": 0.3, "heartbeat": b""}
        left, right = await pair(**alive)
        receiving = asyncio.create_task(right.recv())
        await asyncio.sleep(0.8)  # nobody calls anything
        await left.send(b"there")
        assert await receiving == b"there"
        left.abort()
        right.abort()
        raw, conn = await half("unix", **alive)
        with pytest.raises(fw.ConnectionLost, match="not a byte for 0.3 s") as caught:
            await conn.recv()
        assert caught.value.errno == errno.ETIMEDOUT
        with pytest.raises(fw.ConnectionLost):
            await conn.send(b"x")
        assert raw.recv(4) == bytes(4), "it had said its own"
        conn.abort()
        raw.close()

    loop(main)


# --- how it ends -----------------------------------------------------------------------------------------


def test_the_end_and_what_is_none(loop: Loop, kind: str) -> None:
    async def main() -> None:
        for cut, whole in ((0, 0), (3, 0), (6, 0), (7, 1), (9, 1)):
            raw, conn = await half(kind)
            await write(raw, U32.encode_many([b"one", b"two"])[:cut])
            raw.shutdown(socket.SHUT_WR)
            got = []
            with pytest.raises(fw.EndOfStream if cut in (0, 7) else fw.Truncated):
                while True:
                    got.append(await conn.recv())
            assert got == [b"one"][:whole]
            await conn.send(b"still open")
            with pytest.raises(EOFError):
                await conn.recv_many()
            await conn.close()
            assert await read_all(raw) == U32.encode(b"still open")
            raw.close()

    loop(main)


def test_a_reset_comes_after_the_frames_before_it(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("tcp")
        await write(raw, U32.encode_many([b"one", b"two"]) + b"\0")
        await asyncio.sleep(0.05)
        reset(raw)
        await asyncio.sleep(0.05)
        assert await conn.recv() == b"one"
        assert await conn.recv_many() == [b"two"]
        for _ in range(2):
            with pytest.raises(fw.ConnectionLost) as caught:
                await conn.recv()
            assert caught.value.errno == errno.ECONNRESET
        with pytest.raises(fw.ConnectionLost):
            await conn.send(b"x")
        with pytest.raises(fw.ConnectionLost):
            await conn.send_many([b"x"])
        await conn.close()
        raw, conn = await half("tcp")
        waiting = asyncio.create_task(conn.recv())
        await turns(3)
        reset(raw)
        with pytest.raises(fw.ConnectionLost):
            await waiting
        await conn.close()

    loop(main)


def test_sending_to_who_has_gone(loop: Loop, kind: str) -> None:
    async def main() -> None:
        raw, conn = await half(kind)
        await write(raw, U32.encode(b"last words"))
        raw.close()
        with pytest.raises(fw.ConnectionLost) as caught:
            for _ in range(100):
                await conn.send(b"x" * 1000)
                await asyncio.sleep(0.001)
        assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)
        assert conn.unsent == 0
        conn.abort()

    loop(main)


def test_who_waits_to_send_learns_that_the_peer_died(loop: Loop) -> None:
    async def main() -> None:
        for verb in ("send", "send_many", "flush"):
            raw, conn = await half("tcp", high_water=1000)
            while conn.unsent < 1000:
                await conn.send(b"x" * 100_000)
            arguments = {"send": (b"y",), "send_many": ([b"y"],), "flush": ()}[verb]
            waiting = asyncio.create_task(getattr(conn, verb)(*arguments))
            await turns(3)
            assert not waiting.done()
            reset(raw)
            with pytest.raises(fw.ConnectionLost):
                await waiting
            with pytest.raises(fw.ConnectionLost):
                await conn.recv()
            conn.abort()

    loop(main)


def test_closing_wakes_who_waits(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix", high_water=1000)
        receiving = asyncio.create_task(conn.recv())
        while conn.unsent < 1000:
            await conn.send(b"x" * 100_000)
        sending = asyncio.create_task(conn.send(b"y"))
        await turns(3)
        conn.abort()
        for task in (receiving, sending):
            with pytest.raises(fw.ConnectionClosed, match="closed here"):
                await task
        for call in (conn.recv, lambda: conn.send(b"x"), conn.flush, conn.recv_many, conn.shutdown_write):
            with pytest.raises(fw.ConnectionClosed, match="closed here"):
                await call()
        await conn.close()
        raw.close()

    loop(main)


def test_close_says_what_was_lost(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix")
        await conn.send(b"x" * 900_000)
        with pytest.raises(fw.Timeout, match=r"\d+ bytes were lost: .* within 0\.05 s") as caught:
            await conn.close(timeout=0.05)
        assert caught.value.phase == "close"
        assert conn.fileno() == -1
        await conn.close()
        raw.close()

    loop(main)


def test_an_exception_in_the_body_closes_at_once(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half()
        with pytest.raises(KeyError):
            async with conn:
                raise KeyError
        assert await read_all(raw) == b""
        raw.close()

    loop(main)


def test_a_dropped_connection_is_found(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half()
        with pytest.warns(ResourceWarning, match="unclosed <framewire.aio.MessageStream"):
            del conn
            gc.collect()
        assert await read_all(raw) == b""
        raw.close()

    loop(main)


def test_who_waits_is_not_collected(loop: Loop) -> None:
    """asyncio itself holds tasks by weak references only."""

    async def main() -> None:
        raw, conn = await half()
        got: list[bytes] = []

        async def consume(conn: Any) -> None:
            async with conn:
                async for message in conn:
                    got.append(message)

        tasks = [asyncio.create_task(consume(conn))]
        del conn
        await turns(3)
        tasks.clear()
        gc.collect()
        await write(raw, U32.encode(b"hello"))
        raw.shutdown(socket.SHUT_WR)
        assert await read_all(raw) == b""
        assert got == [b"hello"]
        raw.close()

    loop(main)


# --- slow peers ------------------------------------------------------------------------------------------


def test_a_slow_consumer_holds_no_more_than_the_high_water_mark(loop: Loop, kind: str) -> None:
    async def main() -> None:
        raw, conn = await half(kind, high_water=200_000)
        wire = U32.encode(b"x" * 1000) * 20_000
        writing = asyncio.create_task(write(raw, wire))
        await asyncio.sleep(0.3)
        assert not writing.done(), "the peer has to wait"
        assert 200_000 <= conn.stats().buffered < 200_000 + 2 * 131_072
        count = 0
        while count < 20_000:
            count += len(await conn.recv_many(10))
            assert conn.stats().buffered < 200_000 + 2 * 131_072
        await writing
        raw.close()
        await conn.close()

    loop(main)


def test_a_frame_above_the_high_water_mark_is_received(loop: Loop) -> None:
    async def main() -> None:
        framing = U32.replace(max_frame=4 * MIB)
        raw, conn = await half("tcp", framing, high_water=1000)
        message = os.urandom(3 * MIB)
        writing = asyncio.create_task(write(raw, framing.encode(message) * 2))
        await asyncio.sleep(0.1)
        assert await conn.recv() == message
        room = bytearray(3 * MIB)
        assert await conn.recv_into(room) == len(room) and room == message
        await writing
        raw.close()
        await conn.close()

    loop(main)


def test_a_stopped_reader_stops_the_sender(loop: Loop, kind: str) -> None:
    async def main() -> None:
        raw, conn = await half(kind, high_water=100_000)
        sent = 0
        with pytest.raises(
            fw.Timeout, match=r"\d+ bytes are unsent, .* took too few within 0\.1 s"
        ) as caught:
            while True:
                await conn.send(b"x" * 1000, timeout=0.1)
                sent += 1
        assert caught.value.phase == "send"
        assert 100_000 <= conn.unsent <= 100_000 + 65536 + 1004
        with pytest.raises(BlockingIOError):
            await conn.send(b"x", timeout=0)
        with pytest.raises(fw.Timeout):
            await conn.flush(timeout=0.01)
        counted = await conn.send_many([b"y"] * 10, timeout=0.01) if conn.unsent < 100_000 else 0
        reading = asyncio.create_task(read_all(raw))
        await conn.shutdown_write()
        got = U32.decoder().decode(await reading)
        raw.close()
        await conn.close()
        assert got == [b"x" * 1000] * sent + [b"y"] * counted

    loop(main)


def test_send_many_draws_only_what_there_is_room_for(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix", high_water=100_000)
        drawn = 0

        def produce() -> Iterator[bytes]:
            nonlocal drawn
            while True:
                drawn += 1
                yield b"x" * 1000

        counted = await conn.send_many(produce(), timeout=0.1)
        assert counted == drawn
        with pytest.raises(fw.Timeout, match="took too few within 0.01 s"):
            await conn.send_many([b"no"], timeout=0.01)
        reading = asyncio.create_task(read_all(raw))
        assert await conn.send_many([b"y"] * 10_000) == 10_000

        def fails() -> Iterator[bytes]:
            yield b"z"
            raise KeyError

        with pytest.raises(KeyError):
            await conn.send_many(fails())
        with pytest.raises(fw.EncodeError):
            await conn.send_many([b"z", b"z" * (MIB + 1), b"z"])
        await conn.shutdown_write()
        assert U32.decoder().decode(await reading) == [b"x" * 1000] * counted + [b"y"] * 10_000 + [b"z"] * 2
        raw.close()
        await conn.close()

    loop(main)


def test_a_flood_does_not_keep_others_waiting(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix")
        others = 0

        async def other() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        count = 50_000
        tasks = [asyncio.create_task(other()), asyncio.create_task(write(raw, bytes(4 * count)))]
        for _ in range(count):
            assert await conn.recv() == b""
        assert others >= count / 1024
        tasks[0].cancel()
        await asyncio.wait(tasks)
        raw.close()
        await conn.close()

    loop(main)


# --- what it is ------------------------------------------------------------------------------------------


def test_one_task_receives_and_any_number_send(loop: Loop) -> None:
    async def main() -> None:
        left, right = await pair(high_water=1000)
        waiting = asyncio.create_task(left.recv())
        await turns(2)
        for call in (left.recv, left.recv_many, lambda: left.recv_into(bytearray(9))):
            with pytest.raises(fw.ConcurrencyError, match="another task is receiving"):
                await call()

        async def send(letter: bytes) -> None:
            for _ in range(200):
                await right.send(letter * 5000)

        sending = [asyncio.create_task(send(letter)) for letter in (b"a", b"b", b"c")]
        got = [await waiting] + [await left.recv() for _ in range(599)]
        assert sorted(got) == [letter * 5000 for letter in (b"a", b"b", b"c") for _ in range(200)]
        await asyncio.gather(*sending)
        left.abort()
        right.abort()

    loop(main)


def test_codec_stats_framing_and_names(loop: Loop) -> None:
    import json

    async def main() -> None:
        codec = (lambda value: json.dumps(value).encode(), json.loads)
        raw, conn = await half("tcp", fw.Lines(), codec=codec)
        await conn.send({"a": 1})
        assert await asyncio.get_running_loop().sock_recv(raw, 99) == b'{"a": 1}\n'
        await write(raw, b"[1]\nnonsense\n[2]\n")
        await asyncio.sleep(0.05)
        assert await conn.recv() == [1]
        with pytest.raises(ValueError):
            await conn.recv()
        assert await conn.recv() == [2]
        stats = conn.stats()
        assert (stats.messages_in, stats.bytes_in, stats.messages_out, stats.bytes_out) == (3, 17, 1, 9)
        assert conn.peer_address.startswith("tcp://127.0.0.1:")
        assert conn.get_extra_info("peername") == raw.getsockname()
        assert repr(conn).startswith(f"<framewire.aio.MessageStream {conn.local_address} -> ")
        conn.framing = U16
        await write(raw, b"\0\3[3]")
        assert await conn.recv() == [3]
        with pytest.raises(TypeError):
            conn.framing = "lines"
        assert conn.state is None
        raw.close()
        await conn.close()
        assert conn.fileno() == -1 and "closed" in repr(conn)

    loop(main)


@pytest.mark.parametrize("where", ["tcp", "unix", "abstract"])
def test_connect(loop: Loop, where: str, tmp_path: Any) -> None:
    async def main() -> None:
        address = {"tcp": "tcp://127.0.0.1:0", "unix": f"unix:{tmp_path}/s", "abstract": f"unix:@{tmp_path}"}
        with fw.listen(address[where], U32) as listener:
            conn = await fw.aio.connect(listener.address, U32)
            server = listener.accept()
            await conn.send(b"hello")
            assert server.recv() == b"hello"
            server.close(timeout=0)
            await conn.close()
        with pytest.raises(OSError, match=listener.address.partition(":")[2]) as caught:
            await fw.aio.connect(listener.address, U32)
        with pytest.raises(type(caught.value)) as blocking:
            fw.connect(listener.address, U32)
        assert str(blocking.value) == str(caught.value)

    loop(main)


def test_connect_that_cannot_be(loop: Loop) -> None:
    async def main() -> None:
        for wrong in ("tcp://127.0.0.1", "tcp://127.0.0.1:0", "nonsense"):
            with pytest.raises(fw.DeclarationError) as caught:
                await fw.aio.connect(wrong, U32)
            with pytest.raises(fw.DeclarationError) as blocking:
                fw.connect(wrong, U32)
            assert str(blocking.value) == str(caught.value)
        with pytest.raises(TypeError, match="a framing is required"):
            await fw.aio.connect("tcp://127.0.0.1:1", "u32")  # type: ignore[arg-type]
        with pytest.raises(socket.gaierror, match=r"tcp://nowhere\.invalid:1"):
            await fw.aio.connect("tcp://nowhere.invalid:1", U32)
        full = socket.socket(socket.AF_UNIX)
        full.bind("\0framewire-full")
        full.listen(0)
        first = await fw.aio.connect("unix:@framewire-full", U32)
        with pytest.raises(fw.Timeout, match=r"no connection to unix:@framewire-full within 0\.05 s") as late:
            await fw.aio.connect("unix:@framewire-full", U32, timeout=0.05)
        assert late.value.phase == "connect"
        full.close()
        first.abort()

    loop(main)


# --- callbacks -------------------------------------------------------------------------------------------


class Recorder:
    """A protocol that records what it is told, none of whose callbacks calls its super()."""

    @staticmethod
    def make(**overrides: Any) -> type[Any]:
        class Recording(fw.aio.MessageProtocol[Any]):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                self.seen: list[Any] = []
                self.over = asyncio.get_running_loop().create_future()

            def connection_made(self, transport: Any) -> None:
                self.seen.append("made" if self.transport is transport else "?")

            def message_received(self, message: Any) -> None:
                self.seen.append(message)

            def eof_received(self) -> None:
                self.seen.append("eof")

            def connection_lost(self, error: Exception | None) -> None:
                self.seen.append(error)
                self.over.set_result(None)

        return type("Overridden", (Recording,), overrides)


async def protocol(kind: str, made: type[Any], framing: fw.Framing = U32, **options: Any) -> tuple[Any, Any]:
    raw, sock = sockets(kind)
    raw.setblocking(False)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    make: Any = loop.create_unix_connection if kind == "unix" else loop.create_connection
    _, conn = await make(lambda: made(framing, **options), sock=sock)
    return raw, conn


def test_callbacks(loop: Loop, kind: str) -> None:
    async def main() -> None:
        raw, conn = await protocol(kind, Recorder.make())
        await write(raw, U32.encode_many([b"one", b"", b"x" * 100_000]) + b"\0\0\0\3th")
        await asyncio.sleep(0.05)
        await write(raw, b"r")
        raw.shutdown(socket.SHUT_WR)
        await conn.over
        assert conn.seen == ["made", b"one", b"", b"x" * 100_000, b"thr", "eof", None]
        raw.close()
        with pytest.raises(fw.ConnectionClosed):
            conn.send(b"x")

    loop(main)


def test_callbacks_of_what_goes_wrong(loop: Loop) -> None:
    async def main() -> None:
        for wire, expected in (
            (U32.encode(b"good") + b"\0\0", fw.Truncated),
            (U32.encode(b"good") + b"\xff" * 4, fw.FrameTooLarge),
        ):
            raw, conn = await protocol("tcp", Recorder.make(message_received=Recorder_echo))
            await write(raw, wire)
            raw.shutdown(socket.SHUT_WR)
            await conn.over
            assert conn.seen[:2] == ["made", b"good"] and isinstance(conn.seen[2], expected)
            assert await read_all(raw) == U32.encode(b"good"), "what was sent before is not lost"
            raw.close()
        raw, conn = await protocol("tcp", Recorder.make())
        reset(raw)
        await conn.over
        assert isinstance(conn.seen[-1], fw.ConnectionLost) and conn.seen[-1].errno == errno.ECONNRESET
        raw, conn = await protocol("tcp", Recorder.make(), frame_timeout=0.1)
        await write(raw, b"\0")
        await conn.over
        assert isinstance(conn.seen[-1], fw.Timeout) and conn.seen[-1].phase == "frame"
        raw.close()

    loop(main)


def Recorder_echo(self: Any, message: bytes) -> None:
    self.seen.append(message)
    self.send(message)


def test_a_callback_that_raises_ends_its_connection(loop: Loop) -> None:
    def fail(self: Any, message: bytes) -> None:
        raise KeyError(message)

    async def main() -> None:
        raw, conn = await protocol("tcp", Recorder.make(message_received=fail))
        await write(raw, U32.encode(b"x"))
        await conn.over
        assert isinstance(conn.seen[-1], KeyError)
        assert [type(report["exception"]) for report in loop.reports] == [KeyError]
        loop.reports.clear()
        raw.close()

    loop(main)


def test_framing_is_read_again_after_each_message(loop: Loop) -> None:
    def switch(self: Any, message: bytes) -> None:
        self.seen.append(message)
        if message == b"lines":
            self.framing = fw.Lines()

    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make(message_received=switch))
        await write(raw, U32.encode_many([b"a", b"lines"]) + b"one\ntwo\n")
        await asyncio.sleep(0.05)
        assert conn.seen == ["made", b"a", b"lines", b"one", b"two"]
        conn.send(b"x")
        assert raw.recv(9) == b"x\n"
        conn.abort()
        await conn.over
        raw.close()

    loop(main)


def test_batches(loop: Loop) -> None:
    def take(self: Any, messages: list[bytes]) -> None:
        self.seen.append(len(messages))
        self.send_many(messages)

    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make(messages_received=take))
        messages = [b"%d" % number for number in range(10_000)]
        writing = asyncio.create_task(write(raw, U32.encode_many(messages)))
        decoder = U32.decoder()
        got: list[bytes] = []
        while len(got) < len(messages):
            got += decoder.decode(await asyncio.get_running_loop().sock_recv(raw, MIB))
        await writing
        assert got == messages
        sizes = conn.seen[1:]
        assert sum(sizes) == len(messages) and max(sizes) <= 1024 and len(sizes) < 200
        conn.close()
        raw.close()
        await conn.over

    loop(main)


def test_what_callbacks_send_goes_together(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make(message_received=Recorder_echo))
        await write(raw, U32.encode(b"x") * 100)
        await asyncio.sleep(0.05)
        assert raw.recv(9999) == U32.encode(b"x") * 100
        assert conn.stats().writes == 1
        conn.abort()
        await conn.over
        raw.close()

    loop(main)


def test_a_protocol_whose_peer_does_not_read_is_bounded(loop: Loop, kind: str) -> None:
    async def main() -> None:
        raw, conn = await protocol(kind, Recorder.make(message_received=Recorder_echo), high_water=50_000)
        message = b"x" * 1000
        writing = asyncio.create_task(write(raw, U32.encode(message) * 20_000))
        await asyncio.sleep(0.2)
        assert not writing.done(), "the peer has to read before it may write on"
        assert conn.unsent < 50_000 + 65536 + 2 * 131_072 and conn.stats().buffered < 2 * 131_072
        with pytest.raises(BlockingIOError, match="bytes are unsent"):
            while True:
                conn.send(message)
        extra = conn.stats().messages_out - (len(conn.seen) - 1)
        decoder = U32.decoder()
        count = 0
        while count < 20_000 + extra:
            got = decoder.decode(await asyncio.get_running_loop().sock_recv(raw, MIB))
            assert set(got) <= {message}
            count += len(got)
        await writing
        raw.shutdown(socket.SHUT_WR)
        await conn.over
        assert conn.seen[-2:] == ["eof", None]
        raw.close()

    loop(main)


def test_the_loop_s_own_close_loses_nothing(loop: Loop) -> None:
    if loop.name == "uvloop" or sys.version_info >= (3, 12):
        pytest.skip("whose transports, when closed, take nothing more at all")

    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make())
        conn.send_many([b"x" * 1000] * 1000)
        assert conn.unsent
        conn.transport.close()
        assert U32.decoder().decode(await read_all(raw)) == [b"x" * 1000] * 1000
        await conn.over
        raw.close()

    loop(main)


def test_pausing(loop: Loop) -> None:
    def once(self: Any, message: bytes) -> None:
        self.seen.append(message)
        self.pause_reading()

    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make(message_received=once))
        await write(raw, U32.encode_many([b"1", b"2", b"3"]))
        raw.shutdown(socket.SHUT_WR)
        for count in (1, 2, 3):
            await asyncio.sleep(0.02)
            assert conn.seen == ["made", b"1", b"2", b"3"][: count + 1]
            conn.resume_reading()
        await conn.over
        assert conn.seen[-2:] == ["eof", None]
        raw.close()

    loop(main)


def test_inherited_callbacks_call_each_other(loop: Loop) -> None:
    class Child(Recorder.make()):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.seen.append("child")

        def connection_lost(self, error: Exception | None) -> None:
            self.seen.append("lost")
            super().connection_lost(error)

    async def main() -> None:
        raw, conn = await protocol("unix", Child)
        raw.close()
        await conn.over
        assert conn.seen == ["made", "child", "eof", "lost", None]

    loop(main)


def test_calls_that_would_wait_are_refused(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make())
        with pytest.raises(BlockingIOError):
            conn.recv()
        with pytest.raises(fw.ConcurrencyError, match="inside an event loop a call must not wait"):
            conn.recv(timeout=5)
        conn.abort()
        await conn.over
        raw.close()

    loop(main)


def test_reading_a_pipe(loop: Loop) -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        _, conn = await asyncio.get_running_loop().connect_read_pipe(
            lambda: Recorder.make()(fw.Lines()), os.fdopen(reader, "rb")
        )
        os.write(writer, b"one\ntwo\nthr")
        await asyncio.sleep(0.02)
        os.write(writer, b"ee\n")
        os.close(writer)
        await conn.over
        assert conn.seen == ["made", b"one", b"two", b"three", "eof", None]

    loop(main)


# --- the interpreter -------------------------------------------------------------------------------------


def python(code: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_importing_framewire_does_not_import_asyncio() -> None:
    done = python("import sys, framewire; assert 'asyncio' not in sys.modules; framewire.aio.connect")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", ["asyncio.run(main())", "uvloop.run(main())"])
def test_an_interpreter_that_exits_with_open_connections_says_nothing(
    how: str, backend: _backend.Backend
) -> None:
    if "uvloop" in how and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    code = f"""
import asyncio, socket, framewire as fw
{"import uvloop" if "uvloop" in how else ""}
kept = []
async def main():
    server = await fw.aio.serve(lambda conn, message: message, "tcp://127.0.0.1:0", fw.Lines())
    conn = await fw.aio.connect(server.address, fw.Lines())
    await conn.request(b"hello")
    kept.extend([server, conn])
    asyncio.create_task(conn.recv())
    await asyncio.sleep(0.01)
    await conn.send(b"x" * 1000)
    print("end")
{how}
"""
    done = python(code, FRAMEWIRE_BACKEND=backend.name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
