"""Frames in pieces: joined, they are what an ordinary decoder delivers, however the stream is cut."""

from __future__ import annotations

import random
from typing import Any

import pytest
from catalogue import CATALOGUE

import framewire as fw
from framewire import FrameEnd, FrameStart

P = fw.LengthPrefixed(fw.u32, offset=1, counts="field")
STREAMED: dict[str, tuple[fw.Framing, list[bytes]]] = {
    "u16": (fw.LengthPrefixed(fw.u16), [b"", b"abcd", b"abcde", b"x" * 300]),
    "whole": (P, [b"T\0\0\0\0ab", b"D\0\0\0\0" + b"y" * 50]),
    "netstring": (fw.Netstring(), [b"", b"abcd", b"z" * 120]),
    "netstring-whole": (fw.Netstring(strip=False), [b"2:ab,", b"30:" + b"z" * 30 + b","]),
    "amqp": (fw.LengthPrefixed(fw.u32, offset=3, trailer=b"\xce"), [b"\1\0\0\0\0\0\0" + b"q" * 9 + b"\xce"]),
    "crc": (fw.LengthPrefixed(fw.u8, trailer=4), [b"\0abcdefghCRC!", b"\0CRC!"]),
    "websocket": (CATALOGUE["websocket"][0], CATALOGUE["websocket"][1]),
    "lines": (fw.Lines(), [b"", b"one", b"a\rlong\rline" * 9]),
    "lines-whole": (fw.Lines(strip=False), [b"\n", b"a long line\r\n", b"another one\n"]),
    "several": (fw.Delimited(b";", b"\r\n", b"END"), [b"EN", b"E\rN" * 20]),
    "tagged": (
        fw.Tagged({1: fw.LengthPrefixed(fw.u8, offset=1), 10: fw.FixedLength(2)}, default=fw.Lines()),
        [b"\1\0" + b"k" * 40, b"\n1", b"line number one\n"],
    ),
    "preamble": (
        fw.Preamble(fw.Lines(), fw.Preamble(fw.Netstring(), fw.LengthPrefixed(fw.u8)), count=2),
        [b"first line", b"2nd", b"netstring", b"", b"w" * 30],
    ),
    "until-eof": (fw.Preamble(fw.FixedLength(2), fw.UntilEOF()), [b"HI", b"all the rest"]),
}


def wire(framing: fw.Framing, messages: list[bytes]) -> bytes:
    encoder = framing.encoder()
    return b"".join(encoder.encode(message) for message in messages)


def frames(events: list[Any]) -> tuple[list[bytes], list[int]]:
    """The frames, put together again, and the indexes of those that came in pieces."""
    out: list[bytes] = []
    pieces: list[bytes] | None = None
    streamed = []
    for event in events:
        if isinstance(event, FrameStart):
            assert pieces is None
            pieces, announced = [], event.size
        elif isinstance(event, FrameEnd):
            assert pieces is not None
            streamed.append(len(out))
            out.append(b"".join(pieces))
            assert announced in (None, len(out[-1]))
            pieces = None
        elif pieces is None:
            out.append(event)
        else:
            assert event
            pieces.append(event)
    assert pieces is None
    return out, streamed


@pytest.mark.parametrize("over", [1, 4, 5, 100])
@pytest.mark.parametrize("name", STREAMED)
def test_pieces_make_the_frames_of_an_ordinary_decoder(name: str, over: int, backend: Any) -> None:
    framing, messages = STREAMED[name]
    if name == "until-eof" and over == 1 or name == "tagged" and over == 1:
        over = 2  # FixedLength(2) is a part
    data = wire(framing, messages)
    ordinary = framing.decoder()
    expected = ordinary.decode(data) + ordinary.feed_eof()
    for size in (1, 2, 3, 7, 50, len(data)):
        decoder = framing.decoder(stream_over=over)
        events: list[Any] = []
        for at in range(0, len(data), size):
            chunk = data[at : at + size]
            events += decoder.decode(chunk)
            assert decoder.offset + decoder.buffered <= at + len(chunk)
        events += decoder.feed_eof()
        whole, streamed = frames(events)
        assert whole == expected
        body = [len(message) for message in messages]
        assert all(len(expected[i]) > over for i in streamed), (streamed, body)
        assert decoder.offset == len(data) and decoder.error is None
        if name not in ("lines", "lines-whole", "several", "preamble", "tagged", "until-eof"):
            header = 0 if framing.strip is not False and framing._plan[5] else 13
            assert {i for i, frame in enumerate(expected) if len(frame) > over + header} <= set(streamed)


def test_events_as_they_come(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u16, offset=1, trailer=b"!", strip=True).decoder(stream_over=3)
    assert decoder.decode(b"\0\0\3abc!\7\0") == [b"abc"]
    assert decoder.decode(b"\5de") == [FrameStart(5, b"\7\0\5"), b"de"]
    assert (decoder.offset, decoder.buffered, decoder.needed) == (12, 0, 4)
    assert decoder.decode(b"fgh") == [b"fgh"]
    assert decoder.decode(b"!\0\0\1") == [FrameEnd()]
    assert decoder.decode(b"z!") == [b"z"]
    assert repr(decoder) == "<StreamDecoder: 3 frames, offset 21, buffered 0>"
    assert repr([FrameStart(None, b""), FrameEnd()]) == "[FrameStart(None, b''), FrameEnd()]"
    assert len({FrameStart(1, b"a"), FrameStart(1, b"a"), FrameEnd(), FrameEnd()}) == 2


