"""Peers that die without a word: in network namespaces, stopped, killed, and cut off by the system.

Each is found within peer_timeout and a second more. The peer is a process of its own; a black hole is made by
iptables between two network namespaces. `make faults` runs this; it needs root, and says what it skipped.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from peers import PATIENCE, U32, Ends, Running, Way, end, polled, stop

import framewire as fw
from framewire import _backend

pytestmark = pytest.mark.faults

T = 3.0  # peer_timeout
SETTLED = 0.3  # seconds after which a connection that was in use has nothing on its way


def missing(*tools: str) -> str:
    if os.geteuid() != 0:
        return "not root"
    lacking = [tool for tool in tools if not shutil.which(tool)]
    return f"no {', no '.join(lacking)}: apt-get install iproute2 iptables" if lacking else ""


def sh(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.stderr}"


# Listens in its namespace, says where, and does as told with the one connection that comes.
PEER = """
import os, socket, sys, time
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
sock = server.accept()[0]
sock.sendall(b"\\0\\0\\0\\1x")
exec(sys.argv[2])
"""
IDLE = "time.sleep(60)"
READ = "while sock.recv(65536): pass"


class Net:
    """Two namespaces joined by a cable: our sockets are made in one, the peers live in the other."""

    def __init__(self, number: int) -> None:
        self.stack = ExitStack()
        self.here, self.there = f"fw{os.getpid()}a{number}", f"fw{os.getpid()}b{number}"
        self.address = "10.213.7.2"
        for name in (self.here, self.there):
            sh(f"ip netns add {name}")
            self.stack.callback(sh, f"ip netns del {name}")
            sh(f"ip -n {name} link set lo up")
        sh(f"ip -n {self.here} link add v0 type veth peer name v1 netns {self.there}")
        for name, device, host in ((self.here, "v0", 1), (self.there, "v1", 2)):
            sh(f"ip -n {name} addr add 10.213.7.{host}/24 dev {device}")
            sh(f"ip -n {name} link set {device} up")

    def connect(self, work: str, **options: Any) -> tuple[subprocess.Popen[bytes], fw.MessageSocket[Any]]:
        """A peer process over there that does `work`, and the connection to it."""
        argv = ["ip", "netns", "exec", self.there, "python3", "-I", "-S", "-c", PEER, self.address, work]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.stack.callback(end, process)
        assert process.stdout is not None
        with process.stdout:
            port = int(process.stdout.readline())
        conn = fw.MessageSocket(self.socket(port), U32.replace(max_frame=None), **options)
        self.stack.callback(conn.abort)
        assert conn.recv(timeout=PATIENCE) == b"x"
        return process, conn

    def socket(self, port: int) -> socket.socket:
        """A socket of the namespace here, whose thread it need not stay in, connected to the peer."""

        def make() -> socket.socket:
            import ctypes

            with open(f"/run/netns/{self.here}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000):
                    raise OSError(ctypes.get_errno(), "setns")
            return socket.create_connection((self.address, port), timeout=PATIENCE)

        # A namespace belongs to a thread, and this one ends with it.
        sock: socket.socket = Running(make).result()
        return sock

    def swallow(self) -> None:
        """From now on, every packet vanishes."""
        sh(f"ip netns exec {self.there} iptables -A INPUT -j DROP")
        sh(f"ip netns exec {self.there} iptables -A OUTPUT -j DROP")


@pytest.fixture
def net(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Net]:
    reason = missing("ip", "iptables")
    if reason:
        pytest.skip(reason)
    try:
        net = Net(id(request) % 10_000)
    except AssertionError as error:
        pytest.skip(f"no network namespaces here: {error}")
    with net.stack:
        yield net


@pytest.fixture(params=["tcp", "unix"])
def ends(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Ends]:
    ends = Ends(request.param)
    with ends.stack:
        yield ends


def forever(conn: fw.MessageSocket[Any], polling: bool) -> Callable[[], Any]:
    """Receive until the connection is lost."""
    return (lambda: polled(conn, lambda: conn.recv(timeout=0), 10 * T)) if polling else conn.recv


def lost(running: Running, since: float, within: float = T + 1) -> fw.ConnectionLost:
    """What ended it, which must be the loss of the connection, in time."""
    with pytest.raises(fw.ConnectionLost) as caught:
        running.result()
    assert running.ended - since <= within, f"found only after {running.ended - since:.1f} s"
    return caught.value


# The cases of one test run side by side, as each of them takes peer_timeout.


def test_black_hole_idle(net: Net) -> None:
    cases = [(polling, net.connect(IDLE, peer_timeout=T)) for polling in (False, True)]
    _, writer = net.connect(READ, peer_timeout=T)
    writer.send(b"all of it arrives")
    time.sleep(SETTLED)
    running = [Running(forever(conn, polling)) for polling, (_, conn) in cases]
    running.append(Running(writer.recv))
    net.swallow()
    since = time.monotonic()
    for each in running:
        assert lost(each, since).errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)
    for _, (_, conn) in cases:
        with pytest.raises(fw.ConnectionLost):
            conn.recv(timeout=0)
        with pytest.raises(fw.ConnectionLost):
            conn.send(b"x")


def test_black_hole_with_data(net: Net) -> None:
    """Bytes on their way that nobody acknowledges: a few, more than the kernel takes, and from a loop."""
    conns = [net.connect(READ, peer_timeout=T)[1] for _ in range(4)]
    net.swallow()
    since = time.monotonic()

    def a_few() -> None:
        conns[0].send(b"vanishes")
        conns[0].recv()

    def a_few_polled() -> None:
        conns[1].send(b"vanishes", timeout=0)
        forever(conns[1], True)()

    def many() -> None:
        conns[2].send(bytes(64 << 20))

    def many_flushed() -> None:
        conns[3].send(bytes(64 << 20), timeout=0)
        polled(conns[3], lambda: conns[3].flush(timeout=0), 10 * T)

    for each in [Running(case) for case in (a_few, a_few_polled, many, many_flushed)]:
        assert lost(each, since).errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)
    for conn in conns:
        assert not conn.unsent


def test_a_black_hole_while_connecting(net: Net) -> None:
    """connect() keeps to its own timeout, and another thread can end the wait."""
    net.swallow()
    address = f"tcp://{net.address}:7"

    def inside(action: Callable[[], Any]) -> Callable[[], Any]:
        def body() -> Any:
            import ctypes

            with open(f"/run/netns/{net.here}") as namespace:
                assert not ctypes.CDLL(None).setns(namespace.fileno(), 0x40000000)
            return action()

        return body

    started = time.monotonic()
    connecting = Running(inside(lambda: fw.connect(address, U32, timeout=0.5)))
    conn = Running(inside(lambda: fw.connect(address, U32, timeout=0))).result()
    net.stack.callback(conn.abort)
    assert conn.events == 2
    waiting = [Running(conn.recv, 20), Running(conn.send, b"x", 20)]
    with pytest.raises(fw.Timeout) as caught:
        connecting.result()
    assert caught.value.phase == "connect" and connecting.ended - started < 1.5
    closed = time.monotonic()
    conn.close(timeout=0)
    assert time.monotonic() - closed < 1
    for each in waiting:
        with pytest.raises(fw.ConnectionClosed):
            each.result()
        assert each.ended - closed < 1


def test_a_stopped_reader_is_lost(backend: _backend.Backend) -> None:
    """Its kernel goes on acknowledging, but its window stays shut. (A Unix socket's sender has its own
    timeout only.)"""
    ends = Ends("tcp")
    with ends.stack:
        cases = [ends.peer(READ, U32.replace(max_frame=None), peer_timeout=T) for _ in range(2)]
        for process, _ in cases:
            stop(process)
        since = time.monotonic()

        def flushed(conn: fw.MessageSocket[Any] = cases[1][1]) -> None:
            conn.send(bytes(64 << 20), timeout=0)
            Way("polling").flush(conn)

        for each in [Running(cases[0][1].send, bytes(64 << 20)), Running(flushed)]:
            assert lost(each, since).errno == errno.ETIMEDOUT


def test_a_stopped_idle_peer_is_lost(ends: Ends) -> None:
    """Only silence tells: its kernel answers for it."""
    beating = "while True:\n    sock.sendall(b'\\0\\0\\0\\0')\n    time.sleep(0.5)"
    _, silent = ends.peer(READ, peer_timeout=T, heartbeat=b"")
    without = Running(silent.recv)
    since = time.monotonic()
    cases = []
    for polling in (False, True):
        process, conn = ends.peer(beating, peer_timeout=T, heartbeat=b"")
        cases.append((process, conn, Running(forever(conn, polling))))
    # Heartbeats keep it; one that is alive but sends none, is not as agreed.
    lost(without, since)
    assert silent.stats().bytes_out in (8, 12), "two or three heartbeats"
    time.sleep(0.5)
    for process, _, running in cases:
        assert running.thread.is_alive()
        stop(process)
    since = time.monotonic()
    for _, conn, running in cases:
        assert lost(running, since).errno == errno.ETIMEDOUT
        with pytest.raises(fw.ConnectionLost):
            conn.send(b"x")


def test_a_killed_peer_over_a_network(net: Net) -> None:
    """Its kernel tells: an end, or a reset if it had not read all; at once."""
    cases = []
    for polling in (False, True):
        for unread in (False, True):
            process, conn = net.connect(IDLE, peer_timeout=T)
            if unread:
                conn.send(b"not read")
            cases.append((process, unread, Running(forever(conn, polling))))
    time.sleep(SETTLED)
    for process, unread, running in cases:
        process.send_signal(signal.SIGKILL)
        since = time.monotonic()
        with pytest.raises(fw.ConnectionLost if unread else fw.EndOfStream):
            running.result()
        assert running.ended - since < 1


def test_killed_by_the_system(net: Net) -> None:
    """`ss -K`: ECONNABORTED for the one whose socket it was."""
    if reason := missing("ss"):
        pytest.skip(reason)
    cases = []
    for polling in (False, True):
        _, conn = net.connect(IDLE, peer_timeout=T)
        cases.append((conn, Running(forever(conn, polling))))
    _, conn = net.connect(IDLE)
    cases.append((conn, Running(conn.send, bytes(64 << 20))))
    time.sleep(SETTLED)
    since = time.monotonic()
    command = f"ip netns exec {net.here} ss -K state established"
    subprocess.run(command.split(), capture_output=True, stdin=subprocess.DEVNULL)
    for conn, running in cases:
        assert lost(running, since, 1).errno == errno.ECONNABORTED
        with pytest.raises(fw.ConnectionLost):
            conn.send(b"x")
        conn.close()


def test_the_peer_of_one_killed_by_the_system(net: Net) -> None:
    if reason := missing("ss"):
        pytest.skip(reason)
    _, conn = net.connect(IDLE, peer_timeout=T)
    running = Running(conn.recv)
    time.sleep(SETTLED)
    since = time.monotonic()
    command = f"ip netns exec {net.there} ss -K state established"
    subprocess.run(command.split(), capture_output=True, stdin=subprocess.DEVNULL)
    assert lost(running, since, 1).errno == errno.ECONNRESET


def test_a_peer_that_is_only_slow_is_kept(ends: Ends) -> None:
    """Stopped for less than peer_timeout, again and again: nothing is lost."""
    process, conn = ends.peer("while data := sock.recv(65536): sock.sendall(data)", peer_timeout=T)
    total = 100
    echoes = Running(lambda: [conn.recv(timeout=PATIENCE) for _ in range(total)])
    for index in range(total):
        if index % 50 == 0:
            stop(process)
            time.sleep(T / 3)
            process.send_signal(signal.SIGCONT)
        conn.send(index.to_bytes(4, "big") * 2000, timeout=PATIENCE)
    assert echoes.result() == [index.to_bytes(4, "big") * 2000 for index in range(total)]


def test_nothing_is_left_behind() -> None:
    """Every namespace of this file is gone."""
    if reason := missing("ip"):
        pytest.skip(reason)
    names = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert f"fw{os.getpid()}" not in names
