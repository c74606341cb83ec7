"""What an Encoder promises, on both backends: the encode law, the four verbs, and that a message the peer
would misread is refused with nothing written."""

from __future__ import annotations

import array
import copy
import ctypes
import mmap
import pickle
import random
import socket
from typing import Any

import pytest
from catalogue import BODIES, CATALOGUE, LARGE, POSTGRES, TARANTOOL, WEBSOCKET, join_pairs, pairs
from conftest import named

import framewire as fw
from framewire import (
    Custom,
    Delimited,
    FixedLength,
    LengthPrefixed,
    Lines,
    Netstring,
    Preamble,
    Tagged,
    UntilEOF,
)

NAMES = sorted(CATALOGUE)
STATEFUL = [name for name in NAMES if "preamble" in name]


def refused(call: Any, match: str) -> fw.EncodeError:
    with pytest.raises(fw.EncodeError, match=match) as caught:
        call()
    return caught.value


# --- the encode law and the four verbs ------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, *(f"large-{name}" for name in LARGE)])
def test_the_encode_law(name: str, backend: Any) -> None:
    framing, messages = (CATALOGUE | {f"large-{k}": v for k, v in LARGE.items()})[name]
    encoder = framing.encoder()
    wire = b"".join(encoder.encode(message) for message in messages)
    decoder = framing.decoder()
    frames = decoder.decode(wire)
    frames += decoder.feed_eof()
    again = framing.encoder()
    assert b"".join(again.encode(frame) for frame in frames) == wire
    if name == "preamble-eof":
        assert frames.pop() == b"", "the end of the stream is a frame of its own"
    assert len(frames) == len(messages) and decoder.offset == len(wire)


@pytest.mark.parametrize("name", NAMES)
def test_the_verbs_agree(name: str, backend: Any) -> None:
    framing, messages = CATALOGUE[name]
    encoders = [framing.encoder() for _ in range(4)]
    wires = [encoders[0].encode(message) for message in messages]
    assert encoders[1].encode_many(iter(messages)) == b"".join(wires)
    assert [b"".join(encoders[2].encode_parts(message)) for message in messages] == wires
    buffer = bytearray(b"\xee" * (sum(map(len, wires)) + 3))
    end = 2
    for message in messages:
        end = encoders[3].encode_into(buffer, end, message)
    assert buffer == b"\xee\xee" + b"".join(wires) + b"\xee"
    if name not in STATEFUL:
        assert [framing.encode(message) for message in messages] == wires
        assert framing.encode_many(messages) == b"".join(wires)
        assert framing.encode_many([]) == b""
        assert [b"".join(framing.encode_parts(message)) for message in messages] == wires
        assert framing.encode_into(buffer, 0, messages[0]) == len(wires[0])


@pytest.mark.parametrize("name", NAMES)
def test_encode_into_at_the_edge_of_the_room(name: str, backend: Any) -> None:
    framing, messages = CATALOGUE[name]
    wire = framing.encoder().encode(messages[0])
    for offset in (0, 5):
        for room in (len(wire) + offset, len(wire) + offset + 1):
            buffer = bytearray(b"\xee" * room)
            assert framing.encoder().encode_into(buffer, offset, messages[0]) == offset + len(wire)
            assert buffer == b"\xee" * offset + wire + b"\xee" * (room - offset - len(wire))
        if wire:
            buffer = bytearray(b"\xee" * (len(wire) + offset - 1))
            encoder = framing.encoder()
            with pytest.raises(
                BufferError, match=f"{len(wire)} bytes at offset {offset} .* {len(buffer)} bytes"
            ):
                encoder.encode_into(buffer, offset, messages[0])
            assert buffer == b"\xee" * len(buffer)
            assert encoder.encode(messages[0]) == wire, "a refused message is not counted"


@pytest.mark.parametrize("offset", [-1, 10, 1 << 40, -(1 << 40)])
def test_encode_into_nowhere(offset: int, backend: Any) -> None:
    buffer = bytearray(9)
    with pytest.raises(BufferError, match=f"offset {offset} "):
        LengthPrefixed(fw.u8).encode_into(buffer, offset, b"")
    assert buffer == bytes(9)


