"""Enclosed and dot-stuffed frames: against models that read a byte at a time, under every policy and cut.

The models are written from the docstrings: they see the whole stream at once and keep no state between
chunks, which is where a decoder goes wrong.
"""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import FULL, examples, named
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import framewire as fw
from framewire import Delimited, Enclosed, FixedLength, Lines, MalformedFrame, Preamble, Tagged, _backend
from framewire._backend import Backend

Draw = Callable[..., Any]

MLLP = Enclosed(b"\x0b", b"\x1c\r")
STX = Enclosed(b"\2", b"\3", escape=b"\x10")
DLE = Enclosed(b"\x10\2", b"\x10\3", escape=b"\x10")
GDB = Enclosed(b"$", b"#", escape=b"}", escape_xor=0x20, trailer=2)
SEQUENCE = Enclosed(b"\x1e", b"\n", restart=True)
DATA = Delimited(b"\r\n.\r\n", dot_stuffed=True)

PURE = _backend.load("pure").codec
try:
    NATIVE = _backend.load("native").codec
except ImportError:
    NATIVE = None
BACKENDS = [PURE] if NATIVE is None else [PURE, NATIVE]
many = settings(
    max_examples=examples(200, 5000),
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


# --- the models -----------------------------------------------------------------------------------------


def enclosed_events(f: Enclosed, data: bytes) -> list[tuple[int, Any]]:
    """(offset, frame or name of the error) of a whole stream, up to an error that ends it."""
    limit = f.max_frame or 0
    allowed = 0 if f.noise == "error" else len(data) if f.noise_limit is None else f.noise_limit
    events: list[tuple[int, Any]] = []
    at = 0
    while True:
        for skipped in range(allowed + 1):
            if data.startswith(f.start, at + skipped) or f.start.startswith(data[at + skipped :]):
                break
        else:
            return [*events, (at + allowed, "bad-magic")]
        begin = at + skipped
        if not data.startswith(f.start, begin):
            return events
        body, i = bytearray(), begin + len(f.start)
        first = i
        while True:
            rest = data[i:]
            if rest.startswith(f.end):
                break
            if f.restart and rest.startswith(f.start):
                break
            pair = rest[:1] == f.escape
            if len(rest) < 1 + pair or f.end.startswith(rest) or (f.restart and f.start.startswith(rest)):
                # What comes is not known: only that it is too much already may be.
                if i - first > limit * (2 if f.escape else 1):
                    return [*events, (begin, "too-large")]
                return events
            body.append(rest[1] ^ f.escape_xor if pair else rest[0])
            i += 1 + pair
        end = i + len(f.end) + f.trailer
        is_end = data.startswith(f.end, i)
        if (len(body) if is_end else i - first) > limit * (1 if is_end or not f.escape else 2):
            return [*events, (begin, "too-large")]
        if not is_end:
            if i > first:
                events.append((begin, "protocol-violation"))
            at = i
            continue
        if end > len(data):
            return events
        stripped = f.strip is not False and not f.trailer
        events.append((begin, bytes(body) if stripped else data[begin:end]))
        at = end


def dotted_events(f: Delimited, data: bytes) -> list[tuple[int, Any]]:
    events: list[tuple[int, Any]] = []
    at = 0
    while True:
        body, i = bytearray(), at
        while True:
            line, end = i, data.find(b"\r\n", i)
            if end < 0:
                return events
            text, i = data[line : end + 2], end + 2
            if text == b".\r\n":
                break
            body += text[1:] if text[:1] == b"." else text
        if len(body) > (f.max_frame or 0):
            return [*events, (at, "too-large")]
        events.append((at, data[at:i] if f.strip is False else bytes(body)))
        at = i


def decoded(backend: Any, framing: fw.Framing, stream: bytes, cuts: list[int]) -> tuple[list[Any], Any]:
    """The frames and errors of a stream in pieces, each error with its place; and the decoder."""
    decoder = backend.Decoder(framing._plan)
    events: list[Any] = []
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for a, b in zip(edges, edges[1:]):
        chunk = stream[a:b]
        while True:
            try:
                events += decoder.decode(chunk)
                if decoder.needed:
                    break
            except fw.DecodeError as error:
                events.append((error.offset, error.reason))
                if not error.recoverable:
                    return events, decoder
            chunk = b""
    return events, decoder


def state_of(decoder: Any) -> tuple[Any, ...]:
    """What must not depend on the cuts; how much is buffered behind a fault does."""
    buffered = None if decoder.error else decoder.buffered
    return decoder.offset, buffered, decoder.needed, repr(decoder.error)


# --- random declarations --------------------------------------------------------------------------------

letters = st.sampled_from(b"ab{~")
marks = st.lists(letters, min_size=1, max_size=3).map(bytes)


@st.composite
def enclosed(draw: Draw) -> Enclosed:
    skip = draw(st.booleans())
    options = {
        "escape": draw(st.none() | letters.map(lambda letter: bytes([letter]))),
        "noise": "skip" if skip else "error",
        "restart": draw(st.booleans()),
        "trailer": draw(st.sampled_from([0, 0, 0, 1, 2])),
        "max_frame": draw(st.sampled_from([1, 2, 5, 100])),
        "on_too_large": draw(st.sampled_from(["fail", "skip"])),
        "eof": draw(st.sampled_from(["error", "drop"])),
    }
    if skip:
        options["noise_limit"] = draw(st.sampled_from([None, 1, 2, 7, 65536]))
    if options["escape"]:
        options["escape_xor"] = draw(st.sampled_from([0, 1, 0x20]))
    if not options["trailer"]:
        options["strip"] = draw(st.sampled_from([None, False]))
    try:
        return Enclosed(draw(marks), draw(marks), **options)
    except fw.DeclarationError:
        assume(False)
        raise


@st.composite
def streams(draw: Draw, framing: Enclosed) -> bytes:
    escape = framing.escape or b"!"
    parts = [framing.start, framing.end, framing.start[:1], framing.end[:-1], escape, b"a", b"b", b"x", b"~{"]
    return b"".join(draw(st.lists(st.sampled_from(parts) | st.binary(max_size=2), max_size=14)))


@many
@given(enclosed(), st.data())
def test_any_stream_gives_what_the_model_reads(framing: Enclosed, data: st.DataObject) -> None:
    stream = data.draw(streams(framing))
    cuts = data.draw(st.lists(st.integers(0, 40), max_size=6))
    expected = [what if type(what) is bytes else (at, what) for at, what in enclosed_events(framing, stream)]
    got = []
    for backend in BACKENDS:
        for places in (cuts, [], list(range(len(stream)))):
            events, decoder = decoded(backend, framing, stream, places)
            got.append((events, state_of(decoder)))
            # The model stops at a frame that is too large; a decoder that skips it goes on.
            goes_on = framing.on_too_large == "skip" and (expected or [b""])[-1][1:] == ("too-large",)
            assert events[: len(expected) if goes_on else None] == expected, (framing, stream, places)
    assert all(one == got[0] for one in got), (framing, stream, got)


@many
@given(enclosed(), st.data())
def test_what_is_encoded_is_delivered_between_any_noise(framing: Enclosed, data: st.DataObject) -> None:
    stream, sent = b"", []
    for body in data.draw(st.lists(streams(framing), min_size=1, max_size=4)):
        message = body
        if framing.strip is False or framing.trailer:
            message = framing.start + body + framing.end + bytes(framing.trailer)
        answers = []
        for backend in BACKENDS:
            try:
                answers.append(backend.Encoder(framing._plan).encode(message))
            except fw.EncodeError as error:
                answers.append((str(error), error.size, error.limit))
        assert answers[0] == answers[-1], (framing, message)
        if type(answers[0]) is not bytes:
            assert framing.escape is None or len(body) > (framing.max_frame or 0) or message != body
            continue
        noise = data.draw(st.sampled_from([b"", b"x", b"xyz"]))
        allowed = 0 if framing.noise == "error" else framing.noise_limit
        if allowed is None or len(noise) <= allowed:
            stream += noise
        stream += answers[0]
        sent.append(message)
    cuts = data.draw(st.lists(st.integers(0, 60), max_size=5))
    for backend in BACKENDS:
        for places in (cuts, []):
            events, decoder = decoded(backend, framing, stream, places)
            assert events == sent, (framing, stream)
            assert (decoder.offset, decoder.buffered) == (len(stream), 0)
            assert decoder.feed_eof() == []


@many
@given(enclosed())
def test_a_declaration_survives_being_written_down(framing: Enclosed) -> None:
    names = {"Enclosed": Enclosed}
    for other in (
        fw.framing(str(framing)),
        eval(repr(framing), names),
        pickle.loads(pickle.dumps(framing)),
        framing.replace(),
    ):
        assert other == framing and repr(other) == repr(framing) and hash(other) == hash(framing)


@pytest.mark.parametrize(
    "framing",
    [
        Enclosed(b"a", b"b"),
        Enclosed(b"ab", b"ba", escape=b"c"),
        Enclosed(b"aab", b"ba", restart=True),
        Enclosed(b"ca", b"cb", escape=b"c", trailer=1),
        Enclosed(b"cab", b"cb", escape=b"c", restart=True, max_frame=2, on_too_large="skip"),
        Enclosed(b"a", b"bb", trailer=1, max_frame=1, on_too_large="skip"),
    ],
    ids=named,
)
def test_needed_is_the_fewest_bytes_that_complete_a_frame(framing: Enclosed, backend: Backend) -> None:
    def frames(stream: bytes) -> int | None:
        try:
            return sum(type(event) is bytes for event in decoded(backend.codec, framing, stream, [])[0])
        except Exception as error:  # pragma: no cover
            raise AssertionError(stream) from error

    for size in range(7 if FULL else 5):
        for prefix in map(bytes, itertools.product(b"abc", repeat=size)):
            decoder = decoded(backend.codec, framing, prefix, [])[1]
            before = frames(prefix)
            needed = decoder.needed
            found = next(
                (
                    more
                    for more in range(1, 6)
                    if any(
                        frames(prefix + bytes(tail)) > before  # type: ignore[operator]
                        for tail in itertools.product(b"abc", repeat=more)
                    )
                ),
                6,
            )
            # What ends the frame may form a start mark with what stands before: only then it takes more.
            least = 1 if framing.restart else min(found, 6)
            assert least <= needed <= found or found == 6 <= needed, (framing, prefix, needed, found)
    assert frames(b"") == 0


# --- what the docstring says ----------------------------------------------------------------------------


def test_mllp_between_noise(backend: Backend) -> None:
    decoder = backend.codec.Decoder(MLLP._plan)
    assert decoder.decode(b"\r\n\x0bMSH|a\r\x1c\r\r\n\x0bMSH|\x0b\x1c\r") == [b"MSH|a\r", b"MSH|\x0b"]
    assert decoder.decode(b"trailing") == [] and decoder.buffered == 0
    assert decoder.feed_eof() == [], "a stream may end in noise"


def test_dle_framing(backend: Backend) -> None:
    for framing, wire in (
        (STX, b"\2\x10\x10\x10\2x\x10\3\3"),
        (DLE, b"\x10\2\x10\x10\2x\3\x10\3"),
    ):
        assert framing.encode(b"\x10\2x\3") == wire
        assert backend.codec.Decoder(framing._plan).decode(wire) == [b"\x10\2x\3"]
    # Any byte behind an escape byte is data.
    assert backend.codec.Decoder(STX._plan).decode(b"\2\x10a\3") == [b"a"]


def test_gdb_packets_and_acknowledgements(backend: Backend) -> None:
    stream = b"+$qC#b4-+$x}\x03#9b+"
    decoder = backend.codec.Decoder(GDB._plan)
    assert decoder.decode(stream) == [b"$qC#b4", b"$x}\x03#9b"]
    assert decoder.feed_eof() == []
    acks = Tagged({b"+-": FixedLength(1)}, default=GDB.replace(noise="error"))
    frames = backend.codec.Decoder(acks._plan).decode(stream)
    assert frames == [b"+", b"$qC#b4", b"-", b"+", b"$x}\x03#9b", b"+"]
    assert b"".join(map(acks.encode, frames)) == stream
    for message in (b"$g#", b"$g#6", b"$g#677", b"g#67", b"$g", b"$", b""):
        with pytest.raises(fw.EncodeError):
            GDB.encode(message)


def test_json_text_sequences(backend: Backend) -> None:
    """RFC 7464: a text that was cut short costs itself, and several RS in a row mean nothing."""
    stream = b'\x1e{"a":1}\n\x1e\x1e"half\x1etrue\n\x1e'
    events, decoder = decoded(backend.codec, SEQUENCE, stream, [])
    assert events == [b'{"a":1}', (10, "protocol-violation"), b"true"]
    with pytest.raises(fw.Truncated) as caught:
        decoder.feed_eof()
    assert caught.value.partial == b"\x1e" and caught.value.needed == 1


def test_the_error_of_a_lost_frame_says_where(backend: Backend) -> None:
    decoder = backend.codec.Decoder(SEQUENCE._plan)
    assert decoder.decode(b"\x1ea\n\x1ebc\x1ed\n") == [b"a"]
    with pytest.raises(MalformedFrame) as caught:
        decoder.decode()
    assert caught.value.recoverable and (caught.value.offset, caught.value.frame_index) == (3, 1)
    assert str(caught.value).startswith("protocol-violation: a frame starts before the end of this one")
    assert decoder.decode() == [b"d"] and decoder.error is None


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
def test_noise_is_counted_from_frame_to_frame(backend: Backend, cut: int) -> None:
    framing = Enclosed(b"<<", b">>", noise_limit=5)
    stream = b"12345<<a>>1234<<<b>>" + b"<1<1<1"
    events, decoder = decoded(backend.codec, framing, stream, list(range(0, len(stream), cut)))
    assert events == [b"a", b"<b", (25, "bad-magic")]
    assert decoder.error is not None and not decoder.error.recoverable
    assert "more than 5 bytes stand before the start of a frame" in str(decoder.error)


def test_noise_without_a_limit_costs_no_memory(backend: Backend) -> None:
    decoder = backend.codec.Decoder(Enclosed(b"<", b">", noise_limit=None)._plan)
    for _ in range(50):
        assert decoder.decode(bytes(65536)) == [] and decoder.buffered == 0
    assert decoder.decode(b"<a>") == [b"a"] and decoder.offset == 50 * 65536 + 3


def test_noise_as_an_error(backend: Backend) -> None:
    framing = Enclosed(b"<", b">", noise="error")
    decoder = backend.codec.Decoder(framing._plan)
    assert decoder.decode(b"<a><b>\n<c>") == [b"a", b"b"]
    with pytest.raises(MalformedFrame, match="bad-magic: more than 0 bytes stand before") as caught:
        decoder.decode()
    assert caught.value.offset == 6 and not caught.value.recoverable


@pytest.mark.parametrize("eof", ["error", "drop"])
@pytest.mark.parametrize("tail", [b"\x0b", b"\x0babc", b"\x0babc\x1c"])
def test_a_stream_that_ends_inside_a_frame(backend: Backend, eof: str, tail: bytes) -> None:
    decoder = backend.codec.Decoder(MLLP.replace(eof=eof)._plan)
    assert decoder.decode(b"\x0bok\x1c\r" + tail) == [b"ok"]
    if eof == "drop":
        assert decoder.feed_eof() == [] and decoder.offset == 5 + len(tail)
        return
    with pytest.raises(fw.Truncated) as caught:
        decoder.feed_eof()
    assert caught.value.partial == tail
    assert caught.value.needed == (1 if tail.endswith(b"\x1c") else 2)


def test_skipping_honours_escapes_and_trailers(backend: Backend) -> None:
    framing = Enclosed(b"\2", b"\3", escape=b"\x10", max_frame=3, on_too_large="skip")
    stream = b"\2aaaa\x10\3\2evil\3\2ok\3"
    for cut in (1, 2, 5, 100):
        events, _ = decoded(backend.codec, framing, stream, list(range(0, len(stream), cut)))
        assert events == [(0, "too-large"), b"ok"], cut
    framing = Enclosed(b"(", b")", trailer=2, max_frame=2, on_too_large="skip")
    events, _ = decoded(backend.codec, framing, b"(aaaa)((((b)))", list(range(14)))
    assert events == [(0, "too-large"), b"((b)))"]
    framing = Enclosed(b"~", b"~", max_frame=2, on_too_large="skip")
    events, _ = decoded(backend.codec, framing, b"~aaaa~~b~", list(range(9)))
    assert events == [(0, "too-large"), b"b"]


def test_the_limit_is_about_the_body(backend: Backend) -> None:
    for framing in (
        Enclosed(b"<<<", b">>>", max_frame=4),
        Enclosed(b"<<<", b">>>", max_frame=4, trailer=3),
        Enclosed(b"<", b">", escape=b"\\", max_frame=4),
    ):
        for body in (b"aaaa", b"\\<>x"):
            stripped = framing.trailer == 0
            wire = framing.start + body + framing.end + bytes(framing.trailer)
            message = framing.encode(body if stripped else wire)
            assert backend.codec.Decoder(framing._plan).decode(message) == [body if stripped else wire]
        with pytest.raises(fw.EncodeError, match="of 5 bytes" if stripped else "limit of 4"):
            framing.encode(b"aaaaa" if stripped else framing.start + b"aaaaa" + framing.end + b"123")
        wire = framing.start + b"aaaaa" + framing.end + bytes(framing.trailer)
        with pytest.raises(fw.FrameTooLarge) as caught:
            backend.codec.Decoder(framing._plan).decode(wire)
        assert caught.value.size is None and caught.value.limit == 4


@pytest.mark.parametrize(
    ("framing", "message", "text"),
    [
        (MLLP, b"ab\x1c\rc", r"the delimiter b'\x1c\r' stands at byte 2"),
        (MLLP, b"x" * (1 << 20) + b"y", "1048577 bytes is beyond our limit"),
        (SEQUENCE, b"ab\x1ec", r"the delimiter b'\x1e' stands at byte 2"),
        (Enclosed(b"<", b"aba"), b"xab", "the delimiter b'aba' stands at byte 1"),
        (Enclosed(b"ab", b"b!", restart=True), b"xa", "the delimiter b'ab' stands at byte 1"),
        (MLLP.replace(strip=False), b"ab\x1c\r", "bad-magic: more than 0 bytes stand before the start"),
        (MLLP.replace(strip=False), b"\x0bab", "does not end with its delimiter (strip=False)"),
        (MLLP.replace(strip=False), b"", "does not end with its delimiter (strip=False)"),
        (MLLP.replace(strip=False), b"\x0ba\x1c\r\x1c\r", r"the delimiter b'\x1c\r' stands at byte 2"),
        (
            MLLP.replace(strip=False, max_frame=1),
            b"\x0bab\x1c\r",
            "a message of 5 bytes is beyond our limit of 1",
        ),
        (SEQUENCE.replace(strip=False), b"\x1e\x1ea\n", r"the delimiter b'\x1e' stands at byte 1"),
        (SEQUENCE.replace(strip=False), b"\x1ea\x1eb\n", "a frame starts before the end of this one"),
        (DATA, b"a", "a message of 1 bytes does not end with CRLF, as every line must"),
        (DATA, b"\n", "does not end with CRLF"),
        (DATA.replace(max_frame=3), b"aa\r\n", "a message of 4 bytes is beyond our limit of 3"),
        (DATA.replace(strip=False), b"a\r\n", "does not end with its delimiter (strip=False)"),
        (DATA.replace(strip=False), b".\r\n.\r\n", r"the delimiter b'.\r\n' stands at byte 0"),
        (
            DATA.replace(strip=False, max_frame=3),
            b"aa\r\n.\r\n",
            "a message of 7 bytes is beyond our limit of 3",
        ),
    ],
    ids=lambda value: "",
)
def test_messages_that_cannot_be_sent(
    framing: fw.Framing, message: bytes, text: str, backend: Backend
) -> None:
    with pytest.raises(fw.EncodeError) as caught:
        backend.codec.Encoder(framing._plan).encode(message)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Enclosed(b"", b"b"), "Enclosed: start has 1 to 255 bytes, not 0"),
        (lambda: Enclosed(b"a", b"b" * 256), "Enclosed: end has 1 to 255 bytes, not 256"),
        (lambda: Enclosed(b"a", b"b", escape=b"cc"), "Enclosed: escape is one byte, not 2"),
        (lambda: Enclosed(b"a", b"b", escape=b"a"), "start=b'a' cannot be told from escaped data"),
        (lambda: Enclosed(b"a", b"bb", escape=b"b"), "end=b'bb' cannot be told from escaped data"),
        (lambda: Enclosed(b"a", b"\x10\x30", escape=b"\x10", escape_xor=0x20), "cannot be told from escaped"),
        (lambda: Enclosed(b"a", b"b", escape_xor=1), "Enclosed: escape_xor without escape"),
        (lambda: Enclosed(b"a", b"b", escape=b"c", escape_xor=256), "escape_xor=256 must be at most 255"),
        (lambda: Enclosed(b"a", b"b", noise="drop"), "Enclosed: noise="),
        (lambda: Enclosed(b"a", b"b", noise_limit=0), "Enclosed: noise_limit=0 must be at least 1"),
        (lambda: Enclosed(b"a", b"b", noise="error", noise_limit=9), "noise_limit goes with noise='skip'"),
        (lambda: Enclosed(b"a", b"a", restart=True), "restart needs marks"),
        (lambda: Enclosed(b"a", b"ab", restart=True), "restart needs marks"),
        (lambda: Enclosed(b"xab", b"ab", restart=True), "restart needs marks"),
        (lambda: Enclosed(b"a", b"b", trailer=256), "trailer=256 must be at most 255"),
        (lambda: Enclosed(b"a", b"b", trailer=1, strip=True), "strip=True would lose the trailer"),
        (lambda: Enclosed(b"a", b"b", eof="deliver"), "eof='deliver'"),
        (lambda: Enclosed(b"a", b"b", max_frame=0), "max_frame=0 must be at least 1"),
        (lambda: Tagged({1: MLLP}), "Tagged: Enclosed needs noise='error', restart=False, strip=False here"),
        (lambda: Tagged({1: STX.replace(noise="error", strip=True)}), "Tagged: Enclosed needs"),
        (lambda: Tagged({1: SEQUENCE.replace(noise="error")}), "Tagged: Enclosed needs"),
        (lambda: Delimited(b"\n.\n", dot_stuffed=True), "dot_stuffed goes with the delimiter CRLF.CRLF"),
        (lambda: DATA.replace(eof="deliver"), "dot_stuffed text is whole or not at all"),
        (lambda: DATA.replace(delimiters=(b"\n",)), "dot_stuffed goes with the delimiter CRLF.CRLF"),
        (lambda: MLLP._plan_for(3), "buffer: 3 bytes do not hold a whole frame, 3 bytes go around its body"),
        (lambda: STX._plan_for(3), "buffer: 3 bytes do not hold a whole frame"),
        (lambda: DATA._plan_for(4), "buffer: 4 bytes do not hold a whole frame"),
        (lambda: fw.framing("enclosed:a"), "enclosed needs its start and end marks"),
        (lambda: fw.framing("enclosed"), "enclosed needs its start and end marks"),
        (lambda: fw.framing("enclosed:a|b,noise=1"), "noise="),
        (lambda: fw.framing("enclosed:a|b,nois=skip"), "unknown key 'nois': did you mean noise"),
        (lambda: fw.framing("crlf,dot_stuffed=true"), "unknown key 'dot_stuffed'"),
    ],
    ids=lambda value: "",
)
def test_declarations_that_cannot_be(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(fw.DeclarationError) as caught:
        make()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Enclosed("a", b"b"),  # type: ignore[arg-type]
        lambda: Enclosed(b"a", b"b", escape=16),  # type: ignore[arg-type]
        lambda: Enclosed(b"a", b"b", restart=1),  # type: ignore[arg-type]
        lambda: Enclosed(b"a", b"b", strip="no"),  # type: ignore[arg-type]
        lambda: Enclosed(b"a", b"b", noise_limit="9"),  # type: ignore[arg-type]
        lambda: Delimited(b"\r\n.\r\n", dot_stuffed=1),  # type: ignore[arg-type]
        lambda: Lines(dot_stuffed=True),  # type: ignore[call-arg]
    ],
)
def test_what_is_of_another_type(make: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, fw.DeclarationError)):
        make()


