"""Addresses: what they mean, what is refused and how that is said."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from framewire import DeclarationError, Timeout, _address

MEANING: list[tuple[Any, tuple[str, Any, int | None]]] = [
    ("tcp://127.0.0.1:9000", ("tcp", "127.0.0.1", 9000)),
    ("tcp://example.org:0", ("tcp", "example.org", 0)),
    ("tcp://:65535", ("tcp", "", 65535)),
    ("tcp://[::1]:9000", ("tcp", "::1", 9000)),
    ("tcp://[fe80::1%eth0]:9", ("tcp", "fe80::1%eth0", 9)),
    (("::1", 9000), ("tcp", "::1", 9000)),
    (("", 0), ("tcp", "", 0)),
    ("unix:/run/x.sock", ("unix", "/run/x.sock", None)),
    ("unix:x sock:1", ("unix", "x sock:1", None)),
    ("unix:@name", ("unix", "\0name", None)),
    ("fd:3", ("fd", 3, None)),
    ("fd:web", ("fd", "web", None)),
    ("exec:pylsp -v 'a b'", ("exec", ("pylsp", "-v", "a b"), None)),
    ("stdio:", ("stdio", "", None)),
    ("serial:/dev/ttyS0", ("serial", "/dev/ttyS0", 9600)),
    ("serial:/dev/ttyUSB0,115200", ("serial", "/dev/ttyUSB0", 115200)),
]


@pytest.mark.parametrize(("address", "meaning"), MEANING)
def test_meaning(address: object, meaning: tuple[str, Any, int | None]) -> None:
    assert _address.parse(address) == meaning


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://127.0.0.1", "the port is missing"),
        ("tcp://h:", "the port '' must be a number"),
        ("tcp://h:-1", "the port '-1'"),
        ("tcp://h:65536", "the port 65536"),
        ("tcp://h:000080", "the port '000080'"),
        ("tcp://h:٣", "must be a number"),
        ("tcp://::1:9000", "brackets"),
        ("tcp://[::1:9000", "brackets"),
        ("tcp://[]:9000", "nothing stands in the brackets"),
        ("tcp://user@h:9000", "nothing more"),
        ("tcp://h:9/path:9", "brackets"),
        ("unix:", "the path is missing"),
        ("unix:@", "the path is missing"),
        ("unix:a\0b", "zero byte"),
        ("127.0.0.1:9000", "did you mean 'tcp://127.0.0.1:9000'?"),
        ("", "wanted 'tcp://host:port'"),
        ("udp://h:1", "wanted 'tcp://host:port'"),
        (("h",), "(host, port)"),
        (("h", "9"), "the port '9'"),
        (("h", True), "the port True"),
        ((b"h", 9), "(host, port)"),
        ("tls://h", "the port is missing"),
        ("tls:h:1", "wanted 'tcp://host:port', 'tls://host:port'"),
        ("fd:", "the descriptor is missing"),
        ("exec:", "the command is missing"),
        ("exec:  ", "the command is missing"),
        ("exec:'a", "No closing quotation"),
        ("stdio:x", "nothing follows"),
        ("serial:", "the path is missing"),
        ("serial:/dev/x,", "the speed '' must be a number"),
        ("serial:/dev/x,fast", "the speed 'fast' must be a number"),
    ],
)
def test_what_cannot_be(address: object, why: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        _address.parse(address)
    assert why in str(caught.value)
    assert repr(address)[:8] in str(caught.value)


@pytest.mark.parametrize("address", [None, 9000, b"unix:x", ["h", 1]])
def test_what_is_no_address(address: object) -> None:
    with pytest.raises(TypeError, match=type(address).__name__):
        _address.parse(address)


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:9", "tcp://[::1]:9", "tcp://:9", "unix:/x", "unix:@x"])
def test_shown_addresses_are_understood(text: str) -> None:
    kind, where, port = _address.parse(text)
    if kind == "unix":
        assert _address.show(socket.AF_UNIX, where.encode() if where[0] == "\0" else where) == text
    elif ":" in where or not where:
        assert _address.show(socket.AF_INET6, (where or "::", port, 0, 0)) == text
    else:
        assert _address.show(socket.AF_INET, (where, port)) == text


def test_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(DeclarationError, match="no Unix sockets"):
        _address.parse("unix:x")


def refused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_dial_names_what_refused_it(tmp_path: Path) -> None:
    port = refused_port()
    with pytest.raises(ConnectionRefusedError, match=f"refused: tcp://127.0.0.1:{port}$"):
        _address.dial(f"tcp://127.0.0.1:{port}", 10)
    with pytest.raises(ConnectionRefusedError, match=f"refused: tcp://127.0.0.1:{port}$"):
        _address.dial(("127.0.0.1", port), 10)
    with pytest.raises(FileNotFoundError, match="nothing.sock"):
        _address.dial(f"unix:{tmp_path}/nothing.sock", 10)
    with pytest.raises(DeclarationError, match="port 0"):
        _address.dial("tcp://127.0.0.1:0", 10)


def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (lambda address: _address.dial(address, 10), _address.bind):
        with pytest.raises(DeclarationError, match="'.' cannot be a host name"):
            call("tcp://.:9000")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for call in (lambda address: _address.dial(address, 10), _address.bind):
        with pytest.raises(socket.gaierror, match="not known: tcp://nobody:9000") as caught:
            call("tcp://nobody:9000")
        assert caught.value.errno == socket.EAI_NONAME


def test_dial_tries_every_address_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, _ = _address.bind("tcp://127.0.0.1:0")
    port = listener.getsockname()[1]
    found = [("127.0.0.1", refused_port()), ("127.0.0.1", port)]
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with listener, _address.dial("tcp://host:1", 10) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(OSError, match="no address"):
        _address.dial("tcp://host:1", 10)
    with pytest.raises(OSError, match="no address"):
        _address.bind("tcp://host:1")


def full_listener() -> socket.socket:
    """A listener that answers nobody: its queue is full, so the kernel drops who else asks."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    return server