@pytest.mark.parametrize(
    "buffer", [b"123456789", memoryview(b"123456789"), memoryview(bytearray(20))[::2], "text", None, 5]
)
def test_encode_into_what_cannot_be_written(buffer: Any, backend: Any) -> None:
    with pytest.raises(TypeError, match="writable contiguous buffer is required, not"):
        LengthPrefixed(fw.u8).encode_into(buffer, 0, b"abc")


class Index:
    def __index__(self) -> int:
        return 2


@pytest.mark.parametrize(
    ("offset", "error"), [("1", TypeError), (1.0, TypeError), (None, TypeError), (1 << 64, OverflowError)]
)
def test_offsets_are_integers(offset: Any, error: type[Exception], backend: Any) -> None:
    with pytest.raises(error):
        LengthPrefixed(fw.u8).encode_into(bytearray(9), offset, b"abc")
    assert LengthPrefixed(fw.u8).encode_into(bytearray(9), Index(), b"abc") == 6


def test_encode_parts_copies_no_body(backend: Any) -> None:
    body = bytes(100_000)
    header, part = LengthPrefixed(fw.u32).encode_parts(body)
    assert header == b"\0\1\x86\xa0" and part is body
    shared = bytearray(body)
    header, part, trailer = LengthPrefixed(fw.u32, trailer=b"!").encode_parts(shared)
    assert part is shared and trailer == b"!"
    assert Netstring().encode_parts(body)[1] is body
    assert Lines().encode_parts(b"one") == (b"one", b"\n")
    assert FixedLength(3).encode_parts(b"abc") == (b"abc",)
    # A whole frame whose length stands inside: the parts around it are views.
    frame = b"T\0\0\0\0" + body
    first, length, rest = POSTGRES.encode_parts(frame)
    assert isinstance(first, memoryview) and first.obj is frame and bytes(first) == b"T"
    assert isinstance(rest, memoryview) and rest.obj is frame and length == b"\0\1\x86\xa4"
    assert POSTGRES.encode_parts(b"T\0\0\0\0") == (b"T", b"\0\0\0\4")


def test_encode_parts_leaves_out_what_is_empty(backend: Any) -> None:
    assert LengthPrefixed(fw.u8).encode_parts(b"") == (b"\0",)
    assert LengthPrefixed(fw.u8).encode_parts(array.array("H")) == (b"\0",)
    assert UntilEOF().encode_parts(b"") == ()
    assert Netstring().encode_parts(b"") == (b"0:", b",")
    assert Lines().encode_parts(b"") == (b"\n",)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint16), ("y", ctypes.c_uint16)]


