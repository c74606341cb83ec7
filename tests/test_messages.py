"""Records as messages of connections: packed into the connection's own memory, read out of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any, NamedTuple

import pytest

import framewire as fw

FRAMINGS: list[Any] = [
    fw.LengthPrefixed(fw.u32),
    fw.LengthPrefixed(fw.varint),
    fw.LengthPrefixed(fw.u24, offset=1, header=4, trailer=b"\xce", strip=True),
    fw.Netstring(),
    fw.SLIP(),
    fw.COBS(),
]


class Protocol(NamedTuple):
    """Classes of the backend under test, and their codec."""

    Login: Any
    Chunk: Any
    codec: fw.Messages


@pytest.fixture
def protocol(backend: Any) -> Protocol:
    class Login(fw.Record):
        user: fw.str_u8

    class Chunk(fw.Record):
        number: fw.u32
        data: fw.bytes_u32

    return Protocol(Login, Chunk, fw.Messages(fw.u8, {1: Login, 2: Chunk}))


@pytest.fixture(params=FRAMINGS, ids=str)
def pair(request: pytest.FixtureRequest, protocol: Protocol) -> Iterator[Any]:
    ours, theirs = fw.socketpair(request.param, codec=protocol.codec)
    yield ours, theirs
    ours.abort()
    theirs.abort()


def test_every_way_to_send_gives_the_same(pair: Any, protocol: Protocol) -> None:
    ours, theirs = pair
    messages: list[fw.Record] = []
    for i in range(300):
        messages += [protocol.Login(f"user {i}"), protocol.Chunk(i, bytes([i % 256]) * (i * 7 % 1500))]
    messages += [protocol.Chunk(1, bytes(range(256)) * 240), protocol.Login("last")]
    got: list[Any] = []
    reader = Thread(target=lambda: got.extend(theirs))
    reader.start()
    for message in messages:
        ours.send(message, timeout=20)
    assert ours.send_many(messages, timeout=20) == len(messages)
    assert ours.send_many(iter(messages), timeout=20) == len(messages)
    with ours.cork():
        for message in messages:
            ours.send(message, timeout=20)
    ours.shutdown_write()
    reader.join(20)
    assert got == messages * 4


def test_what_cannot_be_packed_leaves_no_trace(pair: Any, protocol: Protocol) -> None:
    ours, theirs = pair
    Login, Chunk, _ = protocol
    with pytest.raises(fw.EncodeError, match=r"^Chunk\.number: -1 is not in 0\.\.4294967295$"):
        ours.send(Chunk(-1, b""))
    with pytest.raises(fw.EncodeError, match=r"^Messages: one of Login, Chunk is needed, not str$"):
        ours.send("text")
    with pytest.raises(fw.EncodeError, match=r"^Chunk\.number"):
        ours.send_many([Login("first"), Chunk(1 << 40, b""), Login("never")])
    ours.send(Login("second"))
    assert [theirs.recv(timeout=10), theirs.recv(timeout=10)] == [Login("first"), Login("second")]
    assert ours.stats().messages_out == 2


def test_a_limit_of_the_framing_holds(protocol: Protocol) -> None:
    Chunk = protocol.Chunk
    ours, theirs = fw.socketpair(fw.LengthPrefixed(fw.u32, max_frame=100), codec=protocol.codec)
    with ours, theirs:
        with pytest.raises(fw.EncodeError, match="100"):
            ours.send(Chunk(1, bytes(92)))
        with pytest.raises(fw.EncodeError, match="100"):
            ours.send_many([Chunk(1, bytes(91)), Chunk(2, bytes(92))])
        ours.send(Chunk(3, bytes(91)))
        assert [theirs.recv(timeout=10).number for _ in range(2)] == [1, 3]


def test_packing_may_use_the_connection(protocol: Protocol) -> None:
    """What a value's own code does to the connection comes first, or is refused: nothing is torn."""
    Login, Chunk, codec = protocol
    ours, theirs = fw.socketpair(fw.LengthPrefixed(fw.u32), codec=codec)

    class Sends:
        def __index__(self) -> int:
            ours.send(Login("inner"), timeout=5)
            return 7

    class Closes:
        def __index__(self) -> int:
            ours.abort()
            return 8

    with theirs:
        with pytest.raises(fw.ConcurrencyError):
            ours.send(Chunk(Sends(), b"x"), timeout=5)
        ours.send(Login("after"))
        assert theirs.recv(timeout=5) == Login("after")
        with pytest.raises(fw.ConnectionClosed):
            ours.send_many([Login("x"), Chunk(Closes(), b"")])


def test_a_class_that_is_declared_later(backend: Any) -> None:
    class Outer(fw.Record):
        inner: Inner  # type: ignore[name-defined]  # noqa: F821

    codec = fw.Messages(Outer)
    with pytest.raises(fw.DeclarationError, match="Inner"):
        codec.decode(b"\1")

    class Later(fw.Record):
        user: fw.str_u8

    globals()["Inner"] = Later
    try:
        assert codec.decode(codec.encode(Outer(Later("x")))) == Outer(Later("x"))
        assert repr(codec) == "Messages(Outer)"
    finally:
        del globals()["Inner"]
