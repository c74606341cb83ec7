"""What connections cost: measured in a process of its own, as the anonymous memory that is resident."""

from __future__ import annotations

import itertools
import os
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import FULL, SANITIZED

import framewire as fw
from framewire import _backend

U32 = fw.LengthPrefixed(fw.u32)
PACKAGE = Path(fw.__file__).parent.parent
PROLOGUE = """
import gc, os, resource, socket, sys, warnings
import framewire as fw
warnings.simplefilter("ignore")
U32 = fw.LengthPrefixed(fw.u32)

def resident():
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss_Anon")) * 1024

# Two descriptors a connection.
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192) if most > 0 else 8192, most))

def warm():
    pairs = [fw.socketpair(U32) for _ in range(20)]
    for a, b in pairs:
        a.send(b"x" * 100)
        b.recv()
        a.abort()
        b.abort()

def connected(count):
    server = socket.create_server(("127.0.0.1", 0), backlog=4096)
    clients = []
    numbers = []
    for _ in range(count):
        clients.append(socket.create_connection(server.getsockname()))
        numbers.append(server.accept()[0].detach())
    return clients, numbers

def announce(client, conn):
    client.sendall((1 << 20).to_bytes(4, "big") + b"x")
    try:
        conn.recv(timeout=0)
    except BlockingIOError:
        pass

def wrapped(numbers):
    return [fw.MessageSocket(socket.socket(fileno=number), U32) for number in numbers]

warm()
"""

linux = pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="reads /proc")


def measured(code: str, backend: _backend.Backend) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "FRAMEWIRE_BACKEND": backend.name},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def grown(count: int, then: str, backend: _backend.Backend) -> int:
    """What `count` connections cost, with which `then` was done, where starting up has left no room in the
    heap; compiling modules leaves much."""
    return measured(
        f"""
clients, numbers = connected({count})
filler = [bytes(size) for size in range(480) for _ in range(200)]
before = resident()
conns = wrapped(numbers)
for client, conn in zip(clients, conns):
    {then}
print(resident() - before)
""",
        backend,
    )


native_only = pytest.mark.skipif(SANITIZED, reason="under the sanitizers memory costs more")


@linux
@native_only
def test_an_idle_connection(backend: _backend.Backend) -> None:
    each = grown(1000, "pass", backend) // 1000
    # Other Pythons have larger objects; the pure twin has dictionaries, locks and a decoder from the start.
    most = 500 if sys.version_info[:2] == (3, 11) else 600
    assert each <= (most if backend.name == "native" else 4096), f"{each} bytes a connection"


@linux
@native_only
def test_a_length_is_not_believed(backend: _backend.Backend) -> None:
    """500 peers announce the largest frame and send one byte of it."""
    assert grown(500, "announce(client, conn)", backend) <= (1 << 20 if backend.name == "native" else 2 << 20)


@linux
@native_only
def test_a_stopped_reader_costs_high_water_and_a_message(backend: _backend.Backend) -> None:
    code = """
left, right = socket.socketpair()
conn = fw.MessageSocket(left, U32)
message = bytes(100_000)
before = resident()
try:
    while True:
        conn.send(message, timeout=0)
except BlockingIOError:
    pass
assert conn.unsent < (1 << 20) + 100_004, conn.unsent
print(resident() - before)
conn.abort()
"""
    assert measured(code, backend) <= (1 << 20) * 2.2 + 100_000


@linux
@native_only
def test_cycles_leave_nothing_behind(backend: _backend.Backend) -> None:
    """Connect, send, receive, close: neither memory nor descriptors grow."""
    count = 1_000_000 if FULL else 20_000 if backend.name == "native" else 3000
    code = f"""
listener = fw.listen("unix:@framewire-%d" % os.getpid(), U32)
def cycle():
    client = fw.connect(listener.address, U32)
    server = listener.accept()
    client.send(b"ping")
    server.send(server.recv())
    assert client.recv() == b"ping"
    client.close(timeout=0)
    server.close(timeout=0)
for _ in range(2000):
    cycle()
before, descriptors = resident(), len(os.listdir("/proc/self/fd"))
for _ in range({count}):
    cycle()
assert len(os.listdir("/proc/self/fd")) == descriptors
print(resident() - before)
"""
    assert measured(code, backend) <= 1 << 20


