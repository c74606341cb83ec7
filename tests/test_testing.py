"""What framewire.testing gives to the tests of others passes what is right and fails what is wrong."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import _backend, testing
from framewire.testing import (
    FakeClock,
    ScriptedPeer,
    SimulatedStream,
    assert_round_trip,
    chunkings,
    fail,
    random_script,
    short,
    stall,
)

PACKAGE = Path(fw.__file__).parent.parent


# --- cuts ------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_chunkings_are_the_data(data: bytes) -> None:
    ways = list(chunkings(data, limit=8, samples=5))
    assert all(b"".join(chunks) == data for chunks in ways)
    assert all(all(chunks) for chunks in ways) or not data
    if len(data) <= 8:
        assert len(ways) == len(set(map(tuple, ways))) == 1 << max(0, len(data) - 1)


def test_chunkings_of_long_data() -> None:
    data = bytes(range(256)) * 10
    ways = list(chunkings(data, samples=3))
    assert [data] in ways and [data[i : i + 1] for i in range(len(data))] in ways
    assert sum(len(chunks) == 2 for chunks in ways) >= 1000
    assert ways == list(chunkings(data, samples=3)), "the same seed, the same cuts"
    assert ways != list(chunkings(data, samples=3, seed=1))


@given(st.data())
def test_strategies_make_what_can_be_carried(data: st.DataObject) -> None:
    framing = data.draw(testing.framings())
    messages = data.draw(st.lists(testing.messages(framing, max_size=40), max_size=4))
    assert_round_trip(framing, messages, samples=2)


def test_a_framing_that_loses_something_is_found() -> None:
    broken = fw.Custom(
        lambda view, scanned, eof: (0, len(view) - 1, len(view)) if view and view[-1] == 10 else None,
        lambda message: bytes(message) + b"\n",
    )
    with pytest.raises(AssertionError) as caught:
        assert_round_trip(broken, [b"one", b"two" * 50, b"three"])
    text = str(caught.value)
    assert "decoded in chunks of" in text and "expected | received" in text
    assert "b'one' | b'one\\ntwo" in text and "... (" in text, "both sides, shortened"
    assert "nothing" in text
    with pytest.raises(fw.EncodeError):
        assert_round_trip(fw.Lines(), [b"a\nb"])


# --- the clock and the stream ----------------------------------------------------------------------------


def test_the_clock_only_goes_forward() -> None:
    clock = FakeClock(10)
    clock.advance(0)
    clock.advance(0.5)
    assert clock() == clock.now == 10.5
    for back in (-1, float("nan")):
        with pytest.raises(ValueError, match="does not go back"):
            clock.advance(back)


def test_scripts_can_be_pasted() -> None:
    for seed in range(20):
        script = random_script(seed, calls=30, faults=("short", "stall", "EAGAIN", "ENOBUFS", "EINTR"))
        assert (
            eval(repr(script))
            == script
            == random_script(seed, 30, faults=("short", "stall", "EAGAIN", "ENOBUFS", "EINTR"))
        )
        assert all(call < 30 for call in script)
    assert len(random_script(1, calls=1000, rate=0)) == 0
    assert len(random_script(1, calls=1000, rate=1)) == 1000
    assert len({short(1), short(1), stall(1)}) == 2
    with pytest.raises(ValueError, match="the end of the stream"):
        short(0)


def receive(stream: SimulatedStream, size: int = 100) -> bytes:
    room = bytearray(size)
    return bytes(room[: next(stream.receiving(memoryview(room)))])


def test_what_comes_and_when() -> None:
    stream = SimulatedStream([b"one", b"two", 2, b"three", 1.5, None])
    assert receive(stream, 4) == b"onet" and receive(stream) == b"wo"
    with pytest.raises(BlockingIOError):
        receive(stream)
    assert not stream.wait(True, False, 1.9) and stream.clock() == 1.9
    assert stream.wait(True, False, None) and stream.clock() == 2
    assert receive(stream) == b"three"
    assert stream.wait(True, False, 100) and stream.clock() == 3.5
    assert receive(stream) == receive(stream) == b""
    stream = SimulatedStream([b"x", ConnectionResetError(errno.ECONNRESET, "reset")])
    assert receive(stream) == b"x"
    with pytest.raises(ConnectionResetError):
        receive(stream)


def test_waiting_for_nothing_is_a_failure() -> None:
    stream = SimulatedStream([b"x"], reads=False, capacity=1)
    receive(stream)
    with pytest.raises(AssertionError, match=r"wait for ever \(read=True, write=False\)"):
        stream.wait(True, False, None)
    assert next(stream.sending([memoryview(b"ab")])) == 1
    with pytest.raises(AssertionError, match="wait for ever"):
        stream.wait(False, True, None)
    assert not stream.wait(True, True, 5) and stream.clock() == 5
    stream.close()
    with pytest.raises(OSError) as caught:
        receive(stream)
    assert caught.value.errno == errno.EBADF


def test_every_fault() -> None:
    script = {
        0: short(2),
        1: fail(errno.EAGAIN),
        2: fail(KeyError),
        3: stall(2),
        7: fail(errno.EINTR),
        8: fail(errno.EPIPE),
    }
    stream = SimulatedStream([b"hello"], script=script)
    assert receive(stream) == b"he"
    with pytest.raises(BlockingIOError):
        receive(stream)
    with pytest.raises(KeyError):
        receive(stream)
    with pytest.raises(BlockingIOError):
        receive(stream)
    with pytest.raises(BlockingIOError):
        next(stream.sending([memoryview(b"x")]))  # silence is both ways
    assert not stream.wait(True, True, 1)
    assert stream.wait(True, True, None) and stream.clock() == 2
    assert stream.wait(True, False, None), "woken for nothing, by a signal"
    assert stream.wait(True, False, None)
    with pytest.raises(BrokenPipeError):
        next(stream.sending([memoryview(b"x")]))
    assert receive(stream) == b"llo"
    assert stream.calls.count("receive") == 5 and len(stream.calls) == 11


# --- the scripted peer -----------------------------------------------------------------------------------


def test_a_conversation(backend: _backend.Backend) -> None:
    with ScriptedPeer(fw.Netstring()) as peer:
        peer.expect(b"one", b"two").wait(0.01).reply(b"three", b"").expect(b"bye").end()
        with fw.MessageSocket(peer.socket(), fw.Netstring()) as conn:
            conn.send_many([b"one", b"two"])
            assert (conn.recv(), conn.recv()) == (b"three", b"")
            conn.send(b"bye")
            assert list(conn) == []
    with ScriptedPeer().expect(b"raw").reply(b"\0\1x").fail() as peer:
        conn = fw.MessageSocket(peer.socket(), fw.LengthPrefixed(fw.u16))
        conn._transport.sock.sendall(b"raw")
        assert conn.recv() == b"x"
        with pytest.raises(fw.ConnectionLost):
            conn.recv()
        conn.close(timeout=0)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ([b"one", b"too"], "step 0: the peer got other messages: message 1 of 2 differs"),
        ([b"one"], "b'two' | nothing"),
    ],
)
def test_what_was_not_expected(sent: list[bytes], text: str, backend: _backend.Backend) -> None:
    peer = ScriptedPeer(fw.Lines()).expect(b"one", b"two")
    with fw.MessageSocket(peer.socket(), fw.Lines()) as conn:
        conn.send_many(sent)
    with pytest.raises(AssertionError) as caught:
        peer.done()
    assert text in str(caught.value)


def test_steps_that_were_not_done() -> None:
    peer = ScriptedPeer(fw.Lines()).expect(b"one")
    with pytest.raises(AssertionError, match="never connected"):
        peer.done()
    sock = peer.socket()
    with pytest.raises(AssertionError, match=r"step 0, expect\(\(b'one',\)\), was not done within 0.05 s"):
        peer.done(timeout=0.05)
    sock.sendall(b"one\n")
    sock.close()
    peer.done()
    with pytest.raises(ValueError, match="one connection"):
        peer.socket()


# --- the plugin ------------------------------------------------------------------------------------------


def test_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import framewire as fw\n"
        "def test_pair(framewire_pair):\n"
        "    a, b = framewire_pair(fw.Lines())\n"
        "    a.send(b'x')\n"
        "    assert b.recv(timeout=9) == b'x'\n"
        "def test_peer(framewire_scripted, framewire_clock):\n"
        "    peer = framewire_scripted(fw.Lines()).expect(b'ping').reply(b'pong')\n"
        "    with fw.MessageSocket(peer.socket(), fw.Lines()) as conn:\n"
        "        assert conn.request(b'ping') == b'pong'\n"
        "    assert framewire_clock() == 0\n"
        "def test_peer_that_is_not_done(framewire_scripted):\n"
        "    framewire_scripted(fw.Lines()).expect(b'ping')\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "pytest_framewire",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "the peer was never connected" in done.stdout


def test_the_plugin_imports_next_to_nothing() -> None:
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import pytest_framewire\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        check=True,
    )
    assert done.stdout.strip() == "['pytest_framewire']"
    assert (PACKAGE / "pytest_framewire.py").stat().st_size < 2048


def test_hypothesis_is_not_needed() -> None:
    code = "import sys, framewire.testing; print('hypothesis' in sys.modules, 'pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]


def test_every_public_name_has_its_example() -> None:
    for name in testing.__all__:
        item: Any = getattr(testing, name)
        assert ">>> " in (item.__doc__ or ""), name
    assert list(pairwise(testing.__all__)) == sorted(pairwise(testing.__all__), key=lambda pair: pair[0])
