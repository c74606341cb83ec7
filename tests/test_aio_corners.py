"""Connections in an event loop at their corners: corks, shutdown at any moment, what callbacks raise late."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from typing import Any

import pytest
from loops import Loop
from peers import reset
from test_aio import MIB, U32, Recorder, half, protocol, read_all, turns, write

import framewire as fw

# --- corks -----------------------------------------------------------------------------------------------


def test_who_sends_into_a_cork_is_sent_on_when_there_is_room(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix", high_water=50_000)
        message = b"x" * 1000

        async def send() -> None:
            with conn.cork():
                for _ in range(1000):
                    await conn.send(message)
            await conn.close()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.05)
        assert not sending.done()
        assert U32.decoder().decode(await asyncio.wait_for(read_all(raw), 10)) == [message] * 1000
        raw.close()
        await sending

    loop(main)


def test_flush_and_close_send_what_is_corked(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix")
        with conn.cork():
            await conn.send(b"one")
            assert conn.unsent
            await conn.flush(timeout=5)
            assert not conn.unsent and raw.recv(99) == U32.encode(b"one")
            await conn.send(b"two")
            await conn.shutdown_write(timeout=5)
        assert await read_all(raw) == U32.encode(b"two")
        raw.close()
        await conn.close()
        raw, conn = await half("unix")
        with conn.cork():
            await conn.send(b"three")
            closing = asyncio.create_task(conn.close(timeout=5))
            assert await asyncio.wait_for(read_all(raw), 3) == U32.encode(b"three")
            raw.close()
            await closing

    loop(main)


def test_who_flushes_while_another_corks(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix", high_water=50_000)
        with conn.cork():
            for _ in range(40):
                await conn.send(b"x" * 1000)
            flushing = asyncio.create_task(conn.flush())
            await turns(3)
        await asyncio.wait_for(flushing, 5)
        conn.abort()
        raw.close()

    loop(main)


# --- fairness --------------------------------------------------------------------------------------------


def test_who_sends_without_end_lets_others_run(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await half("unix")
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while True:
                await conn.send(b"")
                sent += 1

        async def drain() -> None:
            while await asyncio.get_running_loop().sock_recv(raw, MIB):
                pass

        tasks = [asyncio.create_task(flood()), asyncio.create_task(drain())]
        most = before = 0
        for _ in range(50):
            await asyncio.sleep(0)
            most, before = max(most, sent - before), sent
        assert most <= 8192
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        conn.abort()
        raw.close()

    loop(main)


# --- callbacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["share", "held"])
def test_a_callback_that_raises_later_ends_its_connection(loop: Loop, how: str) -> None:
    def fail(self: Any, message: bytes) -> None:
        self.seen.append(message)
        if how == "held" and message == b"0":
            self.pause_reading()
        if message == b"3000":
            raise KeyError(message)

    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make(message_received=fail))
        await write(raw, U32.encode_many([b"%d" % i for i in range(5000)]))
        await asyncio.sleep(0.05)
        conn.resume_reading()
        await asyncio.wait_for(asyncio.shield(conn.over), 5)
        assert conn.seen[-2] == b"3000" and isinstance(conn.seen[-1], KeyError)
        assert [type(report["exception"]) for report in loop.reports] == [KeyError]
        loop.reports.clear()
        raw.close()

    loop(main)


def test_what_had_come_before_a_reset_is_delivered(loop: Loop) -> None:
    async def main() -> None:
        raw, conn = await protocol("tcp", Recorder.make())
        messages = [b"%d" % i for i in range(6000)]
        raw.send(U32.encode_many(messages))
        reset(raw)
        await conn.over
        got = conn.seen[1:-1]
        assert got == messages[: len(got)]
        assert isinstance(conn.seen[-1], fw.ConnectionLost)
        assert len(got) in (0, 6000), len(got)

    loop(main)


@pytest.mark.parametrize("timeout", [None, 0, 5])
def test_a_timeout_makes_callbacks_send_no_different(loop: Loop, timeout: float | None) -> None:
    async def main() -> None:
        raw, conn = await protocol("unix", Recorder.make(pause_writing=lambda self: None), high_water=50_000)
        sent = 0
        with pytest.raises((BlockingIOError, fw.ConcurrencyError)):
            while True:
                conn.send(b"x" * 30_000, timeout)
                sent += 1
        with pytest.raises((BlockingIOError, fw.ConcurrencyError)):
            conn.send_many([b"x" * 1000], timeout)
        conn.close()
        assert U32.decoder().decode(await read_all(raw)) == [b"x" * 30_000] * sent
        raw.close()
        await conn.over
        raw, conn = await protocol("unix", Recorder.make(pause_writing=lambda self: None), high_water=50_000)
        assert (count := conn.send_many([b"x" * 1000] * 1000, timeout)) < 1000
        conn.close()
        assert U32.decoder().decode(await read_all(raw)) == [b"x" * 1000] * count
        raw.close()
        await conn.over

    loop(main)


# --- servers ---------------------------------------------------------------------------------------------


async def awaited(conn: Any, message: bytes) -> bytes:
    return message


@pytest.mark.parametrize("kind", ["plain", "awaited"])
@pytest.mark.parametrize("how", ["shutdown", "cancel"])
def test_a_server_can_be_shut_down_in_any_turn(loop: Loop, kind: str, how: str) -> None:
    async def main() -> None:
        for count in range(12):
            handler: Any = awaited if kind == "awaited" else (lambda conn, message: message)
            server = await fw.aio.serve(handler, "tcp://127.0.0.1:0", U32)
            host, port = server.address.removeprefix("tcp://").split(":")
            raws = [socket.create_connection((host, int(port))) for _ in range(3)]
            await turns(count)
            if how == "shutdown":
                await asyncio.wait_for(server.shutdown(0), 5)
            else:
                task = asyncio.create_task(server.serve_forever())
                await turns(1)
                task.cancel()
                await asyncio.wait([task], timeout=5)
                assert task.done()
            for raw in raws:
                raw.close()
            gc.collect()

    loop(main)


@pytest.mark.parametrize("kind", ["plain", "awaited"])
@pytest.mark.parametrize("wire", [[b"a", b"bad", b"b"], [b"bad"]])
def test_a_codec_that_raises_is_the_connection_s_end(
    loop: Loop, kind: str, wire: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    class Codec:
        def encode(self, message: bytes) -> bytes:
            return message

        def decode(self, data: bytes) -> bytes:
            if data == b"bad":
                raise KeyError(data)
            return data

    ends: list[Any] = []

    async def main() -> None:
        handler: Any = awaited if kind == "awaited" else (lambda conn, message: message)
        hook = lambda conn, error: ends.append(error)  # noqa: E731
        async with await fw.aio.serve(
            handler, "tcp://127.0.0.1:0", U32, codec=Codec(), on_close=hook
        ) as server:
            async with await fw.aio.connect(server.address, U32) as conn:
                await conn.send_many(wire)
                assert [message async for message in conn] == wire[: wire.index(b"bad")]

    loop(main)
    assert [type(end) for end in ends] == [KeyError]
    assert [record.message.split(": ")[1] for record in caplog.records] == ["the handler failed"]


def test_records_are_sent_and_received(loop: Loop) -> None:
    class Chunk(fw.Record):
        number: fw.u32
        data: fw.bytes_u32

    async def main() -> None:
        codec = fw.Messages(Chunk)
        chunks: list[Any] = [Chunk(i, bytes(i % 100)) for i in range(1000)]
        for framing in (U32, fw.COBS()):
            for handler in (awaited, lambda conn, message: message):
                async with await fw.aio.serve(handler, "tcp://127.0.0.1:0", framing, codec=codec) as server:
                    async with await fw.aio.connect(server.address, framing, codec=codec) as conn:
                        sending = asyncio.create_task(conn.send_many(chunks))
                        assert [await conn.recv() for _ in chunks] == chunks
                        assert await sending == 1000
                        assert await conn.request(Chunk(1, bytes(70_000))) == Chunk(1, bytes(70_000))
                        with pytest.raises(fw.EncodeError):
                            await conn.send("none")

    loop(main)


def test_a_handler_that_will_not_be_cancelled_once(loop: Loop) -> None:
    async def stubborn(conn: Any, message: bytes) -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

    async def main() -> None:
        server = await fw.aio.serve(stubborn, "tcp://127.0.0.1:0", U32)
        conn = await fw.aio.connect(server.address, U32)
        await conn.send(b"x")
        await asyncio.sleep(0.05)
        await asyncio.wait_for(server.shutdown(0), 10)
        await conn.close()

    loop(main)


def test_connecting_can_be_cancelled_in_any_turn(loop: Loop) -> None:
    async def main() -> None:
        async with await fw.aio.serve(awaited, "tcp://127.0.0.1:0", U32) as server:
            for count in range(15):
                task = asyncio.create_task(fw.aio.connect(server.address, U32))
                await turns(count)
                task.cancel()
                done, _ = await asyncio.wait([task], timeout=5)
                assert done
                if not task.cancelled():
                    await task.result().close()
                del task, done
                gc.collect()
                await turns(3)
                gc.collect()

    loop(main)


# --- the loop --------------------------------------------------------------------------------------------


def test_a_loop_is_not_kept_by_its_timeouts(loop: Loop) -> None:
    held: list[Any] = []

    async def main() -> None:
        held.append(weakref.ref(asyncio.get_running_loop()))
        raw, conn = await half("unix", frame_timeout=5.0, idle_timeout=5.0)
        await write(raw, b"\0\0")
        with pytest.raises(BlockingIOError):
            await conn.recv(0)
        with pytest.raises(fw.Timeout):
            await conn.recv(0.05)
        conn.abort()
        raw.close()

    loop(main)
    gc.collect()
    assert held[0]() is None