SERVER = """
mode, seconds = sys.argv[1:]
ends = []
def ended(conn, error):
    ends.append(type(error).__name__)
with fw.Server(lambda conn, message: message, "tcp://127.0.0.1:0", U32, mode=mode, on_close=ended,
               max_connections=20_000, frame_timeout=float(seconds)) as server:
    print(server.address, flush=True)
    for _ in range(8):
        sys.stdin.readline()
    filler = [bytes(size) for size in range(480) for _ in range(200)]
    for _ in sys.stdin:
        print(resident(), server.stats().connections, *sorted(set(ends)), flush=True)
"""


class Served:
    """A server in a process of its own, and eight clients who have had a reply each."""

    def __init__(self, stack: ExitStack, mode: str, seconds: float, descriptors: int, backend: str) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= hard < descriptors:
            pytest.skip(f"needs {descriptors} descriptors, may have {hard}")
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROLOGUE.replace("8192", str(descriptors)) + SERVER, mode, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "FRAMEWIRE_BACKEND": backend},
            stderr=subprocess.DEVNULL,  # who was evicted, once a connection
        )
        self.stack = stack
        stack.enter_context(self.process)
        stack.callback(self.process.kill)
        assert self.process.stdin and self.process.stdout
        address = self.process.stdout.readline().strip()
        self.clients = [stack.enter_context(fw.connect(address, U32)) for _ in range(8)]
        for conn in self.clients:
            conn.request(b"hello")
            self.process.stdin.write("\n")
        self.where = ("127.0.0.1", int(address.rpartition(":")[2]))
        self.before = self.state()[0]

    def state(self) -> tuple[int, int, list[str]]:
        """Its memory in bytes, its connections, and what kinds of end some had."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        memory, count, *ends = self.process.stdout.readline().split()
        return int(memory), int(count), ends

    def peers(self, count: int) -> list[socket.socket]:
        """So many further connections, which it has accepted."""
        peers = [self.stack.enter_context(socket.create_connection(self.where)) for _ in range(count)]
        until = time.monotonic() + 60
        while self.state()[1] < 8 + count:
            assert time.monotonic() < until
            time.sleep(0.1)
        return peers


@linux
@native_only
def test_idle_connections_of_a_server(backend: _backend.Backend) -> None:
    count = 10_000 if FULL else 2000
    with ExitStack() as stack:
        served = Served(stack, "selector", 10, count + 1000, backend.name)
        served.peers(count)
        each = (served.state()[0] - served.before) // count
        most = 500 if sys.version_info[:2] == (3, 11) else 600
        assert each <= (most if backend.name == "native" else 4096), f"{each} bytes a connection"


@linux
@native_only
@pytest.mark.parametrize("mode", ["selector", "threads"])
def test_peers_that_trickle(mode: str, backend: _backend.Backend) -> None:
    """2 000 of them, a byte now and then: they cost little, are gone in time, and no good one notices."""
    count, seconds = (2000 if backend.name == "native" else 300), (3 if FULL else 1)
    with ExitStack() as stack:
        served = Served(stack, mode, seconds, count + 1000, backend.name)
        peers = served.peers(count)
        for peer in peers:
            peer.setblocking(False)
            peer.send(b"\0\1\0\0")
        began = time.monotonic()
        for conn in served.clients:
            conn.request(b"hello")
        each = (served.state()[0] - served.before) // count
        left, delays = set(peers), []
        for turn in itertools.count():
            for peer in peers[turn % 20 :: 20]:
                try:
                    if peer in left and (peer.send(b"x"), peer.recv(1))[1] == b"":
                        left.remove(peer)
                except BlockingIOError:
                    pass
                except OSError:
                    left.remove(peer)
            for conn in served.clients:
                asked_at = time.monotonic()
                assert conn.request(b"hello") == b"hello"
                delays.append(time.monotonic() - asked_at)
            if not left:
                break
            assert time.monotonic() - began < seconds + (1 if FULL else 30), f"{len(left)} are still there"
            time.sleep(0.01)
        assert served.state()[1:] == (8, ["Timeout"])
        assert sorted(delays)[len(delays) * 99 // 100] < (0.25 if FULL else 10)
        # A thread that only waits costs 15.7 KB by itself (CPython 3.11, glibc).
        most = {"selector": 4096, "threads": 16384 + 16384}[mode] if backend.name == "native" else 65536
        assert each <= most, f"{each} bytes each"