@pytest.mark.parametrize(
    ("text", "framing"),
    [
        ("enclosed:\\x0b|\\x1c\\r", MLLP),
        ("enclosed:\\x02|\\x03,escape=\\x10", STX),
        ("enclosed:$|#,escape=},escape_xor=0x20,trailer=2", GDB),
        ("enclosed:\\x1e|\\n,restart=true,noise_limit=none", SEQUENCE.replace(noise_limit=None)),
        ("enclosed:\\x7c|\\,,noise=error,strip=false", Enclosed(b"|", b",", noise="error", strip=False)),
        ("delimited:\\r\\n.\\r\\n,dot_stuffed=true", DATA),
    ],
)
def test_the_text_form(text: str, framing: fw.Framing) -> None:
    assert fw.framing(text) == framing and fw.framing(str(framing)) == framing


def test_equal_plans_are_equal_framings() -> None:
    assert Enclosed(b"a", b"b", escape=b"c") != Enclosed(b"a", b"b")
    assert DATA != Delimited(b"\r\n.\r\n")
    assert repr(DATA) == r"Delimited(b'\r\n.\r\n', dot_stuffed=True)"
    assert repr(Lines(strip=False)) == "Lines(strip=False)"


def test_as_a_part(backend: Backend) -> None:
    framing = Preamble(MLLP, Preamble(DATA, STX))
    encoder, decoder = backend.codec.Encoder(framing._plan), backend.codec.Decoder(framing._plan)
    wire = encoder.encode_many([b"one", b".two\r\n", b"\3", b"\2"])
    frames = [frame for byte in wire for frame in decoder.decode(bytes([byte]))]
    assert frames == [b"one", b".two\r\n", b"\3", b"\2"]


