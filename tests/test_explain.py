"""What `explain` draws: every framing, its example, and given bytes taken apart without a gap."""

from __future__ import annotations

import pytest
from catalogue import CATALOGUE, LARGE
from conftest import named
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import COBS, SLIP, Delimited, FixedLength, LengthPrefixed, Lines, Netstring, Preamble, Tagged
from framewire.explain import _encoded, _fields, _part_at, explain
from framewire.protocols import PRESETS

FRAMINGS = CATALOGUE
SIDES = {name: side for row in PRESETS.values() for name, side in row.sides.items()}


def body(text: str) -> list[str]:
    """The lines about given bytes: those below the last empty line."""
    return text.split("\n\n")[-1].split("\n")


@pytest.mark.parametrize("name", FRAMINGS)
def test_frames_are_taken_apart_without_a_gap(name: str) -> None:
    framing, messages = FRAMINGS[name]
    wire = framing.encoder().encode_many(messages)
    text = explain(framing, wire)
    assert text.isascii() and text.isprintable() == ("\n" not in text)
    decoder = framing.decoder()
    decoder.feed(wire)
    for number in range(len(messages)):
        start = decoder.offset
        if decoder.next_frame() is None:
            break  # only the end completes it
        part, _ = _part_at(framing, wire, start, number)
        at = start
        for where, piece, what in _fields(part, wire, start, decoder.offset):
            assert where == at and what, f"{what} at {where}, not {at}"
            at += len(piece)
        assert at == decoder.offset
        assert f"frame {number}  " in text
    assert "unfinished" not in text and "broken" not in text


@pytest.mark.parametrize("name", FRAMINGS)
def test_unfinished_frames_too(name: str) -> None:
    framing, messages = FRAMINGS[name]
    wire = framing.encoder().encode_many(messages[:1])
    for size in range(len(wire)):
        text = explain(framing, wire[:size])
        decoder = framing.decoder()
        decoder.feed(wire[:size])
        if decoder.next_frame() is not None:
            continue
        part, _ = _part_at(framing, wire[:size], 0, 0)
        pieces = _fields(part, wire[:size], 0, None)
        assert b"".join(piece for _, piece, _ in pieces) == wire[:size]
        assert body(text)


@pytest.mark.parametrize("framing", [*(f for f, _ in FRAMINGS.values()), *SIDES.values()], ids=named)
def test_the_example_is_a_frame(framing: fw.Framing) -> None:
    text = explain(framing)
    assert text.isascii()
    wire = _encoded(framing)
    if wire is None:
        pytest.skip("no message can be made up")
    assert "\nexample " in text
    while isinstance(framing, Preamble):
        framing = framing.first
    decoder = framing.decoder()
    assert len(decoder.decode(wire) + decoder.feed_eof()) == 1


def test_most_framings_have_an_example() -> None:
    without = [name for name, framing in SIDES.items() if _encoded(framing) is None]
    assert len(without) * 5 < len(SIDES), without


@given(st.sampled_from(sorted(FRAMINGS)), st.binary(max_size=80), st.data())
def test_any_bytes(name: str, noise: bytes, data: st.DataObject) -> None:
    """Nothing crashes it and nothing raw comes out, whatever stands in a stream that began well."""
    framing, messages = FRAMINGS[name]
    wire = framing.encoder().encode_many(messages)
    at = data.draw(st.integers(0, len(wire)))
    text = explain(framing, wire[:at] + noise)
    assert all(line.isprintable() and line.isascii() for line in text.split("\n"))


def test_any_bytes_for_large_frames() -> None:
    for framing, messages in LARGE.values():
        assert len(explain(framing, framing.encoder().encode_many(messages))) < 9000


