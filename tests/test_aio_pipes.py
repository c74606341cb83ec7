"""Child processes and our own standard input and output, in an event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import pytest
from loops import Loop

import framewire as fw

U32 = fw.LengthPrefixed(fw.u32)
ECHO = [sys.executable, "-c", "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes as on Unix")


def program(text: str) -> list[str]:
    return [sys.executable, "-u", "-c", text]


def test_messages_of_every_size_come_back(loop: Loop) -> None:
    async def main() -> None:
        messages = [bytes([n % 251]) * (n * n * 30) for n in range(100)]
        async with await fw.aio.spawn(ECHO, U32) as conn:
            assert "exec:" in repr(conn)

            async def send() -> None:
                await conn.send_many(messages)
                await conn.shutdown_write()

            sending = asyncio.create_task(send())
            assert [message async for message in conn] == messages
            await sending
        assert conn.process.returncode == 0

    loop(main)


def test_close_loses_nothing_and_waits(loop: Loop, tmp_path: Any) -> None:
    took = tmp_path / "took"

    async def main() -> None:
        text = (
            "import sys, time; data = sys.stdin.buffer.read(); time.sleep(0.3); "
            f"open({str(took)!r}, 'wb').write(data)"
        )
        conn = await fw.aio.spawn(program(text), U32)
        await conn.send(b"x" * 500_000)
        await conn.close()
        assert conn.process.returncode == 0

    loop(main)
    assert took.read_bytes() == U32.encode(b"x" * 500_000)


def test_a_child_that_does_not_end(loop: Loop) -> None:
    text = "import signal, time; {}; print('up'); time.sleep(60)"

    async def main() -> None:
        for ignore, code in (("pass", -15), ("signal.signal(15, signal.SIG_IGN)", -9)):
            conn = await fw.aio.spawn(program(text.format(ignore)), fw.Lines())
            assert await conn.recv(timeout=20) == b"up"
            began = time.monotonic()
            await conn.close(timeout=0.2)
            assert conn.process.returncode == code and time.monotonic() - began < 5
        conn = await fw.aio.spawn(program(text.format("pass")), fw.Lines())
        conn.abort()
        assert conn.process.returncode == -9
        with pytest.raises(ZeroDivisionError):
            async with await fw.aio.spawn(program(text.format("pass")), fw.Lines()) as conn:
                raise ZeroDivisionError
        assert conn.process.returncode is not None
        await asyncio.sleep(0.05)

    loop(main)


def test_a_child_that_dies(loop: Loop) -> None:
    async def main() -> None:
        async with await fw.aio.spawn(program("print('one'); print('tw', end='')"), fw.Lines()) as conn:
            assert await conn.recv(timeout=20) == b"one"
            with pytest.raises(fw.Truncated):
                await conn.recv(timeout=20)
        async with await fw.aio.spawn(program("input(); print('bye')"), fw.Lines()) as conn:
            assert await conn.request(b"x", timeout=20) == b"bye"
            with pytest.raises(fw.EndOfStream):
                await conn.recv(timeout=20)
            with pytest.raises((fw.ConnectionLost, fw.ConnectionClosed)):
                for _ in range(200):
                    await conn.send(b"y" * 10_000)
                    await asyncio.sleep(0.01)
        with pytest.raises(FileNotFoundError):
            await fw.aio.spawn(["/nowhere/at/all"], fw.Lines())
        with pytest.raises(ValueError, match="high_water"):
            await fw.aio.spawn(ECHO, fw.Lines(), high_water=0)

    loop(main)


def test_our_own_standard_input_and_output(loop: Loop, backend: Any) -> None:
    text = f"""
import asyncio, sys
import framewire as fw
async def main():
    async with await fw.aio.stdio(fw.Netstring()) as conn:
        print("a stray line")
        async for message in conn:
            await conn.send(message.upper())
run = asyncio.run
if {loop.name!r} == "uvloop":
    import uvloop
    run = uvloop.run
run(main())
"""

    async def main() -> None:
        conn = await fw.aio.spawn(
            program(text),
            fw.Netstring(),
            stderr=-3,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FRAMEWIRE_BACKEND": backend.name},
        )
        assert await conn.request(b"hello", timeout=30) == b"HELLO"
        assert await conn.request(b"x" * 300_000, timeout=30) == b"X" * 300_000
        await conn.shutdown_write()
        with pytest.raises(fw.EndOfStream):
            await conn.recv(timeout=30)
        await conn.close()
        assert conn.process.returncode == 0

    loop(main)


def test_an_address_of_a_program(loop: Loop) -> None:
    async def main() -> None:
        async with await fw.aio.connect("exec:cat", fw.Lines()) as conn:
            assert await conn.request(b"hello", timeout=20) == b"hello"
        with pytest.raises(fw.DeclarationError, match="goes with sockets"):
            await fw.aio.connect("exec:cat", fw.Lines(), tls=True)

    loop(main)


def test_a_slow_child_stops_the_sender(loop: Loop) -> None:
    async def main() -> None:
        conn = await fw.aio.spawn(program("import time; time.sleep(60)"), U32, high_water=100_000)
        with pytest.raises(fw.Timeout):
            while True:
                await conn.send(bytes(10_000), timeout=0.2)
        assert conn.unsent < 200_000
        conn.abort()
        await asyncio.sleep(0.05)

    loop(main)
