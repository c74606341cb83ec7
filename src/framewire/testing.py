"""For tests of programs that use framewire, and for its own: cuts, peers by script, a simulated stream and
clock.

`chunkings` and `assert_round_trip` need nothing but a framing. `ScriptedPeer` is the other end of a real
socket, and does what a list of steps says. `SimulatedStream` is a transport without a system below it: what
arrives, how long it takes and every fault are given by an incoming list and a script, time is a `FakeClock`,
and nothing ever sleeps; a script is a plain dict, so what failed once can be pasted into a test. `framings`
and `messages` are strategies for hypothesis, which is imported only there.
"""

from __future__ import annotations

import errno as _errno
import os
import random
import socket
import struct
import threading
from itertools import accumulate

from .framings import Delimited, FixedLength, Framing, LengthPrefixed, Lines, Netstring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

__all__ = [
    "FakeClock",
    "Fault",
    "ScriptedPeer",
    "SimulatedStream",
    "assert_round_trip",
    "chunkings",
    "fail",
    "framings",
    "messages",
    "random_script",
    "short",
    "stall",
]

_SHOWN = 60  # bytes of a message in a failure's text


# --- cuts ------------------------------------------------------------------------------------------------


def chunkings(data: bytes, limit: int = 10, samples: int = 50, seed: int = 0) -> Iterator[list[bytes]]:
    """Ways to cut `data` into chunks: all of them up to `limit` bytes, 2 ** (n - 1).

    Of longer data: whole, byte by byte, every cut in two at the first and last 500 places, and `samples`
    random ones, the same for the same `seed`.

    >>> from framewire.testing import chunkings
    >>> list(chunkings(b"abc"))
    [[b'abc'], [b'a', b'bc'], [b'ab', b'c'], [b'a', b'b', b'c']]
    """
    size = len(data)
    if size <= limit:
        for mask in range(1 << max(0, size - 1)):
            yield _cut(data, [at for at in range(1, size) if mask >> (at - 1) & 1])
        return
    yield [data]
    yield [data[at : at + 1] for at in range(size)]
    for at in range(1, size):
        if at <= 500 or at >= size - 500:
            yield [data[:at], data[at:]]
    chance = random.Random(seed)
    for _ in range(samples):
        yield _cut(data, sorted(chance.sample(range(1, size), chance.randrange(1, min(size, 50)))))


def _cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    return [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)])]


def assert_round_trip(framing: Framing, messages: Sequence[bytes], samples: int = 20) -> None:
    """Assert that `messages` survive `framing`: every way to encode agrees, and every cut decodes to them.

    AssertionError shows what was expected and what came side by side. EncodeError if the framing cannot carry
    a message.

    >>> import framewire as fw
    >>> from framewire.testing import assert_round_trip
    >>> assert_round_trip(fw.Netstring(), [b"", b"hello", b"x" * 1000])
    """
    encoder = framing.encoder()
    pieces = [encoder.encode(message) for message in messages]
    wire = b"".join(pieces)
    encoder = framing.encoder()
    assert encoder.encode_many(messages) == wire, "encode_many differs from encode"
    encoder = framing.encoder()
    parts = [b"".join(map(bytes, encoder.encode_parts(message))) for message in messages]
    _same(pieces, parts, "encode_parts differs from encode")
    encoder, room = framing.encoder(), bytearray(len(wire))
    ends = list(accumulate(map(len, pieces), initial=0))
    for message, start, end in zip(messages, ends, ends[1:]):
        assert encoder.encode_into(room, start, message) == end, "encode_into ends elsewhere"
    assert room == wire, "encode_into differs from encode"
    for chunks in chunkings(wire, samples=samples):
        decoder = framing.decoder()
        got = [frame for chunk in chunks for frame in decoder.decode(chunk)] + decoder.feed_eof()
        _same(messages, got, f"{framing} decoded in chunks of {list(map(len, chunks))[:20]} bytes")


def _same(expected: Sequence[bytes], got: Sequence[bytes], what: str) -> None:
    """AssertionError with both sides beside each other, from the first difference on."""
    if list(map(bytes, expected)) == list(map(bytes, got)):
        return
    both = zip([*map(bytes, expected), *[None] * len(got)], [*map(bytes, got), *[None] * len(expected)])
    rows = [(at, *pair) for at, pair in enumerate(both) if at < max(len(expected), len(got))]
    at = next(at for at, one, other in rows if one != other)
    lines = [f"{what}: message {at} of {len(expected)} differs", f"{'':>6}  expected | received"]
    lines += [f"{n:>6}  {_brief(one)} | {_brief(other)}" for n, one, other in rows[max(0, at - 1) : at + 4]]
    raise AssertionError("\n".join(lines))