def test_the_drawing_names_every_parameter() -> None:
    framing = LengthPrefixed(
        fw.u16le, offset=3, header=8, counts="rest", scale=4, adjust=-4, mask=0x0FFE, magic=b"MG",
        extra=((6, fw.u8, 0x0F),), trailer=2, max_frame=400, on_too_large="skip", eof="drop",
    )  # fmt: skip
    drawing = explain(framing)
    for what in (
        "0          2          magic: 4d 47\n",
        "2          1          free header byte, part of the frame\n",
        "3          2          length, the bits 0xffe: integer, little-endian; counts what follows it",
        "in units of 4 bytes; 4 bytes less than it says\n",
        "5          1          free header byte, part of the frame\n",
        "6          1          count of bytes behind the body: integer, of it the bits 0xf\n",
        "8          0..400     body\n",
        "           counted    padding, as many bytes as the header counts\n",
        "           2          trailer of any value\n",
        "400 bytes of body; a larger frame is skipped, and raised once; an end inside a frame drops it",
        f"text form  {framing}\npython     {framing!r}\n",
    ):
        assert what in drawing


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (fw.u8, "length: integer; counts the body"),
        (fw.i32, "length: signed integer, big-endian"),
        (fw.varint, "1..10      length: base-128 number, lowest seven bits first"),
        (fw.vlq, "highest seven bits first"),
        (fw.quicvarint, "1..8       length: integer whose top two bits say its width"),
        (fw.ber, "1..5       length: BER length, up to 127 itself, else 80 + so many bytes"),
        (fw.digits(5), "5          length: decimal digits"),
        (fw.digits(end=b"\r\n"), "3..12      length: decimal digits, then '\\r\\n'"),
        (fw.hexdigits(4), "4          length: hexadecimal digits"),
        (fw.tiered(fw.u8, {254: fw.u16}), "number up to 253, or a selector (254: 2 bytes more)"),
    ],
    ids=named,
)
def test_every_length_type_in_words(kind: type[int], words: str) -> None:
    assert words in explain(LengthPrefixed(kind))


@pytest.mark.parametrize(
    ("framing", "data", "lines"),
    [
        (
            LengthPrefixed(fw.u32, offset=1, counts="field"),
            b"Z\0\0\0\5I",
            ["free header byte", "length 5: body of 1 byte", "body"],
        ),
        (LengthPrefixed(fw.i32, escape=(-1, fw.u64)), b"\xff\xff\xff\xff" + b"\0" * 7 + b"\1x",
         ["length -1: the next field says it", "length 1: body of 1 byte", "body"]),
        (LengthPrefixed(fw.tiered(fw.u8, {126: fw.u16}, mask=0x7F, follow=(0x80, 4)), strip=False),
         b"\x81MASKx", ["length 1: body of 1 byte", "part of the header", "body"]),
        (LengthPrefixed(fw.quicvarint, offset=fw.quicvarint), b"\x40\x07\x01x",
         ["skipped number 7", "length 1: body of 1 byte", "body"]),
        (LengthPrefixed(fw.ber, offset=1), b"0\x81\x01x",
         ["free header byte", "length 1: body of 1 byte", "body"]),
        (LengthPrefixed(fw.varint), b"\x81\x00x", ["length 1: body of 1 byte", "body"]),
        (LengthPrefixed(fw.vlq), b"\x80\x01x", ["length 1: body of 1 byte", "body"]),
        (LengthPrefixed(fw.hexdigits(2)), b"0Ax123456789", ["length 10: body of 10 bytes", "body"]),
        (
            LengthPrefixed(fw.hexdigits(4), counts="frame", control=(0, 1)),
            b"0001",
            ["length 1: a frame of the header alone"],
        ),
        (
            LengthPrefixed(fw.u8, fragments="top_bit"),
            b"\x02hi\x81!",
            ["length 2: body of 2 bytes, another fragment follows", "body",
             "length 1: body of 1 byte, the last fragment", "body"],
        ),
        (
            LengthPrefixed(fw.u8, header=2, fragments=("full", 2, 1)),
            b"\x02\0hi\x00\1",
            ["length 2: body of 2 bytes, another fragment follows", "free header byte", "body",
             "length 0: body of 0 bytes, the last fragment", "free header byte"],
        ),
        (Netstring(), b"1:x,", ["length 1: body of 1 byte", "body", "trailer"]),
        (Delimited(b"\r\n", b";"), b"a\r\n", ["body", "delimiter"]),
        (Lines(eof="deliver"), b"tail", ["body"]),
        (FixedLength(2), b"ab", ["body"]),
        (SLIP(), b"\xc0\xc0a\xdb\xdc\xc0", ["fill", "stuffed", "end", "content, delivered"]),
        (COBS(), b"\1\0", ["stuffed", "end", "content, delivered"]),
    ],
    ids=named,
)  # fmt: skip
def test_fields_by_name(framing: fw.Framing, data: bytes, lines: list[str]) -> None:
    shown = body(explain(framing, data))
    assert shown[0] == f"frame 0    {len(data)} bytes at offset 0"
    assert [line.split("|")[-1].strip() for line in shown[1:]] == lines