@pytest.mark.parametrize("framing", [MLLP, STX, GDB, DATA])
def test_in_the_callers_buffer(framing: fw.Framing, backend: Backend) -> None:
    body = b"\3" * 40 + b"\r\n" if framing is not GDB else b"$" + b"}" * 40 + b"#00"
    decoder = backend.codec.Decoder(framing._plan_for(120), bytearray(120))
    for _ in range(3):
        wire = framing.encode(body)
        frames = [frame for byte in wire for frame in decoder.decode(bytes([byte]))]
        assert frames == [body]
    plan = framing._plan_for(120)
    worst = {MLLP: b"x", STX: b"\3", GDB: b"}x", DATA: b".\r\n"}[framing]
    body = (worst * 200)[: plan[1] - (plan[1] % 3 if framing is DATA else 0)]
    wire = b"$" + (worst * plan[1]) + b"#00" if framing is GDB else framing.encode(body)
    decoder = backend.codec.Decoder(plan, bytearray(120))
    assert [len(frame) for byte in wire for frame in decoder.decode(bytes([byte]))] == (
        [len(wire)] if framing is GDB else [len(body)]
    )


@pytest.mark.parametrize("framing", [MLLP, STX, DATA, SEQUENCE, Enclosed(b"aab", b"aac", max_frame=None)])
def test_one_frame_byte_by_byte_costs_linear_time(framing: fw.Framing, backend: Backend) -> None:
    def seconds(size: int) -> float:
        fill = b"\x10" if framing is STX else b"\x1c"
        body = fill * size + b"x" + (b"\r\n" if framing is DATA else b"")
        wire = framing.replace(max_frame=None).encode(body)
        decoder = backend.codec.Decoder(framing.replace(max_frame=None)._plan)
        begin = time.thread_time()
        for at in range(0, len(wire), 4):
            frames = decoder.decode(wire[at : at + 4])
        assert frames == [body]
        return time.thread_time() - begin

    small, large = (min(seconds(size) for _ in range(3)) for size in (4000, 128_000))
    assert large < 200 * small


