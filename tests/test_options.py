"""Options of a connected socket, as the system reports them; and a peer that stops reading is found."""

from __future__ import annotations

import errno
import math
import select
import socket
import sys
from collections.abc import Iterator
from time import monotonic

import pytest

import framewire as fw
from framewire import _backend, _options

linux = pytest.mark.skipif(sys.platform != "linux", reason="all of the options are Linux's")


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as sock:
            yield sock


def tcp(sock: socket.socket, name: str) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, "TCP_" + name))


def timers(sock: socket.socket) -> tuple[int, ...]:
    return tuple(tcp(sock, name) for name in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT"))


def test_always(sock: socket.socket) -> None:
    _options.keep_alive(sock)
    assert tcp(sock, "NODELAY") and sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@linux
def test_the_timers(sock: socket.socket) -> None:
    _options.keep_alive(sock)
    assert timers(sock) == (30, 10, 3, 0)


@linux
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (30, (10, 1, 20, 30000)),
        (9, (3, 1, 6, 9000)),
        (4.5, (1, 1, 4, 4500)),
        (1, (1, 1, 1, 1000)),
        (0.0001, (1, 1, 1, 1)),
        (86400, (28800, 1, 127, 86400000)),
        (math.inf, (32767, 1, 127, 2_000_000_000)),
    ],
)
def test_peer_timeout(sock: socket.socket, seconds: float, expected: tuple[int, ...]) -> None:
    _options.keep_alive(sock, seconds)
    assert timers(sock) == expected


@linux
@pytest.mark.parametrize("seconds", [0.5, 1, 2, 9, 20.2, 30, 180, 600, 3600, 86400])
def test_without_a_user_timeout_the_probes_add_up(
    sock: socket.socket, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_options, "_USER_TIMEOUT", None)
    _options.keep_alive(sock, seconds)
    idle, interval, count, nothing = timers(sock)
    assert nothing == 0
    # Two seconds are the least that can be asked for. No more than one interval too early.
    assert max(2, seconds) - interval <= idle + count * interval <= max(2, seconds + 1)


@linux
def test_a_peer_that_does_not_read_is_found(sock: socket.socket) -> None:
    _options.keep_alive(sock, 2)
    sock.setblocking(False)
    start = monotonic()
    with pytest.raises(OSError) as caught:
        while monotonic() - start < 10:
            select.select([], [sock], [], 1)
            try:
                sock.send(bytes(1 << 16))
            except BlockingIOError:
                pass
    assert caught.value.errno == errno.ETIMEDOUT
    assert 2 <= monotonic() - start < 3.5  # a loaded machine has half a second to notice


def test_missing_options_are_left_out(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_IDLE", "_INTERVAL", "_COUNT", "_USER_TIMEOUT"):
        monkeypatch.setattr(_options, name, None)
    monkeypatch.setattr(socket, "TCP_NODELAY", 9999)  # this one the system says it does not know
    _options.keep_alive(sock, 9)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
def test_nothing_for_unix_sockets() -> None:
    one, other = socket.socketpair()
    with one, other:
        _options.keep_alive(one, 9)
        assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.parametrize("seconds", [0, -1, -0.5, math.nan])
def test_what_is_no_time(sock: socket.socket, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"peer_timeout={seconds} must be None or more than 0"):
        _options.keep_alive(sock, seconds)


def test_a_closed_socket(sock: socket.socket) -> None:
    sock.close()
    with pytest.raises(OSError) as caught:
        _options.keep_alive(sock)
    assert caught.value.errno == errno.EBADF


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_every_way_to_a_connection_sets_them(backend: _backend.Backend) -> None:
    with fw.listen("tcp://127.0.0.1:0", fw.Lines(), peer_timeout=9) as listener:
        with fw.connect(listener.address, fw.Lines(), peer_timeout=18) as client, listener.accept() as server:
            assert tcp(client._transport.sock, "USER_TIMEOUT") == 18_000
            assert tcp(server._transport.sock, "USER_TIMEOUT") == 9_000
            client.shutdown_write()
            server.shutdown_write()


def test_timeouts_that_cannot_be() -> None:
    for name in ("peer_timeout", "idle_timeout", "frame_timeout"):
        for seconds in (0, -1, float("nan")):
            with pytest.raises(ValueError, match=f"{name}="):
                fw.socketpair(fw.Lines(), **{name: seconds})
    with pytest.raises(ValueError, match="high_water=0 must be at least 1 byte"):
        fw.socketpair(fw.Lines(), high_water=0)
