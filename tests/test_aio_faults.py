"""The fault matrix's columns of the event loops: asyncio and uvloop, in the clear and over TLS.

Each test runs on both loops and both backends. `COLUMN` names for every fault of the matrix the tests that
show it, of this file or of another, or says why there is none.
"""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import secure
from loops import Loop
from test_faults import MATRIX, resident

import framewire as fw

U32 = fw.LengthPrefixed(fw.u32)


@pytest.fixture(params=["plain", "tls"])
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `serve` is told; `raw` makes the client."""
    return {"tls": secure.server_context()} if request.param == "tls" else {}


def echo(conn: Any, message: bytes) -> bytes:
    return message


async def serving(how: dict[str, Any], framing: fw.Framing = U32, **options: Any) -> tuple[Any, list[Any]]:
    ends: list[Any] = []
    options.setdefault("on_close", lambda conn, error: ends.append(error))
    return await fw.aio.serve(echo, "tcp://127.0.0.1:0", framing, **how, **options), ends


def raw(server: Any, how: dict[str, Any]) -> socket.socket:
    """A client of the standard library, whose calls block: they are made in threads."""
    sock = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])), 20)
    return secure.client_context().wrap_socket(sock, server_hostname=secure.HOST) if how else sock


async def blocking(function: Any, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


async def until(holds: Any) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it has not come to hold"
        await asyncio.sleep(0.01)


def test_a_slow_drip(loop: Loop, how: dict[str, Any]) -> None:
    """The limit is on the whole frame: no byte of it begins it anew."""

    async def main() -> None:
        server, ends = await serving(how, frame_timeout=0.4)
        async with server:
            sock = await blocking(raw, server, how)

            def drip() -> None:
                try:
                    for byte in b"\0\0\1\0" + bytes(200):
                        sock.sendall(bytes([byte]))
                        time.sleep(0.02)
                except OSError:
                    pass
                sock.close()

            began = time.monotonic()
            dripping = asyncio.ensure_future(blocking(drip))
            await until(lambda: ends)
            assert 0.3 < time.monotonic() - began < 2
            assert isinstance(ends[0], fw.Timeout) and ends[0].phase == "frame"
            await dripping

    loop(main)


@pytest.mark.parametrize(("length", "error"), [(1 << 30, fw.FrameTooLarge), (1 << 20, fw.Timeout)])
def test_a_length_bomb(loop: Loop, how: dict[str, Any], length: int, error: type[Exception]) -> None:
    """Nothing is allocated because a header announced it."""

    async def main() -> None:
        server, ends = await serving(how, frame_timeout=0.3)
        async with server:
            socks = [await blocking(raw, server, how) for _ in range(40)]
            before = resident()
            for sock in socks:
                sock.sendall(length.to_bytes(4, "big") + b"x")
                if error is fw.FrameTooLarge:
                    sock.close()  # or the server would wait for it
            await until(lambda: len(ends) == 40)
            assert resident() - before < 8 << 20
            assert {type(one) for one in ends} == {error}
            for sock in socks:
                sock.close()

    loop(main)


def test_a_flood_of_empty_messages_is_fair(loop: Loop, how: dict[str, Any]) -> None:
    """A flood of the smallest frames is answered, and others have their turn meanwhile."""

    async def main() -> None:
        server, _ = await serving(how)
        async with server:
            sock = await blocking(raw, server, how)
            other = await blocking(raw, server, how)

            def flood() -> None:
                block = bytes(4 * 10_000)
                sock.setblocking(True)
                for _ in range(10):
                    sock.sendall(block)
                    left = 40_000
                    while left:
                        left -= len(sock.recv(min(left, 65536)))

            def ask() -> float:
                began = time.monotonic()
                other.sendall(U32.encode(b"x"))
                got = b""
                while len(got) < 5:
                    got += other.recv(5)
                return time.monotonic() - began

            flooding = asyncio.ensure_future(blocking(flood))
            slowest = 0.0
            while not flooding.done():
                slowest = max(slowest, await blocking(ask))
            await flooding
            assert slowest < 2
            assert server.stats().messages_in >= 100_000
            sock.close()
            other.close()

    loop(main)


def test_a_killed_peer(loop: Loop) -> None:
    async def main() -> None:
        server, ends = await serving({})
        async with server:
            port = server.address.rpartition(":")[2]
            code = (
                f"import socket, time; s = socket.create_connection(('127.0.0.1', int({port})));"
                "s.sendall(bytes(3)); print('up', flush=True); time.sleep(60)"
            )
            with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                await blocking(process.stdout.readline)
                await until(lambda: server.stats().bytes_in == 3)
                process.send_signal(signal.SIGKILL)
                began = time.monotonic()
                await until(lambda: ends)
                assert time.monotonic() - began < 1
            assert isinstance(ends[0], fw.Truncated) and ends[0].partial == bytes(3)

    loop(main)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_may_not_use_it(loop: Loop) -> None:
    async def main() -> None:
        server, _ = await serving({})
        async with server:
            conn = await fw.aio.connect(server.address, U32)
            assert await conn.request(b"x", timeout=10) == b"x"
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    conn._offer(b"from the child")
                except fw.ConnectionClosed:
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert await conn.request(b"y", timeout=10) == b"y"
            await conn.close()

    loop(main)


def test_writelines_is_never_called(loop: Loop) -> None:
    """C14, CVE-2024-12254: it forgets the high-water mark on 3.12.0-3.12.8 and 3.13.0-3.13.1."""
    package = Path(fw.__file__).parent
    for path in [*package.rglob("*.py"), *package.rglob("*.pyx")]:
        assert "writelines" not in path.read_text("utf-8"), path


WITH_ACCEPT = "test_no_descriptors_left"
CLOCKS = "cannot happen: a loop's clock is monotonic, and ours too"
ONE_THREAD = "cannot happen: a connection belongs to its loop's thread"
NO_SIGNALS = "cannot happen: a loop runs handlers of signals between its callbacks, never inside of one"
SAME_KERNEL = "cannot happen otherwise: the options of the socket are those of blocking connections"
COLUMN = {
    "peer FIN at boundary": "test_the_end_and_what_is_none test_an_end_without_close_notify",
    "peer FIN mid-frame": "test_the_end_and_what_is_none test_an_end_without_close_notify",
    "peer RST at boundary / mid": "test_a_reset_comes_after_the_frames_before_it",
    "send after peer closed": "test_sending_to_who_has_gone",
    "blackhole idle": SAME_KERNEL,
    "blackhole with unacked data": SAME_KERNEL,
    "peer SIGSTOP, we send": "test_a_stopped_reader_stops_the_sender",
    "peer SIGSTOP, we recv": "test_the_timeouts_of_a_connection "
    "test_heartbeats_go_by_themselves_and_are_heard",
    "peer SIGKILL": "test_a_killed_peer",
    "slow drip in a frame": "test_a_slow_drip test_silent_clients_are_sent_away_and_keep_nobody",
    "length bomb > limit": "test_a_length_bomb",
    "length bomb = limit, no data": "test_a_length_bomb",
    "empty-frame flood": "test_a_flood_of_empty_messages_is_fair",
    "EINTR with silent handler": NO_SIGNALS,
    "signal handler raises in recv/send": NO_SIGNALS,
    "timeout in recv mid-frame": "test_timeouts_in_the_middle_of_a_frame "
    "test_a_cancelled_receive_loses_nothing",
    "cancel/timeout in send mid-frame": "test_a_cancelled_send_has_sent_a_whole_message_or_none",
    "ENOBUFS/ENOMEM from send": "cannot happen otherwise: what fails is given to the loop's transport",
    "malloc fails in feed": "cannot happen otherwise: the decoder is that of blocking connections",
    "EMFILE in accept": WITH_ACCEPT,
    "ECONNABORTED / peer gone before accept": "test_peers_that_reset",
    "fork while connected": "test_a_child_may_not_use_it",
    "close() by another thread": ONE_THREAD,
    "two senders": "test_one_task_receives_and_any_number_send",
    "clock step (CLOCK_REALTIME)": CLOCKS,
    "interpreter shutdown with open conns": ""
    "test_an_interpreter_that_exits_with_open_connections_says_nothing",
    "GC of an unclosed connection": "test_a_dropped_connection_is_found",
    "plaintext before TLS upgrade": "test_plaintext_read_ahead_is_refused "
    "test_plaintext_still_in_the_kernel_is_refused",
}


def test_every_cell_has_a_test_or_a_reason() -> None:
    assert COLUMN.keys() == MATRIX.keys()
    names = {
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    for fault, cell in COLUMN.items():
        assert cell.startswith("cannot happen") or set(cell.split()) <= names, fault