@pytest.mark.parametrize(
    ("framing", "flood", "most"),
    [
        (Enclosed(b"<", b">", max_frame=1000), b"<" + b"a" * 200_000, 1100),
        (Enclosed(b"<", b">", max_frame=1000, on_too_large="skip"), b"<" + b"a" * 200_000, 1100),
        (
            Enclosed(b"<", b">", escape=b"\\", max_frame=1000, on_too_large="skip"),
            b"<" + b"\\" * 200_000,
            2200,
        ),
        (Enclosed(b"<", b">", max_frame=1000), b"a" * 200_000, 100),
        (Enclosed(b"<", b">", restart=True, max_frame=1000), b"<" * 200_000, 100),
        (DATA.replace(max_frame=900), b"..\r\n" * 50_000, 1300),
        (DATA.replace(max_frame=900, on_too_large="skip"), b"..\r\n" * 50_000, 1300),
    ],
    ids=named,
)
def test_memory_stays_bounded(framing: fw.Framing, flood: bytes, most: int, backend: Backend) -> None:
    decoder = backend.codec.Decoder(framing._plan)
    for at in range(0, len(flood), 50):
        try:
            assert decoder.decode(flood[at : at + 50]) == []
        except fw.DecodeError as error:
            if not error.recoverable:
                break
        assert decoder.buffered <= most


