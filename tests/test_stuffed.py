"""SLIP, HDLC and COBS against independent packages; every corner of idle fill, aborts and broken frames."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from conftest import named, peak_memory
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import COBS, HDLC, SLIP
from framewire._framing import Framing

# Bytes that mean something to one of the three are as likely as all others together.
TELLING = [0, 1, 2, 3, 4, 5, 0x5D, 0x5E, 0x7D, 0x7E, 0xC0, 0xDB, 0xDC, 0xDD, 0xFE, 0xFF]
telling = st.lists(st.one_of(st.sampled_from(TELLING), st.integers(0, 255)), max_size=300).map(bytes)
runs = st.lists(
    st.tuples(st.sampled_from(TELLING), st.sampled_from([1, 2, 253, 254, 255, 508, 509])), max_size=5
).map(lambda parts: b"".join(bytes([byte]) * count for byte, count in parts))
messages = st.one_of(telling, runs, st.binary(max_size=600))

EVERY: list[Framing] = [SLIP(), HDLC(), HDLC(fcs=16), HDLC(fcs=32), COBS(), COBS(reduced=True)]
every = pytest.mark.parametrize("framing", EVERY, ids=named)
MARKS = {SLIP: b"\xc0", HDLC: b"~", COBS: b"\0"}


def mark_of(framing: Framing) -> bytes:
    return MARKS[type(framing)]  # type: ignore[index]


def events(framing: Framing, *chunks: bytes, eof: bool = True) -> list[Any]:
    """Frames and errors in order; each error is to be raised once, and "!" follows one that is the last."""
    decoder = framing.decoder()
    found: list[Any] = []
    calls: list[Callable[[], list[bytes]]] = [lambda chunk=chunk: decoder.decode(chunk) for chunk in chunks]
    for call in [*calls, decoder.feed_eof] if eof else calls:
        while True:
            try:
                frames = call()
                found += frames
                if not frames:
                    break
                call = decoder.decode
            except fw.DecodeError as error:
                assert error.recoverable == (decoder.error is None)
                found.append(f"{error.reason} at {error.offset}, frame {error.frame_index}")
                if decoder.error is not None:
                    return [*found, "!"]
                call = decoder.decode
            except fw.Truncated as error:
                return [*found, error.partial]
    assert decoder.buffered == 0
    return found


# --- independent packages -------------------------------------------------------------------------------


@given(messages)
def test_cobs_package(message: bytes) -> None:
    cobs = pytest.importorskip("cobs.cobs", reason="the package cobs is not installed")
    assert COBS().encode(message) == cobs.encode(message) + b"\0"
    assert COBS().decoder().decode(cobs.encode(message) + b"\0") == [message]


@given(messages)
def test_cobsr_package(message: bytes) -> None:
    cobsr = pytest.importorskip("cobs.cobsr", reason="the package cobs is not installed")
    assert COBS(reduced=True).encode(message) == cobsr.encode(message) + b"\0"
    assert COBS(reduced=True).decoder().decode(cobsr.encode(message) + b"\0") == [message]


@given(telling)
def test_cobs_packages_refuse_what_we_refuse(raw: bytes) -> None:
    pytest.importorskip("cobs", reason="the package cobs is not installed")
    from cobs import cobs, cobsr

    raw = raw.replace(b"\0", b"\3")
    for package, framing in ((cobs, COBS()), (cobsr, COBS(reduced=True))):
        try:
            expected = [package.decode(raw)] if raw else []
        except package.DecodeError:
            expected = ["protocol-violation at 0, frame 0"]
        assert events(framing, raw + b"\0") == expected


@given(messages)
def test_sliplib_package(message: bytes) -> None:
    sliplib = pytest.importorskip("sliplib", reason="the package sliplib is not installed")
    if message:
        assert SLIP().encode(message) == sliplib.encode(message) + b"\xc0"
    wire = b"\xc0" + sliplib.encode(message) + b"\xc0"
    assert SLIP().decoder().decode(wire) == ([message] if message else [])


@given(telling)
def test_sliplib_refuses_what_we_refuse(raw: bytes) -> None:
    sliplib = pytest.importorskip("sliplib", reason="the package sliplib is not installed")
    raw = raw.replace(b"\xc0", b"\xdb")
    try:
        expected = [sliplib.decode(raw)] if raw else []
    except sliplib.ProtocolError:
        expected = ["protocol-violation at 0, frame 0"]
    assert events(SLIP(), raw + b"\xc0") == expected


@pytest.mark.parametrize("fcs, name", [(16, "x-25"), (32, "crc-32")])
def test_crcmod_package(fcs: int, name: str, backend: Any) -> None:
    predefined = pytest.importorskip("crcmod.predefined", reason="the package crcmod is not installed")
    check = predefined.mkPredefinedCrcFun(name)
    framing = HDLC(fcs=fcs)
    for seed in range(300):
        message = random.Random(seed).randbytes(seed)
        content = message + check(message).to_bytes(fcs // 8, "little")
        wire = b"".join(b"}%c" % (byte ^ 0x20) if byte in b"}~" else b"%c" % byte for byte in content) + b"~"
        assert framing.encode(message) == wire
        # A sender may escape more than it must: here control characters, as PPP's first frames do.
        cared = bytes([*range(32), 0x7D, 0x7E])
        wire = b"".join(b"}%c" % (byte ^ 32) if byte in cared else b"%c" % byte for byte in content)
        assert framing.decoder().decode(wire + b"~") == [message]


# --- what is no frame -----------------------------------------------------------------------------------


@every
def test_idle_fill_is_no_frame(framing: Framing, backend: Any) -> None:
    mark = mark_of(framing)
    one, two = framing.encode(b"one"), framing.encode(b"two")
    stream = mark * 3 + one + mark * 2 + two + mark
    for size in (1, 2, 5, len(stream)):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert events(framing, *chunks) == [b"one", b"two"]
    decoder = framing.decoder()
    assert decoder.decode(mark * 7) == []
    assert (decoder.offset, decoder.buffered, decoder.needed) == (7, 0, framing._plan[4])
    assert decoder.feed_eof() == []


@every
@pytest.mark.parametrize("step", ["decode", "feed and decode", "receive"])
def test_endless_idle_fill_costs_no_memory(framing: Framing, step: str, backend: Any) -> None:
    decoder = framing.decoder()
    chunk = mark_of(framing) * 5000

    def take() -> None:
        if step == "decode":
            assert decoder.decode(chunk) == []
        elif step == "receive":
            decoder.get_buffer(len(chunk))[: len(chunk)] = chunk
            decoder.buffer_updated(len(chunk))
            assert decoder.next_frame() is None
        else:
            decoder.feed(chunk)
            assert decoder.decode() == []

    take()
    assert peak_memory(lambda: [take() for _ in range(20)]) < 70_000
    assert (decoder.offset, decoder.buffered) == (61 * 5000, 0)


def test_an_empty_message(backend: Any) -> None:
    assert COBS().encode(b"") == COBS(reduced=True).encode(b"") == b"\1\0"
    assert events(COBS(), b"\0\1\0\0\1\0") == [b"", b""]
    assert HDLC(fcs=16).encode(b"") == b"\0\0~"
    assert events(HDLC(fcs=16), b"~~\0\0~") == [b""]
    for framing in (SLIP(), HDLC()):
        text = "an empty message cannot be carried: the peer takes it for idle fill"
        with pytest.raises(fw.EncodeError, match=text):
            framing.encode(b"")
        with pytest.raises(fw.EncodeError, match=text):
            framing.encode_many([b"a", b""])


def test_aborts_and_runts_are_forgotten(backend: Any) -> None:
    good = HDLC(fcs=16).encode(b"good")
    for gone in (b"}~", b"abc}~", b"a}]}~", b"}}~", b"x~", b"}^~", b"xyz}~~"):
        assert events(HDLC(fcs=16), gone + good) == [b"good"], gone
        assert events(HDLC(fcs=16), *[bytes([byte]) for byte in gone + good]) == [b"good"], gone
    # Without a check sequence nothing is too short.
    assert events(HDLC(), b"}~x~}^~") == [b"x", b"~"]
    assert events(HDLC(fcs=32), b"a~ab~abc~" + HDLC(fcs=32).encode(b"")) == [b""]


# --- what is broken -------------------------------------------------------------------------------------

BROKEN = [
    (SLIP(), b"a\xdbb\xc0", "protocol-violation", "0x62 does not follow an escape byte"),
    (SLIP(), b"\xdb\xc0", "protocol-violation", "0xc0 does not follow an escape byte"),
    (SLIP(), b"\xdb\xdc\xdb\xdb\xdd\xc0", "protocol-violation", "0xdb does not follow an escape byte"),
    (HDLC(fcs=16), b"hi}^\xf7,~", "bad-checksum", "the frame check sequence does not fit"),
    (HDLC(fcs=16), b"abc~", "bad-checksum", "the frame check sequence does not fit"),
    (HDLC(fcs=32), b"\0\0\0\1~", "bad-checksum", "the frame check sequence does not fit"),
    (COBS(), b"\x03a\0", "protocol-violation", "the code 3 points behind its frame"),
    (COBS(), b"\x02a\xff\0", "protocol-violation", "the code 255 points behind its frame"),
]


@pytest.mark.parametrize("framing, broken, reason, text", BROKEN)
@pytest.mark.parametrize("strip", [True, False])
def test_a_broken_frame_costs_only_itself(
    framing: Framing, broken: bytes, reason: str, text: str, strip: bool, backend: Any
) -> None:
    framing = framing.replace(strip=strip)
    good = framing.replace(strip=True).encode(b"good")
    frame = b"good" if strip else good
    stream = good + mark_of(framing) + broken + good + broken + broken + good
    at = len(good) + 1
    second = at + len(broken) + len(good)
    expected = [
        frame,
        f"{reason} at {at}, frame 1",
        frame,
        f"{reason} at {second}, frame 3",
        f"{reason} at {second + len(broken)}, frame 4",
        frame,
    ]
    for size in (1, 2, 3, 7, len(stream)):
        chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert events(framing, *chunks) == expected, size
    decoder = framing.decoder()
    decoder.feed(broken + good)
    with pytest.raises(fw.MalformedFrame) as caught:
        decoder.next_frame()
    assert caught.value.reason == reason
    assert caught.value.recoverable
    assert text in str(caught.value)
    assert decoder.error is None
    assert (decoder.offset, decoder.buffered) == (len(broken), len(good))
    assert decoder.next_frame() == frame
    with pytest.raises(fw.EncodeError, match=f"{reason}: {text}") as refused:
        framing.replace(strip=False).encode(broken)
    assert refused.value.size == len(broken)


@every
def test_bytes_beyond_a_fault_keep_every_call_right(framing: Framing, backend: Any) -> None:
    """The fault is pending while more arrives, by each way that bytes can arrive."""
    if isinstance(framing, HDLC) and framing.fcs is None or framing == COBS(reduced=True):
        pytest.skip("nothing that it can be sent is broken")
    broken = next(one[1] for one in BROKEN if type(one[0]) is type(framing))
    if isinstance(framing, HDLC):
        broken = b"wrong~"
    good = framing.encode(b"good")
    decoder = framing.decoder()
    assert decoder.decode(good + broken) == [b"good"]
    assert decoder.needed == 0
    decoder.feed(good)
    view = decoder.get_buffer(len(good))
    view[: len(good)] = good
    decoder.buffer_updated(len(good))
    with pytest.raises(fw.MalformedFrame):
        decoder.decode(good)
    assert decoder.decode(b"", limit=1) == [b"good"]
    assert [bytes(view) for view in decoder.decode_views(b"")] == [b"good"] * 2
    assert decoder.feed_eof() == []


# --- limits ---------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("limit", [1, 2, 40, 253, 254, 255, 508])
def test_the_limit_is_that_of_the_content(framing: Framing, limit: int, backend: Any) -> None:
    framing = framing.replace(max_frame=limit)
    mark = mark_of(framing)
    for fill in (b"a", mark, b"\xff"):
        for size in (limit - 1, limit):
            if size:
                assert events(framing, framing.encode(fill * size)) == [fill * size]
        longer = framing.replace(max_frame=None).encode(fill * (limit + 1))
        assert events(framing, longer) == ["too-large at 0, frame 0", "!"]
        with pytest.raises(fw.EncodeError, match=f"a message of {limit + 1} bytes is beyond our limit"):
            framing.encode(fill * (limit + 1))
        with pytest.raises(fw.EncodeError, match=f"a message of {limit + 1} bytes is beyond our limit"):
            framing.replace(strip=False).encode(longer)
        skipping = framing.replace(on_too_large="skip")
        stream = longer + mark + skipping.encode(b"x") + longer + skipping.encode(b"y")
        second = len(longer) + 1 + len(skipping.encode(b"x"))
        expected = ["too-large at 0, frame 0", b"x", f"too-large at {second}, frame 2", b"y"]
        for size in (1, 2, 100, len(stream)):
            chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
            assert events(skipping, *chunks) == expected, size


@every
@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_what_never_ends_is_bounded(framing: Framing, policy: Any, backend: Any) -> None:
    """A peer that sends no mark is found out after as much as the largest content can take."""
    limited = framing.replace(max_frame=1000, on_too_large=policy)

    def flood() -> fw.Decoder[bytes]:
        decoder = limited.decoder()
        for step in range(40):
            try:
                assert decoder.decode(b"a" * 5000) == []
            except fw.FrameTooLarge as error:
                assert (error.size, error.offset, error.recoverable) == (None, 0, policy == "skip")
                if policy == "skip":
                    assert step == 0
        return decoder

    assert peak_memory(flood) < 100_000
    decoder = flood()
    if policy == "skip":
        assert decoder.decode(mark_of(framing) + framing.encode(b"next")) == [b"next"]
        assert decoder.offset == 40 * 5000 + 1 + len(framing.encode(b"next"))
    else:
        assert isinstance(decoder.error, fw.FrameTooLarge)


@every
def test_bytes_fed_while_a_frame_is_discarded(framing: Framing, backend: Any) -> None:
    mark, next_ = mark_of(framing), framing.encode(b"next")
    decoder = framing.replace(max_frame=4, on_too_large="skip").decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"a" * 50)
    decoder.feed(b"b" * 70_000)
    assert decoder.buffered == 0
    decoder.feed(b"b" + mark + next_[:1])
    assert decoder.buffered == 1
    assert decoder.decode(next_[1:]) == [b"next"]


@every
def test_the_callers_buffer(framing: Framing, backend: Any) -> None:
    """The limit is what fits even fully stuffed, so that the decoder and not its buffer says no."""
    for room in [*range(16, 40), *range(250, 270), *range(505, 520)]:
        plan = framing._plan_for(room)
        most = plan[1]
        worst = {SLIP: b"\xc0", HDLC: b"~", COBS: b"a"}[type(framing)]  # type: ignore[index]
        decoder = framing.decoder(bytearray(room))
        wire = framing.encode(worst * most)
        assert len(wire) <= room
        assert decoder.decode(wire) == [worst * most]
        with pytest.raises(fw.FrameTooLarge, match=f"within {most} bytes"):
            for _ in range(room + 1):
                assert decoder.decode(b"a") == []
        if framing in (SLIP(), HDLC()):
            assert len(framing.encode(worst * (most + 1))) > room
    with pytest.raises(fw.DeclarationError, match="do not hold a whole frame"):
        framing.decoder(bytearray(2))


# --- whole frames ---------------------------------------------------------------------------------------


@every
def test_frames_can_stay_stuffed(framing: Framing, backend: Any) -> None:
    whole = framing.replace(strip=False)
    mark = mark_of(framing)
    wire = [framing.encode(message) for message in (b"a", mark * 2, b"\xff\xdb}")]
    assert whole.decoder().decode(mark + mark.join(wire)) == wire
    assert whole.encode_many(wire) == b"".join(wire)
    refused = [
        (b"", "a message of 0 bytes does not end with its delimiter"),
        (wire[0][:-1], f"a message of {len(wire[0]) - 1} bytes does not end with its delimiter"),
        (mark, "a message of 1 bytes would end early: the delimiter .* stands at byte 0"),
        (mark + wire[0], "stands at byte 0"),
        (wire[0] + mark, f"stands at byte {len(wire[0]) - 1}"),
        (wire[0] + wire[0], f"stands at byte {len(wire[0]) - 1}"),
    ]
    if isinstance(framing, HDLC):
        refused.append((b"abc}~", "protocol-violation: 0x7e does not follow an escape byte"))
        if framing.fcs:
            refused.append((b"a~", "bad-checksum"))
    for message, text in refused:
        with pytest.raises(fw.EncodeError, match=text):
            whole.encode(message)


# --- whatever takes and gives bytes ---------------------------------------------------------------------


@every
@given(data=st.lists(messages, max_size=6), seed=st.integers(0, 1 << 32))
def test_every_way_to_encode_and_cut(framing: Framing, data: list[bytes], seed: int) -> None:
    if not isinstance(framing, COBS):
        data = [message for message in data if message]
    wire = [framing.encode(message) for message in data]
    stream = b"".join(wire)
    assert framing.encode_many(data) == stream
    assert b"".join(b"".join(map(bytes, framing.encode_parts(message))) for message in data) == stream
    room = bytearray(len(stream) + 2)
    end = 1
    for message in data:
        end = framing.encode_into(room, end, memoryview(message))
    assert room == b"\0" + stream + b"\0"
    if data:
        with pytest.raises(BufferError):
            framing.encode_into(room, len(room) - len(wire[0]) + 1, data[0])
    rng = random.Random(seed)
    decoder, viewer = framing.decoder(), framing.decoder()
    frames: list[bytes] = []
    views: list[bytes] = []
    at = 0
    while at < len(stream):
        chunk = stream[at : at + rng.choice([1, 2, 7, 100, 5000])]
        at += len(chunk)
        views += [bytes(view) for view in viewer.decode_views(bytearray(chunk))]
        decoder.feed(memoryview(chunk))
        while (frame := decoder.next_frame()) is not None:
            frames.append(frame)
    assert frames == views == data
    assert decoder.feed_eof() == viewer.feed_eof() == []


@every
def test_what_is_bytes_like_is_taken(framing: Framing, backend: Any) -> None:
    wire = framing.encode(b"one") + framing.encode(b"two")
    for kind in (bytes, bytearray, memoryview):
        assert framing.decoder().decode(kind(wire)) == [b"one", b"two"]
        assert [bytes(view) for view in framing.decoder().decode_views(kind(wire))] == [b"one", b"two"]
        assert framing.encode(kind(b"one")) + framing.encode(kind(b"two")) == wire


@every
def test_the_end_of_the_stream(framing: Framing, backend: Any) -> None:
    wire = framing.encode(b"one")
    assert events(framing, wire, wire[:-1]) == [b"one", wire[:-1]]
    dropping = framing.replace(eof="drop").decoder()
    assert dropping.decode(wire + wire[:-1]) + dropping.feed_eof() == [b"one"]
    with pytest.raises(fw.DeclarationError, match="eof='deliver'"):
        framing.replace(eof="deliver")


@pytest.mark.parametrize(
    "framing, data, needed",
    [
        (SLIP(), b"", 2),
        (SLIP(), b"a", 1),
        (HDLC(fcs=16), b"", 3),
        (HDLC(fcs=16), b"~~a", 2),
        (HDLC(fcs=16), b"abcd", 1),
        (HDLC(fcs=32), b"}", 4),
        (COBS(), b"\5", 1),
        (SLIP(), b"a\xc0", 0),
        (SLIP(), b"\xdb\xc0", 0),
        (HDLC(fcs=16), b"a}~", 3),
    ],
)
def test_needed(framing: Framing, data: bytes, needed: int, backend: Any) -> None:
    decoder = framing.decoder()
    decoder.feed(data)
    assert decoder.needed == needed


# --- as parts, and as text ------------------------------------------------------------------------------


def test_in_a_preamble(backend: Any) -> None:
    framing = fw.Preamble(SLIP(), COBS(), count=2)
    encoder = framing.encoder()
    wire = encoder.encode_many([b"a", b"b", b"c\0"])
    assert wire == b"a\xc0b\xc0\2c\1\0"
    assert events(framing, b"\xc0" + wire) == [b"a", b"b", b"c\0"]
    # A broken frame is one of the two.
    assert events(framing, b"\xdb\xc0b\xc0\2c\1\0") == ["protocol-violation at 0, frame 0", b"b", b"c\0"]
    with pytest.raises(fw.EncodeError, match="its first messages differ"):
        framing.encode(b"")


@every
def test_tagged_takes_none(framing: Framing) -> None:
    name = type(framing).__name__
    with pytest.raises(fw.DeclarationError, match=f"Tagged: {name} cannot be a part"):
        fw.Tagged({1: framing})
    with pytest.raises(fw.DeclarationError, match=f"Tagged: {name} cannot be a part"):
        fw.Tagged({1: fw.Lines()}, default=framing)


@pytest.mark.parametrize(
    "text, framing",
    [
        ("slip", SLIP()),
        ("slip,max_frame=1006,on_too_large=skip", SLIP(max_frame=1006, on_too_large="skip")),
        ("slip,strip=false", SLIP(strip=False)),
        ("hdlc", HDLC()),
        ("hdlc,fcs=16", HDLC(fcs=16)),
        ("hdlc,fcs=32,eof=drop", HDLC(fcs=32, eof="drop")),
        ("cobs", COBS()),
        ("cobs,reduced=true,max_frame=none", COBS(reduced=True, max_frame=None)),
    ],
)
def test_text_form(text: str, framing: Framing) -> None:
    assert fw.framing(text) == framing
    assert str(framing) == text


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: HDLC(fcs=8), "HDLC: fcs=8 must be None, 16 or 32"),
        (lambda: HDLC(fcs=True), "HDLC: fcs=True must be None, 16 or 32"),
        (lambda: SLIP(max_frame=0), "max_frame"),
        (lambda: COBS(eof="deliver"), "eof='deliver'"),
        (lambda: SLIP(on_too_large="drop"), "on_too_large"),
    ],
)
def test_declarations_that_cannot_be(make: Callable[[], Framing], text: str) -> None:
    with pytest.raises(fw.DeclarationError, match=text):
        make()
