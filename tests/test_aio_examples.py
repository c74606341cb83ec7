"""The examples of event loops, run as a user would, and the before and after of docs/from_streamreader.md."""

from __future__ import annotations

import difflib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import framewire as fw

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
ENV = {**os.environ, "PYTHONPATH": str(Path(fw.__file__).parent.parent)}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as on Unix")


@contextmanager
def running(name: str, *arguments: str) -> Iterator[list[str]]:
    """An example that serves, and what it prints first; at the end it drains, and has said nothing else."""
    argv = [sys.executable, "-X", "dev", str(EXAMPLES / name), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=ENV, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[1].splitlines()
            # A debug loop on a loaded machine finds everything slow.
            assert [line for line in said if not line.startswith("Executing <")] == []
        finally:
            process.kill()


def test_chat() -> None:
    with running("aio_chat.py", "tcp://127.0.0.1:0") as (address,):
        with fw.connect(address, fw.Lines()) as ann, fw.connect(address, fw.Lines()) as bob:
            ann.timeout = bob.timeout = 20
            ann.send(b"ann")
            ann.send(b"")  # nobody hears it, but it has been taken when bob's name is
            bob.send(b"bob")
            while ann.recv() != b"bob has come":
                pass
            bob.send(b"hello")
            assert ann.recv() == b"bob: hello"
            bob.close()
            assert ann.recv() == b"bob has left"


def test_gateway() -> None:
    u32 = fw.LengthPrefixed(fw.u32)
    with (
        fw.Server(lambda conn, message: message.upper(), "tcp://127.0.0.1:0", u32) as backend,
        running("aio_gateway.py", backend.address, "tcp://127.0.0.1:0") as (address,),
        fw.connect(address, fw.Lines()) as conn,
    ):
        for word in ("hello", "again"):
            assert json.loads(conn.request(b'{"say": "%s"}' % word.encode(), 20)) == {"said": word.upper()}


def test_two_ports() -> None:
    with running("aio_two_ports.py", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0") as (binary, web):
        with fw.connect(binary, fw.LengthPrefixed(fw.u16)) as conn:
            conn.send(b"\1\0\0\0\5\3cat")
            conn.send(b"\1\0\0\0\2\3cat")
        with socket.create_connection(("127.0.0.1", int(web.rpartition(":")[2])), 20) as sock:
            sock.sendall(b"GET /counters HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK") and json.loads(body) == {"cat": 7}


def test_uvloop_server() -> None:
    pytest.importorskip("uvloop")
    with running("uvloop_server.py", "tcp://127.0.0.1:0") as (address,):
        with fw.connect(address, fw.LengthPrefixed(fw.u32)) as conn:
            assert conn.request(b"hello", timeout=20) == b"HELLO"


def test_trio() -> None:
    pytest.importorskip("trio")
    argv = [sys.executable, str(EXAMPLES / "trio_echo.py")]
    done = subprocess.run(argv, env=ENV, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ONE\nTWO\n", "")
    assert len((EXAMPLES / "trio_echo.py").read_text().split("\n\n\n", 1)[1].splitlines()) <= 40


@pytest.mark.parametrize("name", ["stream_reader_before.py", "stream_reader_after.py"])
def test_before_and_after(name: str) -> None:
    with running(name, "0") as (address,):
        with fw.connect(address, fw.LengthPrefixed(fw.u32)) as conn:
            assert json.loads(conn.request(b'{"numbers": [1, 2, 3]}', timeout=20)) == {"sum": 6}
            assert json.loads(conn.request(b'{"numbers": []}', timeout=20)) == {"sum": 0}


def test_the_diff_of_the_page() -> None:
    """The page shows the difference of the two files, as it is."""
    before, after = (
        (EXAMPLES / f"stream_reader_{name}.py").read_text().splitlines() for name in ("before", "after")
    )
    diff = "\n".join(difflib.unified_diff(before, after, "before.py", "after.py", lineterm="", n=1))
    assert f"```diff\n{diff}\n```" in (ROOT / "docs/from_streamreader.md").read_text()


def test_anyio_on_asyncio() -> None:
    anyio = pytest.importorskip("anyio")

    async def main() -> None:
        async with await fw.aio.serve(
            lambda conn, message: message, "tcp://127.0.0.1:0", fw.Lines()
        ) as server:
            async with await fw.aio.connect(server.address, fw.Lines()) as conn:
                with anyio.move_on_after(0.05) as scope:
                    await conn.recv()
                assert scope.cancelled_caught
                async with anyio.create_task_group() as group:
                    group.start_soon(conn.send, b"hello")
                with anyio.fail_after(20):
                    assert await conn.recv() == b"hello"

    anyio.run(main, backend="asyncio")
