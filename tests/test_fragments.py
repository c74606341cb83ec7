"""Frames in fragments and frames of a header only: MySQL, SunRPC record marking, git.

The catalogue's suites run over them as well; here stand the corners that only they have.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from conftest import peak_memory
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import DeclarationError, EncodeError, LengthPrefixed, MalformedFrame, _backend

MYSQL = LengthPrefixed(fw.u24le, header=4, fragments=("full", 0xFFFFFF, 3), max_frame=1 << 26)
SUNRPC = LengthPrefixed(fw.u32, fragments="top_bit")
GIT = LengthPrefixed(fw.hexdigits(4), counts="frame", control=(0, 1, 2, 3))
SMALL = LengthPrefixed(fw.u8, header=2, fragments=("full", 4, 1), max_frame=4000)
BACKENDS = []
for _name in ("native", "pure"):
    try:
        BACKENDS.append(_backend.load(_name).codec)
    except ImportError:
        pass


def record(body: bytes, last: bool = True) -> bytes:
    return (len(body) | last << 31).to_bytes(4, "big") + body


# --- SunRPC --------------------------------------------------------------------------------------------


def test_record_marking_joins_and_sends_one_fragment(backend: Any) -> None:
    decoder = SUNRPC.decoder()
    stream = record(b"one, ", False) + record(b"", False) + record(b"two") + record(b"alone") + record(b"")
    assert decoder.decode(stream) == [b"one, two", b"alone", b""]
    assert SUNRPC.encode(b"hello") == b"\x80\0\0\5hello"
    assert SUNRPC.encode_many([b"", b"a"]) == b"\x80\0\0\0\x80\0\0\1a"
    assert b"".join(bytes(part) for part in SUNRPC.encode_parts(b"hi")) == b"\x80\0\0\2hi"


def test_a_body_that_one_record_cannot_carry_is_refused(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, fragments="top_bit")
    assert framing.encode(bytes(127)) == b"\xff" + bytes(127)
    with pytest.raises(EncodeError, match="a body of 128 bytes does not fit the length field, .* most 127"):
        framing.encode(bytes(128))
    assert framing.decoder().decode(b"\x7f" + bytes(127) + b"\x81\1") == [bytes(127) + b"\1"]


def test_whole_record_keeps_the_first_header(backend: Any) -> None:
    framing = LengthPrefixed(fw.u16, offset=1, fragments="top_bit")
    stream = b"A\0\2ab" + b"B\x80\1c"
    frames = framing.decoder().decode(stream)
    assert frames == [b"A\0\2abc"]
    assert framing.encode(frames[0]) == b"A\x80\3abc"


# --- MySQL ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_mysql_splits_at_its_full_length(extra: int, backend: Any) -> None:
    full = 0xFFFFFF
    body = bytes(range(251)) * (full // 251 + 1)
    body = (body + body)[: full + extra]
    wire = MYSQL.encode(b"\0\0\0\xff" + body)
    if extra < 0:
        assert wire == b"\xfe\xff\xff\xff" + body
    else:
        tail = extra.to_bytes(3, "little") + b"\0" + body[full:]
        assert wire == b"\xff\xff\xff\xff" + body[:full] + tail
    decoder = MYSQL.decoder()
    step = 1 << 20
    frames = [frame for at in range(0, len(wire), step) for frame in decoder.decode(wire[at : at + step])]
    assert len(frames) == 1 and frames[0][4:] == body and frames[0][3] == 255
    assert MYSQL.encode(frames[0]) == wire


def test_counter_goes_on_and_around(backend: Any) -> None:
    wire = SMALL.encode(b"\0\xfehello worl")
    assert wire == b"\4\xfehell" + b"\4\xffo wo" + b"\2\0rl"
    assert SMALL.decoder().decode(wire) == [b"\4\xfehello worl"]
    # Another frame begins with any counter.
    assert SMALL.decoder().decode(b"\1\7a\1\7b\1\0c") == [b"\1\7a", b"\1\7b", b"\1\0c"]
    stripped = SMALL.replace(strip=True)
    assert stripped.encode(b"hello") == b"\4\0hell\1\1o"


def test_wrong_counter_is_proven_by_its_byte(backend: Any) -> None:
    for wrong in (0xFE, 0, 1):
        decoder = SMALL.decoder()
        assert decoder.decode(b"\1\7a" + b"\4\xfehell\2") == [b"\1\7a"]
        with pytest.raises(MalformedFrame) as caught:
            decoder.decode(bytes([wrong]))
        assert str(caught.value).startswith(
            f"protocol-violation: the counter of a fragment is {wrong}, and 255 should follow; "
            "frame 1 at offset 3, first bytes 04 fe 68 65 6c 6c 02"
        )
        assert decoder.error is caught.value


def test_exact_multiple_ends_with_an_empty_fragment(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, fragments=("full", 4))
    assert framing.encode(b"12345678") == b"\x041234\x045678\0"
    assert framing.encode(b"") == b"\0"
    decoder = framing.decoder()
    assert decoder.decode(b"\x041234\x045678") == []
    assert decoder.needed == 1
    assert decoder.decode(b"\0") == [b"12345678"]
    # A longer length than the full one says that nothing follows.
    assert framing.decoder().decode(b"\5abcde") == [b"abcde"]


# --- limits --------------------------------------------------------------------------------------------


def test_c16_fragments_are_bounded_in_number_and_in_size(backend: Any) -> None:
    """Cheap fragments without an end (CVE-2023-44487's relatives) stop at 1,024, and at max_frame."""
    empty = record(b"", False)
    decoder = SUNRPC.decoder()
    assert decoder.decode(empty * 1023) == []
    assert decoder.buffered == 4 * 1023
    assert SUNRPC.decoder().decode(empty * 1023 + record(b"end")) == [b"end"]
    with pytest.raises(MalformedFrame, match="1024 fragments, and still not the last; frame 0 at offset 0"):
        decoder.decode(empty)
    limited = SUNRPC.replace(max_frame=10)
    decoder = limited.decoder()
    assert decoder.decode(record(b"12345", False) + record(b"12345", False)) == []
    with pytest.raises(fw.FrameTooLarge) as caught:
        decoder.decode(record(b"1")[:4])
    assert (caught.value.size, caught.value.limit, caught.value.recoverable) == (11, 10, False)
    assert len(caught.value.header) == 9 + 9 + 4
    # The announced size alone proves it, whatever stands there.
    with pytest.raises(fw.FrameTooLarge, match="announced 16 bytes"):
        limited.decoder().decode(record(b"12345", False) + b"\0\0\0\x0b")


def test_c16_memory_stays_bounded(backend: Any) -> None:
    framing = SUNRPC.replace(max_frame=1 << 16)

    def flood() -> None:
        decoder = framing.decoder()
        with pytest.raises(fw.FramewireError):
            while True:
                decoder.decode(record(bytes(200), False) * 50)

    assert peak_memory(flood) < 1 << 19


def test_too_many_fragments_to_send(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, fragments=("full", 1), max_frame=None)
    assert len(framing.encode(bytes(1023))) == 1023 * 2 + 1
    with pytest.raises(EncodeError, match="a body of 1024 bytes does not fit the length field, .* most 1023"):
        framing.encode(bytes(1024))
    assert framing.decoder().decode(framing.encode(bytes(1023))) == [bytes(1023)]


def test_linear_time_byte_by_byte(backend: Any) -> None:
    """Each byte costs the same, however many fragments of its frame came before."""

    def per_byte(fragments: int, frames: int) -> float:
        stream = (record(b"a", False) * (fragments - 1) + record(b"a")) * frames
        best = float("inf")
        for _ in range(5):
            decoder = SUNRPC.decoder()
            begin = time.thread_time()
            got = sum(len(decoder.decode(stream[i : i + 1])) for i in range(len(stream)))
            best = min(best, time.thread_time() - begin)
            assert got == frames
        return best / len(stream)

    assert per_byte(1000, 2) < 4 * per_byte(20, 100)


def test_needed_and_resumption_across_calls(backend: Any) -> None:
    decoder = SMALL.decoder()
    for byte, missing in zip(b"\4\7hell\4\x08o wo\0\x09", [1, 6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1, 0]):
        decoder.feed(bytes([byte]))
        # A fragment that is not the last needs the next one's header too.
        assert decoder.needed == missing
    assert decoder.next_frame() == b"\4\7hello wo"


def test_truncated_inside_and_between_fragments(backend: Any) -> None:
    for cut in range(1, 13):
        decoder = SMALL.decoder()
        decoder.decode(b"\4\7hell\4\x08o wo\0\x09"[:cut])
        with pytest.raises(fw.Truncated) as caught:
            decoder.feed_eof()
        assert len(caught.value.partial) == cut
    assert LengthPrefixed(fw.u8, fragments="top_bit", eof="drop").decoder().decode(b"\1a") == []


def test_reassembly_in_the_callers_buffer_bounds_the_fragments(backend: Any) -> None:
    """So many headers may come that they must not fill the buffer: half of it is theirs."""
    decoder = SUNRPC.decoder(bytearray(80))
    assert decoder.decode(record(b"x", False) * 9 + record(b"y" * 30)) == [b"x" * 9 + b"y" * 30]
    with pytest.raises(MalformedFrame, match="10 fragments"):
        decoder.decode(record(b"", False) * 10)
    decoder = SMALL.decoder(bytearray(60))
    limit = 60 - 2 * (60 // 6 + 1)
    wire = SMALL.encode(bytes(2 + limit))
    assert [len(frame) for frame in decoder.decode(wire)] == [2 + limit]
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(SMALL.encode(bytes(2 + limit + 1)))


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=12), st.data())
def test_any_fragments_under_any_cut(bodies: list[bytes], data: st.DataObject) -> None:
    ends = [data.draw(st.booleans()) for _ in bodies[1:]] + [True]
    stream, expected, current = b"", [], b""
    for body, last in zip(bodies, ends):
        stream += record(body, last)
        current += body
        if last:
            expected.append(current)
            current = b""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    for backend in BACKENDS:
        decoder = backend.Decoder(SUNRPC._plan)
        edges = [0, *cuts, len(stream)]
        frames = [frame for a, b in zip(edges, edges[1:]) for frame in decoder.decode(stream[a:b])]
        assert frames == expected
        assert decoder.offset == len(stream)
        views = backend.Decoder(SUNRPC._plan).decode_views(stream)
        assert [bytes(view) for view in views] == expected