def test_memory_stays_small(backend: Any) -> None:
    import tracemalloc

    decoder = fw.LengthPrefixed(fw.u32, max_frame=None).decoder(stream_over=4096)
    decoder.decode((100 << 20).to_bytes(4, "big"))
    chunk = bytes(1 << 16)
    tracemalloc.start()
    total = sum(
        len(piece) for _ in range(1600) for piece in decoder.decode(chunk) if isinstance(piece, bytes)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 100 << 20
    assert decoder.needed == 4
    assert peak < 1 << 18


def test_limits_and_faults_hold(backend: Any) -> None:
    framing = fw.LengthPrefixed(fw.u16, max_frame=100)
    decoder = framing.decoder(stream_over=10)
    assert decoder.decode(b"\0\1a\0\x65") == [b"a"]
    with pytest.raises(fw.FrameTooLarge) as caught:
        decoder.decode(b"x")
    ordinary = framing.decoder()
    ordinary.decode(b"\0\1a\0\x65")
    assert str(caught.value) == str(ordinary.error)
    for text in (b"q" * 101 + b"\n", b"q" * 200):
        decoder = fw.Lines(max_frame=100).decoder(stream_over=10)
        events: list[Any] = []
        with pytest.raises(fw.FrameTooLarge) as caught:
            for byte in b"ok\n" + text:
                events += decoder.decode(bytes([byte]))
            decoder.decode()
        assert events[0] == b"ok" and (caught.value.offset, caught.value.frame_index) == (3, 1)
    decoder = fw.Netstring().decoder(stream_over=2)
    assert decoder.decode(b"3:abcX") == [FrameStart(3, b"3:"), b"abc"]
    with pytest.raises(fw.MalformedFrame, match="0x58 is not the byte that ends the frame"):
        decoder.decode()
    decoder = fw.Netstring().decoder(stream_over=2)
    assert decoder.decode(b"3:abc,x") == [FrameStart(3, b"3:"), b"abc", FrameEnd()]
    with pytest.raises(fw.MalformedFrame) as malformed:
        decoder.decode()
    assert (malformed.value.offset, malformed.value.frame_index) == (6, 1)


def test_the_end_inside_a_streamed_frame(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8).decoder(stream_over=2)
    decoder.decode(b"\5abc")
    with pytest.raises(fw.Truncated) as caught:
        decoder.feed_eof()
    assert caught.value.needed == 2
    with pytest.raises(fw.Truncated):
        decoder.decode()
    decoder = fw.Lines(eof="deliver").decoder(stream_over=2)
    assert decoder.decode(b"abcdef\r") + decoder.feed_eof() == [
        FrameStart(None, b""),
        b"abcdef",
        b"\r",
        FrameEnd(),
    ]


def test_what_cannot_be_streamed() -> None:
    for framing in (
        fw.SLIP(),
        fw.Custom(lambda view, scanned, eof: None),
        fw.FixedLength(9),
        fw.LengthPrefixed(fw.u32, on_too_large="skip"),
        fw.LengthPrefixed(fw.u16, header=3, extra=((2, fw.u8),)),
    ):
        with pytest.raises(fw.DeclarationError, match="stream_over"):
            framing.decoder(stream_over=8)
    for over in (0, -1):
        with pytest.raises(fw.DeclarationError, match="stream_over"):
            fw.Lines().decoder(stream_over=over)
    with pytest.raises(fw.DeclarationError, match="buffer"):
        fw.Lines().decoder(bytearray(99), stream_over=8)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["u16", "netstring", "lines", "several"])
def test_encode_stream_writes_what_encode_writes(name: str, backend: Any) -> None:
    framing, messages = STREAMED[name]
    for message in messages:
        for seed in range(20):
            rng = random.Random(seed)
            cuts = sorted(rng.choices(range(len(message) + 1), k=rng.randrange(5)))
            edges = [0, *cuts, len(message)]
            chunks = [message[a:b] for a, b in zip(edges, edges[1:])]
            assert b"".join(framing.encode_stream(len(message), chunks)) == framing.encode(message)
            if name in ("lines", "several"):
                assert b"".join(framing.encode_stream(None, chunks)) == framing.encode(message)


def test_encode_stream_refuses(backend: Any) -> None:
    for framing, size, chunks in (
        (fw.LengthPrefixed(fw.u16), None, []),
        (fw.LengthPrefixed(fw.u16), 1 << 16, []),
        (fw.LengthPrefixed(fw.u16), 3, [b"ab"]),
        (fw.LengthPrefixed(fw.u16), 3, [b"ab", b"cd"]),
        (P, 3, [b"abc"]),
        (fw.FixedLength(3), 4, []),
        (fw.FixedLength(3), 3, [b"ab"]),
        (fw.Lines(), None, [b"a", b"b\nc"]),
        (fw.Lines(), None, [b"a", b"\r"]),
        (fw.Delimited(b"<end>"), None, [b"a<e", b"n", b"d>"]),
        (fw.Lines(max_frame=3), None, [b"ab", b"cd"]),
        (fw.SLIP(), 3, [b"abc"]),
    ):
        with pytest.raises(fw.EncodeError):
            list(framing.encode_stream(size, chunks))
    for framing in (fw.LengthPrefixed(fw.u64), fw.LengthPrefixed(fw.digits(end=b" ")), fw.UntilEOF()):
        for size in (-1, -(1 << 70), 1 << 63, 1 << 70):
            with pytest.raises(fw.EncodeError) as caught:
                list(framing.encode_stream(size, []))
            assert caught.value.size == size
        with pytest.raises(TypeError):
            list(framing.encode_stream("3", []))
    assert list(fw.FixedLength(3).encode_stream(None, [b"ab", b"", b"c"])) == [b"ab", b"c"]
    assert list(fw.UntilEOF().encode_stream(None, [bytearray(b"ab")])) == [b"ab"]
