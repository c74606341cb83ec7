"""What every kind of stream must do, whichever way one waits for it. drivers.py has the kinds."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from catalogue import CATALOGUE
from conftest import FULL
from drivers import DRIVERS, SERVED, Driver, HandedIn, Simulated, collect, run

import framewire as fw
from framewire import _backend, errors
from framewire.testing import SimulatedStream, chunkings, fail, short, stall

U16 = fw.LengthPrefixed(fw.u16)
U32 = fw.LengthPrefixed(fw.u32)
WAYS = ("recv", "many", "into")


@pytest.fixture(params=DRIVERS, ids=lambda make: make.name)
def driver(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Driver]:
    driver: Driver = request.param()
    with driver.stack:
        yield driver


@pytest.fixture(params=[*DRIVERS, *SERVED], ids=lambda make: make.name)
def any_driver(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Driver]:
    """Servers too, which one can only talk to."""
    driver: Driver = request.param()
    with driver.stack:
        yield driver


def numbered(count: int, seed: int = 0) -> list[bytes]:
    """Messages that say their place, of sizes that no buffer expects."""
    return [
        index.to_bytes(4, "big") + bytes(index * 7919 % 97 + (seed * index) % 300) for index in range(count)
    ]


# --- nothing is lost, torn, doubled or out of order -------------------------------------------------------


@pytest.mark.parametrize("many", [False, True], ids=["each", "many"])
@pytest.mark.parametrize("way", WAYS)
def test_numbered_messages_arrive(any_driver: Driver, way: str, many: bool) -> None:
    messages = numbered(2000)
    assert any_driver.exchange(U16, messages, way, many) == messages


@pytest.mark.parametrize("way", WAYS)
def test_sizes_around_every_buffer(any_driver: Driver, way: str) -> None:
    edges = (0, 1, 511, 512, 1023, 1024, 2047, 2048, 4095, 4096, 32767, 32768, 65535, 65536, 262144)
    sizes = sorted({size + delta for size in edges for delta in (-5, -4, -1, 0, 1) if size + delta >= 0})
    messages = [bytes([index % 251]) * size for index, size in enumerate([*sizes, 1 << 20])]
    assert any_driver.exchange(U32, messages, way) == messages
    assert any_driver.exchange(U32, messages[::-1], way, many=True) == messages[::-1]


@pytest.mark.parametrize("seed", range(200 if FULL else 8))
def test_ten_thousand_messages_under_faults(backend: _backend.Backend, seed: int) -> None:
    """Torn 0, reordered 0, lost 0, doubled 0, under short reads and writes, EINTR, EAGAIN and silences."""
    count = 10_000 if FULL or backend.name == "native" else 2000
    messages = numbered(count, seed)
    driver = Simulated(seed)
    with driver.stack:
        assert driver.exchange(U16, messages, WAYS[seed % 3], many=seed % 2 == 0) == messages


def test_a_million_messages(backend: _backend.Backend) -> None:
    count = 1_000_000 if FULL or backend.name == "native" else 50_000
    left, right = fw.socketpair(U16)

    def send() -> None:
        assert left.send_many(index.to_bytes(4, "big") for index in range(count)) == count
        left.close(timeout=60)

    sender = run(send)
    expected = 0
    for message in right:
        assert int.from_bytes(message, "big") == expected
        expected += 1
    right.close()
    sender()
    assert expected == count


# --- the stream decides nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_framing_in_any_pieces(name: str, backend: _backend.Backend) -> None:
    """What arrives in whatever pieces, over a stream with faults, is what the decoder makes of the whole."""
    framing, messages = CATALOGUE[name]
    wire = framing.encoder().encode_many(messages)
    decoder = framing.decoder()
    expected = decoder.decode(wire) + decoder.feed_eof()
    cuts = list(chunkings(wire, limit=4, samples=10))
    for seed, chunks in enumerate([*cuts[:5], *cuts[-15:]]):
        driver = Simulated(seed)
        with driver.stack:
            assert driver.deliver(framing, chunks, WAYS[seed % 3]) == (expected, None), f"seed {seed}"


@pytest.mark.parametrize("way", WAYS)
def test_the_end_inside_a_message(any_driver: Driver, way: str) -> None:
    wire = U16.encode_many([b"one", b"two"])
    for cut in range(1, len(wire)):
        got, error = any_driver.deliver(U16, [wire[:cut]], way)
        whole = cut // 5
        assert got == [b"one", b"two"][:whole]
        if cut % 5:
            assert isinstance(error, fw.Truncated)
            assert error.partial == wire[whole * 5 : cut]
        else:
            assert error is None


@pytest.mark.parametrize("way", WAYS)
def test_good_frames_before_a_fault(any_driver: Driver, way: str) -> None:
    framing = U16.replace(max_frame=100)
    for chunks in ([b"\0\3one\0\3two\0\x65" + bytes(101)], [b"\0\3on", b"e\0\3two\0", b"\x65"]):
        got, error = any_driver.deliver(framing, chunks, way)
        assert got == [b"one", b"two"]
        assert isinstance(error, fw.FrameTooLarge)
        assert (error.size, error.limit, error.offset, error.frame_index) == (101, 100, 10, 2)


def test_a_frame_of_the_limit_and_one_beyond(any_driver: Driver) -> None:
    framing = U32.replace(max_frame=70_000)
    for size, fits in ((69_999, True), (70_000, True), (70_001, False)):
        wire = size.to_bytes(4, "big") + b"x" * size
        got, error = any_driver.deliver(framing, [wire[:7], wire[7:]] if fits else [wire[:7]])
        assert (got == [b"x" * size]) is fits
        assert isinstance(error, fw.FrameTooLarge) is not fits


def test_a_skipped_frame(driver: Driver) -> None:
    framing = U16.replace(max_frame=10, on_too_large="skip")
    wire = b"\0\3one" + b"\0\x20" + bytes(32) + b"\0\3two"
    raw, end = driver.ends()
    write = driver.writer(raw)
    conn = driver.connection(end, framing, idle_timeout=30)
    write(wire)
    write(None)
    assert conn.recv() == b"one"
    with pytest.raises(fw.FrameTooLarge) as caught:
        conn.recv()
    assert caught.value.recoverable
    assert collect(conn) == ([b"two"], None)


# --- both directions -------------------------------------------------------------------------------------


def test_one_shot(driver: Driver) -> None:
    """Request, end of our side, reply until the end: how many protocols of one question work."""
    if isinstance(driver, Simulated):
        pytest.skip("both ends of a simulated pair are in one thread: nobody answers a call that waits")
    if isinstance(driver, HandedIn):
        pytest.skip("an SSLSocket is closed as a whole")
    left, right = driver.pair(fw.UntilEOF())

    def serve() -> None:
        question = right.recv()
        right.send(b"answer to " + question)
        right.close()

    server = run(serve)
    left.send(b"question")
    left.shutdown_write()
    assert left.recv() == b"answer to question"
    with pytest.raises(fw.EndOfStream):
        left.recv()
    left.close()
    server()


def test_close_with_unread_input_loses_nothing(driver: Driver) -> None:
    if isinstance(driver, Simulated):
        pytest.skip("both ends of a simulated pair are in one thread: nobody answers a call that waits")
    messages = numbered(3000)
    left, right = driver.pair(U16)
    right.send(b"never read by the other end")

    def send() -> None:
        left.send_many(messages)
        left.close(timeout=30)

    sender = run(send)
    got, error = collect(right)
    right.close(timeout=0)
    sender()
    assert (got, error) == (messages, None)


def test_requests_and_replies(driver: Driver) -> None:
    if isinstance(driver, Simulated):
        pytest.skip("both ends of a simulated pair are in one thread: nobody answers a call that waits")
    left, right = driver.pair(U16)

    def serve() -> None:
        with right:
            for message in right:
                right.send(message[::-1])

    server = run(serve)
    for message in numbered(300):
        assert left.request(message, timeout=30) == message[::-1]
    left.close()
    server()


def test_switching_in_the_middle_keeps_what_was_read_ahead(driver: Driver) -> None:
    stages: list[tuple[fw.Framing, list[bytes]]] = [
        (fw.FixedLength(8), [b"AMQP\0\0\x09\1"]),
        (U32, [b"tune", b"x" * 70_000]),
        (fw.Lines(), [b"text", b"more"]),
        (fw.LengthPrefixed(fw.varint), [b"last"]),
    ]
    wire = b"".join(framing.encode_many(messages) for framing, messages in stages)
    raw, end = driver.ends()
    write = driver.writer(raw)
    sender = run(lambda: write(wire))
    if isinstance(driver, Simulated):
        sender()
    conn = driver.connection(end, stages[0][0])
    for framing, messages in stages:
        conn.framing = framing
        assert [conn.recv() for _ in messages] == messages
    sender()


# --- every call of the system can fail --------------------------------------------------------------------
class Alarm(Exception):
    """What a signal handler raises."""


HARMLESS = [short(1), fail(errno.EAGAIN), fail(errno.EINTR), stall(0.5)]
CHUNKS = [b"\0\3on", b"e\0\0\0\x05he", 1.0, b"llo", b"\0\2ab", None]
RECEIVED = [b"one", b"", b"hello", b"ab"]
SENT = [b"one", b"x" * 3000, b"", b"y" * 70_000, b"two"]


def scripts(calls: int, faults: list[Any]) -> Iterator[dict[int, Any]]:
    """Every fault at every call index, singly and in pairs."""
    single = [(at, fault) for at in range(calls) for fault in faults]
    for at, fault in single:
        yield {at: fault}
    for (at, fault), (then, other) in itertools.combinations(single, 2):
        if at < then < at + 4 or FULL:
            yield {at: fault, then: other}


@pytest.mark.parametrize("way", WAYS)
def test_receiving_with_faults_at_every_call(backend: _backend.Backend, way: str) -> None:
    for script in scripts(14, HARMLESS):
        stream = SimulatedStream(CHUNKS, script=script)
        conn = fw.MessageSocket(stream, U16)
        assert collect(conn, way) == (RECEIVED, None), script
        conn.abort()


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("capacity", [50_000, 1 << 20])
def test_sending_with_faults_at_every_call(backend: _backend.Backend, capacity: int, many: bool) -> None:
    for script in scripts(12, [*HARMLESS, fail(errno.ENOBUFS)]):
        values = sorted(script.items())
        if [f.value for _, f in values] == [errno.ENOBUFS] * 2:
            continue  # twice in a row it is an error, see below
        stream = SimulatedStream([None], script=script, capacity=capacity)
        conn = fw.MessageSocket(stream, U32)
        try:
            if many:
                conn.send_many(SENT)
            else:
                for message in SENT:
                    conn.send(message)
            assert conn.unsent == 0
            conn.close()
        except OSError as error:
            # Two calls in a row said so, the second after one that could not.
            assert error.errno == errno.ENOBUFS, script
            conn.close()
        assert bytes(stream.sent) in (U32.encode_many(SENT[:n]) for n in range(6)), script


def test_no_memory_in_the_kernel_is_tried_again_once(backend: _backend.Backend) -> None:
    for at in range(2):
        stream = SimulatedStream([None], script={at: fail(errno.ENOBUFS)} if at == 0 else {})
        conn = fw.MessageSocket(stream, U32)
        conn.send(b"x")
        assert conn.unsent == 0
        conn.close()
    stream = SimulatedStream([None], script={0: fail(errno.ENOMEM), 2: fail(errno.ENOMEM)})
    conn = fw.MessageSocket(stream, U32)
    with pytest.raises(OSError) as caught:
        conn.send(b"x")
    assert caught.value.errno == errno.ENOMEM and stream.calls[:3] == ["send", "wait", "send"]
    conn.flush()
    conn.close()
    assert stream.sent == U32.encode(b"x"), "it was taken, and goes when there is memory again"


LOST = sorted(errors.LOST - {errno.EPIPE, errno.EIO, errno.ESHUTDOWN})


@pytest.mark.parametrize("number", LOST, ids=errno.errorcode.get)
def test_a_connection_that_dies_at_every_receive(backend: _backend.Backend, number: int) -> None:
    for at in range(14):
        stream = SimulatedStream(CHUNKS, script={at: fail(number)})
        if at >= 2:
            stream.script.update({at - 1: short(2)})
        conn = fw.MessageSocket(stream, U16)
        got, error = collect(conn)
        assert got == RECEIVED[: len(got)]
        if len(stream.calls) <= at:
            assert error is None
            conn.abort()
            continue
        assert isinstance(error, fw.ConnectionLost) and error.errno == number
        for call in (conn.recv, conn.recv_many, lambda: conn.recv_into(bytearray(9))):  # noqa: B023
            with pytest.raises(fw.ConnectionLost) as caught:
                call()
            assert caught.value.errno == number and caught.value is not error
        assert not conn.events & 1
        conn.abort()


@pytest.mark.parametrize("number", [*LOST, errno.EPIPE], ids=errno.errorcode.get)
def test_a_connection_that_dies_at_every_send(backend: _backend.Backend, number: int) -> None:
    for at in range(4):
        stream = SimulatedStream([U32.encode(b"last"), None], script={at: fail(number)}, capacity=80_000)
        conn = fw.MessageSocket(stream, U32)
        with pytest.raises(fw.ConnectionLost) as caught:
            for _ in range(9):
                conn.send(b"x" * 50_000)
        assert caught.value.errno == number
        for call in (lambda: conn.send(b"x"), lambda: conn.send_many([b"x"])):  # noqa: B023
            with pytest.raises(fw.ConnectionLost):
                call()
        assert conn.unsent == 0
        assert conn.recv() == b"last", "what had come is still there"
        with pytest.raises(fw.EndOfStream if number == errno.EPIPE else fw.ConnectionLost):
            conn.recv()
        conn.abort()


def test_an_error_that_ends_nothing(backend: _backend.Backend) -> None:
    stream = SimulatedStream([b"\0\1x", None], script={0: fail(errno.ENOMEM), 2: fail(errno.EACCES)})
    conn = fw.MessageSocket(stream, U16)
    with pytest.raises(OSError) as caught:
        conn.recv()
    assert caught.value.errno == errno.ENOMEM and not isinstance(caught.value, fw.FramewireError)
    assert conn.recv() == b"x"
    with pytest.raises(PermissionError):
        conn.recv()
    with pytest.raises(fw.EndOfStream):
        conn.recv()
    conn.abort()


def test_signal_handlers_that_raise_at_every_call(backend: _backend.Backend) -> None:
    for script in scripts(12, [fail(Alarm), short(1), fail(errno.EAGAIN)]):
        stream = SimulatedStream(CHUNKS, script=script)
        conn = fw.MessageSocket(stream, U16)
        got: list[bytes] = []
        while True:
            try:
                got.append(conn.recv())
            except Alarm:
                continue
            except fw.EndOfStream:
                break
        assert got == RECEIVED, script
        conn.abort()
        stream = SimulatedStream([None], script=script, capacity=60_000)
        conn = fw.MessageSocket(stream, U32)
        raised = 0
        for message in SENT:
            try:
                conn.send(message)
            except Alarm:
                raised += 1
        while True:
            try:
                conn.close()
                break
            except Alarm:
                raised += 1
        decoder = U32.decoder()
        arrived = decoder.decode(stream.sent)
        assert decoder.needed == 4, script  # nothing is torn
        kept = [message for message in SENT if message in arrived]
        assert arrived == kept and len(SENT) - len(kept) <= raised, script


# --- timeouts and liveness, on a clock that nobody waits for ------------------------------------------------


def test_a_timeout_is_total_and_loses_nothing(backend: _backend.Backend) -> None:
    drip = [piece for byte in b"\0\5hello\0\1x" for piece in (bytes([byte]), 0.4)]
    stream = SimulatedStream([*drip, None])
    conn = fw.MessageSocket(stream, U16)
    with pytest.raises(fw.Timeout, match="no whole message came from simulated: within 1.5 s") as caught:
        conn.recv(timeout=1.5)
    assert caught.value.phase == "recv" and stream.clock() == 1.5
    with pytest.raises(BlockingIOError):
        conn.recv(timeout=0)
    assert stream.clock() == 1.5
    assert conn.recv(timeout=9) == b"hello"
    conn.timeout = 0.1
    with pytest.raises(fw.Timeout):
        conn.recv()
    assert conn.recv(timeout=None) == b"x"
    conn.abort()


def test_frame_timeout_counts_from_the_first_byte(backend: _backend.Backend) -> None:
    drip = [piece for byte in b"\0\1x" + b"\0\x20" + bytes(32) for piece in (bytes([byte]), 1)]
    stream = SimulatedStream([5, *drip, None])
    conn = fw.MessageSocket(stream, U16, frame_timeout=10)
    assert conn.recv() == b"x", "silence before a frame is no matter"
    started = stream.clock()
    with pytest.raises(fw.Timeout, match=r"not whole after 10 s \(frame_timeout\), \d+ bytes") as caught:
        conn.recv()
    assert caught.value.phase == "frame"
    assert 10 <= stream.clock() - started <= 12
    with pytest.raises(fw.Timeout):
        conn.recv()
    with pytest.raises(fw.Timeout):
        for _ in range(40):
            conn.recv(timeout=60)
    conn.abort()


def test_idle_timeout_counts_every_byte(backend: _backend.Backend) -> None:
    stream = SimulatedStream([b"\0", 4, b"\5", 4, b"hell", 4, b"o", 6, b"\0\1x", None])
    conn = fw.MessageSocket(stream, U16, idle_timeout=5)
    assert conn.recv() == b"hello" and stream.clock() == 12
    with pytest.raises(fw.Timeout, match=r"not a byte from simulated: for 5 s \(idle_timeout\)") as caught:
        conn.recv()
    assert caught.value.phase == "idle" and stream.clock() == 17
    stream.clock.advance(1)
    assert conn.recv() == b"x", "it is not the end"
    conn.abort()


def test_heartbeats_keep_a_silent_connection(backend: _backend.Backend) -> None:
    beat = U16.encode(b"beat")
    stream = SimulatedStream([*[piece for _ in range(5) for piece in (2, beat)], b"\0\1x", None])
    conn = fw.MessageSocket(stream, U16, peer_timeout=6, heartbeat=b"beat")
    assert conn.recv() == b"x", "heartbeats are not delivered"
    assert stream.clock() == 10
    conn.close()
    # One after each third of peer_timeout without output, and none beside it.
    assert stream.sent == beat * 4
    assert conn.stats()[:2] == (1, 0)


def test_a_peer_without_a_heartbeat_is_lost(backend: _backend.Backend) -> None:
    stream = SimulatedStream([1, b"\0\1x"])
    conn = fw.MessageSocket(stream, U16, peer_timeout=6, heartbeat=b"")
    assert conn.recv() == b"x"
    with pytest.raises(fw.ConnectionLost, match=r"not a byte for 6 s \(peer_timeout\)") as caught:
        conn.recv()
    assert caught.value.errno == errno.ETIMEDOUT
    assert 7 <= stream.clock() <= 7.5
    with pytest.raises(fw.ConnectionLost):
        conn.send(b"x")
    with pytest.raises(fw.ConnectionLost):
        conn.recv()
    conn.abort()


def test_any_output_is_a_heartbeat(backend: _backend.Backend) -> None:
    stream = SimulatedStream([piece for _ in range(9) for piece in (b"\0\1x", 1)])
    conn = fw.MessageSocket(stream, U16, peer_timeout=6, heartbeat=b"beat")
    for _ in range(9):
        assert conn.recv() == b"x"
        conn.send(b"y")
    assert stream._out.data + stream.sent == U16.encode_many([b"y"] * 9)
    conn.abort()


def test_a_heartbeat_never_queues_behind_another(backend: _backend.Backend) -> None:
    """The peer reads nothing, but sends: our heartbeats do not pile up."""
    stream = SimulatedStream([piece for _ in range(50) for piece in (b"\0\1x", 3)], capacity=10, reads=False)
    conn = fw.MessageSocket(stream, U16, peer_timeout=6, heartbeat=b"beat")
    for _ in range(50):
        assert conn.recv() == b"x"
    assert conn.unsent <= 2 * len(U16.encode(b"beat"))
    conn.abort()


def test_heartbeats_that_cannot_be() -> None:
    with pytest.raises(fw.DeclarationError, match="goes with peer_timeout"):
        fw.socketpair(U16, heartbeat=b"")
    with pytest.raises(fw.DeclarationError, match="cannot carry it"):
        fw.socketpair(fw.FixedLength(4), heartbeat=b"beats", peer_timeout=9)
    with pytest.raises(fw.DeclarationError, match="cannot carry it"):
        fw.socketpair(U16, fw.Lines(), heartbeat=b"a\nb", peer_timeout=9)


def test_a_stopped_reader_stops_the_sender(backend: _backend.Backend) -> None:
    stream = SimulatedStream(capacity=1000, reads=False)
    conn = fw.MessageSocket(stream, U32, high_water=5000)
    message = b"x" * 700
    taken = 0
    with pytest.raises(fw.Timeout, match="are unsent, simulated: took too few within 3 s") as caught:
        for _ in range(100):
            conn.send(message, timeout=3)
            taken += 1
    assert caught.value.phase == "send"
    assert 5000 <= conn.unsent < 5000 + 704
    assert conn.stats().messages_out == taken
    with pytest.raises(BlockingIOError):
        conn.send(message, timeout=0)
    with pytest.raises(fw.Timeout):
        conn.send_many([message] * 9, timeout=1)
    stream.reads = True
    conn.flush()
    assert conn.send_many([message] * 3) == 3
    conn.close(timeout=1)
    assert stream.sent == U32.encode_many([message] * (taken + 3))


# --- what else a connection has ---------------------------------------------------------------------------


def test_cork_gathers(backend: _backend.Backend) -> None:
    stream = SimulatedStream([None], capacity=1 << 20)
    conn = fw.MessageSocket(stream, U16)
    with conn.cork():
        for _ in range(100):
            conn.send(b"x" * 60)
        with conn.cork():
            conn.send(b"inner")
        assert stream.calls == [] and conn.unsent == 100 * 62 + 7
        assert conn.events == 1, "what is corked does not ask for room"
    assert stream.calls == ["send"] and conn.unsent == 0
    with conn.cork():
        for _ in range(12_000):
            conn.send(b"x" * 60)
        assert 2 <= stream.calls.count("send") <= 7 and conn.unsent < (256 << 10) + 100
    with pytest.raises(KeyError):
        with conn.cork():
            conn.send(b"last")
            raise KeyError
    conn.close()
    assert stream.sent == U16.encode_many([b"x" * 60] * 100 + [b"inner"] + [b"x" * 60] * 12_000 + [b"last"])


def test_recv_sends_what_is_corked(backend: _backend.Backend) -> None:
    stream = SimulatedStream([b"\0\1x", None])
    conn = fw.MessageSocket(stream, U16)
    with conn.cork():
        conn.send(b"question")
        assert conn.recv() == b"x"
        assert stream.calls[0] == "send"
    conn.close()


def test_recv_into_says_what_does_not_fit(driver: Driver) -> None:
    if isinstance(driver, Simulated):
        pytest.skip("both ends of a simulated pair are in one thread")
    left, right = driver.pair(U32)
    sender = run(lambda: left.send_many([b"x" * 10, b"y" * 100_000, b"z"]))
    room = bytearray(9)
    for _ in range(2):
        with pytest.raises(BufferError, match="10 bytes does not fit into a buffer of 9 bytes"):
            right.recv_into(room)
    assert right.recv() == b"x" * 10
    with pytest.raises(BufferError, match="100000 bytes does not fit into a buffer of 9 bytes"):
        right.recv_into(room)
    large = bytearray(100_000)
    assert right.recv_into(large) == 100_000 and large == b"y" * 100_000
    assert right.recv_into(room) == 1 and room[:1] == b"z"
    for wrong in (b"constant", 9, memoryview(bytes(9))):
        with pytest.raises(TypeError, match="writable"):
            right.recv_into(wrong)
    sender()


@pytest.mark.parametrize("size", [100, 40_000, 300_000])
def test_recv_into_that_is_interrupted_loses_nothing(driver: Driver, size: int) -> None:
    if isinstance(driver, Simulated):
        pytest.skip("both ends of a simulated pair are in one thread")
    wire = U32.encode_many([b"a" * size, b"b" * size])
    for cut in (2, 4, 50, size // 2, size + 3):
        raw, end = driver.ends()
        conn = driver.connection(end, U32)
        write = driver.writer(raw)
        sender = run(lambda: write(wire[:cut]))  # noqa: B023
        room = bytearray(size)
        for timeout in (0, 0.01, 0):
            with pytest.raises((fw.Timeout, BlockingIOError)):
                conn.recv_into(room, timeout=timeout)
        sender()
        sender = run(lambda: (write(wire[cut:]), write(None)))  # noqa: B023
        assert conn.recv() == b"a" * size
        assert conn.recv_into(room) == size and room == b"b" * size
        assert collect(conn) == ([], None)
        sender()


class Numbers:
    """A codec of decimal numbers, in the largest form: with encode_into and decode_from."""

    def encode(self, value: int) -> bytes:
        raise AssertionError("encode_into is there")

    def encode_into(self, value: int, buffer: bytearray, offset: int) -> int:
        text = b"%d" % value
        buffer[offset : offset + len(text)] = text
        return offset + len(text)

    def decode(self, message: bytes) -> int:
        raise AssertionError("decode_from is there")

    def decode_from(self, buffer: bytes, start: int, stop: int) -> int:
        return int(buffer[start:stop])


@pytest.mark.parametrize("codec", [Numbers(), (lambda value: b"%d" % value, int)], ids=["object", "pair"])
def test_codecs(backend: _backend.Backend, codec: Any) -> None:
    left, right = fw.socketpair(U16, codec=codec)
    with left, right:
        left.send(123)
        assert left.send_many([4, 50, 6]) == 3
        assert right.recv() == 123 and right.recv_many() == [4, 50, 6]
        with pytest.raises((TypeError, ValueError)):
            left.send("text")
        left.send(7)
        assert right.recv() == 7
        left.shutdown_write()
        right.shutdown_write()


def test_what_a_codec_cannot_decode_is_consumed(backend: _backend.Backend) -> None:
    wire = U16.encode_many([b"1", b"2", b"bad", b"4", b"bad", b"bad", b"7"])
    stream = SimulatedStream([wire, None])
    conn = fw.MessageSocket(stream, U16, codec=(lambda value: b"%d" % value, int))
    assert conn.recv_many() == [1, 2]
    with pytest.raises(ValueError, match="invalid literal"):
        conn.recv_many()
    assert conn.recv() == 4
    for _ in range(2):
        with pytest.raises(ValueError):
            conn.recv()
    assert conn.ready and conn.recv_many() == [7]
    with pytest.raises(fw.EndOfStream):
        conn.recv()
    conn.abort()


def test_codecs_that_are_none() -> None:
    import json
    import pickle

    for codec, remedy in (
        (json, r"codec=\(lambda value: json.dumps\(value\).encode\(\), json.loads\)"),
        (pickle, "refused: loading what a peer sends would let it run any code here"),
        (int, "no pair of such functions"),
        ((1, 2), "no pair of such functions"),
    ):
        with pytest.raises(TypeError, match=remedy):
            fw.socketpair(U16, codec=codec)


def test_ready_and_events(backend: _backend.Backend) -> None:
    stream = SimulatedStream(
        [U16.encode_many([b"one", b"two"]) + b"\0\3t", 1, b"en", None], capacity=50, reads=False
    )
    conn = fw.MessageSocket(stream, U16)
    conn.timeout = 0
    assert (conn.ready, conn.events) == (False, 1)
    assert conn.recv() == b"one"
    assert conn.ready, "the next message has been read already"
    assert conn.recv() == b"two"
    assert not conn.ready
    with pytest.raises(BlockingIOError):
        conn.recv()
    conn.send(b"x" * 100)
    assert (conn.events, conn.unsent) == (3, 52)
    stream.reads = True
    conn.flush(timeout=1)
    assert conn.events == 1
    stream.clock.advance(1)
    assert conn.recv() == b"ten"
    with pytest.raises(fw.EndOfStream):
        conn.recv()
    assert conn.ready and conn.events == 0
    conn.close()
    assert (conn.events, conn.ready) == (0, True)


def test_reserve_and_commit(backend: _backend.Backend) -> None:
    stream = SimulatedStream([None])
    conn = fw.MessageSocket(stream, fw.Netstring())
    view = conn.reserve(100)
    assert len(view) == 100
    view[:5] = b"hello"
    conn.commit(5)
    view = conn.reserve(0)
    conn.commit(0)
    with pytest.raises(ValueError, match=r"commit\(0\): reserve\(\) gave nothing"):
        conn.commit(0)
    with pytest.raises(ValueError, match=r"reserve\(-1\)"):
        conn.reserve(-1)
    conn.reserve(3)
    with pytest.raises(ValueError, match=r"commit\(4\): reserve\(\) gave 3 bytes"):
        conn.commit(4)
    conn.close()
    assert stream.sent == b"5:hello,0:,"


def test_stats_and_repr(backend: _backend.Backend) -> None:
    stream = SimulatedStream([U16.encode_many([b"one", b"two"]) + b"\0\3t", 2, None])
    conn = fw.MessageSocket(stream, U16)
    stats = conn.stats()
    assert stats == (0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)
    assert conn.recv() == b"one"
    conn.send_many([b"x", b"y"])
    stats = conn.stats()
    assert (stats.messages_in, stats.bytes_in, stats.reads, stats.buffered) == (1, 13, 1, 8)
    assert (stats.messages_out, stats.bytes_out, stats.writes, stats.unsent) == (2, 6, 1, 0)
    assert repr(conn) == (
        "<framewire.MessageSocket  -> simulated: u16 open, "
        "in 1 msgs 13 B, out 2 msgs 6 B, buffered 8, unsent 0>"
    )
    conn.recv()
    with pytest.raises(fw.Truncated):
        conn.recv()
    assert " u16 ended, " in repr(conn)
    assert conn.stats().last_in_at == 2.0
    conn.abort()
    assert " u16 closed, " in repr(conn) and conn.stats().messages_in == 2
    assert stream.aborted


def test_logs(backend: _backend.Backend, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "framewire.connection"):
        stream = SimulatedStream([U16.encode(b"hello"), b"\xff\xff"])
        conn = fw.MessageSocket(stream, U16.replace(max_frame=1000))
        assert conn.trace
        conn.send(b"x" * 200)
        conn.recv()
        with pytest.raises(fw.FrameTooLarge):
            conn.recv()
        conn.close(timeout=0)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines[0][0] == "INFO" and lines[0][1].startswith("= open <framewire.MessageSocket")
    assert lines[1] == ("DEBUG", f"> 200 bytes {b'x' * 75!r} ...")
    assert lines[2] == ("DEBUG", "< 5 bytes b'hello'")
    assert lines[3][0] == "WARNING" and "65535 bytes" in lines[3][1] and "1000" in lines[3][1]
    assert lines[4][0] == "INFO" and lines[4][1].startswith("= closed <")
    assert len(lines) == 5
    assert all(record.connection is conn and record.peer == "simulated:" for record in caplog.records)  # type: ignore[attr-defined]
    caplog.clear()
    quiet = fw.MessageSocket(SimulatedStream([U16.encode(b"hello")]), U16)
    quiet.recv()
    assert not quiet.trace and not caplog.records
    quiet.abort()