@pytest.mark.parametrize(
    "message",
    [
        bytearray(b"abcd"),
        memoryview(b"abcd"),
        memoryview(b"-abcd-")[1:5],
        memoryview(b"abcd").cast("B", (2, 2)),
        memoryview(b"abcd").cast("I"),
        array.array("H", b"abcd"),
        (ctypes.c_char * 4)(*b"abcd"),
        ctypes.c_uint32.from_buffer_copy(b"abcd"),
        memoryview(ctypes.c_uint32.from_buffer_copy(b"abcd")),
        Point.from_buffer_copy(b"abcd"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_buffer_goes_in(message: Any, backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, trailer=b"!")
    assert framing.encode(message) == b"\4abcd!"
    assert framing.encode_many([message, message]) == b"\4abcd!" * 2
    assert b"".join(framing.encode_parts(message)) == b"\4abcd!"
    buffer = bytearray(7)
    assert framing.encode_into(buffer, 1, message) == 7 and buffer == b"\0\4abcd!"
    whole = LengthPrefixed(fw.u8, strip=False, counts="frame")
    assert b"".join(whole.encode_parts(message)) == whole.encode(message) == b"\4bcd"
    assert FixedLength(4).encode(message) == Lines().encode(message)[:-1] == b"abcd"
    assert fw.LengthPrefixed(fw.u8, offset=3, header=4).decoder().decode(message) == []


def test_writing_into_any_buffer(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8)
    with mmap.mmap(-1, 10) as memory:
        assert framing.encode_into(memory, 2, b"abc") == 6 and memory[:7] == b"\0\0\3abc\0"
    for target in (
        array.array("H", bytes(10)),
        (ctypes.c_char * 10)(),
        memoryview(bytearray(20))[5:15],
        Point * 3,
    ):
        target = target() if isinstance(target, type) else target
        assert framing.encode_into(target, 2, b"abc") == 6
        assert bytes(target)[:7] == b"\0\0\3abc\0"


@pytest.mark.parametrize("message", ["text", 5, None, [1, 2], object()], ids=named)
def test_messages_are_buffers(message: Any, backend: Any) -> None:
    framing = LengthPrefixed(fw.u8)
    buffer = bytearray(9)
    for call in (
        lambda: framing.encode(message),
        lambda: framing.encode_many([b"", message]),
        lambda: framing.encode_parts(message),
        lambda: framing.encode_into(buffer, 0, message),
    ):
        with pytest.raises(TypeError, match=f"bytes-like object is required, not {type(message).__name__}"):
            call()
    with pytest.raises(TypeError):
        framing.encode_many(5)  # type: ignore[arg-type]
    with pytest.raises(BufferError, match="contiguous"):
        framing.encode(memoryview(b"abcd")[::2])
    assert buffer == bytes(9)


@pytest.mark.parametrize("framing", [LengthPrefixed(fw.u8), Netstring(), fw.SLIP()], ids=named)
def test_a_generator_may_reuse_its_buffer(framing: Any, backend: Any) -> None:
    buffer = bytearray(1)

    def messages() -> Any:
        for buffer[0] in range(5):
            yield buffer

    assert framing.encode_many(messages()) == b"".join(framing.encode(bytes([n])) for n in range(5))


@pytest.mark.parametrize("at", range(12))
def test_a_message_may_stand_in_the_buffer_it_is_written_to(at: int, backend: Any) -> None:
    checked = LengthPrefixed(fw.u16, trailer=b"!")
    for framing in (LengthPrefixed(fw.u32), Netstring(), Lines(), fw.SLIP(), checked):
        buffer = bytearray(b"-" * 6 + b"message" + b"-" * 12)
        with memoryview(buffer)[6:13] as message:
            end = framing.encode_into(buffer, at, message)
        assert buffer[at:end] == framing.encode(b"message")


def test_what_belongs_to_a_stream_is_not_copied(backend: Any) -> None:
    near, far = socket.socketpair()
    framing = Lines()
    with fw.MessageSocket(near, framing) as sock, far, fw.listen("tcp://127.0.0.1:0", framing) as listener:
        for one in (framing.decoder(), framing.encoder(), framing.decoder(stream_over=3), sock, listener):
            for call in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match=f"a {type(one).__name__} belongs to one stream"):
                    call(one)


def test_encode_many_is_all_or_nothing(backend: Any) -> None:
    def messages() -> Any:
        yield b"one"
        raise KeyError("from the caller's generator")

    with pytest.raises(KeyError):
        LengthPrefixed(fw.u8).encode_many(messages())
    error = refused(lambda: LengthPrefixed(fw.u8).encode_many([b"ok", bytes(256)]), "256 bytes")
    assert error.size == 256
    rng = random.Random(5)
    bodies = [rng.randbytes(rng.choice([0, 1, 100, 5000])) for _ in range(300)]
    expected = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    assert LengthPrefixed(fw.u32).encode_many(bodies) == expected
    assert LengthPrefixed(fw.u32).encode_many(map(bytearray, bodies)) == expected


# --- C06 and the limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "most"),
    [
        (LengthPrefixed(fw.u8), 255),
        (LengthPrefixed(fw.i8), 127),
        (LengthPrefixed(fw.u16), 65_535),
        (LengthPrefixed(fw.u16le), 65_535),
        (LengthPrefixed(fw.u24, max_frame=None), (1 << 24) - 1),
        (LengthPrefixed(fw.digits(5)), 99_999),
        (LengthPrefixed(fw.digits(end=b" ", max_digits=3)), 999),
        (LengthPrefixed(fw.hexdigits(2)), 255),
        (LengthPrefixed(fw.leb128(2)), 16_383),
        (LengthPrefixed(fw.u8, counts="frame"), 254),
        (LengthPrefixed(fw.u8, counts="frame", header=4, strip=True), 251),
        (LengthPrefixed(fw.u8, adjust=2), 257),
        (LengthPrefixed(fw.u8, scale=4), 1020),
        (LengthPrefixed(fw.u8, mask=0x3E, strip=True), 31),
        (LengthPrefixed(fw.tiered(fw.u8, {255: fw.u16})), 65_535),
        (LengthPrefixed(fw.tiered(fw.u8, {255: (fw.u8, 255)})), 510),
        (LengthPrefixed(fw.u8, counts="frame", escape=(0, fw.u8)), 254),
    ],
    ids=named,
)
def test_c06_a_length_that_does_not_fit(framing: fw.Framing, most: int, backend: Any) -> None:
    step = framing.scale
    header = framing.encode(bytes(most))
    assert framing.decoder().decode(header) == [bytes(most)]
    assert framing.max_frame in (None, most)
    body = bytes(most + step)
    buffer = bytearray(b"\xee" * (most + 40))
    for call in (
        lambda: framing.encode(body),
        lambda: framing.encode_many([b"\0" * (2 * step), body]),
        lambda: framing.encode_parts(body),
        lambda: framing.encode_into(buffer, 0, body),
    ):
        error = refused(call, f"{most + step} bytes")
        assert (error.size, error.limit, error.path) == (most + step, most, "")
    assert buffer == b"\xee" * len(buffer)


@pytest.mark.parametrize(
    ("framing", "limit"),
    [
        (LengthPrefixed(fw.u16, max_frame=10), 10),
        (Netstring(max_frame=10), 10),
        (Lines(max_frame=10), 10),
        (Delimited(b"<end>", max_frame=10), 10),
        (UntilEOF(max_frame=10), 10),
        (Custom(pairs, join_pairs, max_frame=7), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_max_frame_is_the_same_on_both_sides(framing: fw.Framing, limit: int, backend: Any) -> None:
    for size in (0, 1, limit - 1, limit):
        decoder = framing.decoder()
        wire = framing.encode(b"x" * size)
        assert decoder.decode(wire) + (decoder.feed_eof() if type(framing) is UntilEOF else []) == [
            b"x" * size
        ]
    for size in (limit + 1, limit + 2, limit + 4):
        error = refused(lambda size=size: framing.encode(b"x" * size), "beyond our limit")
        assert error.limit == framing.max_frame and error.size >= size
        wider = framing.replace(max_frame=100)
        with pytest.raises(fw.FrameTooLarge) as caught:
            framing.decoder().decode(wider.encode(b"x" * size))
        assert caught.value.limit == framing.max_frame
    assert framing.replace(max_frame=None).encode(b"x" * 9)


def test_fixed_length_takes_that_length_only(backend: Any) -> None:
    for size in (0, 2, 4):
        error = refused(
            lambda size=size: FixedLength(3).encode(bytes(size)), f"{size} bytes is not .* 3 bytes"
        )
        assert (error.size, error.limit) == (size, 3)


def test_a_scaled_length_counts_whole_units(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, scale=4)
    assert framing.encode(b"abcd") == b"\1abcd"
    assert refused(lambda: framing.encode(b"abc"), "units of 4 bytes").size == 3
    shifted = LengthPrefixed(fw.u8, scale=4, adjust=1)
    assert shifted.encode(b"abcde") == b"\1abcde"
    refused(lambda: shifted.encode(b"abcd"), "units of 4 bytes")
    # Less than the adjustment: no length says it.
    assert refused(lambda: LengthPrefixed(fw.u8, adjust=2).encode(b"x"), "does not fit").size == 1


# --- rule 8: delimiters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "message", "delimiter", "at"),
    [
        (Lines(), b"a\nb", rb"b'\\n'", 1),
        (Lines(), b"a\r\nb", rb"b'\\r\\n'", 1),
        (Lines(), b"a\n", rb"b'\\n'", 1),
        (Lines(), b"a\r", rb"b'\\r\\n'", 1),
        (Delimited(b"\r\n"), b"a\r\nb", rb"b'\\r\\n'", 1),
        (Delimited(b"\0"), b"\0", rb"b'\\x00'", 0),
        (Delimited(b"aab"), b"xaab", b"b'aab'", 1),
        (Delimited(b"aa"), b"xa", b"b'aa'", 1),
        (Delimited(b"abab"), b"xab", b"b'abab'", 1),
        (Delimited(b";", b"x;"), b"wx", b"b'x;'", 1),
        (Delimited(b"--", b"\n"), b"a\nb", rb"b'\\n'", 1),
        (Delimited(b"\r\n.\r\n"), b"text\r\n.\r\nRCPT TO", rb"b'\\r\\n.\\r\\n'", 4),
        (Delimited(b"\r\n.\r\n"), b"\r\n.", rb"b'\\r\\n.\\r\\n'", 0),
    ],
)
def test_a_delimiter_inside_or_straddling(
    framing: fw.Framing, message: bytes, delimiter: bytes, at: int, backend: Any
) -> None:
    match = f"the delimiter {delimiter.decode()} stands at byte {at}"
    buffer = bytearray(40)
    for call in (
        lambda: framing.encode(message),
        lambda: framing.encode_parts(message),
        lambda: framing.encode_many([message]),
        lambda: framing.encode_into(buffer, 0, message),
    ):
        assert refused(call, match).size == len(message)
    assert buffer == bytes(40)


def test_what_only_looks_like_a_delimiter_is_sent(backend: Any) -> None:
    assert Delimited(b"\r\n").encode(b"a\rb\nc\r") == b"a\rb\nc\r\r\n"
    assert Delimited(b"aab").encode(b"aa") == b"aaaab"
    assert Delimited(b"aab").decoder().decode(b"aaaab") == [b"aa"]
    assert Lines().encode(b"a\rb") == b"a\rb\n"


def test_kept_delimiters_are_checked(backend: Any) -> None:
    lines = Lines(strip=False)
    assert lines.encode(b"one\r\n") == b"one\r\n" and lines.encode(b"\n") == b"\n"
    for message in (b"", b"one", b"one\r"):
        refused(lambda message=message: lines.encode(message), "does not end with its delimiter")
    refused(lambda: lines.encode(b"one\ntwo\n"), "stands at byte 3")
    refused(lambda: lines.encode(b"one\n\n"), "stands at byte 3")
    refused(lambda: Lines(strip=False, max_frame=3).encode(b"four\n"), "beyond our limit of 3")
    assert Lines(strip=False, max_frame=3).encode(b"two\r\n") == b"two\r\n"


# --- point 13: whole frames -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\0\0\0\5", b"\xff\xff\xff\xff", b"junk"])
def test_a_length_of_one_width_is_written_over(length: bytes, backend: Any) -> None:
    assert POSTGRES.encode(b"Z" + length + b"I") == b"Z\0\0\0\5I"
    digits = LengthPrefixed(fw.digits(4), offset=2)
    assert digits.encode(b"AB" + length + b"xyz") == b"AB0003xyz"
    assert LengthPrefixed(fw.hexdigits(4), counts="frame", strip=False).encode(length + b"x") == b"0005x"


def test_also_behind_a_variable_lead(backend: Any) -> None:
    framing = LengthPrefixed(fw.u16, offset=fw.quicvarint)
    for lead in (b"\0", b"\x40\x41", b"\x80\0\0\1", b"\xc0\0\0\0\0\0\0\1"):
        assert framing.encode(lead + b"\xff\xffbody") == lead + b"\0\4body"
    refused(lambda: framing.encode(b"\x80\0"), "shorter than its header")
    refused(lambda: LengthPrefixed(fw.u8, offset=fw.leb128(2)).encode(b"\xff\xff\0"), "longer than 2 bytes")


def test_free_bits_of_a_whole_frame_stay(backend: Any) -> None:
    framing = LengthPrefixed(fw.u16, mask=0x0FFE)
    assert framing.encode(b"\xf0\x01ab") == b"\xf0\x05ab"
    assert framing.encode(b"\xff\xffab") == b"\xf0\x05ab"
    assert LengthPrefixed(fw.u16, mask=0x0FFE, strip=True).encode(b"ab") == b"\0\4ab"


@pytest.mark.parametrize(
    ("framing", "vacant", "filled"),
    [
        (LengthPrefixed(fw.ber, offset=1, magic=b"\x30", strip=False), b"\x30\0", b"\x30\x81\xc8"),
        (LengthPrefixed(fw.varint, offset=1), b"T\0", b"T\xc8\1"),
        (LengthPrefixed(fw.vlq, offset=1), b"T\0", b"T\x81\x48"),
        (LengthPrefixed(fw.quicvarint, offset=1), b"T\0", b"T\x40\xc8"),
        (LengthPrefixed(fw.digits(end=b" "), offset=1), b"T0 ", b"T200 "),
        (LengthPrefixed(WEBSOCKET, offset=1), b"\x82\0", b"\x82\x7e\0\xc8"),
        (LengthPrefixed(TARANTOOL, offset=1), b"T\0", b"T\xcc\xc8"),
        (LengthPrefixed(fw.u8, offset=1, escape=(255, fw.u16)), b"T\0", b"T\xc8"),
        (LengthPrefixed(fw.u8, offset=1, escape=(200, fw.u16)), b"T\0", b"T\xc8\0\xc8"),
    ],
    ids=named,
)
def test_other_lengths_are_right_or_vacant(
    framing: fw.Framing, vacant: bytes, filled: bytes, backend: Any
) -> None:
    body = b"b" * 200
    assert framing.encode(vacant + body) == filled + body
    assert framing.encode(filled + body) == filled + body
    assert framing.encode(vacant) == vacant
    error = refused(
        lambda: framing.encode(filled + body + b"!"),
        r"whole frame of \d+ bytes, but its header says \d+ bytes",
    )
    assert error.size == len(filled) + 201 and f"says {len(filled) + 200} bytes" in str(error)
    error = refused(lambda: framing.encode(filled + body[1:]), f"says {len(filled) + 200} bytes")
    assert error.size == len(filled) + 199


@pytest.mark.parametrize("length", [b"\3", b"\x81\3", b"\x82\0\3", b"\x83\0\0\3", b"\x84\0\0\0\3"])
def test_long_ber_forms_survive(length: bytes, backend: Any) -> None:
    framing = LengthPrefixed(fw.ber, offset=1, magic=b"\x30", strip=False)
    frame = b"\x30" + length + b"abc"
    assert framing.encode(frame) == frame and framing.decoder().decode(frame) == [frame]
    for verb in (framing.encode_parts, lambda frame: [framing.encode_many([frame])]):
        assert b"".join(verb(frame)) == frame


def test_whole_frames_that_the_peer_would_refuse(backend: Any) -> None:
    memcached = LengthPrefixed(fw.u16, offset=2, header=6, magic=((0, (b"\x80", b"\x81")),))
    assert memcached.encode(b"\x81\1\0\0okabc") == b"\x81\1\0\3okabc"
    refused(lambda: memcached.encode(b"\x82\1\0\0okabc"), "bad-magic: 0x82")
    refused(lambda: memcached.encode(b"\x80\1\0"), "shorter than its header and trailer of 6 bytes")
    amqp = LengthPrefixed(fw.u32, offset=3, trailer=b"\xce")
    assert amqp.encode(b"\1\0\0\0\0\0\0hi\xce") == b"\1\0\0\0\0\0\2hi\xce"
    refused(lambda: amqp.encode(b"\1\0\0\0\0\0\0hi!"), "bad-terminator: 0x21")
    refused(lambda: amqp.encode(b"\1\0\0\0\0\0\0"), "shorter than its header and trailer of 8 bytes")
    fastcgi = LengthPrefixed(fw.u16, offset=4, header=8, magic=b"\1", extra=((6, fw.u8),))
    assert fastcgi.encode(b"\1\1\0\1\0\0\2\0abPP") == b"\1\1\0\1\0\2\2\0abPP"
    refused(
        lambda: fastcgi.encode(b"\1\1\0\1\0\0\5\0abcd"), "shorter than its header and trailer of 13 bytes"
    )
    canonical = LengthPrefixed(fw.leb128(4, canonical=True), offset=1)
    refused(lambda: canonical.encode(b"T\x83\0abc"), "not in its shortest form")
    assert (
        refused(
            lambda: LengthPrefixed(fw.u32, offset=1, max_frame=3).encode(b"T\0\0\0\0four"), "limit of 3"
        ).size
        == 4
    )


# --- escapes and tiers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "value", "wide"),
    [
        (LengthPrefixed(fw.i8, escape=(-1, fw.u16)), 128, b"\xff"),
        (LengthPrefixed(fw.u8, escape=(255, fw.u32)), 255, b"\xff"),
        (LengthPrefixed(fw.u8, escape=(254, fw.u16le)), 256, b"\xfe"),
        (LengthPrefixed(fw.u8, escape=(0, fw.u16), adjust=-1), 255, b"\0"),
        (LengthPrefixed(fw.u8, scale=2, escape=(255, fw.u24)), 255 * 2, b"\xff"),
    ],
    ids=named,
)
def test_an_escape_is_used_only_when_needed(
    framing: fw.Framing, value: int, wide: bytes, backend: Any
) -> None:
    step = framing.scale
    for size in (value - 2 * step, value - step, value, value + step):
        size -= size % step
        wire = framing.encode(bytes(size))
        field = framing.length_type.widest
        escaped = wire[:field] == wide
        assert escaped == (size >= value or size == 254 == framing.escape[0] * step), size
        assert len(wire) == size + field + (framing.escape[1].widest if escaped else 0)
        assert framing.decoder().decode(wire) == [bytes(size)]


def test_the_escape_value_itself_is_never_a_length(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, escape=(5, fw.u16))
    assert framing.encode(b"four") == b"\4four"
    assert framing.encode(b"fives") == b"\5\0\5fives"
    assert framing.encode(b"sixsix") == b"\6sixsix"
    x11 = LengthPrefixed(fw.u16, offset=2, counts="frame", scale=4, escape=(0, fw.u32), max_frame=None)
    short, long = b"op\0\0" + bytes(4 * 0xFFFE), b"op\0\0" + bytes(4 * 0xFFFF)
    assert x11.encode(short)[:8] == b"op\xff\xff" + bytes(4)
    assert x11.encode(long)[:8] == b"op\0\0\0\1\0\1"
    assert x11.decoder().decode(x11.encode(long)) == [b"op\0\0\0\1\0\1" + bytes(4 * 0xFFFF)]


@pytest.mark.parametrize(
    ("field", "sizes"),
    [
        (WEBSOCKET, {0: 1, 125: 1, 126: 3, 127: 3, 65535: 3, 65536: 9}),
        (TARANTOOL, {0: 1, 127: 1, 128: 2, 255: 2, 256: 3, 65535: 3, 65536: 5}),
        (
            fw.tiered(fw.u8, {13: (fw.u8, 13), 14: (fw.u16, 269)}, mask=0xF0),
            {12: 1, 13: 2, 268: 2, 269: 3, 65804: 3},
        ),
        (fw.varint, {0: 1, 127: 1, 128: 2, 16383: 2, 16384: 3}),
        (fw.vlq, {127: 1, 128: 2, 16383: 2, 16384: 3}),
        (fw.quicvarint, {63: 1, 64: 2, 16383: 2, 16384: 4}),
        (fw.zigzag, {63: 1, 64: 2, 8191: 2, 8192: 3}),
        (fw.sleb128, {63: 1, 64: 2, 8191: 2, 8192: 3}),
        (fw.compactsize, {252: 1, 253: 3, 65535: 3, 65536: 5}),
        (fw.derlength, {127: 1, 128: 2, 255: 2, 256: 3, 65536: 4}),
        (fw.ber, {127: 1, 128: 2, 255: 2, 256: 3, 65535: 3, 65536: 4}),
        (fw.digits(end=b":"), {0: 2, 9: 2, 10: 3, 99: 3, 100: 4}),
    ],
    ids=named,
)
def test_the_narrowest_form_at_each_boundary(field: Any, sizes: dict[int, int], backend: Any) -> None:
    framing = LengthPrefixed(field, strip=True)
    for size, width in sizes.items():
        wire = framing.encode(bytes(size))
        assert len(wire) == width + size, size
        assert framing.decoder().decode(wire) == [bytes(size)]


# --- compound framings ----------------------------------------------------------------------------------


def test_a_length_written_over_the_tag_is_refused(backend: Any) -> None:
    """The peer would take the frame for one of another kind, or for none."""
    framing = Tagged({0: LengthPrefixed(fw.u8), 3: LengthPrefixed(fw.u8), 2: LengthPrefixed(fw.u8, offset=1)})
    assert framing.encode(b"\x03abc") == b"\x03abc"
    assert framing.encode(b"\0abc") == b"\x03abc"  # of the same kind: its length is filled in
    with pytest.raises(fw.EncodeError, match=r"message of 3 bytes would be misread: .* tag 0x00 is 0x02$"):
        framing.encode(b"\0ab")
    nested = Tagged({0: Tagged({0: LengthPrefixed(fw.u8)})})
    with pytest.raises(fw.EncodeError, match=r"message of 254 bytes would be misread: .* tag 0x00 is 0xfd$"):
        nested.encode(bytes(254))
    stripped = Tagged({ord("a"): LengthPrefixed(fw.u8, strip=True), 1: Lines()})
    with pytest.raises(fw.EncodeError, match="tag 0x61 is 0x01"):
        stripped.encode(b"a")
    late = Tagged({0: LengthPrefixed(fw.u8, strip=False)}, offset=5)
    assert late.encode(b"\x06abcd\0z") == b"\x06abcd\0z"
    bits = Tagged({0x40: LengthPrefixed(fw.u8, mask=0x3F, strip=False)}, mask=0xC0)
    assert bits.encode(b"\x40ab") == b"\x42ab"


def test_tagged_chooses_by_the_message(backend: Any) -> None:
    framing = Tagged({b"AB": FixedLength(3), ord("C"): LengthPrefixed(fw.u8, offset=1)}, default=Lines())
    assert framing.encode_many([b"A12", b"B34", b"C\0xyz", b"line\n"]) == b"A12B34C\3xyzline\n"
    refused(lambda: framing.encode(b"A1"), "not a fixed frame of 3 bytes")
    refused(lambda: framing.encode(b"line"), "does not end with its delimiter")
    refused(lambda: framing.encode(b""), "shorter than its header")
    refused(lambda: framing.replace(default=None).encode(b"line\n"), "bad-tag: the tag 108")
    masked = Tagged(
        {0x80: FixedLength(2), 0: LengthPrefixed(fw.u8, header=2, strip=False)}, offset=1, mask=0x80
    )
    assert masked.encode(b"\0\xff") == b"\0\xff" and masked.encode(b"\0\x7fab") == b"\2\x7fab"
    refused(lambda: masked.encode(b"\0"), "shorter than its header and trailer of 2 bytes")


def test_preamble_state_lives_in_the_encoder(backend: Any) -> None:
    framing = Preamble(FixedLength(4), Netstring(), count=2)
    for call in (
        lambda: framing.encode(b"HELO"),
        lambda: framing.encode_many([b"HELO"]),
        lambda: framing.encode_parts(b"HELO"),
        lambda: framing.encode_into(bytearray(9), 0, b"HELO"),
    ):
        refused(call, r"use framing.encoder\(\)")
    encoder = framing.encoder()
    assert encoder.encode(b"HELO") == b"HELO"
    refused(lambda: encoder.encode(b"no"), "not a fixed frame of 4 bytes")
    with pytest.raises(BufferError):
        encoder.encode_into(bytearray(3), 0, b"MORE")
    with pytest.raises(TypeError):
        encoder.encode("MORE")  # type: ignore[arg-type]
    refused(lambda: encoder.encode_many([b"MORE", b"data", b"x" * (2 << 20)]), "limit")
    assert encoder.encode_parts(b"MORE") == (b"MORE",)
    assert encoder.encode_many([b"a", b"HELO"]) == b"1:a,4:HELO,"
    assert framing.encoder().encode_many([b"HELO", b"MORE", b"a"]) == b"HELOMORE1:a,"
    nested = Preamble(FixedLength(1), Preamble(Lines(), Netstring())).encoder()
    buffer = bytearray(9)
    assert nested.encode_into(buffer, nested.encode_into(buffer, 0, b"!"), b"a") == 3
    assert nested.encode(b"b") == b"1:b," and buffer[:3] == b"!a\n"


def test_custom_join(backend: Any) -> None:
    framing = Custom(pairs, join_pairs)
    assert framing.encode(b"abc") == b"3abc;" and framing.encode_many([b"", b"a"]) == b"0;1a;"
    refused(lambda: Custom(pairs).encode(b"abc"), "no join function")
    refused(lambda: Custom(pairs).encode_parts(b"abc"), "no join function")
    joined = bytearray(b"joined")
    assert Custom(pairs, lambda message: joined).encode(b"") == joined
    with pytest.raises(TypeError, match="bytes-like object is required, not str"):
        Custom(pairs, lambda message: "text").encode(b"")  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError):
        Custom(pairs, lambda message: b"%d" % (1 / 0)).encode(b"")
    # Whether it is a buffer is for join to say.
    assert Custom(pairs, lambda message: str(message).encode()).encode(5) == b"5"  # type: ignore[arg-type]


def test_until_eof_adds_nothing(backend: Any) -> None:
    assert UntilEOF().encode(b"all") == b"all" and UntilEOF().encode_many(BODIES) == b"".join(BODIES)
