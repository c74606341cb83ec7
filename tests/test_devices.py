"""Inherited descriptors and serial lines."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

import framewire as fw
from framewire import _backend, _devices

PACKAGE = Path(fw.__file__).parent.parent


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """The far end of a serial line, and the path of ours."""
    master, slave = pty.openpty()
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_messages_over_a_serial_line(line: tuple[int, str], backend: _backend.Backend) -> None:
    far, path = line
    with fw.connect(f"serial:{path},115200", fw.LengthPrefixed(fw.u8), timeout=5) as conn:
        modes = termios.tcgetattr(conn.fileno())
        assert modes[:2] == [0, 0] and modes[3] == 0, "raw: nothing is translated, echoed or cooked"
        assert modes[2] & termios.CSIZE == termios.CS8
        assert modes[4] == modes[5] == termios.B115200
        conn.send(b"\r\n\x03\x11\xff")
        assert os.read(far, 100) == b"\5\r\n\x03\x11\xff"
        os.write(far, b"\3\n\x04\x13\1x")
        assert conn.recv(timeout=5) == b"\n\x04\x13"
        assert conn.recv(timeout=5) == b"x"
        with pytest.raises(BlockingIOError):
            conn.recv(timeout=0)
        assert path in repr(conn)
        conn.close(timeout=0)


def test_serial_lines_that_cannot_be(line: tuple[int, str], tmp_path: Path) -> None:
    with pytest.raises(fw.DeclarationError, match="no speed of 12345 bits a second here.* 115200"):
        fw.connect(f"serial:{line[1]},12345", fw.Lines())
    with pytest.raises(FileNotFoundError, match="nothing"):
        fw.connect(f"serial:{tmp_path}/nothing,9600", fw.Lines())
    plain = tmp_path / "plain"
    plain.touch()
    with pytest.raises(OSError, match=f"{plain}"):
        fw.connect(f"serial:{plain},9600", fw.Lines())


def test_an_inherited_socket(backend: _backend.Backend) -> None:
    left, right = socket.socketpair()
    with fw.connect(f"fd:{left.detach()}", fw.Lines()) as conn, fw.MessageSocket(right, fw.Lines()) as peer:
        conn.send(b"hello")
        assert peer.recv() == b"hello"
        conn.shutdown_write()
        peer.shutdown_write()
    server = socket.create_server(("127.0.0.1", 0))
    with fw.listen(f"fd:{server.detach()}", fw.Lines()) as listener:
        with fw.connect(listener.address, fw.Lines()) as client, listener.accept() as accepted:
            client.send(b"x")
            assert accepted.recv() == b"x"
            client.shutdown_write()
            accepted.shutdown_write()


def test_an_inherited_pipe(backend: _backend.Backend) -> None:
    reader, writer = os.pipe()
    with fw.connect(f"fd:{reader}", fw.Lines()) as conn:
        os.write(writer, b"one\ntwo\n")
        os.close(writer)
        assert list(conn) == [b"one", b"two"]
    with pytest.raises(fw.DeclarationError, match="no socket"):
        reader, writer = os.pipe()
        try:
            fw.listen(f"fd:{reader}", fw.Lines())
        finally:
            os.close(writer)
            os.close(reader)
    with pytest.raises(OSError):
        fw.connect("fd:9999", fw.Lines())


def test_descriptors_with_names() -> None:
    """As systemd starts a service: LISTEN_PID is the service's own, so it is set behind exec."""
    code = (
        "import os, sys, framewire as fw\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "print(fw.listen('fd:web', fw.Lines()).address)\n"
        "try: fw.listen('fd:nobody', fw.Lines())\n"
        "except fw.DeclarationError as error: print(error)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        keep = server.fileno()

        def pass_on() -> None:
            os.dup2(keep, 3)
            os.dup2(keep, 4)

        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "log:web"},
            pass_fds=(3, 4),
            preexec_fn=pass_on,
            capture_output=True,
            text=True,
        )
    assert done.stdout.splitlines() == [
        f"tcp://127.0.0.1:{port}",
        "address 'fd:nobody': no descriptor of that name was passed on; there are: 'log', 'web'",
    ], done.stderr


def test_without_a_service_manager() -> None:
    with pytest.raises(fw.DeclarationError, match=r"there are: none \(LISTEN_FDNAMES, LISTEN_PID\)"):
        _devices.inherited("web")