def test_which_part_of_a_composite() -> None:
    framing = Preamble(Lines(), Tagged({1: FixedLength(2), 2: LengthPrefixed(fw.u8, offset=1)}))
    text = explain(framing, b"hi\n\1a\2\1b\3")
    assert "the first frame: lines\n" in text and "every later frame: Tagged" in text
    lines = body(text)
    assert "frame 0    3 bytes at offset 0" in lines
    assert "frame 1    2 bytes at offset 3, tag 0x01: fixed:2" in lines
    assert "frame 2    3 bytes at offset 5, tag 0x02: u8,offset=1,strip=false" in lines
    assert any(line.startswith("frame 3    broken at offset 8: bad-tag") for line in lines)


@pytest.mark.parametrize(
    ("framing", "data", "at"),
    [
        (Netstring(), b"2:hi,2:hiX", 9),
        (LengthPrefixed(fw.u32), b"\0\0\0\2hiHTTP/1.1 400", 9),
        (LengthPrefixed(fw.u16, offset=2, magic=b"ab"), b"ab\0\0aX", 5),
        (LengthPrefixed(fw.digits(2)), b"01x0x", 4),
        (SLIP(), b"a\xdbx\xc0good\xc0", 3),
    ],
    ids=named,
)
def test_where_the_bytes_break_the_framing(framing: fw.Framing, data: bytes, at: int) -> None:
    shown = explain(framing, data)
    assert f"broken at offset {at}: " in shown
    line = next(line for line in shown.split("\n") if line.endswith("<- this byte proves it"))
    assert line.split()[:2] == [str(at), data[at : at + 1].hex()]


def test_a_broken_frame_is_not_always_the_end() -> None:
    lines = body(explain(SLIP(), b"a\xdbx\xc0good\xc0"))
    assert any("broken" in line for line in lines) and any("|good|" in line for line in lines)


def test_ends() -> None:
    assert body(explain(Lines(), b"")) == ["no frame   there are no bytes"]
    assert "at least 3 bytes missing" in explain(LengthPrefixed(fw.u32), b"\0")
    assert body(explain(Lines(eof="drop"), b"a\nbc"))[-1] == "dropped    2 bytes at offset 2"
    assert "frame 0    0 bytes at offset 0" in explain(fw.UntilEOF(), b"")
    many = body(explain(FixedLength(1), bytes(100)))
    assert many[-1] == "and 80 bytes more from offset 20 on"


def test_known_protocols_are_named() -> None:
    assert "known as   mqtt: " in explain(fw.framing("mqtt"))
    assert "known as" not in explain(LengthPrefixed(fw.u56, offset=5))


def test_names_of_functions_stay_ascii() -> None:
    def spł_t(view: memoryview, scanned: int, eof: bool) -> tuple[int, int, int] | None:
        return (0, 1, 1) if len(view) else None

    text = explain(fw.Custom(spł_t), b"ab")
    assert text.isascii() and "sp\\u0142_t" in text and "frame 1    1 byte at offset 1" in text


def test_what_is_no_framing() -> None:
    with pytest.raises(TypeError, match="'u32' is not a framing"):
        explain("u32")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        explain(Lines(), "text")  # type: ignore[arg-type]
