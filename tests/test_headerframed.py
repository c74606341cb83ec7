"""Records that are framings: the layouts of real protocols, and a whole connection of each."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_records import declared

import framewire as fw


def postgresql() -> Any:
    """ "Message Formats": a type, and a length that counts itself and what follows."""
    given = {"length": fw.size(fw.u32, plus=4)}
    return declared("Message", {"kind": fw.u8, "length": int, "body": fw.rest}, given)


def kafka() -> Any:
    """ "Protocol Primitive Types" and "Request Header v1": a size, then all that it counts."""
    given = {"size": fw.size(fw.i32)}
    names = {"size": int, "key": fw.i16, "version": fw.i16, "correlation": fw.i32, "client": fw.str_u16}
    return declared("Request", {**names, "body": fw.rest}, given)


def modbus() -> Any:
    """MODBUS Messaging on TCP/IP section 3.1.3: the MBAP header, whose length counts the unit and the PDU."""
    given = {"protocol": fw.const(0), "length": fw.size(fw.u16)}
    names = {"transaction": fw.u16, "protocol": fw.u16, "length": int, "unit": fw.u8, "function": fw.u8}
    return declared("ADU", {**names, "data": fw.rest}, given)


def http2() -> Any:
    """RFC 9113 section 4.1: a length that counts the payload, but not the six bytes of header before it."""
    given = {"length": fw.size(fw.u24, plus=-6), "reserved": fw.bits(1, of=fw.u32), "stream": fw.bits(31)}
    names = {"length": int, "kind": fw.u8, "flags": fw.u8, "reserved": bool, "stream": int}
    return declared("Frame", {**names, "payload": fw.rest}, given)


def mqtt() -> Any:
    """MQTT 3.1.1 section 2.2: packet type and flags, then a remaining length of one to four bytes."""
    given = {"kind": fw.bits(4, of=fw.u8), "flags": fw.bits(4), "remaining": fw.size(fw.leb128(4))}
    return declared("Packet", {"kind": int, "flags": int, "remaining": int, "body": fw.rest}, given)


CASES: list[tuple[Any, tuple[Any, ...], str, str]] = [
    (
        postgresql,
        (ord("Q"), b"SELECT 1\0"),
        "51 0000000d 53454c454354203100",
        "u32, offset=1, counts='rest', adjust=-4",
    ),
    (kafka, (18, 0, 7, "me", b""), "0000000c 0012 0000 00000007 0002 6d65", "i32, counts='rest'"),
    (
        modbus,
        (0x1501, 0xFF, 3, b"\0\4\0\1"),
        "1501 0000 0006 ff 03 00040001",
        "u16, offset=4, counts='rest', magic=((2, b'\\x00\\x00'),)",
    ),
    (http2, (4, 1, False, 0, b""), "000000 04 01 00000000", "u24, counts='rest', adjust=6"),
    (http2, (0, 1, False, 3, b"hi"), "000002 00 01 00000003 6869", "u24, counts='rest', adjust=6"),
    (mqtt, (3, 0, bytes(300)), "30 ac02" + "00" * 300, "leb128(max_bytes=4), offset=1, counts='rest'"),
]


@pytest.mark.parametrize(("make", "values", "wire", "framing"), CASES)
def test_layouts_of_protocols(
    make: Any, values: tuple[Any, ...], wire: str, framing: str, backend: Any
) -> None:
    cls = make()
    record, data = cls(*values), bytes.fromhex(wire)
    assert record.pack() == data and cls.unpack(data) == record
    made = fw.HeaderFramed(cls)
    parameters = framing.split(", magic=")
    parts = [parameters[0], "strip=False", *(f"magic={one}" for one in parameters[1:])]
    assert repr(made) == f"LengthPrefixed({', '.join(parts)})"
    assert made.decoder().decode(data * 3) == [data] * 3 and made.encode(data) == data


@pytest.mark.parametrize("make", [postgresql, kafka, modbus, http2, mqtt])
def test_a_connection_of_records(make: Any, backend: Any) -> None:
    cls = make()
    body = cls._layout.names[-1]
    first = {
        postgresql: (1,),
        kafka: (1, 2, 3, "client"),
        modbus: (1, 2, 3),
        http2: (1, 2, False, 4),
        mqtt: (1, 2),
    }[make]
    framing, codec = fw.HeaderFramed(cls), fw.Messages(cls)
    left, right = socket.socketpair()
    with (
        fw.connect(left, framing, codec=codec) as one,
        fw.connect(right, framing, codec=codec) as other,
    ):
        for size in (0, 1, 200, 5000, 30000):
            record = cls(*first, b"x" * size)
            one.send(record)
            got = other.recv(timeout=5)
            assert got == record and type(got) is cls and len(getattr(got, body)) == size
            other.send(got.replace(**{body: b"back"}))
            assert one.recv(timeout=5) == cls(*first, b"back")
        with pytest.raises(fw.EncodeError, match=f"^Messages: a {cls.__name__} is needed, not bytes$"):
            one.send(b"bytes")
        right.sendall(b"" if make is mqtt else b"\xff" * 3)
    assert repr(codec) == f"Messages({cls.__name__})"


@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_frame_is_what_missing_says(data: bytes, cut: int) -> None:
    """The framing and the record agree on where a record ends."""
    cls = postgresql()
    wire = cls(1, data).pack()
    decoder = fw.HeaderFramed(cls).decoder()
    lacks = cls.missing(wire[:cut])
    assert (decoder.decode(wire[:cut]) == [wire]) is (lacks == 0)
    if lacks:
        assert decoder.needed == lacks


def test_constants_are_checked_at_once(backend: Any) -> None:
    decoder = fw.HeaderFramed(modbus()).decoder()
    with pytest.raises(fw.MalformedFrame) as caught:
        decoder.decode(b"\0\1\0\1")
    assert caught.value.reason == "bad-magic"


def test_little_endian_sizes(backend: Any) -> None:
    given = {"length": fw.size(fw.u16)}
    cls = declared("Smb", {"magic": fw.u8, "length": int, "x": fw.rest}, given, byteorder="little")
    assert fw.HeaderFramed(cls, max_frame=100) == fw.LengthPrefixed(
        fw.u16le, offset=1, counts="rest", strip=False, max_frame=100
    )
    assert cls(1, b"abc").pack() == b"\1\3\0abc"


def test_records_that_are_no_framing() -> None:
    nowhere = declared("Nowhere", {"x": fw.u8})
    moving = declared("Moving", {"x": fw.str_u8, "length": int}, {"length": fw.size(fw.u8)})
    with pytest.raises(fw.DeclarationError, match="^HeaderFramed: Nowhere has no size"):
        fw.HeaderFramed(nowhere)
    with pytest.raises(fw.DeclarationError, match=r"^HeaderFramed: Moving\.x: its width varies"):
        fw.HeaderFramed(moving)
    for header in (fw.Record, int, "Header"):
        with pytest.raises(TypeError, match="^HeaderFramed: header must be a record class"):
            fw.HeaderFramed(header)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^Messages: give the type of the tag"):
        fw.Messages(int)  # type: ignore[call-overload]