def test_after_a_preamble_and_a_switch(backend: Any) -> None:
    framing = fw.Preamble(fw.FixedLength(2), SUNRPC)
    decoder = framing.decoder()
    assert decoder.decode(b"HI" + record(b"a", False)) == [b"HI"]
    assert decoder.decode(record(b"b")) == [b"ab"]
    decoder = fw.Lines().decoder()
    assert decoder.decode(b"STARTTLS\n" + record(b"a", False), 1) == [b"STARTTLS"]
    decoder.switch(SUNRPC)
    assert decoder.decode(record(b"b")) == [b"ab"]


# --- control -------------------------------------------------------------------------------------------


def test_git_has_packets_of_a_header_only(backend: Any) -> None:
    stream = b"000ahello\n" + b"0000" + b"0001" + b"0004" + b"0002"
    frames = GIT.decoder().decode(stream)
    assert frames == [b"000ahello\n", b"0000", b"0001", b"0004", b"0002"]
    assert GIT.encode_many(frames) == stream
    assert GIT.encode(b"????hi") == b"0006hi"
    assert GIT.encode(b"0000hi") == b"0006hi"
    assert GIT.encode(b"####") == b"0004"


def test_without_control_these_are_bad_lengths(backend: Any) -> None:
    with pytest.raises(MalformedFrame, match="the length 1 ends the frame before its body starts"):
        GIT.replace(control=()).decoder().decode(b"0001")
    with pytest.raises(MalformedFrame, match="the length 3 ends the frame"):
        GIT.replace(control=(0, 1, 2)).decoder().decode(b"0003")