def fill(server: socket.socket) -> list[socket.socket]:
    clients = []
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        clients.append(client)
    return clients


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


linux = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts descriptors in /proc")


@linux
def test_a_silent_address_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listener() as silent, socket.create_server(("127.0.0.1", 0)) as good:
        clients = fill(silent)
        found = [silent.getsockname(), good.getsockname()]
        answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in found]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
        before, started = descriptors(), time.monotonic()
        with _address.dial("tcp://host:1", 10) as sock:
            assert sock.getpeername() == good.getsockname()
            assert descriptors() == before + 1, "the attempt that lost is closed"
        # The kernel asks the silent one again after a second; we did not wait for that.
        assert 0.2 < time.monotonic() - started < 5
        for client in clients:
            client.close()


def test_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    targets = [(six, 1), (six, 2), (six, 3), (four, 4), (four, 5)]
    assert [to for _, to in _address._in_turn(targets)] == [1, 4, 2, 5, 3]
    assert _address._in_turn(targets[:1]) == targets[:1]


@linux
def test_all_addresses_that_refused_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("127.0.0.1", refused_port()), ("127.0.0.1", refused_port())]
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    before = descriptors()
    with pytest.raises(ConnectionRefusedError) as caught:
        _address.dial("tcp://host:1", 10)
    for host, port in found:
        assert f"{host}:{port}: Connection refused" in str(caught.value)
    assert str(caught.value).endswith(": tcp://host:1")
    assert descriptors() == before