# --- dot-stuffing ---------------------------------------------------------------------------------------

lines = st.lists(
    st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"a", b".\r\n", b"\r\n.", b"\r\n.\r\n"]), max_size=9
)


@many
@given(
    lines.map(b"".join),
    st.lists(st.integers(0, 40), max_size=5),
    st.sampled_from([None, False]),
    st.sampled_from([1, 2, 6, 1000]),
    st.sampled_from(["fail", "skip"]),
)
def test_dot_stuffed_text_is_what_the_model_reads(
    stream: bytes, cuts: list[int], strip: bool | None, limit: int, too_large: str
) -> None:
    framing = DATA.replace(strip=strip, max_frame=limit, on_too_large=too_large)
    expected = [what if type(what) is bytes else (at, what) for at, what in dotted_events(framing, stream)]
    got = []
    for backend in BACKENDS:
        for places in (cuts, [], list(range(len(stream)))):
            events, decoder = decoded(backend, framing, stream, places)
            got.append((events, state_of(decoder)))
            assert events[: len(expected)] == expected, (framing, stream, places)
            if len(events) > len(expected) and (expected or [b""])[-1][1:] != ("too-large",):
                # Too large before its end has come, which is all that the model waits for.
                assert events[len(expected)][1] == "too-large" and len(events) == len(expected) + 1
    assert all(one == got[0] for one in got), (framing, stream, got)


@many
@given(st.lists(lines.map(b"".join), min_size=1, max_size=4), st.lists(st.integers(0, 80), max_size=5))
def test_dot_stuffed_messages_come_back(messages: list[bytes], cuts: list[int]) -> None:
    bodies = [message + b"\r\n" if message else b"" for message in messages]
    for backend in BACKENDS:
        encoder = backend.Encoder(DATA._plan)
        wire = encoder.encode_many(bodies)
        assert decoded(backend, DATA, wire, cuts)[0] == bodies
        for body in bodies:
            one = encoder.encode(body)
            assert one.endswith(b".\r\n") and b"\r\n.\r\n" not in one[:-5] + one[-2:]
            assert (
                one
                == b"".join(
                    (b"." if line.startswith(b".") else b"") + line + b"\r\n"
                    for line in body.split(b"\r\n")[:-1]
                )
                + b".\r\n"
            )


def test_smtp_smuggling(backend: Backend) -> None:
    """Only CRLF.CRLF ends a message, whatever else looks like it."""
    for trick in (b"\n.\r\n", b"\n.\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r"):
        body = b"before" + trick + b"MAIL FROM:<evil>\r\n"
        assert backend.codec.Decoder(DATA._plan).decode(DATA.encode(body)) == [body]