def test_control_frames_have_no_trailer_and_no_extra(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, header=2, control=(9,), extra=((1, fw.u8),), trailer=b"!")
    assert framing.decoder().decode(b"\x09\x05" + b"\1\2aPP!") == [b"\x09\x05", b"\1\2aPP!"]
    assert framing.encode(b"\x09\x05") == b"\x09\x05"
    assert framing.decoder().needed == 2


def test_a_body_whose_length_is_a_control_value_cannot_be_sent(backend: Any) -> None:
    framing = LengthPrefixed(fw.u8, control=(3,))
    assert framing.encode(b"?ab") == b"\2ab"
    with pytest.raises(EncodeError, match="a body of 3 bytes does not fit the length field"):
        framing.encode(b"?abc")
    assert framing.encode(b"?abcd") == b"\4abcd"


def test_control_beyond_the_limit_is_no_length(backend: Any) -> None:
    framing = LengthPrefixed(fw.digits(end=b" "), control=(999,), max_frame=10)
    assert framing.decoder().decode(b"999 2 ab") == [b"999 ", b"2 ab"]
    with pytest.raises(fw.FrameTooLarge):
        framing.decoder().decode(b"998 ")
    skipping = framing.replace(on_too_large="skip")
    decoder = skipping.decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"11 hello world999 ")
    assert decoder.decode() == [b"999 "]