def test_begin_waits_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="must be numeric, not a name"):
        _address.begin("tcp://localhost:9000")
    with full_listener() as silent:
        clients = fill(silent)
        started = time.monotonic()
        sock = _address.begin(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - started < 0.5
        for client in [*clients, sock]:
            client.close()
    with pytest.raises(FileNotFoundError, match="nothing.sock"):
        _address.begin(f"unix:{tmp_path}/nothing.sock")


def test_dial_gives_up(tmp_path: Path) -> None:
    # A Unix listener whose queue is full takes nobody.
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(f"{tmp_path}/full")
        full.listen(0)
        waiting = []
        with pytest.raises(Timeout, match="full within 0.05 s") as caught:
            while True:
                waiting.append(_address.dial(f"unix:{tmp_path}/full", 0.05))
        assert caught.value.phase == "connect"
        # ... and goes on as soon as there is room again.
        thread = threading.Thread(target=lambda: full.accept()[0].close())
        thread.start()
        waiting.append(_address.dial(f"unix:{tmp_path}/full", None))
        thread.join()
        for sock in waiting:
            sock.close()


def test_dial_gives_up_on_tcp() -> None:
    with full_listener() as silent:
        clients = fill(silent)
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Timeout, match=f"{address} within 0.1 s") as caught:
            _address.dial(address, 0.1)
        assert caught.value.phase == "connect"
        for client in clients:
            client.close()


def test_the_kernels_own_time_out_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect_ex", lambda sock, to: errno.ETIMEDOUT)
    with pytest.raises(TimeoutError) as caught:
        _address.dial("tcp://127.0.0.1:9", 3)
    assert caught.value.errno == errno.ETIMEDOUT and not isinstance(caught.value, Timeout)


def test_all_interfaces_and_both_families() -> None:
    listener, path = _address.bind("tcp://:0")
    with listener:
        port = listener.getsockname()[1]
        assert path is None
        assert _address.show(listener.family, listener.getsockname()).endswith(f":{port}")
        hosts = ["", "127.0.0.1"] + ["[::1]"] * (listener.family == socket.AF_INET6)
        for host in hosts:
            _address.dial(f"tcp://{host}:{port}", 10).close()


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    create = socket.create_server

    def no_ipv6(address: Any, *, family: int = socket.AF_INET, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6")
        return create(address, family=family, **options)

    monkeypatch.setattr(socket, "create_server", no_ipv6)
    listener, _ = _address.bind("tcp://:0")
    with listener:
        assert listener.family == socket.AF_INET


def test_a_port_in_use() -> None:
    with _address.bind("tcp://127.0.0.1:0")[0] as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"tcp://127.0.0.1:{port}") as caught:
            _address.bind(f"tcp://127.0.0.1:{port}")
        assert caught.value.errno == errno.EADDRINUSE


def test_a_live_unix_socket_is_not_taken_over(tmp_path: Path) -> None:
    path = f"{tmp_path}/x"
    with _address.bind(f"unix:{path}")[0]:
        before = os.stat(path).st_ino
        with pytest.raises(OSError, match="unix:") as caught:
            _address.bind(f"unix:{path}")
        assert caught.value.errno == errno.EADDRINUSE
        assert os.stat(path).st_ino == before
    # Its server is gone, its file is not.
    with _address.bind(f"unix:{path}")[0], _address.dial(f"unix:{path}", 10):
        pass


def test_another_file_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"precious")
    with pytest.raises(OSError) as caught:
        _address.bind(f"unix:{tmp_path}/x")
    assert caught.value.errno == errno.EADDRINUSE
    assert (tmp_path / "x").read_bytes() == b"precious"


def test_a_socket_that_is_replaced_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/x"
    _address.bind(f"unix:{path}")[0].close()
    answers = _address._answers

    def replaced(path: str) -> bool:
        found = answers(path)
        os.rename(path, path + ".old")  # keeps its inode in use
        other.append(_address.bind(f"unix:{path}")[0])
        return found

    other: list[socket.socket] = []
    monkeypatch.setattr(_address, "_answers", replaced)
    with pytest.raises(OSError) as caught:
        _address.bind(f"unix:{path}")
    assert caught.value.errno == errno.EADDRINUSE
    with other[0], _address.dial(f"unix:{path}", 10):
        pass


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="abstract names are Linux's")
def test_abstract_names() -> None:
    name = f"unix:@framewire-test-{os.getpid()}"
    listener, path = _address.bind(name)
    assert path is None
    with listener, _address.dial(name, 10):
        assert _address.show(listener.family, listener.getsockname()) == name
        with pytest.raises(OSError) as caught:
            _address.bind(name)
        assert caught.value.errno == errno.EADDRINUSE