def _brief(message: bytes | None) -> str:
    if message is None:
        return "nothing"
    return f"{message[:_SHOWN]!r}{f' ... ({len(message)} bytes)' if len(message) > _SHOWN else ''}"


# --- time and a simulated stream -------------------------------------------------------------------------


class FakeClock:
    """A clock that moves only when it is told to; calling it gives the seconds.

    >>> from framewire.testing import FakeClock
    >>> clock = FakeClock()
    >>> clock.advance(2.5); clock()
    2.5
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; ValueError if they are negative, as a monotonic clock never goes back."""
        if not seconds >= 0:
            raise ValueError(f"advance({seconds!r}): a clock does not go back")
        self.now += seconds


class Fault:
    """What goes wrong in one call of a simulated stream: made by `short`, `fail` and `stall`.

    >>> from framewire.testing import stall
    >>> stall(2)
    stall(2)
    """

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Any) -> None:
        self.kind, self.value = kind, value

    def __repr__(self) -> str:
        name = (
            _errno.errorcode.get(self.value) if self.kind == "fail" and isinstance(self.value, int) else None
        )
        return f"{self.kind}({f'errno.{name}' if name else repr(self.value)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fault) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash((self.kind, repr(self.value)))


def short(size: int) -> Fault:
    """At most `size` bytes are received or taken in this call (at least 1).

    >>> from framewire.testing import SimulatedStream, short
    >>> stream = SimulatedStream([b"hello"], script={0: short(2)})
    >>> room = bytearray(9)
    >>> next(stream.receiving(memoryview(room)))
    2
    """
    if size < 1:
        raise ValueError(f"short({size}): 0 bytes would be the end of the stream")
    return Fault("short", size)


def fail(error: int | BaseException | type[BaseException]) -> Fault:
    """The call raises: an errno (EAGAIN, EINTR, ECONNRESET, ENOBUFS ...) as the OSError it stands for, an
    exception as a signal handler would raise it. Nothing has been received or taken then.

    >>> import errno
    >>> from framewire.testing import SimulatedStream, fail
    >>> stream = SimulatedStream([b"x"], script={0: fail(errno.EINTR)})
    >>> next(stream.receiving(memoryview(bytearray(9))))
    Traceback (most recent call last):
    InterruptedError: [Errno 4] Interrupted system call
    """
    return Fault("fail", error)


def stall(seconds: float) -> Fault:
    """From this call on nothing comes and nothing can be sent until so many seconds have passed.

    >>> from framewire.testing import SimulatedStream, stall
    >>> stream = SimulatedStream([b"x"], script={0: stall(3)})
    >>> next(stream.receiving(memoryview(bytearray(9))))
    Traceback (most recent call last):
    BlockingIOError: [Errno 11] Resource temporarily unavailable
    >>> stream.wait(True, False, None), stream.clock()
    (True, 3.0)
    """
    return Fault("stall", seconds)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def random_script(
    seed: int,
    calls: int = 200,
    rate: float = 0.5,
    faults: Sequence[str] = ("short", "EAGAIN", "EINTR", "stall"),
) -> dict[int, Fault]:
    """A script of harmless faults for a simulated stream: about `rate` of the first `calls` calls have one.

    `faults` names the kinds; an upper-case name is that errno. The same arguments give the same script.

    >>> from framewire.testing import random_script
    >>> random_script(7, calls=4)
    {0: fail(errno.EAGAIN), 1: short(1), 3: short(100)}
    """
    chance = random.Random(seed)
    script = {}
    for call in range(calls):
        if chance.random() >= rate:
            continue
        kind = chance.choice(faults)
        if kind == "short":
            script[call] = short(chance.choice((1, 2, 3, 7, 100, 5000)))
        elif kind == "stall":
            script[call] = stall(chance.choice((0.001, 0.1, 2)))
        else:
            script[call] = fail(getattr(_errno, kind))
    return script


class _Flow:
    """Bytes under way in one direction: `capacity` is what fits between the two ends."""

    def __init__(self, capacity: int) -> None:
        self.data = bytearray()
        self.capacity = capacity
        self.ended = False
        self.error: OSError | None = None
        self.total = 0