# --- declarations --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "strips"),
    [
        (SUNRPC, True),
        (MYSQL, False),
        (GIT, False),
        (LengthPrefixed(fw.u8, fragments=("full", 255)), True),
        (LengthPrefixed(fw.u8, fragments=("full", 255), mask=0xFF), True),
        (LengthPrefixed(fw.u8, fragments="top_bit", mask=0x3F), False),
        (LengthPrefixed(fw.u8, fragments="top_bit", offset=1, magic=b"M"), True),
        (LengthPrefixed(fw.u8, fragments="top_bit", offset=1), False),
        (LengthPrefixed(fw.u8, control=()), True),
    ],
)
def test_what_strip_none_means(framing: Any, strips: bool) -> None:
    assert framing._plan[5] is strips
    assert framing.replace(strip=False)._plan[5] is False


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"control": (256,)}, "control=256"),
        ({"control": (-1,)}, "control=-1"),
        ({"control": tuple(range(17))}, "control has 17 values, give up to 16"),
        ({"control": (1,), "strip": True}, "strip=True cannot be with extra, control"),
        ({"control": (1,), "escape": (0, fw.u16)}, "control and escape cannot be together"),
        ({"control": (1,), "fragments": "top_bit"}, "fragments cannot be with"),
        ({"fragments": "top_bit", "escape": (0, fw.u16)}, "fragments cannot be with"),
        ({"fragments": "top_bit", "extra": ((1, fw.u8),), "header": 2}, "fragments cannot be with"),
        ({"fragments": "top_bit", "trailer": b"!"}, "fragments cannot be with"),
        ({"fragments": "top_bit", "trailer": 1}, "fragments cannot be with"),
        ({"fragments": "top_bit", "offset": fw.varint}, "an unsigned integer at a fixed offset"),
        ({"fragments": "top_bit", "on_too_large": "skip"}, "on_too_large='skip' cannot be with fragments"),
        ({"fragments": "top_bit", "mask": 0xC0}, "mask=0xc0 has the bit that marks the last fragment"),
        ({"fragments": ("full", 0)}, "fragments length=0"),
        ({"fragments": ("full", 256)}, "fragments length=256"),
        ({"fragments": ("full", 128), "mask": 0x7F}, "fragments length=128"),
        ({"fragments": ("full", 2), "adjust": -2}, "a fragment of length 2 has no body"),
        ({"fragments": ("full", 2, 1)}, "fragments counter offset=1"),
        ({"fragments": ("full", 2, -1)}, "fragments counter offset=-1"),
        ({"fragments": ("full", 2, 0)}, "the fragments counter at 0 is a byte of the length or magic"),
        ({"fragments": ("full", 2, 1), "offset": 2, "magic": ((1, b"M"),)}, "counter at 1 is a byte of"),
    ],
)
def test_declarations_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        LengthPrefixed(fw.u8, **options)
    assert text in str(caught.value)
    assert str(caught.value).startswith("LengthPrefixed: ")


def test_fields_that_have_no_fragments() -> None:
    for field in (fw.i32, fw.varint, fw.digits(4), fw.tiered(fw.u8, {200: fw.u16})):
        with pytest.raises(DeclarationError, match="an unsigned integer at a fixed offset"):
            LengthPrefixed(field, fragments="top_bit")
    with pytest.raises(DeclarationError, match="Tagged: a framing with fragments cannot be a part"):
        fw.Tagged({1: SUNRPC})
    with pytest.raises(DeclarationError, match="cannot be delivered in pieces"):
        SUNRPC.decoder(stream_over=10)


@pytest.mark.parametrize(
    "options",
    [
        {"control": 1},
        {"control": [1]},
        {"control": (1.5,)},
        {"control": (True,)},
        {"fragments": "bottom_bit"},
        {"fragments": ("full",)},
        {"fragments": ("top_bit", 1)},
        {"fragments": ("full", 1, 2, 3)},
        {"fragments": ("full", "1")},
        {"fragments": 7},
    ],
)
def test_wrong_types(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        LengthPrefixed(fw.u8, offset=3, **options)


@pytest.mark.parametrize(
    ("text", "framing"),
    [
        ("u32,fragments=top_bit", SUNRPC),
        ("u24le,header=4,fragments=full:0xffffff:3,max_frame=67108864", MYSQL),
        ("u24le,header=4,fragments=full:16777215:3,max_frame=67108864", MYSQL),
        ("u8,fragments=full:4", LengthPrefixed(fw.u8, fragments=("full", 4))),
        ("hexdigits:4,counts=frame,control=0|1|2|3", GIT),
        ("u8,control=7", LengthPrefixed(fw.u8, control=(7,))),
    ],
)
def test_text_form(text: str, framing: Any) -> None:
    assert fw.framing(text) == framing
    assert fw.framing(str(framing)) == framing


def test_order_and_repetition_of_control_values_mean_nothing() -> None:
    assert LengthPrefixed(fw.u8, control=(2, 1, 2)) == LengthPrefixed(fw.u8, control=(1, 2))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("u8,fragments=low_bit", 14, "fragments is top_bit, full:LENGTH or full:LENGTH:OFFSET"),
        ("u8,fragments=full", 14, "fragments is top_bit"),
        ("u8,fragments=top_bit:1", 14, "fragments is top_bit"),
        ("u8,fragments=full:x", 19, "'x' is not a whole number"),
        ("u8,control=1|x", 14, "'x' is not a whole number"),
        ("u8,control=", 12, "'' is not a whole number"),
    ],
)
def test_text_that_cannot_be(text: str, column: int, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        fw.framing(text)
    assert f"column {column}: " in str(caught.value) and message in str(caught.value)