class SimulatedStream:
    """A transport for a `MessageSocket` with no system below it.

    `incoming` is what the peer does, in order: bytes arrive, a number lets so many seconds pass first, None
    is the end of the stream, an OSError resets it. What is sent goes into a buffer of `capacity` bytes,
    which the peer empties into `sent` whenever it is waited for, or never (`reads=False`). `script` maps the
    number of a call (receive, send and wait count together, from 0) to its `Fault`. Waiting advances
    `clock`; waiting for what cannot happen any more is an AssertionError. `calls` lists what was called.

    >>> import framewire as fw
    >>> from framewire.testing import SimulatedStream, short
    >>> stream = SimulatedStream([b"5:hel", 2, b"lo,", None], script={0: short(3)})
    >>> conn = fw.MessageSocket(stream, fw.Netstring())
    >>> conn.recv(), stream.clock()
    (b'hello', 2.0)
    >>> conn.send(b"bye"); conn.close(); bytes(stream.sent)
    b'3:bye,'
    """

    direct = 0  # the native channel makes no system call of its own
    name = "simulated:"
    pending = unclean = False

    def __init__(
        self,
        incoming: Iterable[bytes | float | None | OSError] = (),
        *,
        script: Mapping[int, Fault] | None = None,
        capacity: int = 65536,
        reads: bool = True,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.script = dict(script or {})
        self.sent = bytearray()
        self.calls: list[str] = []
        self.reads = reads
        self.reader = self.writer = 1 << 20  # no descriptor, but none that is closed
        self.ended = self.aborted = False
        self._events = list(incoming)[::-1]
        self._due = self.clock()
        self._in, self._out = _Flow(1 << 62), _Flow(capacity)
        self._peer: SimulatedStream | None = None
        self._quiet_until = self.clock()

    @classmethod
    def pair(
        cls,
        *,
        scripts: tuple[Mapping[int, Fault] | None, Mapping[int, Fault] | None] = (None, None),
        capacity: int = 65536,
        clock: FakeClock | None = None,
    ) -> tuple[Self, Self]:
        """Two ends of one stream, for calls that do not wait (`timeout=0`): nobody else moves the other end.

        >>> import framewire as fw
        >>> from framewire.testing import SimulatedStream
        >>> a, b = (fw.MessageSocket(end, fw.Lines()) for end in SimulatedStream.pair())
        >>> a.send(b"x", timeout=0); b.recv(timeout=0)
        b'x'
        >>> a.abort(); b.abort()
        """
        clock = clock or FakeClock()
        a = cls(script=scripts[0], capacity=capacity, clock=clock)
        b = cls(script=scripts[1], capacity=capacity, clock=clock)
        a._peer, b._peer = b, a
        a._in, b._in = b._out, a._out
        return a, b

    # --- what a channel calls ------------------------------------------------------------------------

    def receiving(self, view: memoryview) -> Iterator[int]:
        return map(self._receive, (view,))

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        return map(self._send, (views,))

    def wait(self, read: bool, write: bool, seconds: float | None) -> bool:
        fault = self._call("wait")
        if fault is not None and fault.kind == "fail":
            if not isinstance(fault.value, int):
                raise fault.value
            if fault.value not in (_errno.EINTR, _errno.EAGAIN):
                self.script[len(self.calls)] = fault  # waiting ends, and the call behind it says why
            return True
        end = None if seconds is None else self.clock() + seconds
        while True:
            self._arrive()
            quiet = self.clock() < self._quiet_until
            if read and not quiet and self._readable():
                return True
            if write and not quiet and (len(self._out.data) < self._out.capacity or self._out.error):
                return True
            if write and self.reads and self._peer is None and self._out.data:
                self._drain()
                continue
            moments = [self._quiet_until] if quiet else []
            moments += [self._due] if self._events else []
            moments = [moment for moment in moments if moment > self.clock()]
            if not moments and end is None:
                raise AssertionError(f"this call would wait for ever (read={read}, write={write})")
            if not moments or end is not None and end <= min(moments):
                assert end is not None
                self.clock.advance(end - self.clock())
                return False
            self.clock.advance(min(moments) - self.clock())

    def events(self, wanted: int) -> int:
        return wanted

    def end(self) -> bool:
        self.calls.append("end")
        self.ended = self._out.ended = True
        return True

    def wake(self) -> None:
        self.calls.append("wake")

    def close(self) -> None:
        self.calls.append("close")
        self._drain()
        self.reader = self.writer = -1
        self._out.ended = True

    def abort(self) -> None:
        self.calls.append("abort")
        self.reader = self.writer = -1
        self.aborted = True
        self._out.error = _os_error(_errno.ECONNRESET)

    # --- how it is done ------------------------------------------------------------------------------

    def _call(self, name: str) -> Fault | None:
        number = len(self.calls)
        self.calls.append(name)
        return self.script.get(number)

    def _raise(self, fault: Fault) -> None:
        if isinstance(fault.value, int):
            raise _os_error(fault.value)
        raise fault.value

    def _fault(self, name: str) -> int:
        """How many bytes this call may move."""
        if self.reader < 0:
            raise _os_error(_errno.EBADF)
        fault = self._call(name)
        if fault is not None and fault.kind == "fail":
            self._raise(fault)
        if fault is not None and fault.kind == "stall":
            self._quiet_until = self.clock() + fault.value
        if self.clock() < self._quiet_until:
            raise _os_error(_errno.EAGAIN)
        return fault.value if fault is not None else 1 << 62

    def _arrive(self) -> None:
        """What the peer has done by now."""
        while self._events and self._due <= self.clock():
            event = self._events.pop()
            if isinstance(event, (int, float)):
                self._due += event
            elif event is None:
                self._in.ended = True
            elif isinstance(event, OSError):
                self._in.error = event
            else:
                self._in.data += event
                self._in.total += len(event)

    def _readable(self) -> bool:
        return bool(self._in.data) or self._in.ended or self._in.error is not None

    def _receive(self, view: memoryview) -> int:
        most = self._fault("receive")
        self._arrive()
        flow = self._in
        if not flow.data:
            if flow.error is not None:
                raise flow.error
            if flow.ended:
                return 0
            raise _os_error(_errno.EAGAIN)
        size = min(len(view), len(flow.data), most)
        view[:size] = flow.data[:size]
        del flow.data[:size]
        return size

    def _send(self, views: list[memoryview]) -> int:
        most = self._fault("send")
        flow = self._out
        if flow.error is not None or (self._peer is not None and self._peer.reader < 0):
            raise flow.error or _os_error(_errno.EPIPE)
        if isinstance(self._in.error, OSError) and not self._in.data:
            raise self._in.error
        room = min(flow.capacity - len(flow.data), most)
        if room <= 0:
            raise _os_error(_errno.EAGAIN)
        taken = b"".join(views)[:room]
        flow.data += taken
        flow.total += len(taken)
        return len(taken)

    def _drain(self) -> None:
        if self._peer is None and self.reads:
            self.sent += self._out.data
            self._out.data.clear()


# --- a peer by script ------------------------------------------------------------------------------------


class ScriptedPeer:
    """The other end of a real socket, which does what it was told, in order.

    Steps are added by `expect`, `reply`, `wait`, `end`, `fail` and `close`, which return the peer.
    `socket()` gives the end for the code under test and starts it. `done()`, or the end of a `with` block,
    waits until all steps are done: AssertionError says which step failed, with what was expected and what
    came. With a `framing` the steps take messages, without one bytes as they stand on the wire.

    >>> import framewire as fw
    >>> from framewire.testing import ScriptedPeer
    >>> with ScriptedPeer(fw.Lines()).expect(b"ping").reply(b"pong").end() as peer:
    ...     with fw.MessageSocket(peer.socket(), fw.Lines()) as conn:
    ...         conn.request(b"ping")
    b'pong'
    """

    def __init__(self, framing: Framing | None = None) -> None:
        self._framing = framing
        self._encoder = framing.encoder() if framing else None
        self._steps: list[tuple[str, Any]] = []
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        self._at = 0
        self._sock: socket.socket | None = None

    def expect(self, *messages: bytes) -> Self:
        """Read these messages (bytes, without a framing); any other is a failure."""
        return self._add("expect", messages)

    def reply(self, *messages: bytes) -> Self:
        """Send these messages (bytes, without a framing)."""
        encode = self._encoder.encode if self._encoder else bytes
        return self._add("reply", b"".join(encode(message) for message in messages))

    def wait(self, seconds: float) -> Self:
        """Do nothing for so many seconds."""
        return self._add("wait", seconds)

    def end(self) -> Self:
        """Half-close: send no more, go on reading."""
        return self._add("end", None)

    def fail(self) -> Self:
        """Reset the connection: the code under test sees ECONNRESET."""
        return self._add("fail", None)

    def close(self) -> Self:
        """Close the connection. Behind the last step it is closed anyway, once the other end has closed."""
        return self._add("close", None)

    def socket(self) -> socket.socket:
        """The connected end for the code under test, over loopback; starts the steps. ValueError if called
        twice: a peer has one connection."""
        if self._thread is not None:
            raise ValueError("socket() was called already: a ScriptedPeer has one connection")
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            self._sock = server.accept()[0]
        self._sock.settimeout(10)
        self._thread = threading.Thread(target=self._run, name="framewire-scripted-peer", daemon=True)
        self._thread.start()
        return ours

    def done(self, timeout: float = 10.0) -> None:
        """Wait until every step is done; AssertionError if one failed, or not all are done in time."""
        if self._thread is None:
            raise AssertionError("the peer was never connected: socket() was not called")
        self._thread.join(timeout)
        if self._failure is not None:
            raise AssertionError(self._failure)
        if self._thread.is_alive() and self._at < len(self._steps):
            step, value = self._steps[self._at]
            raise AssertionError(f"step {self._at}, {step}({value!r}), was not done within {timeout} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.done()

    def _add(self, step: str, value: Any) -> Self:
        self._steps.append((step, value))
        return self

    def _run(self) -> None:
        assert self._sock is not None
        with self._sock:
            decoder = self._framing.decoder() if self._framing else None
            try:
                for self._at, (step, value) in enumerate(self._steps):  # noqa: B020
                    if self._do(step, value, decoder):
                        return
                self._at = len(self._steps)
                # Closing with unread input would reset what the other end has not read yet.
                self._sock.shutdown(socket.SHUT_WR)
                while self._sock.recv(65536):
                    pass
            except AssertionError as error:
                self._failure = f"step {self._at}: {error}"
            except OSError as error:
                if self._at < len(self._steps):
                    self._failure = f"step {self._at}, {self._steps[self._at][0]}: {error}"

    def _do(self, step: str, value: Any, decoder: Any) -> bool:
        """One step; whether it was the last."""
        assert self._sock is not None
        if step == "expect":
            self._expect(value, decoder)
        elif step == "reply":
            self._sock.sendall(value)
        elif step == "wait":
            threading.Event().wait(value)
        elif step == "end":
            self._sock.shutdown(socket.SHUT_WR)
        else:
            if step == "fail":
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._at = len(self._steps)
            return True
        return False

    def _expect(self, messages: tuple[bytes, ...], decoder: Any) -> None:
        assert self._sock is not None
        if decoder is None:
            wanted, got = b"".join(messages), b""
            while len(got) < len(wanted) and wanted.startswith(got):
                more = self._sock.recv(len(wanted) - len(got))
                if not more:
                    break
                got += more
            _same([wanted], [got], "the peer got other bytes")
            return
        frames: list[bytes] = []
        while len(frames) < len(messages):
            frame = decoder.next_frame()
            if frame is None:
                data = self._sock.recv(65536)
                if not data:
                    break
                decoder.feed(data)
            else:
                frames.append(frame)
                if frame != bytes(messages[len(frames) - 1]):
                    break
        _same(messages, frames, "the peer got other messages")


# --- for hypothesis --------------------------------------------------------------------------------------


def framings() -> Any:
    """A hypothesis strategy for framings of the common kinds. ImportError without hypothesis.

    >>> from framewire.testing import framings  # @given(framings())
    """
    from hypothesis import strategies as st

    from . import fields

    lengths = [fields.u8, fields.u16, fields.u32le, fields.u64, fields.varint, fields.quicvarint]
    prefixed = st.builds(
        lambda length, offset: LengthPrefixed(length, offset=offset, strip=True),
        st.sampled_from(lengths),
        st.integers(0, 3),
    )
    return st.one_of(
        st.builds(FixedLength, st.integers(1, 40)),
        prefixed,
        st.builds(LengthPrefixed, st.sampled_from([fields.digits(4), fields.hexdigits(4)])),
        st.builds(Delimited, st.binary(min_size=1, max_size=4)),
        st.just(Lines()),
        st.just(Netstring()),
    )


def messages(framing: Framing, max_size: int = 100) -> Any:
    """A hypothesis strategy for messages of at most `max_size` bytes that `framing` can carry.

    >>> from framewire.testing import messages  # @given(messages(fw.Lines()))
    """
    from hypothesis import strategies as st

    from .errors import EncodeError

    def carried(message: bytes) -> bool:
        try:
            framing.encode(message)
        except EncodeError:
            return False
        return True

    if isinstance(framing, FixedLength):
        return st.binary(min_size=framing.size, max_size=framing.size)
    return st.binary(max_size=max_size).filter(carried)
